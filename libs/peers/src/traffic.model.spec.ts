import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DataSource } from 'typeorm';
import { Accounts, type Principal, type User } from '#auth';
import { SYSTEM } from '#platform';
import { Subscriptions } from '#subscriptions';
import { Providers, Servers, type WireGuardProvider } from '#wireguard';
import { FakeProviders } from '../../../test/fakes/providers.js';
import { type OpenRooms, openRooms, tariffIn, userIn } from '../../../test/support/rooms.js';
import { runsOf } from '../../../test/support/runs.js';
import { Applying } from './applying.service.js';
import { DesiredPeersRepository } from './desired-peers.repository.js';
import { PeersModule } from './peers.module.js';
import { type PeerDraft, Peers } from './peers.service.js';
import { Reconciliation } from './reconciliation.service.js';
import { type Snapshot, Traffic } from './traffic.service.js';

const SERVERS = [1, 2] as const;
type ServerId = (typeof SERVERS)[number];
const MOST_DEVICES = 3;
const NOTHING: PeerDraft = {
  deviceName: null,
  publicKey: undefined,
  address: undefined,
  allowedIps: undefined,
  serverId: undefined,
  region: undefined,
};

let open: OpenRooms;
let providers: FakeProviders;
let by: Principal;

beforeAll(async () => {
  providers = new FakeProviders();
  open = await openRooms([PeersModule], { WG_APPLY_ENABLED: '1', WG_SUBNET: '10.8.0.0/22' }, [
    { provider: Providers, by: providers },
  ]);
  await open.rooms.get(DataSource).query(
    `INSERT INTO vpn_servers (name, region, applies, endpoint, public_key, subnet, dns, created_at)
     SELECT 'second', 'second', true, endpoint, public_key, '10.9.0.0/22', dns, created_at FROM vpn_servers;
     INSERT INTO vpn_server_addresses (server_id, address, free_at)
     SELECT 2, '10.9.0.2'::inet + step, '-infinity' FROM generate_series(0, 900) AS step`,
  );
  const { id } = await userIn(open);
  const tariff = await tariffIn(open, { durationDays: 0 });
  await open.rooms.get(Subscriptions).assign(SYSTEM, id, tariff.id);
  by = { user: { id, isAdmin: false } as User, sessionId: '' };
});
afterAll(() => open.close());

/** Something that happens; numbers choose among what there is at that moment. */
type Step =
  | { readonly is: 'add' | 'sweep' | 'goes down' | 'comes back'; readonly server: ServerId }
  | { readonly is: 'delete' | 'rotate'; readonly which: number }
  | { readonly is: 'move'; readonly which: number; readonly server: ServerId }
  | { readonly is: 'pass'; readonly which: number; readonly bytes: number; readonly server: ServerId }
  | { readonly is: 'restart'; readonly server: ServerId; readonly keepsPeers: boolean }
  /** A reading that another instance counts later; one that `overlaps` is not even answered before that. */
  | { readonly is: 'read'; readonly server: ServerId; readonly overlaps: boolean }
  | { readonly is: 'count'; readonly which: number }
  | { readonly is: 'block' | 'unblock' | 'apply' }
  | { readonly is: 'wait'; readonly seconds: number };

const server = fc.constantFrom(...SERVERS);
const which = fc.nat(5);
const is = <Name extends Step['is']>(name: Name): fc.Arbitrary<Name> => fc.constant(name);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ is: is('add'), server }) },
  { weight: 6, arbitrary: fc.record({ is: is('pass'), which, server, bytes: fc.integer({ min: 1, max: 1000 }) }) },
  { weight: 2, arbitrary: fc.record({ is: is('sweep'), server }) },
  { weight: 1, arbitrary: fc.record({ is: is('delete'), which }) },
  { weight: 2, arbitrary: fc.record({ is: is('rotate'), which }) },
  { weight: 3, arbitrary: fc.record({ is: is('move'), which, server }) },
  { weight: 1, arbitrary: fc.record({ is: is('restart'), server, keepsPeers: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ is: is('goes down'), server }) },
  { weight: 1, arbitrary: fc.record({ is: is('comes back'), server }) },
  { weight: 3, arbitrary: fc.record({ is: is('read'), server, overlaps: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ is: is('count'), which }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constantFrom('block' as const, 'unblock' as const, 'apply' as const) }) },
  { weight: 1, arbitrary: fc.record({ is: is('wait'), seconds: fc.constantFrom(1, 20, 60) }) },
);

