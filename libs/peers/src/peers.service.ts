import { Injectable } from '@nestjs/common';
import { Clock, DomainError, invalidField, type Listing, type Page, Randomness } from '#kernel';
import { Idempotency, SecretBox, Settings, UnitOfWork } from '#platform';
import { type Principal, Users } from '#auth';
import { Subscriptions } from '#subscriptions';
import {
  address6Of,
  Addresses,
  type Placement,
  publicKeyOf,
  renderClientConfig,
  type Server,
  Servers,
} from '#wireguard';
import { Applying } from './applying.service.js';
import { addressesOf, DesiredPeersRepository } from './desired-peers.repository.js';
import { isWanted, networksOf, type NewPeer, type Peer } from './peer.js';
import { type Origin, PeerOrigins, privateKeyOf } from './peer-origins.service.js';
import { FIRST_GENERATION, type PeerRow, PeersRepository } from './peers.repository.js';

const EVERYTHING = '0.0.0.0/0, ::/0';

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

/** A user's devices. */
@Injectable()
export class Peers {
  constructor(
    private readonly settings: Settings,
    private readonly uow: UnitOfWork,
    private readonly repository: PeersRepository,
    private readonly users: Users,
    private readonly subscriptions: Subscriptions,
    private readonly servers: Servers,
    private readonly addresses: Addresses,
    private readonly idempotency: Idempotency,
    private readonly box: SecretBox,
    private readonly clock: Clock,
    private readonly randomness: Randomness,
    private readonly origins: PeerOrigins,
    private readonly desired: DesiredPeersRepository,
    private readonly applying: Applying,
  ) {}

