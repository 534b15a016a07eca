import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { DomainError, isError } from '#kernel';
import { LOG, UnitOfWork } from '#platform';
import { generateKeyPair, type PeerMaterial, Providers, type Server, type WireGuardProvider } from '#wireguard';
import { DesiredPeersRepository } from './desired-peers.repository.js';
import { type Peer } from './peer.js';

/** A new key for a peer: the device's own, a pair that we or the host made, or all that wg-easy has made for it. */
export type Origin = { readonly server: Server; readonly publicKey: string } & (
  | { readonly kind: 'device' }
  | { readonly kind: 'pair'; readonly privateKey: string }
  | { readonly kind: 'made'; readonly material: PeerMaterial }
);

/** A request waits so long for a server to make something; with the rest it stays below 3.5 s. */
const PATIENCE_MS = 3000;

/** Where the keys of new peers come from. Asked before any row is locked: it may take a server's answer. */
@Injectable()
export class PeerOrigins {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly providers: Providers,
    private readonly desired: DesiredPeersRepository,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Whether a new peer takes an answer of its server. */
  asksTheServer(server: Server, clientKey: string | undefined): boolean {
    return server.provider === 'wg-easy' || (server.provider === 'host' && clientKey === undefined);
  }

  /** @throws DomainError server_unavailable | server_refused | remote_client_failed */
  async of(server: Server, clientKey: string | undefined, peerId?: number): Promise<Origin> {
    const provider = this.asksTheServer(server, clientKey) ? await this.provider(server) : null;
    if (provider?.chooses === 'everything') return this.made(server, provider, requiredId(peerId));
    if (clientKey !== undefined) return { kind: 'device', server, publicKey: clientKey };
    if (provider === null) return { kind: 'pair', server, ...generateKeyPair() };
    return { kind: 'pair', server, ...(await inTime(provider.generateKeyPair())) };
  }

  /** Another key for a peer that is there. A server that makes its own keys has to part with the old one first. */
  async again(server: Server, peer: Peer, remoteId: string | null): Promise<Origin> {
    if (server.provider === 'wg-easy') {
      const provider = await this.provider(server);
      await inTime(provider.remove([{ publicKey: peer.publicKey, remoteId }])).catch(failed);
    }
    return this.of(server, undefined, peer.id);
  }

  private async provider(server: Server): Promise<WireGuardProvider> {
    this.uow.assertClosed();
    const provider = await this.providers.of(server);
    if (provider === null) throw new DomainError('server_refused', { params: { kind: 'not_applied' } });
    return provider;
  }

  private async made(server: Server, provider: WireGuardProvider, peerId: number): Promise<Origin> {
    const bare = { peerId, publicKey: null, addresses: null, presharedKey: null, remoteId: null };
    const making = provider.put([bare]);
    try {
      const [material] = await inTime(making);
      if (material === undefined) throw new Error('The server answered nothing');
      return { kind: 'made', server, publicKey: material.publicKey, material };
    } catch (error) {
      this.discard(server, making);
      return failed(error);
    }
  }

  /** What comes too late is nobody's: a note brings it off the server. What nobody hears of, the sweep finds. */
  private discard(server: Server, making: Promise<readonly PeerMaterial[]>): void {
    making
      .then(async (materials) => {
        for (const material of materials) await this.desired.leave(server.id, { ...material, address: null });
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

function failed(cause: unknown): never {
  if (!isError(cause)) throw new DomainError('internal_error', { cause });
  throw new DomainError('remote_client_failed', { cause });
}

function requiredId(peerId: number | undefined): number {
  if (peerId === undefined) throw new Error('A server that makes everything needs the id of the row first');
  return peerId;
}

/** What is awaited, or `server_unavailable` when it takes too long. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new DomainError('server_unavailable', { params: { kind: 'timeout' } })),
      PATIENCE_MS,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