/** What is rarely drawn by chance: a peer that goes to a dead server and back, and one that is shut out and let in again at once. */
const course: fc.Arbitrary<readonly Step[]> = fc.oneof(
  { weight: 10, arbitrary: step.map((each) => [each]) },
  {
    weight: 1,
    arbitrary: fc.record({ which, from: server }).map(({ which, from }): Step[] => {
      const to = from === 1 ? 2 : 1;
      return [
        { is: 'pass', which, server: from, bytes: 100 },
        { is: 'sweep', server: from },
        { is: 'goes down', server: to },
        { is: 'move', which, server: to },
        { is: 'move', which, server: from },
      ];
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ which, server, bytes: fc.integer({ min: 1, max: 1000 }) })
      .map(({ which, server, bytes }): Step[] => [
        { is: 'pass', which, server, bytes },
        { is: 'block' },
        { is: 'unblock' },
        { is: 'pass', which, server, bytes: bytes + 1 },
      ]),
  },
);

/** What is given out of step: the readings that were taken and not counted yet, and what has really passed. */
class World {
  moved = 0;
  wasBlocked = false;
  private isBlocked = false;
  private readonly readings: (() => Promise<Snapshot>)[] = [];

  async take(step: Step): Promise<void> {
    switch (step.is) {
      case 'add':
        if (!this.isBlocked && (await this.devices()).length < MOST_DEVICES)
          await peers().create(by, by.user.id, { ...NOTHING, serverId: step.server });
        return;
      case 'delete':
        return this.withDevice(step.which, (id) => peers().delete(by, id));
      case 'rotate':
        return this.withDevice(step.which, (id) => this.unlessBlocked(() => peers().rotate(by, id, undefined)));
      case 'move':
        return this.withDevice(step.which, (id) =>
          this.unlessBlocked(async () => {
            await peers().move(by, id, { serverId: step.server });
            await told();
          }),
        );
      case 'pass': {
        this.pass(step.server, step.which, step.bytes);
        return;
      }
      case 'sweep':
        await sweep(step.server);
        return;
      case 'restart':
        return this.restart(step.server, step.keepsPeers);
      case 'goes down':
        providers.host(step.server).mood = 'down';
        return;
      case 'comes back':
        providers.host(step.server).recover();
        return;
      case 'read':
        return this.read(step.server, step.overlaps);
      case 'count': {
        const [reading] = this.readings.splice(step.which % Math.max(1, this.readings.length), 1);
        if (reading !== undefined) await count(await reading());
        return;
      }
      case 'block':
        this.wasBlocked = true;
        this.isBlocked = true;
        await open.rooms.get(Accounts).setStatus(SYSTEM, by.user.id, 'blocked');
        return told();
      case 'unblock':
        await this.unblock();
        return;
      case 'apply':
        await open.rooms.get(Applying).applyAll();
        return;
      case 'wait':
        open.clock.advance({ seconds: step.seconds });
    }
  }

  /** Everybody is well, all has been told, and every reading that was taken has been counted. */
  async settle(): Promise<void> {
    for (const server of SERVERS) providers.host(server).recover();
    await this.unblock();
    open.clock.advance({ seconds: 60 });
    await open.rooms.get(Applying).applyAll();
    for (const server of SERVERS) await sweep(server);
    for (const reading of this.readings) await count(await reading());
    for (const server of SERVERS) await sweep(server);
  }

  private async read(server: ServerId, overlaps: boolean): Promise<void> {
    if (providers.host(server).mood !== 'well') return;
    const provider = await providerOf(server);
    if (!overlaps) {
      const snapshot = await open.rooms.get(Traffic).read(server, provider);
      this.readings.push(() => Promise.resolve(snapshot));
      return;
    }
    const began = await desired().nextReading();
    const live = await provider.list();
    this.readings.push(async () => ({
      serverId: server,
      live,
      time: { began, ended: await desired().nextReading() },
    }));
  }

