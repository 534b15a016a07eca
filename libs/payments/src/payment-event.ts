import { type Money } from '#kernel';
import { type PaymentStatus } from './payment.js';

export const PAYMENT_EVENT_STATUSES = ['completed', 'failed', 'refunded'] as const satisfies readonly PaymentStatus[];
export type PaymentEventStatus = (typeof PAYMENT_EVENT_STATUSES)[number];

/** What a provider other than the stores says of a payment. */
export interface PaymentNews {
  readonly provider: string;
  /** The provider's own id of it: a repetition has the same. */
  readonly eventId: string;
  readonly providerPaymentId: string;
  readonly status: PaymentEventStatus;
  /** Null where the provider does not say. */
  readonly amount: Money | null;
  readonly currency: string | null;
}

/** The same, taken in. */
export interface PaymentEvent extends PaymentNews {
  readonly paymentId: number;
  /** What the payment was after it. */
  readonly outcome: PaymentStatus;
  readonly receivedAt: Date;
}
