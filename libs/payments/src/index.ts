/**
 * payments: the ledger. It promises that money which moved is never edited or deleted, that a payment is granted once, and that
 * what is given back is taken back. It must never know how a store is spoken to.
 */
export {
  isOwned,
  type LedgerEntry,
  type Payment,
  PAYMENT_KINDS,
  PAYMENT_STATUSES,
  type PaymentKind,
  type PaymentStatus,
} from './payment.js';
export {
  PAYMENT_EVENT_STATUSES,
  type PaymentEvent,
  type PaymentEventStatus,
  type PaymentNews,
} from './payment-event.js';
export { PaymentWebhooks } from './payment-webhooks.service.js';
export { PaymentsModule } from './payments.module.js';
export { type PaymentCorrection, type PaymentDraft, Payments } from './payments.service.js';
export { type Revenue } from './revenue.repository.js';
export { type PaidPurchase, type StorePayment } from './store-payment.js';
export { StoreLedger } from './store-ledger.service.js';
export { WebhookSignatures } from './webhook-signatures.service.js';
