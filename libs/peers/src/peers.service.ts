import { Injectable } from '@nestjs/common';
import { Clock, DomainError, invalidField, type Listing, type Page } from '#kernel';
import { differences, Idempotency, Settings, UnitOfWork } from '#platform';
import { type Principal, Users } from '#auth';
import { address6Of, Addresses, type Placement, type Server, Servers } from '#wireguard';
import { Access } from './access.service.js';
import { Applying } from './applying.service.js';
import { addressesOf, DesiredPeersRepository } from './desired-peers.repository.js';
import { KnownKeysRepository } from './known-keys.repository.js';
import { Patience } from './patience.js';
import { isWanted, type NewPeer, type Peer } from './peer.js';
import { PeerAudit } from './peer-audit.service.js';
import { PeerKeys } from './peer-keys.service.js';
import { type Origin, PeerOrigins, privateKeyOf } from './peer-origins.service.js';
import { FIRST_GENERATION, type PeerKeyColumns, PeersRepository } from './peers.repository.js';

/** How many servers may fill up under one request before it is refused. */
const PLACINGS = 5;

const EVERYTHING = '0.0.0.0/0, ::/0';
const CORRECTABLE = ['deviceName', 'allowedIps', 'publicKey', 'address'] as const;

export interface PeerDraft {
  readonly deviceName: string | null;
  /** The device's own public key; undefined: we make the pair. */
  readonly publicKey: string | undefined;
  /** Heeded from an administrator only. */
  readonly address: string | undefined;
  readonly allowedIps: string | undefined;
  readonly serverId: number | undefined;
  readonly region: string | undefined;
}

export interface PeerCorrection {
  readonly deviceName?: string | undefined;
  readonly allowedIps?: string | undefined;
  readonly publicKey?: string | undefined;
  /** Heeded from an administrator only. */
  readonly address?: string | undefined;
}

/** The servers that turned out to have no room for a peer, and the one that was chosen for it last. */
interface Search {
  readonly without: number[];
  tried: number | null;
}

/** A user's devices. What is said to servers is said outside of any transaction, and a request waits for it 3 s at most. */
@Injectable()
export class Peers {
  constructor(
    private readonly settings: Settings,
    private readonly uow: UnitOfWork,
    private readonly repository: PeersRepository,
    private readonly users: Users,
    private readonly access: Access,
    private readonly servers: Servers,
    private readonly addresses: Addresses,
    private readonly idempotency: Idempotency,
    private readonly clock: Clock,
    private readonly origins: PeerOrigins,
    private readonly keys: PeerKeys,
    private readonly knownKeys: KnownKeysRepository,
    private readonly desired: DesiredPeersRepository,
    private readonly applying: Applying,
    private readonly audit: PeerAudit,
  ) {}

  /**
   * Adds a device for a user: by himself, or by an administrator for anybody. The same public key of the same user is the same
   * device. Where we apply, the server is told before this returns; where it does not answer in time, the peer is `pending`.
   * @throws DomainError not_allowed | user_not_found | user_not_active | no_active_subscription | traffic_exhausted |
   *   device_limit_reached | public_key_taken | address_taken | no_server_available | address_pool_exhausted | server_unavailable | server_refused |
   *   remote_client_failed
   */
  async create(by: Principal, userId: number, draft: PeerDraft): Promise<NewPeer> {
    if (userId !== by.user.id && !by.user.isAdmin) throw new DomainError('not_allowed');
    const patience = new Patience();
    return this.placing((search) =>
      this.write(
        patience,
        () => this.originOfNew(userId, draft, patience, search),
        (origin) => this.insert(by, userId, draft, origin),
      ),
    );
  }

  /** @throws DomainError peer_not_found | not_allowed */
  async get(by: Principal, id: number): Promise<Peer> {
    const peer = await this.repository.get(id);
    if (peer.userId !== by.user.id && !by.user.isAdmin) throw new DomainError('not_allowed');
    return peer;
  }

