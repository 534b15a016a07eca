import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { Accounts, type Principal, type User } from '#auth';
import { DAY_MS } from '#kernel';
import { Subscriptions } from '#subscriptions';
import { SYSTEM, UnitOfWork } from '#platform';
import { HostProvider, Providers, Servers } from '#wireguard';
import { FakeWgHost } from '../../../test/fakes/wg-host.js';
import { type OpenRooms, openRooms } from '../../../test/support/rooms.js';
import { Access } from './access.service.js';
import { Applying } from './applying.service.js';
import { DesiredPeersRepository } from './desired-peers.repository.js';
import { type Peer, whySuspended } from './peer.js';
import { PeerConfigs } from './peer-configs.service.js';
import { PeersModule } from './peers.module.js';
import { type PeerDraft, Peers } from './peers.service.js';
import { Reconciliation } from './reconciliation.service.js';
import { Retention } from './retention.service.js';
import { type Snapshot, Traffic } from './traffic.service.js';

const GIGABYTE = 1_000_000_000;
const FIRST = 1;
const SECOND = 2;
const ALL = { skip: 0, limit: 100 };
const NOTHING: PeerDraft = {
  deviceName: null,
  publicKey: undefined,
  address: undefined,
  allowedIps: undefined,
  serverId: undefined,
  region: undefined,
};

let open: OpenRooms;
let data: DataSource;
let hosts: ReadonlyMap<number, FakeWgHost>;
let peers: Peers;
let access: Access;
let sequence = 0;

beforeAll(async () => {
  const shellOf = (id: number): FakeWgHost => hosts.get(id) ?? new FakeWgHost();
  const providers = {
    of: ({ id }: { id: number }) =>
      Promise.resolve(new HostProvider(shellOf(id), { interface: 'wg0', keysFrom: 'service', sudo: false })),
    release: () => undefined,
    onModuleDestroy: () => undefined,
  };
  open = await openRooms([PeersModule], { WG_APPLY_ENABLED: '1', WG_SUBNET: '10.8.0.0/22' }, [
    { provider: Providers, by: providers },
  ]);
  data = open.rooms.get(DataSource);
  peers = open.rooms.get(Peers);
  access = open.rooms.get(Access);
  await data.query(
    `INSERT INTO vpn_servers (name, region, applies, endpoint, public_key, subnet, dns, created_at)
     SELECT 'second', 'second', true, endpoint, public_key, '10.9.0.0/28', dns, created_at FROM vpn_servers;
     INSERT INTO vpn_server_addresses (server_id, address, free_at)
     SELECT 2, '10.9.0.2'::inet + step, '-infinity' FROM generate_series(0, 10) AS step`,
  );
});
afterAll(() => open.close());
beforeEach(async () => {
  hosts = new Map([
    [FIRST, new FakeWgHost()],
    [SECOND, new FakeWgHost()],
  ]);
  await data.query(
    'DELETE FROM vpn_peers; DELETE FROM vpn_peer_leftovers; DELETE FROM vpn_server_health; DELETE FROM vpn_traffic_days',
  );
  await data.query(`UPDATE vpn_server_addresses SET free_at = '-infinity'`);
});

interface Sold {
  readonly limitGb?: number | null;
  readonly days?: number;
  readonly rank?: number;
}

async function sell(userId: number, { limitGb = 1, days = 30, rank = 0 }: Sold = {}): Promise<number> {
  const [tariff] = await data.query<{ id: number }[]>(
    `INSERT INTO tariffs (name, price, duration_days, traffic_limit_gb, rank, created_at)
     VALUES ($1, 9.99, $2, $3, $4, now()) RETURNING id`,
    [`Tariff ${++sequence}`, days, limitGb, rank],
  );
  await open.rooms.get(Subscriptions).assign(SYSTEM, userId, tariff?.id ?? 0);
  return tariff?.id ?? 0;
}

async function user(): Promise<Principal> {
  const email = `traffic-${++sequence}@example.com`;
  const { id } = await open.rooms.get(Accounts).register({ email, password: 'correct horse battery', locale: 'en' });
  return { user: { id, isAdmin: false } as User, sessionId: '' };
}

async function subscriber(sold: Sold = {}): Promise<Principal> {
  const by = await user();
  await sell(by.user.id, sold);
  return by;
}

async function device(by: Principal, serverId = FIRST): Promise<Peer> {
  return (await peers.create(by, by.user.id, { ...NOTHING, serverId })).peer;
}

