import { type INestApplicationContext } from '@nestjs/common';
import { DomainError } from '#kernel';
import { Reconciliation, type SweepReport } from '#peers';
import { type Server } from '#wireguard';
import { NotWell } from '../command.js';

/** Sweeps these servers now, one line each; with `force` they are adopted, and the brake is let go this once. */
export async function sweepServers(
  rooms: INestApplicationContext,
  servers: readonly Server[],
  force: boolean,
): Promise<void> {
  if (servers.length === 0) throw new NotWell('nothing was done: there is no server that the service applies to');
  let unwell = 0;
  for (const { id, name } of servers) {
    const { line, isWell } = await sync(rooms.get(Reconciliation), id, force);
    process.stdout.write(`${id}\t${name}\t${line}\n`);
    if (!isWell) unwell++;
  }
  if (unwell > 0) throw new NotWell(`${unwell} of ${servers.length} servers do not hold what they should`);
}

async function sync(
  reconciliation: Reconciliation,
  serverId: number,
  force: boolean,
): Promise<{ readonly line: string; readonly isWell: boolean }> {
  try {
    const report = await reconciliation.sweep(serverId, { force });
    if (report === null) return { line: 'nothing was done: it is being swept by another instance', isWell: false };
    return { line: describeSweep(report), isWell: report.held === 0 };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { line: `${error.code}: ${String(error.params['kind'] ?? '')}`, isWell: false };
  }
}

/** What a sweep found and did, in one line. */
export function describeSweep({ live, put, suspended, removed, strangers, held, isAdopted }: SweepReport): string {
  const found = `${live} peers; put ${put}, suspended ${suspended}, removed ${removed}`;
  return [
    found,
    ...(strangers > 0
      ? [
          isAdopted
            ? `${strangers} strangers are removed if they are still there in a minute, as they may be new peers`
            : `${strangers} strangers left alone until the server is adopted (--force)`,
        ]
      : []),
    ...(held > 0
      ? [
          `${held} changes held back, because they are so many or the server seems to be another one (--force does them)`,
        ]
      : []),
  ].join('; ');
}
