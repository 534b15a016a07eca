import { DomainError } from '#kernel';
import { type Payment, type PaymentStatus } from './payment.js';

/** Where a payment made by hand may go from where it is. Money that moved stays as it moved. */
const NEXT_STATUSES: Readonly<Record<PaymentStatus, readonly PaymentStatus[]>> = {
  pending: ['completed', 'failed'],
  completed: [],
  failed: [],
  refunded: [],
};

/** Whether a payment can still be corrected or deleted by hand: it is pending, and no store's. */
export function isEditable({ status, kind }: Pick<Payment, 'status' | 'kind'>): boolean {
  return status === 'pending' && kind === 'manual';
}

/** @throws DomainError payment_status_not_allowed */
export function assertMayBecome(from: PaymentStatus, to: PaymentStatus): void {
  if (from !== to && !NEXT_STATUSES[from].includes(to)) {
    throw new DomainError('payment_status_not_allowed', { params: { from, to } });
  }
}
