import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DataSource } from 'typeorm';
import { Accounts, type Principal, type User } from '#auth';
import { SYSTEM } from '#platform';
import { Subscriptions } from '#subscriptions';
import { generateKeyPair, Providers } from '#wireguard';
import { FakeProviders } from '../../../test/fakes/providers.js';
import { type FakeWgHost } from '../../../test/fakes/wg-host.js';
import { type OpenRooms, openRooms, tariffIn, userIn } from '../../../test/support/rooms.js';
import { runsOf } from '../../../test/support/runs.js';
import { Applying } from './applying.service.js';
import { PeersModule } from './peers.module.js';
import { type PeerDraft, Peers } from './peers.service.js';
import { Reconciliation } from './reconciliation.service.js';

const SERVERS = [1, 2] as const;
type ServerId = (typeof SERVERS)[number];
const MOST_DEVICES = 4;
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

/** What happens to a server. */
type ServerStep =
  'add' | 'sweep' | 'go down' | 'go unheard' | 'recover' | 'forget all peers' | 'back up' | 'restore' | 'add by hand';
type DeviceStep = 'delete' | 'rotate' | 'add the last deleted key again';

/** Something that happens; numbers choose among what there is at that moment. */
type Step =
  | { readonly is: ServerStep; readonly server: ServerId }
  | { readonly is: DeviceStep; readonly which: number }
  | { readonly is: 'move'; readonly which: number; readonly server: ServerId }
  | { readonly is: 'block' | 'unblock' | 'apply' }
  | { readonly is: 'wait'; readonly seconds: number };

const server = fc.constantFrom(...SERVERS);
const which = fc.nat(5);
const onServer = (is: ServerStep, weight = 1) => ({
  weight,
  arbitrary: fc.record({ is: fc.constant(is), server }),
});
const onDevice = (is: DeviceStep, weight = 1) => ({
  weight,
  arbitrary: fc.record({ is: fc.constant(is), which }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  onServer('add', 4),
  onServer('sweep', 2),
  onServer('go down'),
  onServer('go unheard'),
  onServer('recover'),
  onServer('forget all peers'),
  onServer('back up', 2),
  onServer('restore', 2),
  onServer('add by hand'),
  onDevice('delete', 2),
  onDevice('rotate', 2),
  onDevice('add the last deleted key again'),
  { weight: 3, arbitrary: fc.record({ is: fc.constant('move' as const), which, server }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constantFrom('block' as const, 'unblock' as const, 'apply' as const) }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('wait' as const), seconds: fc.constantFrom(1, 20, 60) }) },
);

/** What the fleet is to be like: where each device is, with which key; and what an operator keeps there himself. */
class Model {
  readonly devices = new Map<number, { server: ServerId; key: string }>();
  readonly byHand = new Map<ServerId, Set<string>>(SERVERS.map((server) => [server, new Set<string>()]));
  private readonly backups = new Map<ServerId, FakeWgHost['peers']>();
  private readonly everByHand = new Set<string>();
  private deleted: string | undefined;
  private isBlocked = false;

  async take(step: Step): Promise<void> {
    switch (step.is) {
      case 'add':
        return this.add(step.server, undefined);
      case 'add the last deleted key again':
        return this.deleted === undefined ? undefined : this.add(1 + (step.which % 2) === 1 ? 1 : 2, this.deleted);
      case 'delete':
        return this.withDevice(step.which, async (id, device) => {
          await peers().delete(by, id);
          this.devices.delete(id);
          this.deleted = device.key;
        });
      case 'rotate':
        return this.withDevice(step.which, async (id, device) => {
          if (!this.isBlocked) device.key = (await peers().rotate(by, id, undefined)).peer.publicKey;
        });
      case 'move':
        return this.withDevice(step.which, async (id, device) => {
          if (this.isBlocked) return;
          await peers().move(by, id, { serverId: step.server });
          device.server = step.server;
        });
      case 'block':
        this.isBlocked = true;
        await open.rooms.get(Accounts).setStatus(SYSTEM, by.user.id, 'blocked');
        return;
      case 'unblock':
        this.isBlocked = false;
        await open.rooms.get(Accounts).setStatus(SYSTEM, by.user.id, 'active');
        return;
      case 'apply':
        await open.rooms.get(Applying).applyAll();
        return;
      case 'wait':
        open.clock.advance({ seconds: step.seconds });
        return;
      case 'sweep':
        await sweep(step.server);
        return;
      default:
        this.happenTo(providers.host(step.server), step.server, step.is);
    }
  }