  /** What a host has not been asked for before it restarts is lost to everybody: it is asked just before, and seen just after. */
  private async restart(server: ServerId, keepsPeers: boolean): Promise<void> {
    const host = providers.host(server);
    if (host.mood !== 'well') return;
    await sweep(server);
    if (keepsPeers) for (const peer of host.peers.values()) Object.assign(peer, { received: 0, sent: 0 });
    else host.peers.clear();
    await sweep(server);
  }

  private pass(server: ServerId, which: number, bytes: number): void {
    const live = [...providers.host(server).peers.values()];
    const peer = live[which % Math.max(1, live.length)];
    if (peer === undefined) return;
    peer.received += bytes;
    peer.sent += bytes;
    this.moved += 2 * bytes;
  }

  private async unblock(): Promise<void> {
    this.isBlocked = false;
    await open.rooms.get(Accounts).setStatus(SYSTEM, by.user.id, 'active');
    await told();
  }

  private async unlessBlocked(act: () => Promise<unknown>): Promise<void> {
    if (!this.isBlocked) await act();
  }

  private async devices(): Promise<readonly number[]> {
    return (await peers().list(by, undefined, { skip: 0, limit: 100 })).items.map(({ id }) => id);
  }

  private async withDevice(which: number, act: (id: number) => Promise<unknown>): Promise<void> {
    const ids = await this.devices();
    const id = ids[which % Math.max(1, ids.length)];
    if (id !== undefined) await act(id);
  }
}

const peers = (): Peers => open.rooms.get(Peers);
const desired = (): DesiredPeersRepository => open.rooms.get(DesiredPeersRepository);
/** Nothing passes between the last reading of a key and its removal: what is told in the background is waited for. */
async function told(): Promise<void> {
  for (const server of SERVERS) await open.rooms.get(Applying).within(server);
}

const sweep = (server: ServerId) =>
  open.rooms
    .get(Reconciliation)
    .sweep(server)
    .catch(() => null); // of a host that is down

async function providerOf(server: ServerId): Promise<WireGuardProvider> {
  const provider = await providers.of(await open.rooms.get(Servers).get(server));
  if (provider === null) throw new Error('Nobody speaks to this server');
  return provider;
}

/** What another instance would do with a reading of its own, whatever was counted meanwhile. */
async function count(snapshot: Snapshot): Promise<void> {
  const rows = await desired().ofServer(snapshot.serverId);
  await open.rooms.get(Traffic).count(snapshot, { peers: rows, leaving: await desired().leftovers(snapshot.serverId) });
}

async function countedFor(userId: number): Promise<{ readonly days: number; readonly period: number }> {
  const [row] = await open.rooms.get(DataSource).query<{ days: string; period: string }[]>(
    `SELECT (SELECT COALESCE(sum(rx_bytes + tx_bytes), 0) FROM vpn_traffic_days WHERE user_id = $1) AS days,
       (SELECT COALESCE(sum(bytes), 0) FROM vpn_traffic_periods) AS period`,
    [userId],
  );
  return { days: Number(row?.days), period: Number(row?.period) };
}

async function nothingYet(): Promise<void> {
  for (const server of SERVERS) {
    providers.host(server).recover();
    providers.host(server).peers.clear();
  }
  await open.rooms.get(DataSource).query(
    `DELETE FROM vpn_peers; DELETE FROM vpn_peer_leftovers; DELETE FROM vpn_server_health;
     DELETE FROM vpn_traffic_days; DELETE FROM vpn_traffic_periods;
     UPDATE vpn_server_addresses SET free_at = '-infinity'`,
  );
}

it('counts what was moved, exactly once, whatever becomes of peers, hosts and readings (F3)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(course, { minLength: 4, maxLength: 14 }), async (courses) => {
      await nothingYet();
      const world = new World();
      for (const each of courses.flat()) await world.take(each);
      await world.settle();
      const { days, period } = await countedFor(by.user.id);
      expect(days).toBe(world.moved);
      // What passes after a block and before the server is told belongs to no period.
      if (!world.wasBlocked) expect(period).toBe(world.moved);
    }),
    runsOf('traffic'),
  );
}, 600_000);
