import { Injectable } from '@nestjs/common';
import { DomainError } from '#kernel';
import { type Principal } from '#auth';
import { UnitOfWork } from '#platform';
import { reachableResolvers, renderClientConfig, Servers } from '#wireguard';
import { Access } from './access.service.js';
import { isWanted, networksOf, type Peer, whySuspended } from './peer.js';
import { PeerAudit } from './peer-audit.service.js';
import { PeerKeys, type PeerSecrets } from './peer-keys.service.js';
import { PeersRepository } from './peers.repository.js';
import { Peers } from './peers.service.js';

/** What devices connect with: rendered anew each time, never stored. */
@Injectable()
export class PeerConfigs {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly peers: Peers,
    private readonly repository: PeersRepository,
    private readonly access: Access,
    private readonly servers: Servers,
    private readonly keys: PeerKeys,
    private readonly audit: PeerAudit,
  ) {}

  /**
   * The wg-quick text of the caller's newest device.
   * @throws DomainError no_active_subscription | traffic_exhausted | no_peer_for_user
   */
  async newest(by: Principal): Promise<string> {
    await this.access.require(by.user.id);
    const peer = await this.repository.findNewestWanted(by.user.id);
    if (peer === null) throw new DomainError('no_peer_for_user');
    return this.render(peer, await this.keys.open(peer));
  }

  /**
   * The wg-quick text of one device.
   * @throws DomainError peer_not_found | not_allowed | no_active_subscription | traffic_exhausted
   */
  async of(by: Principal, id: number): Promise<string> {
    const peer = await this.wanted(by, id);
    return this.handedOut(by, peer, await this.keys.open(peer));
  }

  /**
   * The same, with all that it takes to connect: whoever scans it has nothing to add.
   * @throws DomainError peer_not_found | not_allowed | no_active_subscription | traffic_exhausted | private_key_not_held
   */
  async complete(by: Principal, id: number): Promise<string> {
    const peer = await this.wanted(by, id);
    const secrets = await this.keys.open(peer);
    if (secrets.privateKey === null) throw new DomainError('private_key_not_held');
    return this.handedOut(by, peer, secrets);
  }

  private async wanted(by: Principal, id: number): Promise<Peer> {
    const peer = await this.peers.get(by, id);
    const { deviceLimit } = await this.access.require(peer.userId);
    if (whySuspended(peer) === 'device_limit')
      throw new DomainError('device_limit_reached', { params: { limit: deviceLimit ?? 0 } });
    if (!isWanted(peer)) throw new DomainError('peer_not_found');
    return peer;
  }

  /** A text that leaves the house, which is written down where it is not its owner who gets it. */
  private async handedOut(by: Principal, peer: Peer, secrets: PeerSecrets): Promise<string> {
    const text = await this.render(peer, secrets);
    if (by.user.id !== peer.userId) await this.uow.run(() => this.audit.record(by, 'peer_config', peer));
    return text;
  }

  private async render(peer: Peer, secrets: PeerSecrets): Promise<string> {
    const server = await this.servers.get(peer.serverId);
    return renderClientConfig({
      ...secrets,
      addresses: networksOf(peer),
      dns: reachableResolvers(server.dns, { hasIpv6: peer.address6 !== null, allowedIps: peer.allowedIps }),
      mtu: server.mtu,
      serverPublicKey: server.publicKey,
      endpoint: server.endpoint,
      allowedIps: peer.allowedIps,
    });
  }
}