/** What the server counts of a peer grows by so many bytes, each way half of it, and the server is swept. */
async function move(peer: Pick<Peer, 'publicKey' | 'serverId'>, bytes: number): Promise<void> {
  await open.rooms.get(Applying).applyAll();
  const live = hosts.get(peer.serverId)?.peers.get(peer.publicKey);
  if (live === undefined) throw new Error('This peer is not on its server');
  live.received += bytes / 2;
  live.sent += bytes / 2;
  await open.rooms.get(Reconciliation).sweep(peer.serverId);
  await open.rooms.get(Applying).applyAll();
}

const standing = async (by: Principal, { id }: Peer): Promise<string> => {
  const peer = await peers.get(by, id);
  return whySuspended(peer) ?? peer.status;
};
const isLive = ({ serverId, publicKey }: Peer): boolean => hosts.get(serverId)?.peers.has(publicKey) === true;
const usedBy = async ({ user: { id } }: Principal): Promise<number | undefined> => {
  const shown = await open.rooms.get(Subscriptions).shown(id);
  return shown === null ? undefined : (await open.rooms.get(Traffic).allowance(shown))?.usedBytes;
};

async function enforce(): Promise<number> {
  const changed = await access.enforce();
  await open.rooms.get(Applying).applyAll();
  return changed;
}

