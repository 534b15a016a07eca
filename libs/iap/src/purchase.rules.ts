import { type StorePayment } from '#payments';
import { deriveApple, paymentsOfApple } from './apple.rules.js';
import { deriveGoogle, paymentsOfGoogle } from './google.rules.js';
import { type Catalogue, type Facts, type Standing } from './purchase.js';

/** What follows from the facts at an instant: nothing but facts, terms and time decides it. */
export function derive(facts: Facts, catalogue: Catalogue, at: Date): Standing {
  return facts.provider === 'apple' ? deriveApple(facts, catalogue, at) : deriveGoogle(facts, catalogue, at);
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
