import { type Money } from '#kernel';

export const PAYMENT_STATUSES = ['pending', 'completed', 'failed', 'refunded'] as const;
export type PaymentStatus = (typeof PAYMENT_STATUSES)[number];

/** `manual`: written down by a person or the app, not by a store. Only those can be changed by hand. */
export const PAYMENT_KINDS = ['manual', 'purchase', 'renewal', 'upgrade', 'one_time'] as const;
export type PaymentKind = (typeof PAYMENT_KINDS)[number];

/** One line of the ledger. */
export interface Payment {
  readonly id: number;
  readonly userId: number;
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
  readonly createdAt: Date;
}
