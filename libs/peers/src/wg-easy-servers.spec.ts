import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { Accounts, type Principal, type User } from '#auth';
import { type DomainError } from '#kernel';
import { SYSTEM } from '#platform';
import { Subscriptions } from '#subscriptions';
import { generateKeyPair, ServerHealthRepository, Servers } from '#wireguard';
import { type FakeClient, FakeWgEasy } from '../../../test/fakes/wg-easy.js';
import { openInstance, type OpenRooms, openRooms } from '../../../test/support/rooms.js';
import { Applying } from './applying.service.js';
import { DesiredPeersRepository } from './desired-peers.repository.js';
import { type NewPeer, type Peer } from './peer.js';
import { PeersModule } from './peers.module.js';
import { type PeerDraft, Peers } from './peers.service.js';
import { Reconciliation, type SweepReport } from './reconciliation.service.js';

const VERSION = '15.4.0';
const NOTHING: PeerDraft = {
  deviceName: null,
  publicKey: undefined,
  address: undefined,
  allowedIps: undefined,
  serverId: undefined,
  region: undefined,
};

let open: OpenRooms;
let easy: FakeWgEasy;
let peers: Peers;
let serverId: number;
let sequence = 0;
const opened: FakeWgEasy[] = [];

beforeAll(async () => {
  open = await openRooms([PeersModule], { ALLOW_PRIVATE_TARGETS: '1' });
  peers = open.rooms.get(Peers);
});
afterAll(async () => {
  await open.close();
  for (const fake of opened) await fake.close();
});
beforeEach(async () => {
  const data = open.rooms.get(DataSource);
  await data.query('DELETE FROM vpn_peers; DELETE FROM vpn_peer_leftovers; DELETE FROM vpn_server_health');
  await data.query(`UPDATE vpn_servers SET status = 'disabled'`);
  easy = await fresh();
  serverId = await addServer(easy);
});

async function fresh(version: FakeWgEasy['version'] = VERSION): Promise<FakeWgEasy> {
  const fake = await FakeWgEasy.start(version);
  opened.push(fake);
  return fake;
}

async function addServer({ url, username, password, serverKey }: FakeWgEasy): Promise<number> {
  const { id } = await open.rooms.get(Servers).add(SYSTEM, {
    name: `easy-${++sequence}`,
    status: 'active',
    region: 'here',
    country: null,
    provider: 'wg-easy',
    applies: true,
    endpoint: 'vpn.example.com:51820',
    publicKey: serverKey,
    subnet: '10.8.0.0/24',
    subnet6: null,
    capacity: null,
    presharedKeys: false,
    dns: ['1.1.1.1'],
    mtu: 1420,
    access: { kind: 'wg-easy', url, username, password, apiKey: null },
  });
  return id;
}

async function subscriber(): Promise<Principal> {
  const name = ++sequence;
  const email = `user-${name}@example.com`;
  const { id } = await open.rooms.get(Accounts).register({ email, password: 'correct horse battery', locale: 'en' });
  const [tariff] = await open.rooms
    .get(DataSource)
    .query<{ id: number }[]>('INSERT INTO tariffs (name, price, created_at) VALUES ($1, 9.99, now()) RETURNING id', [
      name,
    ]);
  await open.rooms.get(Subscriptions).assign(SYSTEM, id, tariff?.id ?? 0);
  return { user: { id, isAdmin: false } as User, sessionId: '' };
}

const admin = (): Principal => ({ user: { id: 0, isAdmin: true } as User, sessionId: '' });
const device = async (): Promise<Owned> => {
  const by = await subscriber();
  return { by, ...(await peers.create(by, by.user.id, NOTHING)) };
};
const devices = (count: number): Promise<Owned[]> => Promise.all(Array.from({ length: count }, device));
type Owned = NewPeer & { readonly by: Principal };
const shown = ({ id }: { readonly id: number }): Promise<Peer> => peers.get(admin(), id);
const clientOf = ({ publicKey }: { readonly publicKey: string }): FakeClient | undefined =>
  easy.clients.find((client) => client.publicKey === publicKey);
const apply = (): Promise<number> => open.rooms.get(Applying).applyAll();
const health = () => open.rooms.get(ServerHealthRepository).find(serverId);
async function sweep(force = false): Promise<SweepReport> {
  const report = await open.rooms.get(Reconciliation).sweep(serverId, { force });
  if (report === null) throw new Error('Somebody else is at it');
  return report;
}
async function status(by: Principal, to: 'blocked' | 'active'): Promise<void> {
  await open.rooms.get(Accounts).setStatus(SYSTEM, by.user.id, to);
}

