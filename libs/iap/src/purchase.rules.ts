import { addSeconds } from '#kernel';
import { type StorePayment } from '#payments';
import { deriveApple, paymentsOfApple } from './apple.rules.js';
import { deriveGoogle, paymentsOfGoogle } from './google.rules.js';
import { type Catalogue, type Facts, type Standing } from './purchase.js';

/** How much earlier than now something is said to have begun that begins later by its store's clock, in seconds. */
const BEGUN_SECONDS_AGO = 60;

/**
 * What follows from the facts at an instant: nothing but facts, terms and time decides it. What was bought is had from when we hear
 * of it: a store's clock may be ahead of ours, and a renewal that is charged early may be all that is known.
 */
export function derive(facts: Facts, catalogue: Catalogue, at: Date): Standing {
  const standing = facts.provider === 'apple' ? deriveApple(facts, catalogue, at) : deriveGoogle(facts, catalogue, at);
  const { startedAt } = standing;
  if (startedAt === null || startedAt <= at) return standing;
  return { ...standing, startedAt: addSeconds(at, -BEGUN_SECONDS_AGO) };
}

/**
 * The money that moved, by the facts. `key` names a purchase of Google's that has no order, and `learntAt` dates one that Google does
 * not date: it is not paid yet.
 */
export function paymentsOf(facts: Facts, key: string, catalogue: Catalogue, learntAt: Date): readonly StorePayment[] {
  return facts.provider === 'apple'
    ? paymentsOfApple(facts, catalogue)
    : paymentsOfGoogle(facts, key, catalogue, learntAt);
}
