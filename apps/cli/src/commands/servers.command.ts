import { type INestApplicationContext } from '@nestjs/common';
import { parseArgs } from 'node:util';
import { ServerExport } from '#peers';
import { SYSTEM } from '#platform';
import { FirstServer, readServerDraft, type Server, Servers } from '#wireguard';
import { type Command, UsageError, withRooms } from '../command.js';
import { readJson } from '../json-file.js';
import { examineServers } from './servers-doctor.js';
import { syncServers } from './servers-sync.js';

interface Call {
  readonly rooms: INestApplicationContext;
  readonly servers: Servers;
  readonly options: Options;
  /** What stands behind the action without an option's name. */
  readonly names: readonly string[];
}

interface Options {
  readonly server?: string | undefined;
  readonly file?: string | undefined;
  readonly force?: boolean | undefined;
}

const ACTIONS: Readonly<Record<string, (call: Call) => Promise<void>>> = {
  async list({ servers }) {
    for (const server of await servers.list()) print(server);
  },

  async export({ rooms, servers, options }) {
    const { id } = await choose(servers, options.server);
    process.stdout.write(await rooms.get(ServerExport).render(id));
  },

  async add({ servers, options: { file } }) {
    if (file === undefined) throw new UsageError('servers add: --file says where its description is');
    print(await servers.add(SYSTEM, readServerDraft(await readJson(file))));
  },

  async sync({ rooms, servers, options: { server, force = false } }) {
    const all = await servers.list();
    const applied = all.filter(({ applies, status }) => applies && status !== 'disabled');
    await syncServers(rooms, server === undefined ? applied : [named(all, server)], force);
  },

  async 'accept-settings'({ rooms, servers }) {
    await rooms.get(FirstServer).update({ confirmed: true });
    for (const server of await servers.list()) if (server.fromSettings) print(server);
  },

  async drain({ servers, names: [wanted] }) {
    if (wanted === undefined) throw new UsageError('servers drain: which one?');
    const { id } = await choose(servers, wanted);
    print(await servers.drain(SYSTEM, id));
  },

  async doctor({ rooms, servers, options: { server } }) {
    const all = await servers.list();
    const asked = server === undefined ? all.filter(({ status }) => status !== 'disabled') : [named(all, server)];
    await examineServers(rooms, asked);
  },
};

/** WireGuard servers, from the operator's side. */
export const serversCommand: Command = {
  name: 'servers',
  usage: [
    ['servers list', 'The servers there are'],
    ['servers add --file FILE', 'Add a server that a JSON file describes (- reads it from stdin)'],
    [
      'servers sync [--server ID|NAME] [--force]',
      'Sweep servers now; --force adopts them, and removes however many there are',
    ],
    [
      'servers accept-settings',
      'Write the server of the WG_* settings as they are here, also where its devices notice',
    ],
    ['servers drain ID|NAME', 'Place no new peers on a server'],
    ['servers doctor [--server ID|NAME]', 'Look servers over from end to end; exit code 1 when one is not well'],
    ['servers export [--server ID|NAME]', 'What a server must hold now, as a file for "wg syncconf"'],
  ],
  async run(context) {
    const [name = '', ...rest] = context.args;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (action === undefined) throw new UsageError(`servers: ${Object.keys(ACTIONS).join(', ')}?`);
    const { values, positionals } = readOptions(rest, name === 'drain');
    return withRooms(context, (rooms) =>
      action({ rooms, servers: rooms.get(Servers), options: values, names: positionals }),
    );
  },
};

function readOptions(args: readonly string[], takesName: boolean): { values: Options; positionals: string[] } {
  try {
    const options = { server: { type: 'string' }, file: { type: 'string' }, force: { type: 'boolean' } } as const;
    return parseArgs({ args: [...args], options, allowPositionals: takesName });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The server that is named, or the only one. */
async function choose(servers: Servers, wanted: string | undefined): Promise<Server> {
  const all = await servers.list();
  if (wanted !== undefined) return named(all, wanted);
  const [first, second] = all;
  if (first === undefined) throw new UsageError('There is no server');
  if (second !== undefined) throw new UsageError('There are several servers: name one with --server');
  return first;
}

/** By id or name: no name is made of digits alone. */
function named(all: readonly Server[], wanted: string): Server {
  const server = all.find(({ id, name }) => String(id) === wanted || name === wanted);
  if (server === undefined) throw new UsageError(`There is no server "${wanted}"`);
  return server;
}

function print(server: Server): void {
  const { id, name, status, region, provider, endpoint, subnet, publicKey } = server;
  process.stdout.write(`${[id, name, status, region, provider, endpoint, subnet, publicKey].join('\t')}\n`);
}