  /** What each host is to hold, once all is well. */
  wanted(server: ServerId): readonly string[] {
    const ours = [...this.devices.values()].filter((device) => device.server === server && !this.isBlocked);
    return [...ours.map(({ key }) => key), ...(this.byHand.get(server) ?? [])].sort();
  }

  get status(): 'active' | 'suspended' {
    return this.isBlocked ? 'suspended' : 'active';
  }

  private happenTo(host: FakeWgHost, server: ServerId, what: ServerStep): void {
    const byHand = this.byHand.get(server);
    switch (what) {
      case 'go down':
        host.mood = 'down';
        return;
      case 'go unheard':
        host.mood = 'unheard';
        return;
      case 'recover':
        host.recover();
        return;
      case 'forget all peers':
        host.peers.clear();
        byHand?.clear();
        return;
      case 'back up':
        this.backups.set(server, new Map([...host.peers].map(([key, peer]) => [key, { ...peer }])));
        return;
      case 'restore': {
        const backup = this.backups.get(server);
        if (backup === undefined) return;
        host.peers.clear();
        for (const [key, peer] of backup) host.peers.set(key, { ...peer });
        byHand?.clear();
        for (const key of this.everByHand) if (backup.has(key)) byHand?.add(key);
        return;
      }
      case 'add by hand': {
        const { publicKey } = generateKeyPair();
        host.give(publicKey, [`172.16.${server}.${this.everByHand.size + 1}/32`]);
        this.everByHand.add(publicKey);
        byHand?.add(publicKey);
        return;
      }
      default:
        throw new Error(`Nothing that happens to a host: ${what}`);
    }
  }

  private async add(server: ServerId, publicKey: string | undefined): Promise<void> {
    if (this.isBlocked || this.devices.size >= MOST_DEVICES) return;
    const { peer } = await peers().create(by, by.user.id, { ...NOTHING, serverId: server, publicKey });
    if (publicKey !== undefined) this.deleted = undefined;
    this.devices.set(peer.id, { server, key: peer.publicKey });
  }

  private async withDevice(
    which: number,
    act: (id: number, device: { server: ServerId; key: string }) => Promise<unknown>,
  ): Promise<void> {
    const all = [...this.devices];
    const chosen = all[which % Math.max(1, all.length)];
    if (chosen !== undefined) await act(...chosen);
  }
}

const peers = (): Peers => open.rooms.get(Peers);
const sweep = (server: ServerId) =>
  open.rooms
    .get(Reconciliation)
    .sweep(server)
    .catch(() => null); // of a host that is down

async function nothingYet(): Promise<void> {
  for (const server of SERVERS) providers.host(server).recover();
  await open.rooms.get(DataSource).query(
    `DELETE FROM vpn_peers; DELETE FROM vpn_peer_leftovers; DELETE FROM vpn_server_health;
     DELETE FROM vpn_departed_keys; DELETE FROM vpn_foreign_keys;
     UPDATE vpn_server_addresses SET free_at = '-infinity'`,
  );
  await open.rooms.get(Accounts).setStatus(SYSTEM, by.user.id, 'active');
  for (const server of SERVERS) {
    await open.rooms.get(Applying).within(server); // what the last run has begun is over
    providers.host(server).peers.clear();
  }
}

/** All hosts are well, and have been told and swept. */
async function settle(): Promise<void> {
  for (const server of SERVERS) providers.host(server).recover();
  open.clock.advance({ seconds: 60 });
  await open.rooms.get(Applying).applyAll();
  for (let round = 0; round < 2; round++) for (const server of SERVERS) await sweep(server);
}

it('has on each server exactly the devices that are to be there, whatever became of peers and hosts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), async (steps) => {
      await nothingYet();
      const model = new Model();
      for (const each of steps) await model.take(each);
      await settle();
      for (const server of SERVERS) {
        expect([...providers.host(server).peers.keys()].sort()).toEqual(model.wanted(server));
      }
      for (const [id, { server, key }] of model.devices) {
        const peer = await peers().get(by, id);
        expect(peer).toMatchObject({ serverId: server, publicKey: key, status: model.status });
        if (model.status === 'active')
          expect(providers.host(server).peers.get(key)?.allowedIps).toEqual([`${peer.address}/32`]);
      }
      expect(await open.rooms.get(Applying).applyAll()).toBe(0); // nothing is left to be told
    }),
    runsOf('the fleet'),
  );
}, 600_000);