describe('a wg-easy whose clients and our rows have parted', () => {
  it('may give away an address that a row still has: the row gives it up, and is served again when it is wanted (D3)', async () => {
    const old = await device();
    await status(old.by, 'blocked');
    await apply();
    easy.drop(clientOf(old.peer)!);
    const next = await device();
    expect(next.peer.address).toBe(old.peer.address);
    expect((await shown(old)).address).not.toBe(old.peer.address);
    await status(old.by, 'active');
    await apply();
    const back = await shown(old);
    expect(back).toMatchObject({ status: 'active', address: clientOf(back)!.ipv4Address });
    expect(await shown(next)).toMatchObject({ status: 'active', address: next.peer.address });
  });

  it('is served again when it lost the data of two, though their addresses come back the other way round (D3, D4)', async () => {
    const [one, two] = await devices(2);
    easy.clients.splice(0, Infinity);
    easy.add('the laptop of somebody');
    await sweep();
    await apply();
    const [a, b] = [await shown(one!), await shown(two!)];
    expect([a.status, b.status]).toEqual(['active', 'active']);
    expect([clientOf(a)!.ipv4Address, clientOf(b)!.ipv4Address]).toEqual([a.address, b.address]);
    expect((await sweep()).put).toBe(0);
  });

  it('fails by itself, whatever it is that goes wrong in its sweep (D4)', async () => {
    const other = await addServer(await fresh());
    const desired = open.rooms.get(DesiredPeersRepository);
    const honest = desired.ofServer.bind(desired);
    desired.ofServer = (id) => (id === serverId ? Promise.reject(new TypeError('nobody foresaw this')) : honest(id));
    const reports = await open.rooms.get(Reconciliation).sweepDue();
    desired.ofServer = honest;
    expect(reports.map((report) => report.serverId)).toEqual([other]);
    expect(await health()).toMatchObject({ failures: 1, failure: 'internal' });
    await sweep();
    expect(await health()).toMatchObject({ failures: 0, failure: null });
  });

  it.each(['14', VERSION] as const)(
    '%s without its volume makes nobody anew until somebody says so, and all is as before when it is back (D5)',
    async (version) => {
      easy = await fresh(version);
      serverId = await addServer(easy);
      await open.rooms.get(DataSource).query(`UPDATE vpn_servers SET status = 'disabled' WHERE id <> $1`, [serverId]);
      const all = await devices(4);
      const [leaver, ...rest] = all;
      await sweep();
      const [stored, key] = [easy.clients.slice(), easy.serverKey];
      easy.empty();
      expect(await sweep()).toMatchObject({ put: 0, held: 4, live: 0 });
      expect(await health()).toMatchObject({ heldRemovals: 4 });
      await peers.delete(leaver!.by, leaver!.id);
      await status(rest[0]!.by, 'blocked');
      await status(rest[0]!.by, 'active');
      await apply();
      await sweep();
      expect(easy.clients).toEqual([]);
      easy.clients.push(...stored);
      easy.serverKey = key;
      easy.restart();
      await sweep();
      expect(clientOf(leaver!.peer)).toBeUndefined();
      for (const { id, peer } of rest)
        expect(await shown({ id })).toMatchObject({ publicKey: peer.publicKey, status: 'active' });
      expect(await health()).toMatchObject({ heldRemovals: null });
      easy.empty();
      expect(await sweep(true)).toMatchObject({ put: 3, held: 0 });
      for (const { id, peer } of rest) expect((await shown({ id })).publicKey).not.toBe(peer.publicKey);
    },
  );

  it('is another one by its key, though most of its clients look like those that were there (D5)', async () => {
    const [gone] = await devices(9);
    await sweep();
    easy.drop(clientOf(gone!.peer)!);
    easy.serverKey = generateKeyPair().publicKey;
    expect(await sweep()).toMatchObject({ put: 0, held: 1 });
    expect((await shown(gone!)).publicKey).toBe(gone!.peer.publicKey);
    expect(await sweep(true)).toMatchObject({ put: 1, held: 0 });
  });

  it('shows an account without rights nothing: no row counts as told, and nothing as gone (D5)', async () => {
    const [kept, leaver] = await devices(2);
    easy.isAdministrator = false;
    await peers.delete(leaver!.by, leaver!.id);
    await status(kept!.by, 'blocked');
    await apply();
    await expect(sweep()).rejects.toMatchObject({ code: 'server_refused', params: { kind: 'rights' } });
    easy.isAdministrator = true;
    await sweep();
    expect(clientOf(leaver!.peer)).toBeUndefined();
    expect(clientOf(kept!.peer)).toMatchObject({ enabled: false });
  });

  it('has a client that is called as the next device would be: it stays whose it is (D6)', async () => {
    const { id } = await device();
    const [{ prefix } = { prefix: '' }] = await open.rooms
      .get(DataSource)
      .query<{ prefix: string }[]>('SELECT client_prefix AS prefix FROM vpn_servers WHERE id = $1', [serverId]);
    const planted = [`vpn-${id + 1}-0123456789abcdef`, `vpn-${prefix}-${id + 1}-0123456789abcdef`].map((name) =>
      easy.add(name),
    );
    const next = await device();
    expect(next.id).toBe(id + 1);
    for (const { publicKey, privateKey } of planted) {
      expect(next.peer.publicKey).not.toBe(publicKey);
      expect(next.privateKey).not.toBe(privateKey);
    }
  });

  it('whose file cannot be read tells it: nobody is shut out or let in by an answer alone (D7)', async () => {
    const [one, two] = await devices(2);
    const odd = easy.add('laptop\nPostUp = id');
    await expect(device()).rejects.toMatchObject({ code: 'remote_client_failed' });
    await status(one!.by, 'blocked');
    await apply();
    await peers.delete(two!.by, two!.id);
    expect(easy.interface.has(one!.peer.publicKey)).toBe(true);
    expect(easy.interface.has(two!.peer.publicKey)).toBe(true);
    expect((await health())?.failures).toBeGreaterThan(0);
    easy.clients.splice(easy.clients.indexOf(odd), 1);
    await sweep();
    expect(easy.interface.has(one!.peer.publicKey)).toBe(false);
    expect(easy.interface.has(two!.peer.publicKey)).toBe(false);
  });

  it('has odd clients: one with an end, a renamed one, strangers without address or key. All others are served and counted (D8)', async () => {
    const [ending, renamed, plain] = await devices(3);
    Object.assign(clientOf(ending!.peer)!, { expiresAt: '2026-01-01T00:00:00.000Z' });
    Object.assign(clientOf(renamed!.peer)!, { name: 'Bob, do not touch' });
    easy.add('odd');
    easy.distort = (call, reply) => {
      if (call !== 'GET /api/client' || !Array.isArray(reply.json)) return reply;
      const listed = reply.json as { name: string }[];
      return {
        ...reply,
        json: listed.map((one) => (one.name === 'odd' ? { ...one, ipv4Address: null, publicKey: '' } : one)),
      };
    };
    easy.runExpiryJob();
    Object.assign(clientOf(plain!.peer)!, { transferRx: 700, transferTx: 11 });
    await sweep();
    expect(clientOf(ending!.peer)).toMatchObject({ enabled: true, expiresAt: null });
    expect(await shown(plain!)).toMatchObject({ receivedBytes: 700, sentBytes: 11 });
    await status(renamed!.by, 'blocked');
    await apply();
    expect(clientOf(renamed!.peer)).toMatchObject({ enabled: false });
    await peers.delete(renamed!.by, renamed!.id);
    expect(clientOf(renamed!.peer)).toBeUndefined();
    expect(await sweep()).toMatchObject({ put: 0, suspended: 0, removed: 0 });
  });

  it('has given a client another address: the row follows in one sweep, also when two were exchanged (D9)', async () => {
    const [one, two, three] = await devices(3);
    const [first, second] = [clientOf(one!.peer)!, clientOf(two!.peer)!];
    [first.ipv4Address, second.ipv4Address] = [second.ipv4Address, first.ipv4Address];
    clientOf(three!.peer)!.ipv4Address = '10.8.0.99';
    await sweep();
    expect((await shown(one!)).address).toBe(two!.peer.address);
    expect((await shown(two!)).address).toBe(one!.peer.address);
    expect((await shown(three!)).address).toBe('10.8.0.99');
    await apply();
    expect(await sweep()).toMatchObject({ put: 0 });
    for (const { id } of [one!, two!, three!]) expect((await shown({ id })).status).toBe('active');
  });

  it('has a client of nobody: an adopted one gives it time, as it may be a device that is just being made (D15)', async () => {
    await device();
    const [{ prefix } = { prefix: '' }] = await open.rooms
      .get(DataSource)
      .query<{ prefix: string }[]>('SELECT client_prefix AS prefix FROM vpn_servers WHERE id = $1', [serverId]);
    const orphan = easy.add(`vpn-${prefix}-999999-0123456789abcdef`);
    easy.add('vpn-999999-0123456789abcdef');
    expect(await sweep(true)).toMatchObject({ strangers: 1, isAdopted: true, removed: 0 });
    open.clock.advance({ seconds: 61 });
    expect(await sweep()).toMatchObject({ strangers: 0, removed: 1 });
    expect(clientOf(orphan)).toBeUndefined();
    expect(easy.clients).toHaveLength(2);
  });

  it('has become 15, where each client has an IPv6 address: so have the rows after one sweep (D9)', async () => {
    easy = await fresh('14');
    serverId = await addServer(easy);
    await open.rooms.get(DataSource).query(`UPDATE vpn_servers SET status = 'disabled' WHERE id <> $1`, [serverId]);
    const all = await devices(3);
    expect(all.map(({ peer }) => peer.address6)).toEqual([null, null, null]);
    easy.restart(VERSION);
    await sweep();
    for (const { id, peer } of all) {
      expect(await shown({ id })).toMatchObject({ address6: clientOf(peer)!.ipv6Address, status: 'active' });
    }
    expect(await sweep()).toMatchObject({ put: 0 });
  });
});

