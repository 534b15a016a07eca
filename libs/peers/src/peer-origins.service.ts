import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { DomainError } from '#kernel';
import { LOG, UnitOfWork } from '#platform';
import {
  generateKeyPair,
  type PeerMaterial,
  Providers,
  type Server,
  ServerHealthRepository,
  type WireGuardProvider,
} from '#wireguard';
import { DesiredPeersRepository } from './desired-peers.repository.js';
import { type Patience } from './patience.js';
import { type Peer } from './peer.js';
import { PeersRepository } from './peers.repository.js';
import { Traffic } from './traffic.service.js';

/** A new key for a peer: the device's own, a pair that we or the host made, or all that wg-easy has made for it. */
export type Origin = { readonly server: Server; readonly publicKey: string } & (
  | { readonly kind: 'device' }
  | { readonly kind: 'pair'; readonly privateKey: string }
  | { readonly kind: 'made'; readonly material: PeerMaterial }
);

/** Where the keys of peers come from. Asked before any row is locked: it may take a server's answer. */
@Injectable()
export class PeerOrigins {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly providers: Providers,
    private readonly health: ServerHealthRepository,
    private readonly repository: PeersRepository,
    private readonly desired: DesiredPeersRepository,
    private readonly traffic: Traffic,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Whether a new peer takes an answer of its server. */
  asksTheServer(server: Server, clientKey: string | undefined): boolean {
    return server.provider === 'wg-easy' || (server.provider === 'host' && clientKey === undefined);
  }

  /** @throws DomainError server_unavailable | server_refused | remote_client_failed | address_pool_exhausted */
  async forNew(server: Server, clientKey: string | undefined, patience: Patience): Promise<Origin> {
    if (server.provider === 'wg-easy') return this.made(server, await this.repository.nextId(), patience);
    return clientKey === undefined ? this.pair(server, patience) : { kind: 'device', server, publicKey: clientKey };
  }

  /**
   * Another key for a peer that is there. A server that makes its own keys makes another peer, and parts with the old one when that is
   * there; unless it is full: then it has to part first, and if nothing comes of it, the peer is put back.
   * @throws as `forNew`
   */
  async again(server: Server, peer: Peer, patience: Patience): Promise<Origin> {
    if (server.provider !== 'wg-easy') return this.pair(server, patience);
    try {
      return await this.made(server, peer.id, patience);
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'address_pool_exhausted') throw error;
    }
    try {
      await this.asked(() => patience.of(this.part(server, peer)));
      return await this.made(server, peer.id, patience);
    } catch (error) {
      await this.repository.changed(server, peer.id);
      throw error;
    }
  }

  /** Takes a peer's key off its server, after what it has moved was counted for the last time. */
  private async part(server: Server, peer: Peer): Promise<void> {
    const provider = await this.provider(server);
    const rows = await this.desired.ofPeer(peer.id);
    const last = await this.traffic.countBeforeRemoval(server.id, provider, { peers: rows, leaving: [] });
    await provider.remove(rows);
    await this.traffic.dropped(rows, last);
  }

  /** A peer from nothing, on a server that makes everything itself. @throws DomainError remote_client_failed | address_pool_exhausted */
  async made(server: Server, peerId: number, patience: Patience): Promise<Origin> {
    return this.asked(async () => {
      const provider = await this.provider(server);
      const nothing = { peerId, publicKey: null, addresses: null, presharedKey: null, remoteId: null };
      const making = provider.put([nothing], { until: patience.endsAt });
      try {
        const [material] = await patience.of(making);
        if (material === undefined) throw new Error('The server answered nothing');
        return { kind: 'made', server, publicKey: material.publicKey, material };
      } catch (error) {
        this.discard(server, making);
        throw error;
      }
    });
  }

  /** What a server has made for a row that was not written after all: a note brings it off the server. */
  async abandon(origin: Origin): Promise<void> {
    if (origin.kind !== 'made') return;
    const { publicKey, remoteId } = origin.material;
    await this.desired.leaveUnwritten(origin.server.id, { publicKey, remoteId });
  }

  private async pair(server: Server, patience: Patience): Promise<Origin> {
    if (server.provider !== 'host') return { kind: 'pair', server, ...generateKeyPair() };
    const provider = await this.provider(server);
    return { kind: 'pair', server, ...(await patience.of(provider.generateKeyPair())) };
  }

  private async provider(server: Server): Promise<WireGuardProvider> {
    this.uow.assertClosed();
    // Each login that is turned down counts against us there: those who create devices do not add to them.
    if (await this.health.isTurnedDown(server.id))
      throw new DomainError('server_unavailable', { params: { kind: 'authentication' } });
    const provider = await this.providers.of(server);
    if (provider === null) throw new DomainError('server_refused', { params: { kind: 'not_applied' } });
    return provider;
  }

  /** Whatever a server refuses is one thing to the caller, unless it is full, or has too much to do just now. */
  private async asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (cause) {
      if (!(cause instanceof DomainError)) throw cause;
      if (cause.params['kind'] === 'busy') throw cause;
      const isFull = cause.params['kind'] === 'pool';
      throw new DomainError(isFull ? 'address_pool_exhausted' : 'remote_client_failed', { cause });
    }
  }

  /** What comes too late is nobody's, and has to go. What nobody hears of, the sweep finds. */
  private discard(server: Server, making: Promise<readonly PeerMaterial[]>): void {
    making
      .then(async (materials) => {
        for (const { publicKey, remoteId } of materials)
          await this.desired.leaveUnwritten(server.id, { publicKey, remoteId });
      })
      .catch((error: unknown) => this.log.debug({ err: error, serverId: server.id }, 'nothing came late'));
  }
}

/** The private half of what was made; null when only the device has it. */
export function privateKeyOf(origin: Origin): string | null {
  switch (origin.kind) {
    case 'device':
      return null;
    case 'pair':
      return origin.privateKey;
    case 'made':
      return origin.material.privateKey;
  }
}
