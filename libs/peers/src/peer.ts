/**
 * `pending`: wanted, not yet on its server; `active`: wanted and there; `suspended`: its owner's access ended, key and address
 * are kept; `removing`: to be taken off its server, then forgotten.
 */
export const PEER_STATUSES = ['pending', 'active', 'suspended', 'removing'] as const;
export type PeerStatus = (typeof PEER_STATUSES)[number];

/** Why a peer is suspended: its owner has no access now, or has used up the period's traffic, or has more devices than the tariff lets in. */
export const SUSPENDED_REASONS = ['no_access', 'traffic_exhausted', 'device_limit'] as const;
export type SuspendedReason = (typeof SUSPENDED_REASONS)[number];

/** A user's device, as a peer of one WireGuard server. */
export interface Peer {
  readonly id: number;
  readonly userId: number;
  readonly serverId: number;
  readonly deviceName: string | null;
  readonly publicKey: string;
  /** IPv4, without prefix. */
  readonly address: string;
  /** IPv6, without prefix; null where the server has none. */
  readonly address6: string | null;
  /** What the device sends through the tunnel. */
  readonly allowedIps: string;
  readonly status: PeerStatus;
  /** Counts only while the status is `suspended`: ask `whySuspended`. */
  readonly suspendedReason: SuspendedReason | null;
  /** Null before the first one. */
  readonly lastHandshakeAt: Date | null;
  /** What came from the device, in bytes; never falls. */
  readonly receivedBytes: number;
  /** What went to the device. */
  readonly sentBytes: number;
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

/** Why a peer is suspended; null when it is not. */
export function whySuspended({
  status,
  suspendedReason,
}: Pick<Peer, 'status' | 'suspendedReason'>): SuspendedReason | null {
  return status === 'suspended' ? (suspendedReason ?? 'no_access') : null;
}

/** A peer's addresses as a server is told them: exactly its own. */
export function networksOf({ address, address6 }: Pick<Peer, 'address' | 'address6'>): readonly string[] {
  return [`${address}/32`, ...(address6 === null ? [] : [`${address6}/128`])];
}