describe('several wg-easy', () => {
  it('of which the first is full of others: a device goes where there is room, before and after a sweep (D10)', async () => {
    const roomy = await fresh();
    const second = await addServer(roomy);
    for (let count = 0; count < 253; count++) easy.add(`guest ${count}`);
    for (const { peer } of await devices(3)) expect(peer.serverId).toBe(second);
    await sweep();
    const before = easy.calls.length;
    for (const { peer } of await devices(3)) expect(peer.serverId).toBe(second);
    expect(easy.calls.length).toBe(before);
    expect((await open.rooms.get(Servers).overview(serverId)).load).toBe(1);
    const by = await subscriber();
    await expect(peers.create(by, by.user.id, { ...NOTHING, serverId })).rejects.toMatchObject({
      code: 'address_pool_exhausted',
    });
  });

  it('processes on one wg-easy make their changes in turn: nobody is refused (D11)', async () => {
    const { databaseUrl, clock } = open;
    const environment = { ALLOW_PRIVATE_TARGETS: '1' };
    const another = await openInstance([PeersModule], { databaseUrl, clock, environment });
    easy.cost = { changeMs: 20, perClientMs: 0 };
    const owners = await Promise.all(Array.from({ length: 8 }, subscriber));
    const made = await Promise.all(
      owners.map((by, index) => (index % 2 === 0 ? peers : another.get(Peers)).create(by, by.user.id, NOTHING)),
    );
    expect(made.map(({ peer }) => peer.status)).toEqual(owners.map(() => 'active'));
    expect(easy.lockedOut).toBeGreaterThan(0);
    await another.close();
  });
});

