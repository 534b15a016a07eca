import { type Entitlement } from '#subscriptions';
import { type SuspendedReason } from './peer.js';

/** As tariffs count: not 2^30. */
const GIGABYTE = 10 ** 9;

/** What is to become of a user's peers: they are wanted on their servers, or suspended, and why. */
export type Verdict = 'granted' | Exclude<SuspendedReason, 'device_limit'>;

/** What is judged of a user. */
export interface Judgement {
  readonly verdict: Verdict;
  /** How many peers are let in where the verdict is `granted`; null: all. */
  readonly deviceLimit: number | null;
}

/** What a user's peers are. */
export interface PeersStanding {
  /** Wanted on their servers. */
  readonly wanted: number;
  /** Why the others are suspended, each reason once. */
  readonly reasons: readonly SuspendedReason[];
  readonly total: number;
}

/** Whether peers are what was judged of their owner. */
export function isInLine({ wanted, reasons, total }: PeersStanding, { verdict, deviceLimit }: Judgement): boolean {
  if (verdict !== 'granted') return wanted === 0 && reasons.every((reason) => reason === verdict);
  const allowed = deviceLimit === null ? total : Math.min(total, deviceLimit);
  return wanted === allowed && reasons.every((reason) => reason === 'device_limit');
}

/** Judges by what a user is entitled to now, and how many bytes of its period's traffic he has used. */
export function verdictOf(entitlement: Entitlement | null, usedBytes: number): Verdict {
  if (entitlement === null) return 'no_access';
  return isExhausted(entitlement, usedBytes) ? 'traffic_exhausted' : 'granted';
}

/** Whether nothing is left of a period's traffic. */
export function isExhausted({ trafficLimitGb }: Pick<Entitlement, 'trafficLimitGb'>, usedBytes: number): boolean {
  return trafficLimitGb !== null && usedBytes >= trafficLimitGb * GIGABYTE;
}
