import { type PaymentKind } from './payment.js';
import { type PaidPurchase } from './store-payment.js';

/** Marks the payments of a sandbox in the table, whose numbers are another series. */
const SANDBOX = 'sandbox:';

/** What a store's payment is known by among all of that store: its environment is part of it. */
export function storedReference(
  { provider, environment }: Pick<PaidPurchase, 'provider' | 'environment'>,
  reference: string,
): string {
  // Play has one series of orders; its test purchases have numbers of the same.
  return provider === 'apple' && environment === 'sandbox' ? `${SANDBOX}${reference}` : reference;
}

/** What a payment is called outside of the table: by the store's own number, or as whoever wrote it down called it. */
export function shownReference(kind: PaymentKind, stored: string | null): string | null {
  return kind !== 'manual' && stored?.startsWith(SANDBOX) === true ? stored.slice(SANDBOX.length) : stored;
}
