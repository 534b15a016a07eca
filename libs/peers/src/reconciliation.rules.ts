import { type LivePeer } from '#wireguard';

/** What a row says of a peer on its server. */
export interface DesiredPeer {
  readonly id: number;
  readonly publicKey: string;
  readonly networks: readonly string[];
  readonly hasPresharedKey: boolean;
  /** Whether its packets are to pass. */
  readonly isWanted: boolean;
}

export interface Sighting<Desired extends DesiredPeer = DesiredPeer> {
  readonly live: readonly LivePeer[];
  readonly desired: readonly Desired[];
  /** Keys that are to leave, and whether they are to do so now. */
  readonly leftovers: ReadonlyMap<string, { readonly isDue: boolean }>;
  /** Whether the addresses of its peers are the server's choice: then rows follow it, and not the server them. */
  readonly serverChooses?: boolean;
}

/** What it takes to make a server hold what the rows say. */
export interface Difference<Desired extends DesiredPeer = DesiredPeer> {
  /** Wanted, and not there, or there with other addresses, or with a preshared key too many or too few, or shut. */
  readonly toPut: readonly Desired[];
  /** Not wanted now, and open all the same. */
  readonly toSuspend: readonly { readonly desired: Desired; readonly live: LivePeer }[];
  /** Rows whose peer has other addresses on a server that chooses them. */
  readonly toFollow: readonly { readonly desired: Desired; readonly live: LivePeer }[];
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
  const rest = sighting.live.filter(({ publicKey }) => !known.has(publicKey));
  const serverChooses = sighting.serverChooses === true;
  return {
    toPut: sighting.desired.filter((desired) => {
      const live = liveByKey.get(desired.publicKey);
      const isOpen = live?.isEnabled === true && live.isUnsettled !== true;
      return desired.isWanted && !(isOpen && (serverChooses || isAsDesired(live, desired)));
    }),
    toSuspend: pairs.filter(({ desired, live }) => !desired.isWanted && (live.isEnabled || live.isUnsettled === true)),
    toFollow: pairs.filter(
      ({ desired, live }) =>
        serverChooses && live.addresses.some(isIpv4) && !sameNetworks(live.addresses, desired.networks),
    ),
    // What has a key of ours is ours, whatever it is called there now.
    toRemove: rest.filter(({ publicKey }) => sighting.leftovers.get(publicKey)?.isDue === true),
    strangers: rest.filter(({ publicKey, isOurs }) => !sighting.leftovers.has(publicKey) && isOurs),
    matched: pairs,
    missing: sighting.desired.filter(({ publicKey }) => !liveByKey.has(publicKey)),
  };
}

function isIpv4(network: string): boolean {
  return !network.includes(':');
}

function isAsDesired(live: LivePeer, desired: DesiredPeer): boolean {
  const isKeyed = live.hasPresharedKey ?? desired.hasPresharedKey;
  return isKeyed === desired.hasPresharedKey && sameNetworks(live.addresses, desired.networks);
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

/** A server that has none of so many peers has lost them, or is another one: a person may have deleted one or two. */
const FEW_PEERS = 2;

/**
 * Whether so many peers are missing on a server that makes keys itself that its list is not to be believed. To make them anew gives
 * each another key: no device connects any more, and all would be for nothing when the right volume is mounted again.
 */
export function isShort(missing: number, known: number): boolean {
  return isTooMuch(missing, known) || (missing === known && missing > FEW_PEERS);
}

/**
 * How long a server that failed so many times in a row is left alone, in seconds: 1 s to 15 s (security page 4.1). One that turns our
 * login down, 2 to 15 minutes: fail2ban bans after five refusals in ten minutes, and sshd's own penalties grow with each.
 */
export function restSeconds(failures: number, isTurnedDown = false): number {
  const doubled = 2 ** Math.max(0, failures - 1);
  return isTurnedDown ? Math.min(900, 120 * doubled) : Math.min(15, doubled);
}
