import { DomainError, type FieldIssue } from '#kernel';
import { type PaymentEventStatus, type PaymentNews } from './payment-event.js';
import { type Payment, type PaymentStatus } from './payment.js';

/** Where an administrator may move a payment made by hand. */
const NEXT_STATUSES: Readonly<Record<PaymentStatus, readonly PaymentStatus[]>> = {
  pending: ['completed', 'failed'],
  completed: ['refunded'],
  failed: [],
  refunded: [],
};

/** How far money has come. What a provider tells only moves a payment forward, so the order of the news makes no difference. */
const PROGRESS: Readonly<Record<PaymentStatus, number>> = { pending: 0, failed: 1, completed: 2, refunded: 3 };

/** Whether a payment can still be corrected or deleted by hand: it is pending, and no store's. */
export function isEditable({ status, kind }: Pick<Payment, 'status' | 'kind'>): boolean {
  return status === 'pending' && kind === 'manual';
}

/** Whether the money of a payment can be given back by hand: it came in, and no store's business it is. */
export function isRefundable({ status, kind }: Pick<Payment, 'status' | 'kind'>): boolean {
  return status === 'completed' && kind === 'manual';
}

/** @throws DomainError payment_status_not_allowed */
export function assertMayBecome(from: PaymentStatus, to: PaymentStatus): void {
  if (from !== to && !NEXT_STATUSES[from].includes(to)) {
    throw new DomainError('payment_status_not_allowed', { params: { from, to } });
  }
}

/**
 * What a payment is after a provider's news of it. A charge that failed may succeed at the next try; what was given back, or paid
 * already, is not undone by news that come late.
 */
export function statusAfter(current: PaymentStatus, said: PaymentEventStatus): PaymentStatus {
  return PROGRESS[said] > PROGRESS[current] ? said : current;
}

/**
 * Refuses news of other money than was written down; where it says nothing of it, it is taken to mean the same.
 * @throws DomainError payment_amount_differs
 */
export function assertSameMoney(
  { amount, currency }: Pick<PaymentNews, 'amount' | 'currency'>,
  payment: Payment,
): void {
  const issues = [
    ...(amount === null || amount === payment.amount
      ? []
      : [issue('amount', 'value is not the amount of the payment')]),
    ...(currency === null || currency === payment.currency
      ? []
      : [issue('currency', 'value is not the currency of the payment')]),
  ];
  if (issues.length > 0) throw new DomainError('payment_amount_differs', { issues });
}

/**
 * Refuses other news under the id of news that was taken in; how it is written makes no difference.
 * @throws DomainError webhook_event_reused
 */
export function assertSameNews(known: PaymentNews, news: PaymentNews): void {
  const isSame =
    known.providerPaymentId === news.providerPaymentId &&
    known.status === news.status &&
    known.amount === news.amount &&
    known.currency === news.currency;
  if (isSame) return;
  throw new DomainError('webhook_event_reused', { issues: [issue('event_id', 'value belongs to another event')] });
}

function issue(field: string, msg: string): FieldIssue {
  return { loc: ['body', field], msg, type: `value_error.${field}` };
}