describe('a wg-easy with too much to do', () => {
  it('is not waited for in vain: 503 with a time to come again, and nothing is left of it (D2)', async () => {
    await device();
    easy.cost = { changeMs: 250, perClientMs: 0 };
    await device();
    const owners = await Promise.all(Array.from({ length: 40 }, subscriber));
    const began = performance.now();
    const answers = await Promise.allSettled(owners.map((by) => peers.create(by, by.user.id, NOTHING)));
    const refusals = answers.flatMap((one) => (one.status === 'rejected' ? [one.reason as DomainError] : []));
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(refusals.length).toBeGreaterThan(10);
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ code: 'server_unavailable', kind: 'unavailable' });
      expect(refusal.retryAfterSeconds).toBeGreaterThanOrEqual(1);
    }
    const served = answers.length - refusals.length;
    expect(served).toBeGreaterThan(0);
    easy.cost.changeMs = 0;
    await apply();
    expect(easy.clients).toHaveLength(served + 2);
  });

  it('gives a device another key only when it has made it: refused, the old one goes on (D2)', async () => {
    const { by, id, peer } = await device();
    easy.onCall = (call) => {
      if (call === 'POST /api/client') easy.nextChange = { status: 400, json: {} };
    };
    await expect(peers.rotate(by, id, undefined)).rejects.toMatchObject({ code: 'remote_client_failed' });
    easy.onCall = () => undefined;
    expect(await shown({ id })).toMatchObject({ publicKey: peer.publicKey, status: 'active' });
    expect(clientOf(peer)).toMatchObject({ enabled: true });
    const rotated = await peers.rotate(by, id, undefined);
    expect(rotated.peer).toMatchObject({ status: 'active' });
    expect(clientOf(rotated.peer)).toMatchObject({ enabled: true });
    expect(clientOf(peer)).toBeUndefined();
  });
});