  /** One's own peers; an administrator sees everybody's (`userId` undefined) or one user's. @throws DomainError not_allowed */
  async list(by: Principal, userId: number | undefined, page: Page): Promise<Listing<Peer>> {
    const { user } = by;
    if (user.isAdmin) return this.repository.list(userId ?? null, page);
    if (userId !== undefined && userId !== user.id) throw new DomainError('not_allowed');
    return this.repository.list(user.id, page);
  }

  /**
   * Changes what is given and leaves the rest.
   * @throws DomainError peer_not_found | not_allowed | public_key_taken | address_taken | validation_error
   */
  async correct(by: Principal, id: number, correction: PeerCorrection): Promise<Peer> {
    const { deviceName, allowedIps } = correction;
    const publicKey = this.honoured(correction.publicKey);
    const address = by.user.isAdmin ? correction.address : undefined;
    const changed = await this.uow.run(async () => {
      const peer = await this.lock(by, id);
      const server = await this.servers.get(peer.serverId);
      const newKey = publicKey === peer.publicKey ? undefined : publicKey;
      const newAddress = address === peer.address ? undefined : address;
      if (newKey !== undefined) requireHonoured(server, 'wg_public_key');
      if (newAddress !== undefined) requireHonoured(server, 'wg_ip');
      if (newKey !== undefined) await this.rekey(server, peer, { publicKey: newKey, sealedPrivateKey: null });
      await this.repository.update(id, {
        ...(deviceName === undefined ? {} : { deviceName }),
        ...(allowedIps === undefined ? {} : { allowedIps }),
        ...(newAddress === undefined ? {} : await this.exchange(server, peer, newAddress)),
      });
      if (newKey !== undefined || newAddress !== undefined) await this.repository.changed(server, id);
      const after = await this.repository.get(id);
      const fields = Object.keys(differences(peer, after, CORRECTABLE));
      if (fields.length > 0) await this.audit.record(by, 'peer_update', peer, { fields });
      return after;
    });
    return this.told(changed, new Patience());
  }

  /**
   * Gives a device another key pair: ours, or the other half of the device's own. Its address stays, unless its server chooses
   * addresses itself; the old key leaves the server. The key that it has already changes nothing.
   * @throws DomainError peer_not_found | not_allowed | no_active_subscription | traffic_exhausted | public_key_taken |
   *   server_unavailable | server_refused | remote_client_failed | address_pool_exhausted | validation_error
   */
  async rotate(by: Principal, id: number, publicKey: string | undefined): Promise<NewPeer> {
    const patience = new Patience();
    const before = await this.get(by, id);
    await this.access.require(before.userId);
    return this.write(
      patience,
      () => this.originOfNext(before, this.honoured(publicKey), patience),
      (origin) => this.replaceKey(by, id, origin),
    );
  }

  /**
   * Takes a device to another server: the one named, or the best of a region. Its key stays, unless the new server makes its own;
   * its address is one of the new server's; it leaves the old server after it has arrived. A device that is there already stays.
   * @throws DomainError peer_not_found | not_allowed | no_active_subscription | traffic_exhausted | no_server_available |
   *   address_pool_exhausted | public_key_taken | remote_client_failed | validation_error
   */
  async move(by: Principal, id: number, to: Placement): Promise<Peer> {
    const patience = new Patience();
    const before = await this.get(by, id);
    await this.access.require(before.userId);
    if (isThere(await this.servers.get(before.serverId), to)) return before;
    const { moved, left } = await this.placing(async (search) => {
      const target = await this.place(to, search);
      const origin = target.provider === 'wg-easy' ? await this.origins.made(target, id, patience) : null;
      return this.uow
        .run(() => this.transfer(by, id, target, origin))
        .catch(async (error: unknown) => {
          if (origin !== null) await this.origins.abandon(origin);
          throw error;
        });
    });
    const told = await this.told(moved, patience);
    this.applying.start(left.id);
    return told;
  }