describe('whoever has used up the traffic of his period', () => {
  it('is off all his servers with the sweep that finds it, and told why', async () => {
    const by = await subscriber({ limitGb: 2 });
    const [here, there] = [await device(by), await device(by, SECOND)];
    await move(here, 1.5 * GIGABYTE);
    expect([await standing(by, here), await standing(by, there)]).toEqual(['active', 'active']);
    await move(there, 0.5 * GIGABYTE);
    expect([await standing(by, here), await standing(by, there)]).toEqual(['traffic_exhausted', 'traffic_exhausted']);
    expect([isLive(here), isLive(there)]).toEqual([false, false]);
    expect(await usedBy(by)).toBe(2 * GIGABYTE);
  });

  it('gets no new device, no new key, no other server and no config', async () => {
    const by = await subscriber();
    const peer = await device(by);
    await move(peer, GIGABYTE);
    const refused = { code: 'traffic_exhausted', params: { limit: 1 } };
    await expect(device(by)).rejects.toMatchObject(refused);
    await expect(peers.rotate(by, peer.id, undefined)).rejects.toMatchObject(refused);
    await expect(peers.move(by, peer.id, { serverId: SECOND })).rejects.toMatchObject(refused);
    await expect(open.rooms.get(PeerConfigs).of(by, peer.id)).rejects.toMatchObject(refused);
    await expect(open.rooms.get(PeerConfigs).newest(by)).rejects.toMatchObject(refused);
  });

  it('is back by himself with the next period, with the same key and address, and counts from nothing', async () => {
    const by = await subscriber({ days: 0 });
    const peer = await device(by);
    open.clock.advance({ days: 29, hours: 23 });
    await move(peer, GIGABYTE);
    await open.rooms.get(Reconciliation).sweep(FIRST);
    expect(await enforce()).toBe(0);
    expect(await standing(by, peer)).toBe('traffic_exhausted');
    open.clock.advance({ hours: 1 });
    expect(await enforce()).toBe(1);
    expect(await standing(by, peer)).toBe('active');
    expect(hosts.get(FIRST)?.peers.get(peer.publicKey)?.allowedIps).toEqual([`${peer.address}/32`]);
    expect(await usedBy(by)).toBe(0);
    await move(peer, GIGABYTE);
    expect(await standing(by, peer)).toBe('traffic_exhausted');
  });

  it('is back when a store has renewed', async () => {
    const by = await subscriber({ days: 365 });
    const peer = await device(by);
    await move(peer, GIGABYTE);
    open.clock.advance({ days: 31 });
    await enforce();
    expect(await standing(by, peer)).toBe('traffic_exhausted');
    await data.query('UPDATE user_tariffs SET period_started_at = $2 WHERE user_id = $1', [
      by.user.id,
      open.clock.now(),
    ]);
    await enforce();
    expect(await standing(by, peer)).toBe('active');
  });

  it('is back when a period begins that its store renewed before the old one was over, whatever else comes (C1)', async () => {
    const by = await subscriber({ days: 60 });
    const peer = await device(by);
    const startedAt = open.clock.now();
    await data.query('UPDATE user_tariffs SET period_started_at = $2, next_period_at = $3 WHERE user_id = $1', [
      by.user.id,
      startedAt,
      new Date(startedAt.getTime() + 30 * DAY_MS),
    ]);
    await move(peer, GIGABYTE);
    open.clock.advance({ days: 29, hours: 23 });
    await enforce();
    expect(await standing(by, peer)).toBe('traffic_exhausted');
    open.clock.advance({ hours: 1 });
    await enforce();
    expect([await standing(by, peer), await usedBy(by)]).toEqual(['active', 0]);
  });

  it('is back when a period begins that was paid for by hand before the old one was over (C1)', async () => {
    const by = await user();
    const tariffId = await sell(by.user.id);
    const peer = await device(by);
    await move(peer, GIGABYTE);
    await open.rooms.get(UnitOfWork).run(() => open.rooms.get(Subscriptions).grantPaid(by.user.id, tariffId));
    open.clock.advance({ days: 29, hours: 23 });
    await enforce();
    expect(await standing(by, peer)).toBe('traffic_exhausted');
    open.clock.advance({ hours: 1 });
    await enforce();
    expect([await standing(by, peer), await usedBy(by)]).toEqual(['active', 0]);
  });

  it('is back at once with a better tariff, which has its own traffic', async () => {
    const by = await subscriber();
    const peer = await device(by);
    await move(peer, GIGABYTE);
    await sell(by.user.id, { limitGb: 5, rank: 1, days: 10 });
    await move(peer, 2 * GIGABYTE);
    expect(await standing(by, peer)).toBe('active');
    open.clock.advance({ days: 10 });
    await enforce(); // the first tariff sets the limits again, and nothing of its period is left
    expect(await standing(by, peer)).toBe('traffic_exhausted');
  });

  it('is back when the limit is raised or lifted, and off again when it is lowered', async () => {
    const by = await user();
    const tariffId = await sell(by.user.id);
    const peer = await device(by);
    await move(peer, 1.5 * GIGABYTE);
    const limited = async (limitGb: number | null): Promise<string> => {
      await data.query('UPDATE tariffs SET traffic_limit_gb = $2 WHERE id = $1', [tariffId, limitGb]);
      await enforce();
      return standing(by, peer);
    };
    expect(await limited(2)).toBe('active');
    expect(await limited(1)).toBe('traffic_exhausted');
    expect(await limited(null)).toBe('active');
  });

  it('keeps his devices for as long as he has access, and the retention time begins when that ends', async () => {
    const by = await subscriber({ days: 365 });
    const peer = await device(by);
    await move(peer, GIGABYTE);
    const retention = open.rooms.get(Retention);
    open.clock.advance({ days: 100 });
    await enforce();
    expect(await retention.forgetSuspended()).toBe(0);
    open.clock.advance({ days: 265 });
    await enforce();
    expect(await standing(by, peer)).toBe('no_access');
    open.clock.advance({ days: 59 });
    expect(await retention.forgetSuspended()).toBe(0);
    open.clock.advance({ days: 2 });
    expect(await retention.forgetSuspended()).toBe(1);
  });

  it('who is blocked meanwhile is not let in by the next period', async () => {
    const by = await subscriber({ days: 0 });
    const peer = await device(by);
    await move(peer, GIGABYTE);
    const accounts = open.rooms.get(Accounts);
    await accounts.setStatus(SYSTEM, by.user.id, 'blocked');
    expect(await standing(by, peer)).toBe('no_access');
    open.clock.advance({ days: 30 });
    expect(await enforce()).toBe(0);
    expect(await standing(by, peer)).toBe('no_access');
    await accounts.setStatus(SYSTEM, by.user.id, 'active');
    await open.rooms.get(Applying).applyAll();
    expect(await standing(by, peer)).toBe('active');
  });
});

