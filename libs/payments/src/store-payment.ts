import { type Money } from '#kernel';
import { type PaymentKind, type PaymentStatus } from './payment.js';

/** Whose money a payment of a store is. */
export interface PaidPurchase {
  readonly id: number;
  readonly provider: 'apple' | 'google';
  /** A sandbox counts its transactions for itself: the same number is another payment there. */
  readonly environment: 'production' | 'sandbox';
  /** From a sandbox: no money moved. */
  readonly isTest: boolean;
}

/** One transaction of Apple's, or one order of Google's, as the facts now have it. */
export interface StorePayment {
  /** Apple's transaction id, or Google's order id: the same payment has the same. */
  readonly reference: string;
  /** What it was called before it had that id, if it may have been written down by then. */
  readonly formerReference: string | null;
  /** Other ids that the store has the same payment under: it is written down once, under the one that came first. */
  readonly otherReferences?: readonly string[];
  readonly kind: Exclude<PaymentKind, 'manual'>;
  readonly amount: Money;
  /** ISO 4217. */
  readonly currency: string;
  readonly status: PaymentStatus;
  readonly paidAt: Date;
  readonly periodStart: Date | null;
  /** Null = it has no end, or none that is known. */
  readonly periodEnd: Date | null;
  readonly productId: string;
  /** Null while no tariff has the product. */
  readonly tariffId: number | null;
  readonly isTrial: boolean;
  /** The store has not said what was charged: the amount is the tariff's. */
  readonly isEstimated: boolean;
  /** ISO 3166: two letters (Google), three (Apple). */
  readonly country: string | null;
  /** What went back, also where that left the payment completed; all of it for a refunded one that does not say. */
  readonly refund: { readonly amount: Money; readonly at: Date; readonly reason: string | null } | null;
  /** The payment of the upgrade that took its place. */
  readonly supersededByReference: string | null;
}
