import { addDays, addSeconds } from '#kernel';
import { type GoogleFacts } from './google-facts.js';
import { type Standing } from './purchase.js';

const DAY = 24 * 3600;
/** After a failure: 1, 5, 30 minutes, 2, then 12 hours. */
const BACK_OFF_SECONDS = [60, 300, 1800, 7200, 43_200];

/** Play takes a purchase back that is not acknowledged within three days; a tester's after three minutes. */
const ACKNOWLEDGE_SECONDS = 3 * DAY;
const ACKNOWLEDGE_TEST_SECONDS = 180;
/** A prepaid plan that is shorter than this: after half of it. */
const SHORT_PLAN_MS = 7 * DAY * 1000;

/**
 * When a purchase is to be asked about although nobody heard of it: every day in its last three days, in grace and in retry, and while
 * what was paid is only estimated; every hour while it is pending. Null = never: it is over, or for life.
 */
export function nextCheckAt(standing: Standing, now: Date, isEstimated = false): Date | null {
  const usual = usualCheckAt(standing, now);
  const tomorrow = addSeconds(now, DAY);
  return isEstimated && (usual === null || usual > tomorrow) ? tomorrow : usual;
}

function usualCheckAt({ state, endsAt }: Standing, now: Date): Date | null {
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

/** Until when Play waits for a purchase to be acknowledged, from when it was paid; `learntAt` stands in where Play does not say. */
export function acknowledgeDeadline({ snapshot, orders }: GoogleFacts, learntAt: Date): Date {
  const firstPaid = orders.length === 0 ? null : Math.min(...orders.map(({ createTime }) => createTime));
  // What was pending was bought before it was paid.
  const boughtAt = new Date(Math.max(snapshot?.startTime ?? 0, firstPaid ?? 0) || learntAt.getTime());
  if (snapshot?.isTest === true) return addSeconds(boughtAt, ACKNOWLEDGE_TEST_SECONDS);
  const [prepaid] = (snapshot?.kind === 'subscription' ? snapshot.items : []).flatMap(({ autoRenews, expiryTime }) =>
    autoRenews === null && expiryTime !== null ? [expiryTime - boughtAt.getTime()] : [],
  );
  const isShort = prepaid !== undefined && prepaid < SHORT_PLAN_MS;
  return addSeconds(boughtAt, isShort ? prepaid / 2000 : ACKNOWLEDGE_SECONDS);
}

/** The longest pause between two tries of an acknowledgement, in seconds. */
const ACKNOWLEDGE_PAUSE_SECONDS = 3600;
/** The shortest, in seconds: a licence tester's purchase has three minutes in all. */
const ACKNOWLEDGE_PAUSE_LEAST_SECONDS = 10;

/** When an acknowledgement is tried again after so many failures in a row: never later than after a quarter of the time that is left. */
export function acknowledgeRetryAt(failures: number, acknowledgeBy: Date, now: Date): Date {
  const usual = BACK_OFF_SECONDS[Math.min(failures, BACK_OFF_SECONDS.length) - 1] ?? 60;
  const quarter = Math.floor((acknowledgeBy.getTime() - now.getTime()) / 4000);
  const most = quarter > 0 ? Math.min(quarter, ACKNOWLEDGE_PAUSE_SECONDS) : ACKNOWLEDGE_PAUSE_SECONDS;
  return addSeconds(now, Math.max(Math.min(usual, most), ACKNOWLEDGE_PAUSE_LEAST_SECONDS));
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
