import { parseArgs } from 'node:util';
import { ServerExport } from '#peers';
import { type Server, Servers } from '#wireguard';
import { type Command, UsageError, withRooms } from '../command.js';

/** WireGuard servers, from the operator's side. */
export const serversCommand: Command = {
  name: 'servers',
  usage: [
    ['servers list', 'The servers there are'],
    ['servers export [--server ID]', 'What a server must hold now, as a file for "wg syncconf"'],
  ],
  async run(context) {
    const [action = ''] = context.args;
    const { values } = readOptions(context.args.slice(1));
    switch (action) {
      case 'list':
        return withRooms(context, async (rooms) => {
          for (const server of await rooms.get(Servers).list()) process.stdout.write(`${describe(server)}\n`);
        });
      case 'export':
        return withRooms(context, async (rooms) => {
          const server = await choose(rooms.get(Servers), values.server);
          process.stdout.write(await rooms.get(ServerExport).render(server.id));
        });
      default:
        throw new UsageError('servers: list or export?');
    }
  },
};

function readOptions(args: readonly string[]): { values: { server?: string | undefined } } {
  try {
    return parseArgs({ args: [...args], options: { server: { type: 'string' } } });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The server that is named, or the only one. */
async function choose(servers: Servers, wanted: string | undefined): Promise<Server> {
  const all = await servers.list();
  const found = wanted === undefined ? all : all.filter(({ id, name }) => String(id) === wanted || name === wanted);
  const [first] = found;
  if (first === undefined) throw new UsageError(`There is no server "${wanted ?? ''}"`);
  if (found.length > 1) throw new UsageError('There are several servers: name one with --server');
  return first;
}

function describe(server: Server): string {
  return `${server.id}\t${server.name}\t${server.status}\t${server.endpoint}\t${server.subnet}\t${server.publicKey}`;
}
