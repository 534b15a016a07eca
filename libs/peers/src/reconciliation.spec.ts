import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { DataSource } from 'typeorm';
import { Accounts, type Principal, type User } from '#auth';
import { DomainError, SystemRandomness } from '#kernel';
import { Metrics, SecretBox, SYSTEM } from '#platform';
import { Subscriptions } from '#subscriptions';
import {
  generateKeyPair,
  type HostCommand,
  HostProvider,
  type HostShell,
  Diagnosis,
  Providers,
  ServerHealthRepository,
  Servers,
} from '#wireguard';
import { FakeWgHost } from '../../../test/fakes/wg-host.js';
import { Dice } from '../../../test/support/dice.js';
import { type OpenRooms, openRooms } from '../../../test/support/rooms.js';
import { Access } from './access.service.js';
import { Applying } from './applying.service.js';
import { DesiredPeersRepository } from './desired-peers.repository.js';
import { type NewPeer } from './peer.js';
import { PeerConfigs } from './peer-configs.service.js';
import { PeersModule } from './peers.module.js';
import { type PeerDraft, Peers } from './peers.service.js';
import { Reconciliation } from './reconciliation.service.js';
import { Retention } from './retention.service.js';

/** A host that can be made to fail: before it has done what it was told, or after. */
class FaultyHost implements HostShell {
  readonly wg = new FakeWgHost();
  fault: 'none' | 'before' | 'after' | 'hangs' = 'none';
  private unfreeze: (() => void)[] = [];

  async run(command: HostCommand): Promise<string> {
    if (this.fault === 'hangs') await new Promise<void>((resolve) => this.unfreeze.push(resolve));
    if (this.fault === 'before') throw down();
    const answer = await this.wg.run(command);
    if (this.fault === 'after') throw down();
    return answer;
  }

