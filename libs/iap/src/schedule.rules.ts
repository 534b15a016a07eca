import { addDays, addSeconds } from '#kernel';
import { type Standing } from './purchase.js';

const DAY = 24 * 3600;
/** After a failure: 1, 5, 30 minutes, 2, then 12 hours. */
const BACK_OFF_SECONDS = [60, 300, 1800, 7200, 43_200];

/**
 * When a purchase is to be asked about although nobody heard of it: every day in its last three days, in grace and in retry; every
 * hour while it is pending. Null = never: it is over, or for life.
 */
export function nextCheckAt({ state, endsAt }: Standing, now: Date): Date | null {
  switch (state) {
    case 'trial':
    case 'active':
    case 'cancelled': {
      if (endsAt === null) return null;
      const lastDays = addDays(endsAt, -3);
      const tomorrow = addSeconds(now, DAY);
      return lastDays > tomorrow ? lastDays : tomorrow;
    }
    case 'grace':
    case 'retry':
    case 'paused':
      return addSeconds(now, DAY);
    case 'pending':
      return addSeconds(now, 3600);
    case 'expired':
    case 'refunded':
    case 'revoked':
    case 'superseded':
    case 'void':
      return null;
  }
}

/** When to try again after so many failures in a row; null = it is given up, and a person must look. */
export function nextTryAt(failures: number, now: Date): Date | null {
  const seconds = BACK_OFF_SECONDS[failures - 1];
  return seconds === undefined ? null : addSeconds(now, seconds);
}

/** The same for questions, which are never given up: what is not asked about today is asked about tomorrow. */
export function nextQuestionAt(failures: number, now: Date, retryAfterSeconds: number): Date {
  const usual = BACK_OFF_SECONDS[Math.min(failures, BACK_OFF_SECONDS.length) - 1] ?? 60;
  return addSeconds(now, Math.max(usual, retryAfterSeconds));
}
