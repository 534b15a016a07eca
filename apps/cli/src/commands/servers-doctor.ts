import { type INestApplicationContext } from '@nestjs/common';
import { Diagnosis, type Server } from '#wireguard';
import { NotWell } from '../command.js';

/** Looks these servers over at once, and prints one line for each thing looked at. */
export async function examineServers(rooms: INestApplicationContext, servers: readonly Server[]): Promise<void> {
  const diagnosis = rooms.get(Diagnosis);
  const examined = await Promise.all(
    servers.map(async (server) => ({ server, findings: await diagnosis.examine(server) })),
  );
  let problems = 0;
  for (const { server, findings } of examined) {
    for (const { about, isWell, says } of findings) {
      if (!isWell) problems += 1;
      process.stdout.write(`${[isWell ? 'ok' : 'problem', server.name, about, says].join('\t')}\n`);
    }
  }
  if (problems > 0) throw new NotWell(`Found ${problems} ${problems === 1 ? 'problem' : 'problems'}`);
}
