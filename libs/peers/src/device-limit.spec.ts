import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { DataSource } from 'typeorm';
import { type Principal, type User } from '#auth';
import { SYSTEM } from '#platform';
import { Endings, Subscriptions } from '#subscriptions';
import { Providers } from '#wireguard';
import { FakeProviders } from '../../../test/fakes/providers.js';
import { type OpenRooms, openRooms, tariffIn, userIn } from '../../../test/support/rooms.js';
import { Access } from './access.service.js';
import { Applying } from './applying.service.js';
import { Enforcement } from './enforcement.service.js';
import { type Peer, whySuspended } from './peer.js';
import { PeerConfigs } from './peer-configs.service.js';
import { PeersModule } from './peers.module.js';
import { type PeerDraft, Peers } from './peers.service.js';
import { Reconciliation } from './reconciliation.service.js';
import { Retention } from './retention.service.js';

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
let peers: Peers;
let by: Principal;
let tariffId: number;

beforeAll(async () => {
  providers = new FakeProviders();
  open = await openRooms([PeersModule], { WG_APPLY_ENABLED: '1' }, [{ provider: Providers, by: providers }]);
  peers = open.rooms.get(Peers);
});
afterAll(() => open.close());
beforeEach(async () => {
  const user = await userIn(open);
  const tariff = await tariffIn(open, { deviceLimit: 5, durationDays: 0 });
  await open.rooms.get(Subscriptions).assign(SYSTEM, user.id, tariff.id);
  by = { user: { id: user.id, isAdmin: false } as User, sessionId: '' };
  tariffId = tariff.id;
});

async function devices(count: number): Promise<readonly Peer[]> {
  const made: Peer[] = [];
  for (let index = 0; index < count; index++) {
    made.push((await peers.create(by, by.user.id, NOTHING)).peer);
    open.clock.advance({ seconds: 1 });
  }
  return made;
}

/** A device is used: its server sees a handshake now. */
async function use({ publicKey, serverId }: Peer): Promise<void> {
  open.clock.advance({ minutes: 1 });
  const handshake = Math.floor(open.clock.now().getTime() / 1000);
  Object.assign(providers.host(serverId).peers.get(publicKey) ?? {}, { handshake });
  await open.rooms.get(Reconciliation).sweep(serverId);
}

async function limitTo(deviceLimit: number | null): Promise<void> {
  await open.rooms.get(DataSource).query('UPDATE tariffs SET device_limit = $2 WHERE id = $1', [tariffId, deviceLimit]);
  await open.rooms.get(Access).enforce();
  await open.rooms.get(Applying).applyAll();
}

/** Which of these are in, and on their server; the others say why not. */
async function letIn(made: readonly Peer[]): Promise<readonly number[]> {
  const now = await Promise.all(made.map(({ id }) => peers.get(by, id)));
  for (const peer of now) {
    const isThere = providers.host(peer.serverId).peers.has(peer.publicKey);
    expect([peer.status, whySuspended(peer), isThere]).toEqual(
      isThere ? ['active', null, true] : ['suspended', 'device_limit', false],
    );
  }
  return now.flatMap(({ status }, index) => (status === 'active' ? [index] : []));
}

describe('devices beyond the limit of a tariff', () => {
  it('are shut out when the limit falls, all but those that were used last, and let in when it rises (F6)', async () => {
    const made = await devices(5);
    await use(made[1]!);
    await use(made[3]!);
    await limitTo(2);
    expect(await letIn(made)).toEqual([1, 3]);
    await limitTo(3);
    expect(await letIn(made)).toEqual([1, 3, 4]);
    expect(await open.rooms.get(Access).enforce()).toBe(0);
    await limitTo(null);
    expect(await letIn(made)).toEqual([0, 1, 2, 3, 4]);
  });

  it('come back within the limit only, when access does (F6)', async () => {
    const made = await devices(5);
    const data = open.rooms.get(DataSource);
    await data.query('UPDATE user_tariffs SET access_until = $2 WHERE user_id = $1', [by.user.id, open.clock.now()]);
    await open.rooms.get(Access).enforce();
    await data.query('UPDATE user_tariffs SET access_until = NULL WHERE user_id = $1', [by.user.id]);
    await limitTo(1);
    expect(await letIn(made)).toEqual([4]);
  });

  it('are chosen anew by their owner, and the choice lasts (F6)', async () => {
    const made = await devices(3);
    await limitTo(1);
    await use(made[2]!);
    await peers.letIn(by, made[0]!.id);
    await open.rooms.get(Applying).applyAll();
    expect(await letIn(made)).toEqual([0]);
    await open.rooms.get(Access).enforce();
    expect(await letIn(made)).toEqual([0]);
    await peers.delete(by, made[0]!.id);
    await open.rooms.get(Applying).applyAll();
    expect(await letIn(made.slice(1))).toEqual([1]);
  });

  it('get no config, and a code that says why; they are kept for as long as there is access (F6)', async () => {
    const made = await devices(2);
    await limitTo(1);
    const refused = { code: 'device_limit_reached', params: { limit: 1 } };
    await expect(open.rooms.get(PeerConfigs).of(by, made[0]!.id)).rejects.toMatchObject(refused);
    open.clock.advance({ days: 365 });
    await open.rooms.get(Retention).forgetSuspended();
    expect(await letIn(made)).toEqual([1]);
  });
});

it('lets in whoever has access while endings are held back, and shuts nobody out who has none (F9)', async () => {
  const [ends] = await devices(1);
  const ending = by;
  const user = await userIn(open);
  by = { user: { id: user.id, isAdmin: false } as User, sessionId: '' };
  await open.rooms.get(Subscriptions).assign(SYSTEM, user.id, tariffId);
  const [comes] = await devices(1);
  const data = open.rooms.get(DataSource);
  const until = (userId: number, at: Date | null) =>
    data.query('UPDATE user_tariffs SET access_until = $2 WHERE user_id = $1', [userId, at]);
  await until(user.id, open.clock.now());
  await open.rooms.get(Access).enforce();
  await until(user.id, null);
  await until(ending.user.id, open.clock.now());
  const held = jest.spyOn(open.rooms.get(Endings), 'endDue').mockResolvedValue({ ended: 0, held: 30, backlog: 30 });
  try {
    await open.rooms.get(Enforcement).run();
    expect((await peers.get(by, comes!.id)).status).toBe('active');
    expect((await peers.get(ending, ends!.id)).status).toBe('active');
  } finally {
    held.mockRestore();
  }
});
