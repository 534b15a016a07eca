import { type LivePeer } from '#wireguard';

/** What a row says of a peer on its server. */
export interface DesiredPeer {
  readonly id: number;
  readonly publicKey: string;
  readonly networks: readonly string[];
  /** Whether its packets are to pass. */
  readonly isWanted: boolean;
}

export interface Sighting<Desired extends DesiredPeer = DesiredPeer> {
  readonly live: readonly LivePeer[];
  readonly desired: readonly Desired[];
  /** Keys that are to leave, and whether they are to do so now. */
  readonly leftovers: ReadonlyMap<string, { readonly isDue: boolean }>;
}

/** What it takes to make a server hold what the rows say. */
export interface Difference<Desired extends DesiredPeer = DesiredPeer> {
  /** Wanted, and not there, or there with other addresses, or shut. */
  readonly toPut: readonly Desired[];
  /** Not wanted now, and open all the same. */
  readonly toSuspend: readonly { readonly desired: Desired; readonly live: LivePeer }[];
  /** To leave now, and still there. */
  readonly toRemove: readonly LivePeer[];
  /** Ours to decide about, and of no row. */
  readonly strangers: readonly LivePeer[];
  /** What a row and the server agree on, for its traffic. */
  readonly matched: readonly { readonly desired: Desired; readonly live: LivePeer }[];
  /** Rows that the server has no peer for: it counts nothing of theirs any more. */
  readonly missing: readonly Desired[];
}

/** Compares by public key and addresses: an address may have been taken by another key without a word. */
export function difference<Desired extends DesiredPeer>(sighting: Sighting<Desired>): Difference<Desired> {
  const liveByKey = new Map(sighting.live.map((peer) => [peer.publicKey, peer]));
  const pairs = sighting.desired.flatMap((desired) => {
    const live = liveByKey.get(desired.publicKey);
    return live === undefined ? [] : [{ desired, live }];
  });
  const known = new Set(sighting.desired.map(({ publicKey }) => publicKey));
  const rest = sighting.live.filter(({ publicKey, isOurs }) => !known.has(publicKey) && isOurs);
  return {
    toPut: sighting.desired.filter((desired) => {
      const live = liveByKey.get(desired.publicKey);
      return desired.isWanted && !(live?.isEnabled === true && sameNetworks(live.addresses, desired.networks));
    }),
    toSuspend: pairs.filter(({ desired, live }) => !desired.isWanted && live.isEnabled),
    toRemove: rest.filter(({ publicKey }) => sighting.leftovers.get(publicKey)?.isDue === true),
    strangers: rest.filter(({ publicKey }) => !sighting.leftovers.has(publicKey)),
    matched: pairs,
    missing: sighting.desired.filter(({ publicKey }) => !liveByKey.has(publicKey)),
  };
}

function sameNetworks(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((network) => b.includes(network));
}

/** So many removals at once, and such a part of all peers, is more likely a fault of ours than what was meant. */
const BRAKE_COUNT = 20;
const BRAKE_SHARE = 0.2;

/** Whether a sweep that would remove so many peers of so many is to stop and wait for an operator. */
export function isTooMuch(removals: number, live: number): boolean {
  return removals > BRAKE_COUNT && removals > BRAKE_SHARE * live;
}

/**
 * How long a server that failed so many times in a row is left alone, in seconds: 1 s to 15 s (security page 4.1). One that turns our
 * login down, 2 to 15 minutes: fail2ban bans after five refusals in ten minutes, and sshd's own penalties grow with each.
 */
export function restSeconds(failures: number, isTurnedDown = false): number {
  const doubled = 2 ** Math.max(0, failures - 1);
  return isTurnedDown ? Math.min(900, 120 * doubled) : Math.min(15, doubled);
}
