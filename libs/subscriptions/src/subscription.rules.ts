import { addDays, addSeconds, DAY_MS } from '#kernel';
import {
  type Entitlement,
  type Period,
  type PublicStatus,
  type Subscription,
  type SubscriptionState,
} from './subscription.js';

/** The states that grant access. The SQL twin is in `subscriptions.repository.ts`; a test holds the two together. */
export const GRANTING_STATES = [
  'trial',
  'active',
  'cancelled',
  'grace',
] as const satisfies readonly SubscriptionState[];

/** What is reported for "no end": the app counts days and has no word for a lifetime. */
export const LIFETIME_DAYS = 36_500;

/** What is had for life is limited by the month, as most of what is sold is. */
const LIFETIME_PERIOD_DAYS = 30;

type Standing = Pick<Subscription, 'state' | 'startedAt' | 'accessUntil'>;

/**
 * What began is judged a moment later by another instance or by the database, whose clocks agree within milliseconds: by so many
 * seconds it may seem to begin in the future.
 */
export const CLOCK_TOLERANCE_SECONDS = 1;

/** Whether a subscription lets its owner use the VPN at an instant. The end itself is outside. */
export function grantsAccess({ state, startedAt, accessUntil }: Standing, at: Date): boolean {
  const granting: readonly SubscriptionState[] = GRANTING_STATES;
  const hasBegun = startedAt <= addSeconds(at, CLOCK_TOLERANCE_SECONDS);
  return granting.includes(state) && hasBegun && (accessUntil === null || at < accessUntil);
}

/**
 * What a user is entitled to at an instant: access for as long as any subscription grants it, with the limits of the one of the
 * highest rank (of equals, the one that grants more devices, then more traffic, then lasts longest). Null = no access.
 */
export function entitlementOf(subscriptions: readonly Subscription[], at: Date): Entitlement | null {
  const best = shownSubscription(subscriptions, at);
  if (best === null || !grantsAccess(best, at)) return null;
  return {
    subscriptionId: best.id,
    until: best.accessUntil,
    deviceLimit: best.tariff.deviceLimit,
    trafficLimitGb: best.tariff.trafficLimitGb,
    period: periodAt(best, at),
  };
}

/**
 * The period that an instant after the start is in. What a store renews runs from the last renewal to the next one, if that is known
 * already, or to the end of what is paid, and to the end of access where that goes on for a while; all else
 * runs in blocks of the tariff's duration from the start, in the middle of a day if it began there.
 */
export function periodAt(subscription: Subscription, at: Date): Period {
  const { startedAt, endedAt, accessUntil, periodStartedAt, nextPeriodAt, tariff } = subscription;
  const endsAt = endedAt !== null && at < endedAt ? endedAt : accessUntil;
  if (nextPeriodAt !== null && nextPeriodAt <= at) return { startedAt: nextPeriodAt, endsAt };
  if (periodStartedAt !== null) return { startedAt: periodStartedAt, endsAt: nextPeriodAt ?? endsAt };
  const days = tariff.durationDays === 0 ? LIFETIME_PERIOD_DAYS : tariff.durationDays;
  const blocks = Math.max(0, Math.floor((at.getTime() - startedAt.getTime()) / (days * DAY_MS)));
  const end = addDays(startedAt, (blocks + 1) * days);
  return {
    startedAt: addDays(startedAt, blocks * days),
    endsAt: accessUntil !== null && accessUntil < end ? accessUntil : end,
  };
}

/**
 * The one subscription a user is shown: it grants access now, has the highest rank, grants the most, ends last. When none grants access, the one
 * that ended last; null when there never was one.
 */
export function shownSubscription(subscriptions: readonly Subscription[], at: Date): Subscription | null {
  const granting = subscriptions.filter((subscription) => grantsAccess(subscription, at));
  const byPreference = (left: Subscription, right: Subscription): number =>
    right.tariff.rank - left.tariff.rank ||
    compareLimits(right.tariff.deviceLimit, left.tariff.deviceLimit) ||
    compareLimits(right.tariff.trafficLimitGb, left.tariff.trafficLimitGb) ||
    compareEnds(right, left) ||
    right.id - left.id;
  const [best] = granting.toSorted(byPreference);
  if (best !== undefined) return best;
  const [last] = subscriptions.toSorted((left, right) => compareEnds(right, left) || right.id - left.id);
  return last ?? null;
}