  /**
   * Lets a device in: where the tariff's limit is below the number of devices, it takes the place of the one that was used longest
   * ago. One that is in already stays.
   * @throws DomainError peer_not_found | not_allowed | no_active_subscription | traffic_exhausted
   */
  async letIn(by: Principal, id: number): Promise<Peer> {
    const chosen = await this.uow.run(async () => {
      const peer = await this.lock(by, id);
      await this.access.require(peer.userId);
      if (isWanted(peer)) return peer;
      await this.repository.choose(id, this.clock.now());
      await this.access.settle([peer.userId]);
      await this.audit.record(by, 'peer_update', peer, { fields: ['chosen'] });
      return this.repository.get(id);
    });
    return this.told(chosen, new Patience());
  }

  /** Forgets a device; it is off its server now, or as soon as that answers. @throws DomainError peer_not_found | not_allowed */
  async delete(by: Principal, id: number): Promise<void> {
    const server = await this.uow.run(async () => {
      const peer = await this.lock(by, id);
      const left = await this.servers.get(peer.serverId);
      await this.leave(left, peer, peer.address);
      await this.repository.delete(id);
      await this.audit.record(by, 'peer_delete', peer);
      // Another device may be let in where the tariff's limit kept it out.
      await this.access.settle([peer.userId]);
      return left;
    });
    if (server.applies) await this.applying.within(server.id);
  }

  /**
   * Gets a key and writes the peer that it is for, once for each `Idempotency-Key`; then the server is told. What a server made for
   * a row that was not written is taken off it again.
   */
  private async write(
    patience: Patience,
    prepare: () => Promise<Origin>,
    write: (origin: Origin) => Promise<NewPeer>,
  ): Promise<NewPeer> {
    const prepared: Origin[] = [];
    try {
      const written = await this.idempotency.creating<NewPeer, Origin>(
        (origin) => this.uow.run(() => write(origin)),
        async (id) => this.keys.asNew(await this.repository.get(id)),
        async () => {
          const origin = await prepare();
          prepared.push(origin);
          return origin;
        },
      );
      prepared.pop();
      return { ...written, peer: await this.told(written.peer, patience) };
    } catch (error) {
      for (const origin of prepared) await this.origins.abandon(origin);
      throw error;
    }
  }

