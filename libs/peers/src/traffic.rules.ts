/** WireGuard was published in 2015; no handshake is older. */
const FIRST_POSSIBLE = Date.UTC(2015, 0, 1);
/** By how much a host's clock may be ahead of ours, in milliseconds, before what it says is not believed. */
const CLOCK_TOLERANCE_MS = 60_000;

/** The time of a handshake as a server reports it; null when it cannot be true: in the future, or from before WireGuard existed. */
export function plausibleHandshake(at: Date | null, now: Date): Date | null {
  if (at === null) return null;
  const isPossible = at.getTime() >= FIRST_POSSIBLE && at.getTime() <= now.getTime() + CLOCK_TOLERANCE_MS;
  return isPossible ? at : null;
}
