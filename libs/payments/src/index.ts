/**
 * payments: the ledger. It promises that money which moved is never edited or deleted, and that a payment is granted once. It
 * must never know how a store is spoken to.
 */
export { type Payment, PAYMENT_KINDS, PAYMENT_STATUSES, type PaymentKind, type PaymentStatus } from './payment.js';
export { PaymentsModule } from './payments.module.js';
export { type PaymentCorrection, type PaymentDraft, Payments } from './payments.service.js';