  /**
   * Places a peer, and places it anew where there turns out to be no room: others have filled its server meanwhile, or its pool is
   * used up by what we do not count. Such a server is not chosen again for this peer; when none is left, what it said is the answer.
   */
  private async placing<T>(place: (search: Search) => Promise<T>): Promise<T> {
    const search: Search = { without: [], tried: null };
    let full: DomainError | undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        return await place(search);
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        if (full !== undefined && error.code === 'no_server_available') throw full;
        const isFull = error.code === 'address_pool_exhausted' && search.tried !== null;
        const isGone = error.code === 'server_not_found'; // removed meanwhile
        if (attempt === PLACINGS || !(isFull || isGone || error.params['kind'] === 'full')) throw error;
        if (!isFull) continue; // by now the others count
        search.without.push(...(search.tried === null ? [] : [search.tried]));
        full = error;
      }
    }
  }

  private async place({ serverId, region }: Placement, search: Search): Promise<Server> {
    const server = await this.servers.place({ serverId, region, without: search.without });
    search.tried = server.id;
    return server;
  }

  /** Before anything is locked: where the peer goes, and what only its server can make for it. */
  private async originOfNew(userId: number, draft: PeerDraft, patience: Patience, search: Search): Promise<Origin> {
    const clientKey = this.honoured(draft.publicKey);
    const known = clientKey === undefined ? null : await this.repository.findByPublicKey(clientKey);
    // A device that is there already takes no room anywhere; the insert finds it, or refuses it as another's.
    const server = known === null ? await this.place(draft, search) : await this.servers.get(known.serverId);
    if (known !== null && clientKey !== undefined) return { kind: 'device', server, publicKey: clientKey };
    if (this.origins.asksTheServer(server, clientKey)) await this.requireAdmission(userId);
    return this.origins.forNew(server, clientKey, patience);
  }

  /** The server is only asked for those who may have the peer; whether they still may is asked again under the lock. */
  private async requireAdmission(userId: number): Promise<void> {
    const owner = await this.users.find(userId);
    if (owner === null) throw new DomainError('user_not_found');
    if (owner.status !== 'active') throw new DomainError('user_not_active');
    const { deviceLimit } = await this.access.require(userId);
    await this.requireRoom(userId, deviceLimit);
  }

  private async insert(by: Principal, userId: number, draft: PeerDraft, origin: Origin): Promise<NewPeer> {
    const owner = await this.users.lock(userId);
    if (owner.status !== 'active') throw new DomainError('user_not_active');
    const { deviceLimit } = await this.access.require(userId);

    const { server, publicKey } = origin;
    const known = origin.kind === 'device' ? await this.repository.findByPublicKey(publicKey) : null;
    if (known !== null && known.userId === userId) return { id: known.id, peer: known, privateKey: null };
    if (known !== null) throw new DomainError('public_key_taken');

    await this.requireRoom(userId, deviceLimit);
    if (origin.kind !== 'made') await this.knownKeys.assertFree(publicKey);
    const counter = await this.desired.reclaim(server.id, publicKey);
    const isThere = origin.kind === 'made';
    const addresses = await this.takeAddresses(server, origin, by.user.isAdmin ? draft.address : undefined);
    await this.servers.requireRoom(server);
    const peer = await this.repository.insert({
      ...(isThere ? { id: origin.material.peerId } : {}),
      userId,
      serverId: server.id,
      deviceName: draft.deviceName,
      ...addresses,
      ...this.keys.seal(origin),
      ...counter,
      allowedIps: draft.allowedIps ?? EVERYTHING,
      // Where nobody applies it for us, wanted is as good as there.
      status: server.applies && !isThere ? 'pending' : 'active',
      appliedGeneration: server.applies && !isThere ? 0 : FIRST_GENERATION,
      createdAt: this.clock.now(),
    });
    await this.audit.record(by, 'peer_create', peer);
    return { id: peer.id, peer, privateKey: privateKeyOf(origin) };
  }

  /** @throws DomainError device_limit_reached */
  private async requireRoom(userId: number, deviceLimit: number | null): Promise<void> {
    if (deviceLimit !== null && (await this.repository.countOfUser(userId)) >= deviceLimit) {
      throw new DomainError('device_limit_reached', { params: { limit: deviceLimit } });
    }
  }

  private async originOfNext(peer: Peer, clientKey: string | undefined, patience: Patience): Promise<Origin> {
    const server = await this.servers.get(peer.serverId);
    if (clientKey === undefined) return this.origins.again(server, peer, patience);
    requireHonoured(server, 'wg_public_key');
    return { kind: 'device', server, publicKey: clientKey };
  }

  private async replaceKey(by: Principal, id: number, origin: Origin): Promise<NewPeer> {
    const peer = await this.lock(by, id);
    if (origin.kind === 'device' && origin.publicKey === peer.publicKey) return { id, peer, privateKey: null };
    // Somebody has moved it meanwhile.
    if (peer.serverId !== origin.server.id) throw new DomainError('server_unavailable', { retryAfterSeconds: 1 });
    if (origin.kind === 'made') {
      await this.leave(origin.server, peer, null);
      await this.desired.remake(origin.server.id, origin.material);
    } else await this.rekey(origin.server, peer, this.keys.seal(origin));
    await this.repository.changed(origin.server, id);
    await this.audit.record(by, 'peer_rotate', peer);
    return { id, peer: await this.repository.get(id), privateKey: privateKeyOf(origin) };
  }

  private async transfer(
    by: Principal,
    id: number,
    target: Server,
    origin: Origin | null,
  ): Promise<{ readonly moved: Peer; readonly left: Server }> {
    const peer = await this.lock(by, id);
    const source = await this.servers.get(peer.serverId);
    if (source.id === target.id) return { moved: peer, left: source };
    const keys = origin === null ? { publicKey: peer.publicKey, remoteId: null } : this.keys.seal(origin);
    await this.leave(source, peer, peer.address);
    if (origin === null) await this.knownKeys.assertFree(keys.publicKey);
    const counter = await this.desired.reclaim(target.id, keys.publicKey);
    const addresses = await this.takeAddresses(target, origin, undefined);
    await this.servers.requireRoom(target);
    await this.repository.update(id, { serverId: target.id, ...addresses, ...keys, ...counter });
    await this.repository.changed(target, id);
    await this.audit.record(by, 'peer_move', peer, { to_server_id: target.id });
    return { moved: await this.repository.get(id), left: source };
  }

  /** Has a peer's old key leave its server, and a new one take its place. */
  private async rekey(
    server: Server,
    peer: Peer,
    keys: Partial<PeerKeyColumns> & Pick<PeerKeyColumns, 'publicKey'>,
  ): Promise<void> {
    await this.knownKeys.assertFree(keys.publicKey);
    await this.leave(server, peer, null);
    const counter = await this.desired.reclaim(server.id, keys.publicKey);
    await this.repository.update(peer.id, { ...keys, ...counter });
  }

  /** Has a peer's key leave a server, and with it, where no peer goes on using it, its address. */
  private async leave(server: Server, peer: Peer, address: string | null): Promise<void> {
    if (server.applies) await this.desired.leave(peer.id, address);
    else if (address !== null) await this.addresses.release(server.id, address);
  }

  /** A peer's addresses on a server: those the server has chosen, the one asked for, or any of its pool. */
  private async takeAddresses(
    server: Server,
    origin: Origin | null,
    wanted: string | undefined,
  ): Promise<Pick<Peer, 'address' | 'address6'>> {
    if (origin?.kind === 'made') {
      const chosen = addressesOf(origin.material);
      await this.desired.claim(server.id, chosen, null);
      return chosen;
    }
    const address =
      wanted === undefined ? await this.addresses.take(server.id) : await this.addresses.takeThis(server.id, wanted);
    return { address, address6: address6Of(server, address) };
  }

  private async exchange(server: Server, peer: Peer, address: string): Promise<Pick<Peer, 'address' | 'address6'>> {
    const taken = await this.addresses.takeThis(server.id, address);
    await this.addresses.release(server.id, peer.address);
    return { address: taken, address6: address6Of(server, taken) };
  }

  /** The peer after its server was told of it, as far as that went. */
  private async told(peer: Peer, patience: Patience): Promise<Peer> {
    if (peer.status !== 'pending') return peer;
    await patience.until(this.applying.within(peer.serverId));
    return this.repository.get(peer.id);
  }

  /** Locks a peer's owner, and with him all he has, for a change by somebody who may make it. */
  private async lock(by: Principal, id: number): Promise<Peer> {
    const found = await this.get(by, id);
    await this.users.lock(found.userId);
    return this.repository.get(id);
  }

  /** A key that a device sent; undefined where such keys are made up and must not be believed. */
  private honoured(publicKey: string | undefined): string | undefined {
    return this.settings.wireguard.clientKeys === 'honour' ? publicKey : undefined;
  }
}

/** Whether a device is where it is to go, so that a move that is repeated goes nowhere. */
function isThere(server: Server, { serverId, region }: Placement): boolean {
  if (serverId !== undefined) return serverId === server.id;
  return region === server.region && server.status === 'active';
}

/** wg-easy makes its own keys and addresses; what a client asks for cannot be had there. @throws DomainError validation_error */
function requireHonoured({ provider }: Server, field: 'wg_public_key' | 'wg_ip'): void {
  if (provider !== 'wg-easy') return;
  throw invalidField(['body', field], 'this server makes its own keys and addresses', `value_error.${field}`);
}
