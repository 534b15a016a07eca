import { type Money } from '#kernel';

export const PAYMENT_STATUSES = ['pending', 'completed', 'failed', 'refunded'] as const;
export type PaymentStatus = (typeof PAYMENT_STATUSES)[number];

/** `manual`: written down by a person or the app, not by a store. Only those can be changed by hand. */
export const PAYMENT_KINDS = ['manual', 'purchase', 'renewal', 'upgrade', 'one_time'] as const;
export type PaymentKind = (typeof PAYMENT_KINDS)[number];

/** One line of the ledger. */
export interface LedgerEntry {
  readonly id: number;
  /** Who paid; null while nobody has claimed the purchase of a store that it is for. Money is counted all the same. */
  readonly userId: number | null;
  readonly amount: Money;
  /** ISO 4217. */
  readonly currency: string;
  readonly status: PaymentStatus;
  readonly kind: PaymentKind;
  /** Who handled the money, in the words of whoever wrote it down. */
  readonly provider: string | null;
  readonly providerPaymentId: string | null;
  /** What it pays for; null when it pays for nothing in particular. */
  readonly tariffId: number | null;
  /** The subscription that it bought a part of; null while it bought nothing. */
  readonly subscriptionId: number | null;
  readonly periodStart: Date | null;
  /** Null = for life, where it bought a subscription at all. */
  readonly periodEnd: Date | null;
  /** How much went back; less than the amount where a store gave back a part. */
  readonly refundedAmount: Money | null;
  readonly refundedAt: Date | null;
  /** From a sandbox: no money moved. */
  readonly isTest: boolean;
  /** When it was written down; of a store's payment, when it was charged. */
  readonly createdAt: Date;
}

/** A line that is somebody's: what users and administrators are shown. */
export interface Payment extends LedgerEntry {
  readonly userId: number;
}

export function isOwned(entry: LedgerEntry): entry is Payment {
  return entry.userId !== null;
}
