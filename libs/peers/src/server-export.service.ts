import { Injectable } from '@nestjs/common';
import { renderServerConfig, Servers } from '#wireguard';
import { Access } from './access.service.js';
import { DesiredPeersRepository } from './desired-peers.repository.js';
import { networksOf } from './peer.js';
import { PeersRepository } from './peers.repository.js';

/** Writes a server's peers out, for operators who apply them by their own means. */
@Injectable()
export class ServerExport {
  constructor(
    private readonly servers: Servers,
    private readonly peers: PeersRepository,
    private readonly access: Access,
    private readonly desired: DesiredPeersRepository,
  ) {}

  /** A complete file for `wg syncconf`, with the peers of those who have access at this moment and no others. */
  async render(serverId: number): Promise<string> {
    await this.access.enforce();
    const server = await this.servers.get(serverId);
    const peers = await this.peers.listWanted(serverId);
    const presharedKeys = await this.desired.presharedKeys(peers.map(({ id }) => id));
    return renderServerConfig({
      privateKey: await this.servers.privateKey(serverId),
      listenPort: Number(server.endpoint.slice(server.endpoint.lastIndexOf(':') + 1)),
      // One whose preshared key cannot be read could not connect without it either.
      peers: peers
        .filter(({ id }) => presharedKeys.get(id) !== null)
        .map((peer) => ({
          publicKey: peer.publicKey,
          presharedKey: presharedKeys.get(peer.id) ?? null,
          allowedIps: networksOf(peer),
        })),
    });
  }
}
