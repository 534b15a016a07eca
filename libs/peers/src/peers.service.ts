import { Injectable } from '@nestjs/common';
import { Clock, DomainError, type Listing, type Page } from '#kernel';
import { Idempotency, SecretBox, Settings, UnitOfWork } from '#platform';
import { type Principal, Users } from '#auth';
import { Subscriptions } from '#subscriptions';
import { Addresses, generateKeyPair, publicKeyOf, renderClientConfig, Servers } from '#wireguard';
import { isWanted, type NewPeer, type Peer } from './peer.js';
import { PeersRepository } from './peers.repository.js';

const EVERYTHING = '0.0.0.0/0, ::/0';

export interface PeerDraft {
  readonly deviceName: string | null;
  /** The device's own public key; undefined: we make the pair. */
  readonly publicKey: string | undefined;
  /** Heeded from an administrator only. */
  readonly address: string | undefined;
  readonly allowedIps: string | undefined;
  readonly serverId: number | undefined;
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
  ) {}

  /**
   * Adds a device for a user: by himself, or by an administrator for anybody. The same public key of the same user is the same
   * device.
   * @throws DomainError not_allowed | user_not_found | user_not_active | no_active_subscription | device_limit_reached |
   *   public_key_taken | address_taken | no_server_available | address_pool_exhausted
   */
  create(by: Principal, userId: number, draft: PeerDraft): Promise<NewPeer> {
    if (userId !== by.user.id && !by.user.isAdmin) throw new DomainError('not_allowed');
    return this.idempotency.creating(
      () => this.uow.run(() => this.add(by, userId, draft)),
      async (id) => this.withPrivateKey(await this.repository.get(id)),
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
   * @throws DomainError peer_not_found | not_allowed | public_key_taken | address_taken
   */
  async correct(by: Principal, id: number, correction: PeerCorrection): Promise<Peer> {
    return this.uow.run(async () => {
      const peer = await this.lock(by, id);
      const { deviceName, allowedIps, publicKey } = correction;
      const address = by.user.isAdmin ? correction.address : undefined;
      await this.repository.update(id, {
        ...(deviceName === undefined ? {} : { deviceName }),
        ...(allowedIps === undefined ? {} : { allowedIps }),
        ...(publicKey === undefined || publicKey === peer.publicKey ? {} : { publicKey, sealedPrivateKey: null }),
        ...(address === undefined || address === peer.address ? {} : { address: await this.exchange(peer, address) }),
      });
      return this.repository.get(id);
    });
  }

  /** @throws DomainError peer_not_found | not_allowed */
  async delete(by: Principal, id: number): Promise<void> {
    await this.uow.run(async () => {
      const peer = await this.lock(by, id);
      await this.repository.delete(id);
      await this.addresses.release(peer.serverId, peer.address);
    });
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

  private async add(by: Principal, userId: number, draft: PeerDraft): Promise<NewPeer> {
    const owner = await this.users.lock(userId);
    if (owner.status !== 'active') throw new DomainError('user_not_active');
    const { deviceLimit } = await this.subscriptions.requireEntitlement(userId);

    const clientKey = this.settings.wireguard.clientKeys === 'honour' ? draft.publicKey : undefined;
    const known = clientKey === undefined ? null : await this.repository.findByPublicKey(clientKey);
    if (known !== null && known.userId === userId) return { id: known.id, peer: known, privateKey: null };
    if (known !== null) throw new DomainError('public_key_taken');

    if (deviceLimit !== null && (await this.repository.countOfUser(userId)) >= deviceLimit) {
      throw new DomainError('device_limit_reached', { params: { limit: deviceLimit } });
    }
    const server = await this.servers.place(draft.serverId);
    const address =
      draft.address !== undefined && by.user.isAdmin
        ? await this.addresses.takeThis(server.id, draft.address)
        : await this.addresses.take(server.id);
    const pair = clientKey === undefined ? generateKeyPair() : { publicKey: clientKey, privateKey: null };
    const peer = await this.repository.insert({
      userId,
      serverId: server.id,
      deviceName: draft.deviceName,
      publicKey: pair.publicKey,
      sealedPrivateKey: pair.privateKey === null ? null : this.box.seal(pair.privateKey),
      address,
      allowedIps: draft.allowedIps ?? EVERYTHING,
      status: 'active', // nobody applies it for us: wanted is as good as there
      createdAt: this.clock.now(),
    });
    return { id: peer.id, peer, privateKey: pair.privateKey };
  }

  /** Locks a peer's owner, and with him all he has, for a change by somebody who may make it. */
  private async lock(by: Principal, id: number): Promise<Peer> {
    const found = await this.get(by, id);
    await this.users.lock(found.userId);
    return this.repository.get(id);
  }

  private async exchange(peer: Peer, address: string): Promise<string> {
    const taken = await this.addresses.takeThis(peer.serverId, address);
    await this.addresses.release(peer.serverId, peer.address);
    return taken;
  }

  private async render(peer: Peer): Promise<string> {
    const server = await this.servers.get(peer.serverId);
    const { privateKey } = await this.withPrivateKey(peer);
    return renderClientConfig({
      privateKey,
      addresses: [`${peer.address}/32`],
      dns: server.dns,
      mtu: server.mtu,
      serverPublicKey: server.publicKey,
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
