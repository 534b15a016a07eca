import { addDays } from '#kernel';
import { GRANTING_STATES } from './subscription.rules.js';
import { type Subscription, type SubscriptionState } from './subscription.js';

/**
 * The reminders of an end, each with the days after the end (before it: negative) from which, and until which, it is the one to
 * send. The windows follow one another, so whoever is late sends the latest that fits and none of those before it.
 */
export const REMINDERS = [
  { kind: 'three_days', fromDays: -3, untilDays: -1 },
  { kind: 'one_day', fromDays: -1, untilDays: 0 },
  { kind: 'ended', fromDays: 0, untilDays: 3 },
] as const;

export type ReminderKind = (typeof REMINDERS)[number]['kind'];

type Held = Pick<Subscription, 'id' | 'state' | 'startedAt' | 'accessUntil' | 'autoRenewing'>;

const GRANTING: readonly SubscriptionState[] = GRANTING_STATES;
/** The states in which a store takes the next payment by itself, if it is to. */
export const RENEWING_STATES = ['active', 'trial'] as const satisfies readonly SubscriptionState[];

/**
 * Which reminder of a subscription's end its owner is to have at an instant, unless he has had it; null = none. `all` is
 * everything he holds. The SQL twin is in `reminders.repository.ts`; a test holds the two together.
 */
export function dueReminder(subscription: Held, all: readonly Held[], at: Date): ReminderKind | null {
  const { state, startedAt, accessUntil } = subscription;
  if (accessUntil === null || renewsItself(subscription)) return null;
  if (!GRANTING.includes(state) && !(state === 'expired' && accessUntil <= at)) return null;
  if (all.some((other) => goesOn(other, { id: subscription.id, end: accessUntil }, at))) return null;
  const due = REMINDERS.find(
    ({ fromDays, untilDays }) => addDays(accessUntil, fromDays) <= at && at < addDays(accessUntil, untilDays),
  );
  // What is bought for two days is not announced to end in three on the day it is bought.
  return due !== undefined && startedAt < addDays(accessUntil, due.fromDays) ? due.kind : null;
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