  /**
   * Adds a device for a user: by himself, or by an administrator for anybody. The same public key of the same user is the same
   * device. Where we apply, the server is told before this returns, if it answers within 3 s; otherwise the peer is `pending`.
   * @throws DomainError not_allowed | user_not_found | user_not_active | no_active_subscription | device_limit_reached |
   *   public_key_taken | address_taken | no_server_available | address_pool_exhausted | server_unavailable |
   *   remote_client_failed
   */
  async create(by: Principal, userId: number, draft: PeerDraft): Promise<NewPeer> {
    if (userId !== by.user.id && !by.user.isAdmin) throw new DomainError('not_allowed');
    const made = await this.idempotency.creating(
      async (origin) => this.uow.run(() => this.add(by, userId, draft, origin)),
      async (id) => this.withPrivateKey(await this.repository.get(id)),
      () => this.prepare(by, userId, draft),
    );
    return made.peer.status === 'pending' ? { ...made, peer: await this.told(made.peer) } : made;
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
   * @throws DomainError peer_not_found | not_allowed | public_key_taken | address_taken
   */
  async correct(by: Principal, id: number, correction: PeerCorrection): Promise<Peer> {
    const { deviceName, allowedIps, publicKey } = correction;
    const address = by.user.isAdmin ? correction.address : undefined;
    const changed = await this.uow.run(async () => {
      const peer = await this.lock(by, id);
      const server = await this.servers.get(peer.serverId);
      const hasNewKey = publicKey !== undefined && publicKey !== peer.publicKey;
      const hasNewAddress = address !== undefined && address !== peer.address;
      if (server.provider === 'wg-easy' && (hasNewKey || hasNewAddress)) throw keyNotHonoured(hasNewKey);
      await this.repository.update(id, {
        ...(deviceName === undefined ? {} : { deviceName }),
        ...(allowedIps === undefined ? {} : { allowedIps }),
        ...(hasNewKey ? { publicKey, sealedPrivateKey: null } : {}),
        ...(hasNewAddress ? await this.exchange(server, peer, address) : {}),
      });
      if (hasNewKey) await this.leave(server, peer, null);
      if (hasNewKey || hasNewAddress) await this.repository.changed(server, id);
      return this.repository.get(id);
    });
    return this.told(changed);
  }

  /**
   * Gives a device another key pair, with the same address: ours, or the other half of the device's own. The old key is off the
   * server with the new one's arrival.
   * @throws DomainError peer_not_found | not_allowed | public_key_taken | server_unavailable | remote_client_failed
   */
  async rotate(by: Principal, id: number, publicKey: string | undefined): Promise<NewPeer> {
    const before = await this.get(by, id);
    const server = await this.servers.get(before.serverId);
    const clientKey = this.settings.wireguard.clientKeys === 'honour' ? publicKey : undefined;
    if (clientKey !== undefined && server.provider === 'wg-easy') throw keyNotHonoured(true);
    const origin: Origin =
      clientKey === undefined
        ? await this.origins.again(server, before, await this.repository.remoteId(id))
        : { kind: 'device', server, publicKey: clientKey };
    const changed = await this.uow.run(async () => {
      const peer = await this.lock(by, id);
      if (peer.serverId !== server.id) throw new DomainError('peer_not_found');
      if (origin.kind === 'made') await this.desired.remake(server.id, origin.material);
      else {
        await this.repository.update(id, this.keysOf(origin));
        await this.leave(server, peer, null);
        await this.repository.changed(server, id);
      }
      return this.repository.get(id);
    });
    return { id, peer: await this.told(changed), privateKey: privateKeyOf(origin) };
  }

  /**
   * Takes a device to another server: the one named, or the best of a region. Its key stays, its address is one of the new
   * server's; it leaves the old server after it has arrived.
   * @throws DomainError peer_not_found | not_allowed | no_server_available | address_pool_exhausted | server_unavailable |
   *   remote_client_failed | validation_error
   */
  async move(by: Principal, id: number, to: Placement): Promise<Peer> {
    const before = await this.get(by, id);
    await this.subscriptions.requireEntitlement(before.userId);
    const target = await this.servers.place(to);
    if (target.id === before.serverId) return before;
    const origin = target.provider === 'wg-easy' ? await this.origins.of(target, undefined, id) : null;
    const moved = await this.uow.run(async () => {
      const peer = await this.lock(by, id);
      if (peer.serverId === target.id) return peer;
      const source = await this.servers.get(peer.serverId);
      const addresses = await this.takeAddresses(target, origin, undefined);
      await this.repository.update(id, {
        ...addresses,
        serverId: target.id,
        ...(origin === null ? { remoteId: null } : this.keysOf(origin)),
      });
      await this.leave(source, peer, peer.address);
      await this.repository.changed(target, id);
      return this.repository.get(id);
    });
    const told = await this.told(moved);
    this.applying.start(before.serverId);
    return told;
  }

  /** @throws DomainError peer_not_found | not_allowed */
  async delete(by: Principal, id: number): Promise<void> {
    const serverId = await this.uow.run(async () => {
      const peer = await this.lock(by, id);
      const server = await this.servers.get(peer.serverId);
      await this.leave(server, peer, peer.address);
      await this.repository.delete(id);
      return server.applies ? server.id : null;
    });
    if (serverId !== null) await this.applying.within(serverId);
  }

  /** The wg-quick text of the caller's newest device. @throws DomainError no_active_subscription | no_peer_for_user */
  async newestConfig(by: Principal): Promise<string> {
    await this.subscriptions.requireEntitlement(by.user.id);
    const peer = await this.repository.findNewestWanted(by.user.id);
    if (peer === null) throw new DomainError('no_peer_for_user');
    return this.render(peer);
  }

  /** The wg-quick text of one device. @throws DomainError peer_not_found | not_allowed | no_active_subscription */
  async config(by: Principal, id: number): Promise<string> {
    const peer = await this.get(by, id);
    await this.subscriptions.requireEntitlement(peer.userId);
    if (!isWanted(peer)) throw new DomainError('peer_not_found');
    return this.render(peer);
  }

  /** Before anything is locked: where the peer goes, and what only its server can make for it. */
  private async prepare(by: Principal, userId: number, draft: PeerDraft): Promise<Origin> {
    const clientKey = this.settings.wireguard.clientKeys === 'honour' ? draft.publicKey : undefined;
    const server = await this.servers.place({ serverId: draft.serverId, region: draft.region });
    if (!this.origins.asksTheServer(server, clientKey)) return this.origins.of(server, clientKey);
    // The server is only asked for those who may have the peer; whether they still may is asked again under the lock.
    const owner = await this.users.find(userId);
    if (owner === null) throw new DomainError('user_not_found');
    if (owner.status !== 'active') throw new DomainError('user_not_active');
    const { deviceLimit } = await this.subscriptions.requireEntitlement(userId);
    await this.requireRoom(userId, deviceLimit);
    return this.origins.of(server, clientKey, await this.repository.nextId());
  }

  private async add(by: Principal, userId: number, draft: PeerDraft, origin: Origin): Promise<NewPeer> {
    try {
      return await this.insert(by, userId, draft, origin);
    } catch (error) {
      // What the server made for it has no row now. A note of its own brings it off the server.
      if (origin.kind === 'made')
        await this.uow.outside(() => this.desired.leave(origin.server.id, { ...origin.material, address: null }));
      throw error;
    }
  }

  private async insert(by: Principal, userId: number, draft: PeerDraft, origin: Origin): Promise<NewPeer> {
    const owner = await this.users.lock(userId);
    if (owner.status !== 'active') throw new DomainError('user_not_active');
    const { deviceLimit } = await this.subscriptions.requireEntitlement(userId);

    const { server, publicKey } = origin;
    const known = origin.kind === 'device' ? await this.repository.findByPublicKey(publicKey) : null;
    if (known !== null && known.userId === userId) return { id: known.id, peer: known, privateKey: null };
    if (known !== null) throw new DomainError('public_key_taken');

    await this.requireRoom(userId, deviceLimit);
    const isThere = origin.kind === 'made';
    const peer = await this.repository.insert({
      ...(isThere ? { id: origin.material.peerId } : {}),
      userId,
      serverId: server.id,
      deviceName: draft.deviceName,
      ...(await this.takeAddresses(server, isThere ? origin : null, by.user.isAdmin ? draft.address : undefined)),
      ...this.keysOf(origin),
      allowedIps: draft.allowedIps ?? EVERYTHING,
      // Where nobody applies it for us, wanted is as good as there.
      status: server.applies && !isThere ? 'pending' : 'active',
      appliedGeneration: server.applies && !isThere ? 0 : FIRST_GENERATION,
      createdAt: this.clock.now(),
    });
    if (server.applies) await this.desired.reclaim(server.id, peer.publicKey);
    return { id: peer.id, peer, privateKey: privateKeyOf(origin) };
  }

  /** @throws DomainError device_limit_reached */
  private async requireRoom(userId: number, deviceLimit: number | null): Promise<void> {
    if (deviceLimit !== null && (await this.repository.countOfUser(userId)) >= deviceLimit) {
      throw new DomainError('device_limit_reached', { params: { limit: deviceLimit } });
    }
  }

  /** The addresses of a new peer of a server: those it has chosen, or from its pool. */
  private async takeAddresses(
    server: Server,
    origin: Origin | null,
    wanted: string | undefined,
  ): Promise<Pick<Peer, 'address' | 'address6'>> {
    if (origin?.kind === 'made') {
      const chosen = addressesOf(origin.material);
      await this.addresses.adopt(server.id, chosen.address);
      return chosen;
    }
    const address =
      wanted === undefined ? await this.addresses.take(server.id) : await this.addresses.takeThis(server.id, wanted);
    return { address, address6: address6Of(server, address) };
  }

  private keysOf(origin: Origin): Pick<PeerRow, 'publicKey' | 'sealedPrivateKey' | 'sealedPresharedKey' | 'remoteId'> {
    const privateKey = privateKeyOf(origin);
    const presharedKey =
      origin.kind === 'made'
        ? origin.material.presharedKey
        : origin.server.presharedKeys
          ? this.randomness.bytes(32).toString('base64')
          : null;
    return {
      publicKey: origin.publicKey,
      sealedPrivateKey: privateKey === null ? null : this.box.seal(privateKey),
      sealedPresharedKey: presharedKey === null ? null : this.box.seal(presharedKey),
      remoteId: origin.kind === 'made' ? origin.material.remoteId : null,
    };
  }

  /** Has a peer's key leave a server, and with it, where no peer goes on using it, its address. */
  private async leave(server: Server, peer: Peer, address: string | null): Promise<void> {
    if (server.applies) {
      const remoteId = await this.repository.remoteId(peer.id);
      await this.desired.leave(server.id, { publicKey: peer.publicKey, remoteId, address });
    } else if (address !== null) await this.addresses.release(server.id, address);
  }

  /** The peer after its server was told of it, as far as that went. */
  private async told(peer: Peer): Promise<Peer> {
    if (peer.status !== 'pending') return peer;
    await this.applying.within(peer.serverId);
    return this.repository.get(peer.id);
  }

  /** Locks a peer's owner, and with him all he has, for a change by somebody who may make it. */
  private async lock(by: Principal, id: number): Promise<Peer> {
    const found = await this.get(by, id);
    await this.users.lock(found.userId);
    return this.repository.get(id);
  }

  private async exchange(server: Server, peer: Peer, address: string): Promise<Pick<Peer, 'address' | 'address6'>> {
    const taken = await this.addresses.takeThis(peer.serverId, address);
    await this.addresses.release(peer.serverId, peer.address);
    return { address: taken, address6: address6Of(server, taken) };
  }

  private async render(peer: Peer): Promise<string> {
    const server = await this.servers.get(peer.serverId);
    const { privateKey } = await this.withPrivateKey(peer);
    const sealedPresharedKey = await this.repository.sealedPresharedKey(peer.id);
    return renderClientConfig({
      privateKey,
      addresses: networksOf(peer),
      dns: server.dns,
      mtu: server.mtu,
      serverPublicKey: server.publicKey,
      presharedKey: sealedPresharedKey === null ? null : this.box.open(sealedPresharedKey),
      endpoint: server.endpoint,
      allowedIps: peer.allowedIps,
    });
  }

  /** Opens a peer's private key. It must be the other half of the row's public key, or it is not this peer's. */
  private async withPrivateKey(peer: Peer): Promise<NewPeer> {
    const sealed = await this.repository.sealedPrivateKey(peer.id);
    if (sealed === null) return { id: peer.id, peer, privateKey: null };
    const privateKey = this.box.open(sealed);
    if (publicKeyOf(privateKey) !== peer.publicKey) {
      throw new Error(`The sealed private key of peer ${peer.id} is not the half of its public key`);
    }
    return { id: peer.id, peer, privateKey };
  }
}

/** wg-easy makes its own keys and addresses; what a client asks for cannot be had there. */
function keyNotHonoured(isKey: boolean): DomainError {
  const field = isKey ? 'wg_public_key' : 'wg_ip';
  return invalidField(['body', field], 'this server makes its own keys and addresses', `value_error.${field}`);
}
