import { ServerExport } from '#peers';
import { SYSTEM } from '#platform';
import { Diagnosis, FirstServer, readServerDraft, type Server, Servers } from '#wireguard';
import { NotWell, UsageError } from '../command.js';
import { readJson } from '../json-file.js';
import { withRooms } from '../rooms.js';
import { renderList, type Row } from '../table.js';
import { sweepServers } from './servers-sync.js';

const COLUMNS = ['id', 'name', 'status', 'region', 'provider', 'endpoint', 'subnet', 'public_key'];

export function listServers(json: boolean): Promise<void> {
  return withRooms(async (rooms) => print(await rooms.get(Servers).list(), json));
}

export function addServer(file: string): Promise<void> {
  return withRooms(async (rooms) => {
    print([await rooms.get(Servers).add(SYSTEM, readServerDraft(await readJson(file), { strict: true }))]);
  });
}

/** @param wanted the id or the name of one server; undefined: all that the service applies to */
export function syncServers(wanted: string | undefined, force: boolean): Promise<void> {
  return withRooms(async (rooms) => {
    const all = await rooms.get(Servers).list();
    const applied = all.filter(({ applies, status }) => applies && status !== 'disabled');
    await sweepServers(rooms, wanted === undefined ? applied : [named(all, wanted)], force);
  });
}

export function acceptSettings(): Promise<void> {
  return withRooms(async (rooms) => {
    await rooms.get(FirstServer).update({ confirmed: true });
    print((await rooms.get(Servers).list()).filter(({ fromSettings }) => fromSettings));
  });
}

export function drainServer(wanted: string): Promise<void> {
  return withRooms(async (rooms) => {
    const servers = rooms.get(Servers);
    const { id } = named(await servers.list(), wanted);
    print([await servers.drain(SYSTEM, id)]);
  });
}

/** Looks servers over at once; one line for each thing that was looked at. */
export function examineServers(wanted: string | undefined, json: boolean): Promise<void> {
  return withRooms(async (rooms) => {
    const all = await rooms.get(Servers).list();
    const asked = wanted === undefined ? all.filter(({ status }) => status !== 'disabled') : [named(all, wanted)];
    const diagnosis = rooms.get(Diagnosis);
    const found = await Promise.all(
      asked.map(async (server) => ({ server, findings: await diagnosis.examine(server) })),
    );
    const rows = found.flatMap(({ server, findings }) =>
      findings.map(({ about, isWell, says }) => ({
        result: isWell ? 'ok' : 'problem',
        server: server.name,
        about,
        finding: says,
      })),
    );
    process.stdout.write(renderList(['result', 'server', 'about', 'finding'], rows, json));
    const problems = rows.filter(({ result }) => result === 'problem').length;
    if (problems > 0) throw new NotWell(`Found ${problems} ${problems === 1 ? 'problem' : 'problems'}`);
  });
}

export function exportServer(wanted: string | undefined): Promise<void> {
  return withRooms(async (rooms) => {
    const { id } = choose(await rooms.get(Servers).list(), wanted);
    process.stdout.write(await rooms.get(ServerExport).render(id));
  });
}

/** The server that is named, or the only one. */
function choose(all: readonly Server[], wanted: string | undefined): Server {
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

function print(servers: readonly Server[], json = false): void {
  process.stdout.write(renderList(COLUMNS, servers.map(rowOf), json));
}

function rowOf({ id, name, status, region, provider, endpoint, subnet, publicKey }: Server): Row {
  return { id, name, status, region, provider, endpoint, subnet, public_key: publicKey };
}