describe('what is used of a period', () => {
  it('is what all devices moved both ways, whatever became of them', async () => {
    const by = await subscriber({ limitGb: 10 });
    const [first, second, third] = [await device(by), await device(by), await device(by)];
    await move(first, GIGABYTE);
    await peers.delete(by, first.id);
    await move(second, GIGABYTE);
    const { peer: rotated } = await peers.rotate(by, second.id, undefined);
    await move(rotated, GIGABYTE);
    await move(third, GIGABYTE);
    const moved = await peers.move(by, third.id, { serverId: SECOND });
    await move(moved, GIGABYTE);
    expect(await usedBy(by)).toBe(5 * GIGABYTE);
    const { items } = await open.rooms.get(Traffic).days({ userId: by.user.id }, ALL);
    expect(items).toMatchObject([{ receivedBytes: 2.5 * GIGABYTE, sentBytes: 2.5 * GIGABYTE }]);
  });

  it('begins with the period, in the middle of a day', async () => {
    const by = await subscriber({ days: 1, limitGb: 10 });
    const peer = await device(by);
    await data.query('UPDATE user_tariffs SET access_until = NULL, ended_at = NULL WHERE user_id = $1', [by.user.id]);
    open.clock.advance({ hours: 23 });
    await move(peer, 4 * GIGABYTE);
    expect(await usedBy(by)).toBe(4 * GIGABYTE);
    open.clock.advance({ hours: 1 });
    expect(await usedBy(by)).toBe(0);
    await move(peer, 2 * GIGABYTE);
    expect(await usedBy(by)).toBe(2 * GIGABYTE);
  });

  it('is counted for whoever has no limit too, and not for whoever has no access', async () => {
    const by = await subscriber({ limitGb: null });
    const peer = await device(by);
    await move(peer, 7 * GIGABYTE);
    expect(await usedBy(by)).toBe(7 * GIGABYTE);
    expect(await standing(by, peer)).toBe('active');
    open.clock.advance({ days: 31 });
    await move(peer, GIGABYTE);
    expect(await usedBy(by)).toBeUndefined();
  });

  it('is not lost when two servers count it at the same moment', async () => {
    const owners = await Promise.all(Array.from({ length: 8 }, () => subscriber({ limitGb: 100 })));
    const devices: Peer[] = [];
    for (const owner of owners) devices.push(await device(owner), await device(owner, SECOND));
    for (let round = 0; round < 5; round++) {
      for (const { serverId, publicKey } of devices) {
        Object.assign(hosts.get(serverId)?.peers.get(publicKey) ?? {}, { received: (round + 1) * 1000 });
      }
      await Promise.all([FIRST, SECOND].map((id) => open.rooms.get(Reconciliation).sweep(id)));
    }
    expect(await Promise.all(owners.map(usedBy))).toEqual(owners.map(() => 10_000));
  });
});

describe('a counter that is read', () => {
  it('is counted once when its device went to a dead server and back (F3)', async () => {
    const by = await subscriber({ limitGb: 150 });
    const peer = await device(by);
    await move(peer, 100 * GIGABYTE);
    Object.assign(hosts.get(SECOND) ?? {}, { mood: 'down' });
    await peers.move(by, peer.id, { serverId: SECOND });
    await peers.move(by, peer.id, { serverId: FIRST });
    await open.rooms.get(Reconciliation).sweep(FIRST);
    expect(await usedBy(by)).toBe(100 * GIGABYTE);
    expect(await standing(by, peer)).toBe('active');
  });

  it('is counted once by two sweeps that overlap, whichever ends first (F3)', async () => {
    const by = await subscriber({ limitGb: null });
    const peer = await device(by);
    const traffic = open.rooms.get(Traffic);
    const desired = open.rooms.get(DesiredPeersRepository);
    const server = await open.rooms.get(Servers).get(FIRST);
    const provider = await open.rooms.get(Providers).of(server);
    if (provider === null) throw new Error('Nobody speaks to this server');
    const read = (bytes: number) => {
      Object.assign(hosts.get(FIRST)?.peers.get(peer.publicKey) ?? {}, { received: bytes });
      return traffic.read(FIRST, provider);
    };
    const count = async (snapshot: Snapshot): Promise<void> => {
      await traffic.count(snapshot, { peers: await desired.ofServer(FIRST), leaving: [] });
    };
    const [first, second] = [await read(100), await read(101)];
    await count(second);
    await count(first);
    expect(await usedBy(by)).toBe(101);
    const began = await desired.nextReading();
    const [slow, quick] = [await read(150), await read(140)]; // this one was asked before the quick one, and answered after it
    await count(quick);
    await count({ ...slow, time: { began, ended: await desired.nextReading() } });
    expect(await usedBy(by)).toBe(140);
  });

  it('is read once more before a key leaves: twenty rotations lose nothing (F3)', async () => {
    const by = await subscriber({ limitGb: null });
    let peer = await device(by);
    for (let round = 0; round < 20; round++) {
      Object.assign(hosts.get(FIRST)?.peers.get(peer.publicKey) ?? {}, { received: GIGABYTE });
      ({ peer } = await peers.rotate(by, peer.id, undefined));
      await open.rooms.get(Applying).applyAll();
    }
    expect(await usedBy(by)).toBe(20 * GIGABYTE);
    expect((await peers.get(by, peer.id)).receivedBytes).toBe(20 * GIGABYTE);
  });

  it('shows no handshake that cannot have been, and keeps none for ever (C9)', async () => {
    const by = await subscriber({ limitGb: null });
    const peer = await device(by);
    const shown = async (handshake: number): Promise<Date | null> => {
      Object.assign(hosts.get(FIRST)?.peers.get(peer.publicKey) ?? {}, { handshake });
      await open.rooms.get(Reconciliation).sweep(FIRST);
      return (await peers.get(by, peer.id)).lastHandshakeAt;
    };
    const seconds = Math.floor(open.clock.now().getTime() / 1000);
    expect(await shown(35)).toBeNull();
    expect(await shown(seconds + 3600)).toBeNull();
    await data.query(`UPDATE vpn_peers SET last_handshake_at = '2096-01-01'`); // as an older version left it
    expect(await shown(seconds - 10)).toEqual(new Date((seconds - 10) * 1000));
  });
});

