import { Injectable } from '@nestjs/common';
import { type LedgerEntry } from './payment.js';
import { StoreLedgerRepository } from './store-ledger.repository.js';
import { type PaidPurchase, type StorePayment } from './store-payment.js';

/** The money of the stores: one line for each transaction or order, whatever is told of it how often. */
@Injectable()
export class StoreLedger {
  constructor(private readonly repository: StoreLedgerRepository) {}

  /**
   * Writes down the payments of a purchase, or brings them up to date: kind, status, refund, what superseded them, and which
   * subscription and tariff they are for. What was charged stays as it was first said, unless that was an estimate; who paid
   * stays too, and is null until somebody claims the purchase. The caller holds the purchase's lock, in their transaction.
   */
  async record(
    userId: number | null,
    purchase: PaidPurchase,
    subscriptionId: number | null,
    payments: readonly StorePayment[],
  ): Promise<void> {
    const unique = new Map(payments.map((payment) => [payment.reference, payment]));
    await this.repository.record(userId, purchase, subscriptionId, [...unique.values()]);
  }

  /** The newest payment of a purchase; null when nothing was charged. */
  async latest(purchaseId: number): Promise<LedgerEntry | null> {
    const [newest] = await this.repository.ofPurchase(purchaseId, 1);
    return newest ?? null;
  }

  /** All payments of a purchase, the newest first. */
  ofPurchase(purchaseId: number): Promise<readonly LedgerEntry[]> {
    return this.repository.ofPurchase(purchaseId);
  }

  /** Notes that a customer asked the store for the money of a payment, by any of its ids; nothing else follows until the store decides. */
  markRefundRequested(
    store: Pick<PaidPurchase, 'provider' | 'environment'>,
    references: readonly string[],
    at: Date,
  ): Promise<void> {
    return this.repository.markRefundRequested(store, references, at);
  }
}