/** The word for the app: `active` whenever access is granted, whatever the fine state. */
export function publicStatus(subscription: Standing, at: Date): PublicStatus {
  if (grantsAccess(subscription, at)) return 'active';
  const { state } = subscription;
  switch (state) {
    case 'pending':
    case 'refunded':
    case 'revoked':
    case 'cancelled':
      return state;
    case 'void':
      return 'cancelled';
    case 'trial':
    case 'active':
    case 'grace':
      return subscription.startedAt > at ? 'pending' : 'expired';
    case 'retry':
    case 'paused':
    case 'expired':
    case 'superseded':
      return 'expired';
  }
}

/** The state as of now: a row whose time is over is expired even before the job has said so. */
export function stateAt(subscription: Standing, at: Date): SubscriptionState {
  const { state, accessUntil } = subscription;
  const granting: readonly SubscriptionState[] = GRANTING_STATES;
  return granting.includes(state) && accessUntil !== null && at >= accessUntil ? 'expired' : state;
}

/**
 * The end that people and apps are shown; null = for life. It is that of what is paid for, and while access goes on beyond it (a
 * store's grace, our leeway) the end of access: whoever compares it with a clock locks out nobody who has access. Of what is over it
 * is when it was.
 */
export function shownEnd(subscription: Standing & Pick<Subscription, 'endedAt'>, at: Date): Date | null {
  const { accessUntil, endedAt } = subscription;
  if (accessUntil === null || endedAt === null) return accessUntil;
  // Play's access lasts two days longer than what is paid for, in case the bank is late: nobody is to count on that.
  return endedAt < accessUntil && !(grantsAccess(subscription, at) && endedAt <= at) ? endedAt : accessUntil;
}

/** Whole days left until the end that is shown, a begun one counted; 0 when it is over, 36500 for life. */
export function daysRemaining(subscription: Standing & Pick<Subscription, 'endedAt'>, at: Date): number {
  if (!grantsAccess(subscription, at)) return 0;
  const end = shownEnd(subscription, at);
  return end === null ? LIFETIME_DAYS : Math.ceil((end.getTime() - at.getTime()) / DAY_MS);
}

/** The end of a period of `durationDays` (0 = for life: null) that begins at an instant. */
export function endOfPeriod(start: Date, durationDays: number): Date | null {
  return durationDays === 0 ? null : addDays(start, durationDays);
}

/** What is left of a subscription. */
export interface Remainder {
  readonly state: SubscriptionState;
  /** Null = for life. */
  readonly endedAt: Date | null;
}

/**
 * What is left of a subscription at an instant when a period of it is taken back: it ends earlier by as much of the period as still
 * lies ahead, so that whatever else was paid for is had in full. When nothing lies ahead any more, it is over at once. Null when
 * nothing changes: that period or all of it is over, or it goes on for life by something else.
 */
export function withoutPeriod(
  subscription: Standing & Pick<Subscription, 'endedAt'>,
  period: { readonly startedAt: Date; readonly endedAt: Date | null },
  at: Date,
): Remainder | null {
  if (!grantsAccess(subscription, at)) return null;
  const end = endWithout(subscription.endedAt, period, at);
  if (end?.getTime() === subscription.endedAt?.getTime()) return null;
  return end === null || end > at ? { state: subscription.state, endedAt: end } : { state: 'refunded', endedAt: at };
}

/**
 * How much of a period lies ahead at an instant, in milliseconds: everything that was paid for after it begins earlier by as much once
 * the period is taken back. 0 for one without an end: nothing comes after it.
 */
export function timeAhead(period: { readonly startedAt: Date; readonly endedAt: Date | null }, at: Date): number {
  if (period.endedAt === null) return 0;
  return Math.max(0, period.endedAt.getTime() - Math.max(period.startedAt.getTime(), at.getTime()));
}

function endWithout(
  end: Date | null,
  period: { readonly startedAt: Date; readonly endedAt: Date | null },
  at: Date,
): Date | null {
  if (period.endedAt === null) return new Date(Math.max(period.startedAt.getTime(), at.getTime()));
  if (end === null) return null;
  return new Date(end.getTime() - timeAhead(period, at));
}

/** Orders by what a limit grants, none being the most of all. */
function compareLimits(left: number | null, right: number | null): number {
  const [a, b] = [left ?? Number.POSITIVE_INFINITY, right ?? Number.POSITIVE_INFINITY];
  return a === b ? 0 : a - b;
}

/** Orders by end, no end being the latest of all. */
function compareEnds(left: Standing, right: Standing): number {
  const end = ({ accessUntil }: Standing): number => accessUntil?.getTime() ?? Number.POSITIVE_INFINITY;
  return end(left) === end(right) ? 0 : end(left) - end(right);
}
