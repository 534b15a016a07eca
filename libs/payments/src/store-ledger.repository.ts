import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '#platform';
import { type LedgerEntry } from './payment.js';
import { PAYMENT_COLUMNS, type PaymentRow, toPayment } from './payments.repository.js';
import { type PaidPurchase, type StorePayment } from './store-payment.js';
import { storedReference } from './store-reference.rules.js';

/**
 * Writes down what is new and brings what is known up to date, in one statement. Ids are taken beforehand, because a payment may
 * be superseded by one that is written down beside it. What was charged and whose it is never change: an estimate gives way to the
 * store's own figure, and what nobody had claimed gets its owner.
 */
const RECORD = `
  WITH told AS (
    SELECT t.*, known.id AS known_id
    FROM jsonb_to_recordset($1::jsonb) AS t (
      reference text, kind text, amount numeric, currency text, status paymentstatus, paid_at timestamptz,
      period_start timestamptz, period_end timestamptz, product_id text, tariff_id integer, is_trial boolean,
      is_estimated boolean, country text, refunded_amount numeric, refunded_at timestamptz, refund_reason text,
      superseded_by_reference text)
    LEFT JOIN payments known
      ON known.provider = $2 AND known.provider_payment_id = t.reference AND known.kind <> 'manual'
    ORDER BY t.paid_at, t.reference
  ), numbered AS MATERIALIZED (
    SELECT told.*, coalesce(known_id, nextval(pg_get_serial_sequence('payments', 'id'))::integer) AS id FROM told
  )
  INSERT INTO payments AS p (id, user_id, amount, currency, status, kind, provider, provider_payment_id, tariff_id,
    subscription_id, period_start, period_end, created_at, refunded_amount, refunded_at, refund_reason, product_id, is_trial,
    is_test, amount_estimated, country, store_purchase_id, superseded_by)
  SELECT t.id, $3::integer, t.amount, t.currency, t.status, t.kind, $2, t.reference, t.tariff_id,
    $4::integer, t.period_start, t.period_end, t.paid_at, t.refunded_amount, t.refunded_at, t.refund_reason, t.product_id, t.is_trial,
    $5::boolean, t.is_estimated, t.country, $6::integer, coalesce(beside.id, before.id)
  FROM numbered t
  LEFT JOIN numbered beside ON beside.reference = t.superseded_by_reference
  LEFT JOIN payments before
    ON before.provider = $2 AND before.provider_payment_id = t.superseded_by_reference AND before.kind <> 'manual'
  ORDER BY t.id
  ON CONFLICT (provider, provider_payment_id) WHERE kind <> 'manual' AND provider_payment_id IS NOT NULL
  DO UPDATE SET
    user_id = coalesce(p.user_id, excluded.user_id),
    kind = excluded.kind,
    status = excluded.status,
    refunded_amount = excluded.refunded_amount,
    refunded_at = excluded.refunded_at,
    refund_reason = excluded.refund_reason,
    tariff_id = coalesce(excluded.tariff_id, p.tariff_id),
    subscription_id = coalesce(excluded.subscription_id, p.subscription_id),
    superseded_by = coalesce(excluded.superseded_by, p.superseded_by),
    amount = CASE WHEN p.amount_estimated AND NOT excluded.amount_estimated THEN excluded.amount ELSE p.amount END,
    currency = CASE WHEN p.amount_estimated AND NOT excluded.amount_estimated THEN excluded.currency ELSE p.currency END,
    country = CASE WHEN p.amount_estimated AND NOT excluded.amount_estimated THEN excluded.country ELSE p.country END,
    amount_estimated = p.amount_estimated AND excluded.amount_estimated
  WHERE (p.amount_estimated AND NOT excluded.amount_estimated)
    OR (p.user_id IS NULL AND excluded.user_id IS NOT NULL)
    OR (p.kind, p.status, p.refunded_amount, p.refunded_at, p.refund_reason) IS DISTINCT FROM
      (excluded.kind, excluded.status, excluded.refunded_amount, excluded.refunded_at, excluded.refund_reason)
    OR p.tariff_id IS DISTINCT FROM coalesce(excluded.tariff_id, p.tariff_id)
    OR p.subscription_id IS DISTINCT FROM coalesce(excluded.subscription_id, p.subscription_id)
    OR p.superseded_by IS DISTINCT FROM coalesce(excluded.superseded_by, p.superseded_by)`;

/**
 * What waits for its money and was written down before its order had an id gets that id, and reads as if it had been written down with it at once. Apart
 * from RECORD, which would meet a row twice that it renames itself.
 */
const RENAME = `
  UPDATE payments p SET provider_payment_id = t.reference, kind = t.kind, created_at = t.paid_at,
    period_start = t.period_start, period_end = t.period_end, is_trial = t.is_trial
  FROM jsonb_to_recordset($1::jsonb) AS t (reference text, former_reference text, kind text, paid_at timestamptz,
    period_start timestamptz, period_end timestamptz, is_trial boolean)
  WHERE p.provider = $2 AND p.provider_payment_id = t.former_reference AND p.kind <> 'manual' AND p.status = 'pending'
    AND NOT EXISTS (SELECT 1 FROM payments known
      WHERE known.provider = $2 AND known.provider_payment_id = t.reference AND known.kind <> 'manual')`;