  heal(): void {
    this.fault = 'none';
    for (const go of this.unfreeze.splice(0)) go();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const down = (): DomainError => new DomainError('server_unavailable', { params: { kind: 'network' } });
const FIRST = 1;

let open: OpenRooms;
let host: FaultyHost;
let peers: Peers;
let applying: Applying;
let reconciliation: Reconciliation;
let sequence = 0;

beforeAll(async () => {
  const providers = {
    of: () => Promise.resolve(new HostProvider(host, { interface: 'wg0', keysFrom: 'service', sudo: false })),
    onModuleDestroy: () => undefined,
  };
  const environment = { WG_APPLY_ENABLED: '1', WG_SUBNET: '10.8.0.0/22' };
  open = await openRooms([PeersModule], environment, [{ provider: Providers, by: providers }]);
  peers = open.rooms.get(Peers);
  applying = open.rooms.get(Applying);
  reconciliation = open.rooms.get(Reconciliation);
});
afterAll(() => open.close());
beforeEach(async () => {
  host = new FaultyHost();
  const data = open.rooms.get(DataSource);
  await data.query('DELETE FROM vpn_foreign_keys; DELETE FROM vpn_departed_keys');
  await data.query(
    'DELETE FROM vpn_peers; DELETE FROM vpn_peer_leftovers; DELETE FROM vpn_server_health; DELETE FROM vpn_traffic_days',
  );
  await data.query(`UPDATE vpn_server_addresses SET free_at = '-infinity'; UPDATE vpn_servers SET adopted = false`);
});

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

const NOTHING: PeerDraft = {
  deviceName: null,
  publicKey: undefined,
  address: undefined,
  allowedIps: undefined,
  serverId: undefined,
  region: undefined,
};
const create = (by: Principal): Promise<NewPeer> => peers.create(by, by.user.id, NOTHING);
const keysOnHost = (): string[] => [...host.wg.peers.keys()].sort();
const sweep = (force = false) => reconciliation.sweep(FIRST, { force });

describe('a server that we apply to', () => {
  it('has a new peer when the answer comes', async () => {
    const { peer } = await create(await subscriber());
    expect(peer.status).toBe('active');
    expect(host.wg.peers.get(peer.publicKey)?.allowedIps).toEqual([`${peer.address}/32`]);
  });

  it('that is down gets the peer when it is back, and the caller is not kept', async () => {
    host.fault = 'before';
    const { peer } = await create(await subscriber());
    expect(peer.status).toBe('pending');
    host.heal();
    open.clock.advance({ seconds: 20 });
    await applying.applyAll();
    expect(keysOnHost()).toEqual([peer.publicKey]);
    expect((await open.rooms.get(Peers).get(admin(), peer.id)).status).toBe('active');
  });

  it('that hangs does not hold up the answer', async () => {
    host.fault = 'hangs';
    const by = await subscriber();
    const { peer } = await create(by); // it hangs until it is healed: without a limit this would never return
    expect(peer.status).toBe('pending');
    host.heal();
    await applying.applyAll();
    expect(keysOnHost()).toEqual([peer.publicKey]);
  });

  it('that did it and failed to say so ends up the same', async () => {
    host.fault = 'after';
    const by = await subscriber();
    const { peer } = await create(by);
    host.heal();
    open.clock.advance({ seconds: 20 });
    await applying.applyAll();
    await peers.delete(by, peer.id);
    expect(keysOnHost()).toEqual([]);
  });

  it('that fails is left alone for a while, and is well again after the first success', async () => {
    host.fault = 'before';
    const by = await subscriber();
    await create(by);
    const told = host.wg.commands.length;
    const health = open.rooms.get(ServerHealthRepository);
    expect(await health.find(FIRST)).toMatchObject({ failures: 1, failure: 'network' });
    host.heal();
    await applying.applyAll();
    expect(host.wg.commands).toHaveLength(told);
    open.clock.advance({ seconds: 2 });
    await sweep();
    expect(await health.find(FIRST)).toMatchObject({ failures: 0, failure: null, livePeers: 1 });
  });

  it('that fails is well again when it has taken what it was told, and is swept at once', async () => {
    host.fault = 'before';
    await create(await subscriber());
    host.heal();
    open.clock.advance({ seconds: 2 });
    await applying.applyAll();
    const health = open.rooms.get(ServerHealthRepository);
    expect(await health.find(FIRST)).toMatchObject({ failures: 0, failure: null });
    expect(await reconciliation.sweepDue()).toHaveLength(1);
  });

  it('lets a deleted peer go when it is back, and the address is free only then', async () => {
    const by = await subscriber();
    const { peer } = await create(by);
    host.fault = 'before';
    await peers.delete(by, peer.id);
    expect(keysOnHost()).toEqual([peer.publicKey]);
    expect(await freeSince(peer.address)).toBeNull();
    host.heal();
    open.clock.advance({ seconds: 20 });
    await applying.applyAll();
    expect(keysOnHost()).toEqual([]);
    expect(await freeSince(peer.address)).not.toBeNull();
  });

  it('keeps a key that was deleted and came back before the server heard of either', async () => {
    const by = await subscriber();
    const { publicKey } = generateKeyPair();
    const { peer } = await peers.create(by, by.user.id, { ...NOTHING, publicKey });
    host.fault = 'before';
    await peers.delete(by, peer.id);
    await peers.create(by, by.user.id, { ...NOTHING, publicKey });
    host.heal();
    open.clock.advance({ seconds: 20 });
    await applying.applyAll();
    await sweep(true);
    expect(keysOnHost()).toEqual([publicKey]);
  });

  it('and is not applied to any more has what it was to have, because an operator gives it that', async () => {
    const by = await subscriber();
    const { peer: deleted } = await create(by);
    host.fault = 'before';
    const { peer } = await create(by);
    await peers.delete(by, deleted.id);
    const data = open.rooms.get(DataSource);
    await data.query('UPDATE vpn_servers SET applies = false');
    await applying.applyAll();
    await data.query('UPDATE vpn_servers SET applies = true');
    expect((await peers.get(by, peer.id)).status).toBe('active');
    expect(await freeSince(deleted.address)).not.toBeNull();
  });

  it('is told of all others when the preshared key of one opens with no key (C8)', async () => {
    const data = open.rooms.get(DataSource);
    const by = await subscriber();
    const made = [];
    for (let index = 0; index < 4; index++) made.push((await create(by)).peer);
    const [bad, ...good] = made;
    const sealed = new SecretBox([randomBytes(32).toString('base64url') + '='], new SystemRandomness(), open.clock);
    const text = sealed.seal(generateKeyPair().privateKey);
    await data.query('UPDATE vpn_peers SET wg_preshared_key = $2, wg_private_key = $2 WHERE id = $1', [bad?.id, text]);
    host.wg.peers.clear();
    await sweep();
    expect(keysOnHost()).toEqual(good.map(({ publicKey }) => publicKey).sort());
    expect(await open.rooms.get(ServerHealthRepository).find(FIRST)).toMatchObject({ failures: 0 });
    const registry = open.rooms.get(Metrics).registry;
    expect(await registry.metrics()).toContain('vpn_peers_faulty{server="1"} 1');
    await expect(open.rooms.get(PeerConfigs).of(by, bad?.id ?? 0)).rejects.toMatchObject({
      code: 'peer_key_unreadable',
    });
    const next = await peers.rotate(by, bad?.id ?? 0, undefined);
    expect(next.peer.status).toBe('active');
    expect(await registry.metrics()).toContain('vpn_peers_faulty{server="1"} 0');
  });

  it('takes what it can of peers of which each could be refused (C8)', async () => {
    const data = open.rooms.get(DataSource);
    const by = await subscriber();
    const made = [];
    for (let index = 0; index < 5; index++) made.push((await create(by)).peer);
    const bad = made.filter((_, index) => index % 2 === 0);
    await data.query(`UPDATE vpn_peers SET wg_public_key = 'no key ' || id WHERE id = ANY($1)`, [
      bad.map(({ id }) => id),
    ]);
    host.wg.peers.clear();
    await sweep();
    const good = made.filter((peer) => !bad.includes(peer));
    expect(keysOnHost()).toEqual(good.map(({ publicKey }) => publicKey).sort());
    expect(await applying.applyAll()).toBe(0); // only the sweep tries them again
  });

  it('has failed when a sweep of it ends in anything unforeseen, and holds up no other (C8, D4)', async () => {
    await create(await subscriber());
    const broken = jest
      .spyOn(open.rooms.get(DesiredPeersRepository), 'ofServer')
      .mockRejectedValue(new Error('unforeseen'));
    try {
      await expect(reconciliation.sweepDue()).resolves.toEqual([]);
      expect(await open.rooms.get(ServerHealthRepository).find(FIRST)).toMatchObject({
        failures: 1,
        failure: 'internal',
      });
      await expect(reconciliation.sweepDue()).resolves.toEqual([]); // it rests
      expect(broken).toHaveBeenCalledTimes(1);
    } finally {
      broken.mockRestore();
    }
  });

  it('loses a preshared key on its host, and gets it back by the sweep (C10)', async () => {
    await open.rooms.get(DataSource).query('UPDATE vpn_servers SET preshared_keys = true');
    try {
      const { peer } = await create(await subscriber());
      const live = host.wg.peers.get(peer.publicKey);
      if (live === undefined) throw new Error('This peer is not on its server');
      const { presharedKey } = live;
      live.presharedKey = `${'A'.repeat(43)}=`;
      expect((await sweep())?.put).toBe(1);
      expect(host.wg.peers.get(peer.publicKey)?.presharedKey).toBe(presharedKey);
      expect((await sweep())?.put).toBe(0);
    } finally {
      await open.rooms.get(DataSource).query('UPDATE vpn_servers SET preshared_keys = false');
    }
  });

  it('that is restored with an old list has what was deleted removed again, adopted or not (C6)', async () => {
    const by = await subscriber();
    const [gone, kept] = [(await create(by)).peer, (await create(by)).peer];
    const stranger = generateKeyPair().publicKey;
    const old = new Map(host.wg.peers);
    await peers.delete(by, gone.id);
    await applying.applyAll();
    host.wg.peers.clear();
    for (const [key, peer] of old) host.wg.peers.set(key, peer);
    host.wg.give(stranger, ['10.8.3.200/32']);
    expect(await sweep()).toMatchObject({ removed: 1, strangers: 1 });
    expect(keysOnHost()).toEqual([kept.publicKey, stranger].sort());
    const findings = await open.rooms.get(Diagnosis).examine(await open.rooms.get(Servers).get(FIRST));
    expect(findings.find(({ about }) => about === 'strangers')?.says).toContain('1 peer');
  });

  it('keeps a peer that was deleted and added again with the same key (C6)', async () => {
    const by = await subscriber();
    const { publicKey } = generateKeyPair();
    const first = await peers.create(by, by.user.id, { ...NOTHING, publicKey });
    await peers.delete(by, first.peer.id);
    await applying.applyAll();
    await peers.create(by, by.user.id, { ...NOTHING, publicKey });
    expect(await sweep()).toMatchObject({ removed: 0 });
    expect(keysOnHost()).toEqual([publicKey]);
  });

  it("gives nobody the key of an operator's own peer, nor its own (F12, C2)", async () => {
    const by = await subscriber();
    const { peer } = await create(by);
    const stranger = generateKeyPair().publicKey;
    host.wg.give(stranger, ['10.8.3.200/32']);
    await sweep();
    const { publicKey: own } = await open.rooms.get(Servers).get(FIRST);
    const refused = { code: 'public_key_taken' };
    for (const publicKey of [stranger, own]) {
      await expect(peers.create(by, by.user.id, { ...NOTHING, publicKey })).rejects.toMatchObject(refused);
      await expect(peers.rotate(by, peer.id, publicKey)).rejects.toMatchObject(refused);
      await expect(peers.correct(by, peer.id, { publicKey })).rejects.toMatchObject(refused);
    }
    await expect(open.rooms.get(Servers).change(SYSTEM, FIRST, { publicKey: peer.publicKey })).rejects.toMatchObject({
      code: expect.stringMatching(/^(validation_error|server_from_settings)$/),
    });
    await sweep(true); // adopted: the stranger goes, and its key with it
    expect(keysOnHost()).toEqual([peer.publicKey]);
    await peers.create(by, by.user.id, { ...NOTHING, publicKey: stranger });
  });

  it('that is a row with the key of its server is said to be faulty, and not put for ever (C2)', async () => {
    const { peer } = await create(await subscriber());
    const { publicKey: own } = await open.rooms.get(Servers).get(FIRST);
    await open.rooms
      .get(DataSource)
      .query('UPDATE vpn_peers SET wg_public_key = $2, applied_gen = 0 WHERE id = $1', [peer.id, own]);
    host.wg.peers.clear();
    await applying.applyAll();
    expect(keysOnHost()).toEqual([]);
    expect(await applying.applyAll()).toBe(0);
  });

  it('that was deleted meanwhile is nothing to worry about', async () => {
    await expect(reconciliation.sweep(4711)).rejects.toMatchObject({ code: 'server_not_found' });
    await applying.within(4711);
    expect(await open.rooms.get(ServerHealthRepository).find(4711)).toBeNull();
  });

  it('has no packet pass of a user who was blocked, and takes him back with the same key', async () => {
    const by = await subscriber();
    const { peer } = await create(by);
    const accounts = open.rooms.get(Accounts);
    await accounts.setStatus(SYSTEM, by.user.id, 'blocked');
    await applying.applyAll();
    expect(keysOnHost()).toEqual([]);
    await accounts.setStatus(SYSTEM, by.user.id, 'active');
    await applying.applyAll();
    expect(host.wg.peers.get(peer.publicKey)?.allowedIps).toEqual([`${peer.address}/32`]);
  });

  it('shares its commands between those who come at once', async () => {
    const users = await Promise.all(Array.from({ length: 20 }, subscriber));
    host.wg.commands.length = 0;
    const made = await Promise.all(users.map(create));
    expect(made.map(({ peer }) => peer.status)).toEqual(Array.from({ length: 20 }, () => 'active'));
    expect(keysOnHost()).toEqual(made.map(({ peer }) => peer.publicKey).sort());
    expect(host.wg.commands.length).toBeLessThan(15);
  });
});

describe('a sweep', () => {
  it('puts back what somebody took away or changed by hand', async () => {
    const [first, second] = [await create(await subscriber()), await create(await subscriber())];
    host.wg.peers.delete(first.peer.publicKey);
    host.wg.give(second.peer.publicKey, ['0.0.0.0/0']);
    expect(await sweep()).toMatchObject({ put: 2, removed: 0 });
    expect(host.wg.peers.get(first.peer.publicKey)?.allowedIps).toEqual([`${first.peer.address}/32`]);
    expect(host.wg.peers.get(second.peer.publicKey)?.allowedIps).toEqual([`${second.peer.address}/32`]);
  });

  it('reports strangers and leaves them alone until the server is adopted', async () => {
    const stranger = generateKeyPair().publicKey;
    host.wg.give(stranger, ['10.8.0.200/32']);
    expect(await sweep()).toMatchObject({ strangers: 1, removed: 0 });
    expect(keysOnHost()).toEqual([stranger]);
    expect(await sweep(true)).toMatchObject({ strangers: 0, removed: 1 });
    expect(keysOnHost()).toEqual([]);
    host.wg.give(stranger, ['10.8.0.200/32']);
    expect(await sweep()).toMatchObject({ removed: 1 });
  });

  it('takes off what is suspended, on a server that is not adopted too', async () => {
    const by = await subscriber();
    const { peer } = await create(by);
    host.fault = 'before';
    await open.rooms.get(Accounts).setStatus(SYSTEM, by.user.id, 'blocked');
    await applying.applyAll();
    expect(keysOnHost()).toEqual([peer.publicKey]);
    host.heal();
    expect(await sweep()).toMatchObject({ suspended: 1 });
    expect(keysOnHost()).toEqual([]);
  });

  it('stops before it removes too many, and goes on when it is told to', async () => {
    await sweep(true);
    for (let count = 0; count < 21; count++) host.wg.give(generateKeyPair().publicKey, [`10.8.3.${count + 1}/32`]);
    const { peer } = await create(await subscriber());
    host.wg.peers.delete(peer.publicKey);
    expect(await sweep()).toMatchObject({ held: 21, removed: 0, put: 1 });
    expect(host.wg.peers.size).toBe(22);
    expect(await open.rooms.get(ServerHealthRepository).find(FIRST)).toMatchObject({ heldRemovals: 21 });
    expect(await sweep(true)).toMatchObject({ held: 0, removed: 21 });
    expect(keysOnHost()).toEqual([peer.publicKey]);
    expect(await open.rooms.get(ServerHealthRepository).find(FIRST)).toMatchObject({ heldRemovals: null });
  });

  it('counts traffic on, whatever the counters of the server do', async () => {
    const by = await subscriber();
    const { peer } = await create(by);
    const seen = async (received: number, sent: number, handshake: number) => {
      Object.assign(host.wg.peers.get(peer.publicKey) ?? {}, { received, sent, handshake });
      await sweep();
      const { receivedBytes, sentBytes, lastHandshakeAt } = await peers.get(by, peer.id);
      return [receivedBytes, sentBytes, lastHandshakeAt?.toISOString()];
    };
    expect(await seen(100, 10, 1_795_305_600)).toEqual([100, 10, '2026-11-22T00:00:00.000Z']);
    expect(await seen(150, 10, 1_795_305_700)).toEqual([150, 10, '2026-11-22T00:01:40.000Z']);
    expect(await seen(7, 3, 0)).toEqual([157, 13, '2026-11-22T00:01:40.000Z']);
    expect(await seen(7, 3, 0)).toEqual([157, 13, '2026-11-22T00:01:40.000Z']);
    const days: unknown = await open.rooms.get(DataSource).query('SELECT rx_bytes, tx_bytes FROM vpn_traffic_days');
    expect(days).toEqual([{ rx_bytes: '157', tx_bytes: '13' }]);
  });

  it('of a server that is due comes by itself, and does not come twice', async () => {
    expect(await reconciliation.sweepDue()).toHaveLength(1);
    expect(await reconciliation.sweepDue()).toHaveLength(0);
    open.clock.advance({ seconds: 37 });
    expect(await reconciliation.sweepDue()).toHaveLength(1);
  });

  it('that fails is tried again within seconds', async () => {
    host.fault = 'before';
    expect(await reconciliation.sweepDue()).toEqual([]);
    host.heal();
    expect(await reconciliation.sweepDue()).toEqual([]);
    open.clock.advance({ seconds: 2 });
    expect(await reconciliation.sweepDue()).toHaveLength(1);
  });
});

describe('a peer whose owner stays away', () => {
  it('keeps its key and address for the retention time, and then is forgotten', async () => {
    const by = await subscriber();
    const { peer } = await create(by);
    open.clock.advance({ days: 31 });
    await open.rooms.get(Access).enforce();
    await applying.applyAll();
    expect((await peers.get(by, peer.id)).status).toBe('suspended');
    const retention = open.rooms.get(Retention);
    open.clock.advance({ days: 59 });
    expect(await retention.forgetSuspended()).toBe(0);
    open.clock.advance({ days: 2 });
    expect(await retention.forgetSuspended()).toBe(1);
    await expect(peers.get(by, peer.id)).rejects.toMatchObject({ code: 'peer_not_found' });
    await applying.applyAll();
    expect(await freeSince(peer.address)).not.toBeNull();
  });
});

/** Days in the life of a server: what people, the host and the jobs do, two or three things at a time, in a random order. */
async function live(dice: Dice, users: readonly [Principal, ...Principal[]]): Promise<ReadonlyMap<number, string>> {
  const accounts = open.rooms.get(Accounts);
  const acknowledged = new Map<number, { readonly owner: Principal; readonly publicKey: string }>();
  for (let step = 0; step < 120; step++) {
    const by = dice.of(users) ?? users[0];
    const [id, { owner } = { owner: by }] = dice.of([...acknowledged]) ?? [];
    const asked: (() => Promise<unknown>)[] = [
      async () => {
        const { peer } = await create(by);
        acknowledged.set(peer.id, { owner: by, publicKey: peer.publicKey });
      },
      async () => {
        if (id === undefined) return;
        await peers.delete(owner, id);
        acknowledged.delete(id);
      },
      async () => {
        if (id === undefined) return;
        const { peer } = await peers.rotate(owner, id, undefined);
        acknowledged.set(id, { owner, publicKey: peer.publicKey });
      },
      () => Promise.resolve(),
    ];
    const meanwhile: (() => unknown)[] = [
      () => accounts.setStatus(SYSTEM, by.user.id, dice.below(2) === 0 ? 'blocked' : 'active'),
      () => (host.fault = (['none', 'none', 'before', 'after'] as const)[dice.below(4)] ?? 'none'),
      () => host.wg.peers.delete(dice.of(keysOnHost()) ?? ''),
      () => host.wg.give(generateKeyPair().publicKey, [`10.8.0.${dice.below(30) + 2}/32`]),
      () => open.clock.advance({ seconds: dice.below(20) }),
      () => applying.applyAll(),
      () => reconciliation.sweepDue(),
    ];
    const refused = (error: unknown): void => {
      const code = error instanceof DomainError ? error.code : undefined;
      if (code !== 'user_not_active' && code !== 'no_active_subscription') throw error;
    };
    await Promise.all([dice.of(asked)?.().catch(refused), dice.of(meanwhile)?.(), dice.of(meanwhile)?.()]);
  }
  return new Map([...acknowledged].map(([id, { publicKey }]) => [id, publicKey]));
}

describe('whatever happens', () => {
  const histories = Array.from({ length: 20 }, (_, index) => index + 1);

  it.each(histories)('the server ends up with exactly the peers it should have (history %i)', async (seed) => {
    const users = await Promise.all([subscriber(), subscriber(), subscriber(), subscriber(), subscriber()] as const);
    await sweep(true);
    const acknowledged = await live(new Dice(seed), users);
    host.heal();
    for (let second = 0; second < 60; second += 10) {
      await reconciliation.sweepDue();
      await applying.applyAll();
      open.clock.advance({ seconds: 10 });
    }
    const health = await open.rooms.get(ServerHealthRepository).find(FIRST);
    if (health?.heldRemovals !== null) await sweep(true); // the operator has seen so many strangers, and says so
    const rows = await open.rooms
      .get(DataSource)
      .query<{ id: number; key: string; net: string; wanted: boolean; done: boolean }[]>(
        `SELECT id, wg_public_key AS key, text(wg_ip) AS net, status = 'active' AS wanted, desired_gen = applied_gen AS done
         FROM vpn_peers`,
      );
    const wanted = rows.filter((row) => row.wanted).map(({ key, net }) => `${key} ${net}`);
    const onHost = [...host.wg.peers].map(([key, { allowedIps }]) => `${key} ${allowedIps.join()}`);
    expect(onHost.sort()).toEqual(wanted.sort());
    expect(rows.filter(({ done }) => !done)).toEqual([]);
    expect(new Map(rows.map(({ id, key }) => [id, key]))).toEqual(acknowledged);
  });
});

function admin(): Principal {
  return { user: { id: 0, isAdmin: true } as User, sessionId: '' };
}

async function freeSince(address: string): Promise<Date | null> {
  const [row] = await open.rooms
    .get(DataSource)
    .query<{ free_at: Date | null }[]>('SELECT free_at FROM vpn_server_addresses WHERE host(address) = $1', [address]);
  return row?.free_at ?? null;
}
