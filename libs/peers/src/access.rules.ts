import { type Entitlement } from '#subscriptions';
import { type SuspendedReason } from './peer.js';

/** As tariffs count: not 2^30. */
const GIGABYTE = 10 ** 9;

/** What is to become of a user's peers: they are wanted on their servers, or suspended, and why. */
export type Verdict = 'granted' | SuspendedReason;

/** Judges by what a user is entitled to now, and how many bytes of its period's traffic he has used. */
export function verdictOf(entitlement: Entitlement | null, usedBytes: number): Verdict {
  if (entitlement === null) return 'no_access';
  return isExhausted(entitlement, usedBytes) ? 'traffic_exhausted' : 'granted';
}

/** Whether nothing is left of a period's traffic. */
export function isExhausted({ trafficLimitGb }: Pick<Entitlement, 'trafficLimitGb'>, usedBytes: number): boolean {
  return trafficLimitGb !== null && usedBytes >= trafficLimitGb * GIGABYTE;
}