const OF_PURCHASE = `SELECT ${PAYMENT_COLUMNS} FROM payments WHERE store_purchase_id = $1 ORDER BY created_at DESC, id DESC`;

const MARK_REFUND_REQUESTED = `
  UPDATE payments SET refund_requested_at = $3
  WHERE provider = $1 AND provider_payment_id = ANY($2) AND kind <> 'manual'
    AND (refund_requested_at IS NULL OR refund_requested_at < $3)`;

/**
 * References that two payments have; and payments that came through, are somebody's and for a tariff, and belong to no subscription. A product
 * without a tariff has none, and neither has a sandbox's that is not to count.
 */
const VIOLATIONS = `
  SELECT (SELECT count(*) FROM (
      SELECT 1 FROM payments WHERE kind <> 'manual' AND provider_payment_id IS NOT NULL
      GROUP BY provider, provider_payment_id HAVING count(*) > 1) AS doubled)::int
    + (SELECT count(*) FROM payments
      WHERE kind <> 'manual' AND status = 'completed' AND tariff_id IS NOT NULL AND subscription_id IS NULL
        AND user_id IS NOT NULL AND NOT is_test)::int AS total`;

@Injectable()
export class StoreLedgerRepository {
  constructor(private readonly uow: UnitOfWork) {}

  async record(
    userId: number | null,
    purchase: PaidPurchase,
    subscriptionId: number | null,
    payments: readonly StorePayment[],
  ): Promise<void> {
    this.uow.assertOpen();
    const { id, provider, isTest } = purchase;
    const booked = await this.booked(purchase, payments);
    const rows = JSON.stringify(payments.map((payment) => toRow(payment, purchase, booked)));
    if (payments.some(({ formerReference }) => formerReference !== null)) {
      await this.uow.manager.query(RENAME, [rows, provider]);
    }
    await this.uow.manager.query(RECORD, [rows, provider, userId, subscriptionId, isTest, id]);
  }

  /** The payments of a purchase, the newest first. */
  async ofPurchase(purchaseId: number, limit?: number): Promise<readonly LedgerEntry[]> {
    const text = limit === undefined ? OF_PURCHASE : `${OF_PURCHASE} LIMIT ${limit}`;
    return (await this.uow.manager.query<PaymentRow[]>(text, [purchaseId])).map(toPayment);
  }

  /** How many payments of the stores are as they must never be. */
  async violations(): Promise<number> {
    const [row] = await this.uow.manager.query<{ total: number }[]>(VIOLATIONS);
    return row?.total ?? 0;
  }

  async markRefundRequested(
    store: Pick<PaidPurchase, 'provider' | 'environment'>,
    references: readonly string[],
    at: Date,
  ): Promise<void> {
    const stored = references.map((reference) => storedReference(store, reference));
    await this.uow.manager.query(MARK_REFUND_REQUESTED, [store.provider, stored, at]);
  }

  /** Of payments that a store has several ids for: the id that each is written down under, by its reference. */
  private async booked(
    purchase: PaidPurchase,
    payments: readonly StorePayment[],
  ): Promise<ReadonlyMap<string, string>> {
    const several = payments.filter(({ otherReferences = [] }) => otherReferences.length > 0);
    if (several.length === 0) return new Map();
    const ids = several.flatMap(({ reference, otherReferences = [] }) => [reference, ...otherReferences]);
    const rows = await this.uow.manager.query<{ reference: string }[]>(
      `SELECT provider_payment_id AS reference FROM payments
       WHERE provider = $1 AND provider_payment_id = ANY($2) AND kind <> 'manual'`,
      [purchase.provider, ids.map((reference) => storedReference(purchase, reference))],
    );
    const known = new Set(rows.map(({ reference }) => reference));
    return new Map(
      several.flatMap(({ reference, otherReferences = [] }) => {
        const found = [reference, ...otherReferences].find((one) => known.has(storedReference(purchase, one)));
        return found === undefined ? [] : [[reference, found] as const];
      }),
    );
  }
}

function toRow(payment: StorePayment, purchase: PaidPurchase, booked: ReadonlyMap<string, string>): object {
  const stored = (reference: string): string => storedReference(purchase, booked.get(reference) ?? reference);
  const superseding = payment.supersededByReference;
  const { refund: said, status, amount, paidAt } = payment;
  const refund = said ?? (status === 'refunded' ? { amount, at: paidAt, reason: null } : null);
  return {
    reference: stored(payment.reference),
    former_reference: payment.formerReference,
    kind: payment.kind,
    amount,
    currency: payment.currency,
    status,
    paid_at: paidAt,
    period_start: payment.periodStart,
    period_end: payment.periodEnd,
    product_id: payment.productId,
    tariff_id: payment.tariffId,
    is_trial: payment.isTrial,
    is_estimated: payment.isEstimated,
    country: payment.country,
    refunded_amount: refund?.amount ?? null,
    refunded_at: refund?.at ?? null,
    refund_reason: refund?.reason?.slice(0, 64) ?? null,
    superseded_by_reference: superseding === null ? null : stored(superseding),
  };
}