describe('the totals', () => {
  const days = (filter: Parameters<Traffic['days']>[0], page = ALL) => open.rooms.get(Traffic).days(filter, page);

  it('are by day, of one user or all, on one server or all', async () => {
    const [ann, ben] = [await subscriber({ limitGb: null }), await subscriber({ limitGb: null })];
    const today = open.clock.now().toISOString().slice(0, 10);
    const tomorrow = new Date(open.clock.now().getTime() + DAY_MS).toISOString().slice(0, 10);
    const [hers, his, other] = [await device(ann), await device(ben), await device(ann, SECOND)];
    await move(hers, 100);
    await move(his, 20);
    open.clock.advance({ days: 1 });
    await move(hers, 4);
    await move(other, 2);
    const on = (day: string, bytes: number) => ({ day, receivedBytes: bytes / 2, sentBytes: bytes / 2 });
    expect((await days({})).items).toEqual([on(today, 120), on(tomorrow, 6)]);
    expect((await days({ userId: ann.user.id })).items).toEqual([on(today, 100), on(tomorrow, 6)]);
    expect((await days({ serverId: SECOND })).items).toEqual([on(tomorrow, 2)]);
    expect((await days({ userId: ann.user.id, serverId: FIRST })).items).toEqual([on(today, 100), on(tomorrow, 4)]);
    expect((await days({ from: tomorrow })).items).toEqual([on(tomorrow, 6)]);
    expect((await days({ to: today })).items).toEqual([on(today, 120)]);
    expect(await days({}, { skip: 1, limit: 1 })).toEqual({ items: [on(tomorrow, 6)], total: 2 });
    expect(await days({}, { skip: 5, limit: 1 })).toEqual({ items: [], total: 2 });
  });

  it('outlive a server', async () => {
    const by = await subscriber({ limitGb: null });
    const [server] = await data.query<{ id: number }[]>(
      `INSERT INTO vpn_servers (name, region, endpoint, public_key, subnet, dns, created_at)
       SELECT 'short-lived', 'third', endpoint, public_key, '10.9.1.0/28', dns, created_at
       FROM vpn_servers WHERE id = 1 RETURNING id`,
    );
    await data.query(
      `INSERT INTO vpn_traffic_days (day, server_id, user_id, rx_bytes, tx_bytes) VALUES ($1, $2, $3, 5, 5)`,
      [open.clock.now(), server?.id, by.user.id],
    );
    await data.query('DELETE FROM vpn_servers WHERE id = $1', [server?.id]);
    expect(await days({ userId: by.user.id })).toMatchObject({ total: 1 });
  });

  it('are of no more than a year at a time, and not of a time that runs backwards', async () => {
    const refused = { code: 'validation_error' };
    expect(() => days({ from: '2026-11-23', to: '2026-11-22' })).toThrow(expect.objectContaining(refused));
    expect(() => days({ from: '2025-11-21', to: '2026-11-22' })).toThrow(expect.objectContaining(refused));
    await expect(days({ from: '2025-11-22', to: '2026-11-22' })).resolves.toMatchObject({ total: expect.any(Number) });
  });
});
