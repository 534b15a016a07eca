import { addDays } from '#kernel';
import { GRANTING_STATES } from './subscription.rules.js';
import { type Subscription, type SubscriptionState } from './subscription.js';

const ENDING: readonly SubscriptionState[] = ['trial', 'active', 'cancelled'];

/**
 * What subscribers are told about an end, each with the days after the end (before it: negative) from which, and until which, it is
 * the one to send, and the states it speaks of. The first three follow one another, so whoever is late sends the latest that fits and
 * none of those before it. A failed payment is told of as soon as the store says so (`fromDays` null): the store goes on trying to
 * charge, so nothing is said to end, and it can still be mended.
 */
export const REMINDERS = [
  { kind: 'three_days', fromDays: -3, untilDays: -1, states: ENDING },
  { kind: 'one_day', fromDays: -1, untilDays: 0, states: ENDING },
  { kind: 'ended', fromDays: 0, untilDays: 3, states: [...ENDING, 'expired'] },
  { kind: 'payment_failed', fromDays: null, untilDays: 0, states: ['grace'] },
  { kind: 'payment_stopped', fromDays: null, untilDays: 3, states: ['retry'] },
] as const satisfies readonly {
  readonly kind: string;
  readonly fromDays: number | null;
  readonly untilDays: number;
  readonly states: readonly SubscriptionState[];
}[];

export type ReminderKind = (typeof REMINDERS)[number]['kind'];

type Held = Pick<Subscription, 'id' | 'state' | 'startedAt' | 'accessUntil' | 'autoRenewing'>;

const GRANTING: readonly SubscriptionState[] = GRANTING_STATES;
/** The states in which a store takes the next payment by itself, if it is to. */
export const RENEWING_STATES = ['active', 'trial'] as const satisfies readonly SubscriptionState[];

/**
 * Which reminder of a subscription's end its owner is to have at an instant, unless they have had it; null = none. `all` is
 * everything they hold. The SQL twin is in `reminders.repository.ts`; a test holds the two together.
 */
export function dueReminder(subscription: Held, all: readonly Held[], at: Date): ReminderKind | null {
  const { state, startedAt, accessUntil } = subscription;
  if (accessUntil === null || renewsItself(subscription)) return null;
  if (state === 'expired' && accessUntil > at) return null;
  if (all.some((other) => goesOn(other, { id: subscription.id, end: accessUntil }, at))) return null;
  const due = REMINDERS.find(({ fromDays, untilDays, states }) => {
    const speaksOf: readonly SubscriptionState[] = states;
    const begins = fromDays === null ? null : addDays(accessUntil, fromDays);
    return speaksOf.includes(state) && (begins === null || begins <= at) && at < addDays(accessUntil, untilDays);
  });
  if (due === undefined) return null;
  // What is bought for two days is not announced to end in three on the day it is bought.
  const isNewer = due.fromDays !== null && startedAt >= addDays(accessUntil, due.fromDays);
  return isNewer ? null : due.kind;
}

function renewsItself({ autoRenewing, state }: Held): boolean {
  const renewing: readonly SubscriptionState[] = RENEWING_STATES;
  return autoRenewing && renewing.includes(state);
}

/** Whether access goes on by another subscription. Of two that end together, the one with the higher id speaks for both. */
function goesOn(other: Held, { id, end }: { id: number; end: Date }, at: Date): boolean {
  const { accessUntil } = other;
  if (other.id === id || !GRANTING.includes(other.state) || other.startedAt > (end < at ? at : end)) return false;
  if (accessUntil === null || accessUntil > end || (accessUntil.getTime() === end.getTime() && other.id > id)) {
    return true;
  }
  return renewsItself(other) && accessUntil > at;
}
