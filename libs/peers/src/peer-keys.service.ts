import { Injectable } from '@nestjs/common';
import { DomainError, Randomness } from '#kernel';
import { SecretBox, UnreadableSecretError } from '#platform';
import { publicKeyOf } from '#wireguard';
import { type NewPeer, type Peer } from './peer.js';
import { type Origin, privateKeyOf } from './peer-origins.service.js';
import { type PeerKeyColumns, PeersRepository } from './peers.repository.js';

/** What wg(8) calls a preshared key: 32 random bytes. */
const PRESHARED_KEY_BYTES = 32;

/** What a peer's config holds that nobody else may see. */
export interface PeerSecrets {
  /** Null when only the device has it. */
  readonly privateKey: string | null;
  readonly presharedKey: string | null;
}

/** Seals the keys of peers, and opens them again. */
@Injectable()
export class PeerKeys {
  constructor(
    private readonly repository: PeersRepository,
    private readonly box: SecretBox,
    private readonly randomness: Randomness,
  ) {}

  /** A new key as its peer's row keeps it. */
  seal(origin: Origin): PeerKeyColumns {
    const privateKey = privateKeyOf(origin);
    const presharedKey = this.presharedKeyOf(origin);
    return {
      publicKey: origin.publicKey,
      sealedPrivateKey: privateKey === null ? null : this.box.seal(privateKey),
      sealedPresharedKey: presharedKey === null ? null : this.box.seal(presharedKey),
      remoteId: origin.kind === 'made' ? origin.material.remoteId : null,
    };
  }

  /**
   * Opens a peer's secrets. A private key must be the other half of the row's public key, or it is not this peer's.
   * @throws DomainError peer_not_found | peer_key_unreadable (no key of ours opens them: the device is to be added again)
   */
  async open(peer: Peer): Promise<PeerSecrets> {
    const sealed = await this.repository.keyColumns(peer.id);
    const privateKey = sealed.sealedPrivateKey === null ? null : this.read(sealed.sealedPrivateKey);
    const presharedKey = sealed.sealedPresharedKey === null ? null : this.read(sealed.sealedPresharedKey);
    if (privateKey !== null && publicKeyOf(privateKey) !== peer.publicKey) {
      throw new Error(`The sealed private key of peer ${peer.id} is not the half of its public key`);
    }
    return { privateKey, presharedKey };
  }

  /** A peer as it was first answered. @throws DomainError peer_not_found | peer_key_unreadable */
  async asNew(peer: Peer): Promise<NewPeer> {
    const { privateKey } = await this.open(peer);
    return { id: peer.id, peer, privateKey };
  }

  private read(sealed: string): string {
    try {
      return this.box.open(sealed);
    } catch (cause) {
      throw cause instanceof UnreadableSecretError ? new DomainError('peer_key_unreadable', { cause }) : cause;
    }
  }

  private presharedKeyOf(origin: Origin): string | null {
    if (origin.kind === 'made') return origin.material.presharedKey;
    return origin.server.presharedKeys ? this.randomness.bytes(PRESHARED_KEY_BYTES).toString('base64') : null;
  }
}
