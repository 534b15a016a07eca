/**
 * `pending`: wanted, not yet on its server; `active`: wanted and there; `suspended`: its owner's access ended, key and address
 * are kept; `removing`: to be taken off its server, then forgotten.
 */
export const PEER_STATUSES = ['pending', 'active', 'suspended', 'removing'] as const;
export type PeerStatus = (typeof PEER_STATUSES)[number];

/** A user's device, as a peer of one WireGuard server. */
export interface Peer {
  readonly id: number;
  readonly userId: number;
  readonly serverId: number;
  readonly deviceName: string | null;
  readonly publicKey: string;
  /** IPv4, without prefix. */
  readonly address: string;
  /** What the device sends through the tunnel. */
  readonly allowedIps: string;
  readonly status: PeerStatus;
  readonly createdAt: Date;
}

/** A peer with the private key that we made for it: handed out once, to its owner. */
export interface NewPeer {
  readonly id: number;
  readonly peer: Peer;
  /** Null when the device has made its own. */
  readonly privateKey: string | null;
}

/** Whether a peer is to be on its server. */
export function isWanted({ status }: Pick<Peer, 'status'>): boolean {
  return status === 'pending' || status === 'active';
}
