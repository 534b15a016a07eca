import { Injectable } from '@nestjs/common';
import { DomainError, type Listing, type Page, storedMoney } from '#kernel';
import { PreparedQueries, refusing, UnitOfWork } from '#platform';
import { PaymentEntity } from './payment.entity.js';
import { isOwned, type LedgerEntry, type Payment, type PaymentKind, type PaymentStatus } from './payment.js';
import { shownReference } from './store-reference.rules.js';

export type NewPayment = Pick<
  Payment,
  'userId' | 'amount' | 'currency' | 'status' | 'kind' | 'provider' | 'providerPaymentId' | 'tariffId' | 'createdAt'
>;
export type PaymentChange = Partial<Omit<Payment, 'id' | 'userId' | 'kind' | 'createdAt'>>;

/** What a payment is before anything followed from it. */
const BOUGHT_NOTHING = {
  subscriptionId: null,
  periodStart: null,
  periodEnd: null,
  refundedAmount: null,
  refundedAt: null,
  isTest: false,
} as const;

export const PAYMENT_COLUMNS = `id, user_id, amount, currency, status, kind, provider, provider_payment_id, tariff_id,
  subscription_id, period_start, period_end, refunded_amount, refunded_at, is_test, created_at`;
const OF_USER = {
  name: 'payments_of_user',
  text: `SELECT ${PAYMENT_COLUMNS} FROM payments WHERE user_id = $1 ORDER BY id LIMIT $2 OFFSET $3`,
};
const OF_ALL = {
  name: 'payments_of_all',
  text: `SELECT ${PAYMENT_COLUMNS} FROM payments WHERE user_id IS NOT NULL ORDER BY id LIMIT $1 OFFSET $2`,
};
/**
 * One more payment for what was for life already bought nothing: its period is empty. When the one that did is given back, the
 * oldest of the others takes its place.
 */
const PASS_ON_LIFETIME = `
  UPDATE payments SET period_start = $2, period_end = NULL
  WHERE id = (
    SELECT min(id) FROM payments
    WHERE subscription_id = $1 AND status = 'completed' AND period_end = period_start)
  RETURNING id`;
/** Periods of the same subscription that begin where another ended, or later, begin earlier now. What bought nothing has none. */
const MOVE_FORWARD = `
  UPDATE payments SET period_start = period_start - make_interval(secs => $3::float8 / 1000),
    period_end = period_end - make_interval(secs => $3::float8 / 1000)
  WHERE subscription_id = $1 AND status = 'completed' AND period_start >= $2 AND period_end IS DISTINCT FROM period_start`;
const COUNT_OF_USER = {
  name: 'payment_count_of_user',
  text: 'SELECT count(*)::int AS total FROM payments WHERE user_id = $1',
};
const COUNT_OF_ALL = {
  name: 'payment_count_of_all',
  text: 'SELECT count(*)::int AS total FROM payments WHERE user_id IS NOT NULL',
};

export interface PaymentRow {
  id: number;
  user_id: number | null;
  amount: string;
  currency: string;
  status: PaymentStatus;
  kind: PaymentKind;
  provider: string | null;
  provider_payment_id: string | null;
  tariff_id: number | null;
  subscription_id: number | null;
  period_start: Date | null;
  period_end: Date | null;
  refunded_amount: string | null;
  refunded_at: Date | null;
  is_test: boolean;
  created_at: Date;
}

@Injectable()
export class PaymentsRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly queries: PreparedQueries,
  ) {}

  /** @throws DomainError payment_already_recorded */
  async insert(payment: NewPayment): Promise<Payment> {
    const rows = this.uow.repository(PaymentEntity);
    const row = rows.create({ ...BOUGHT_NOTHING, ...payment });
    await refusing(() => rows.insert(row));
    return owned(row);
  }

  /** A payment that is somebody's. @throws DomainError payment_not_found */
  async get(id: number): Promise<Payment> {
    return owned(await this.uow.repository(PaymentEntity).findOneBy({ id }));
  }

  /** Locks the row until the transaction ends. @throws DomainError payment_not_found */
  async lock(id: number): Promise<Payment> {
    this.uow.assertOpen();
    const rows = this.uow.repository(PaymentEntity);
    return owned(await rows.findOne({ where: { id }, lock: { mode: 'pessimistic_write' } }));
  }

  /** The payment made by hand that a provider knows by this id; null when nobody has written it down. */
  async findManual(provider: string, providerPaymentId: string): Promise<Payment | null> {
    const found = await this.uow.repository(PaymentEntity).findOneBy({ provider, providerPaymentId, kind: 'manual' });
    return found === null ? null : owned(found);
  }

  /**
   * Lets a subscription that is for life from an instant on rest on another payment for it, as if that one had bought it; false when
   * there is none.
   */
  async passOnLifetime(subscriptionId: number, from: Date): Promise<boolean> {
    const [passed] = await this.uow.manager.query<[{ id: number }[], number]>(PASS_ON_LIFETIME, [subscriptionId, from]);
    return passed.length > 0;
  }

  /** Moves the periods that follow one of a subscription, from an instant on, forward by some milliseconds. */
  async moveForward(subscriptionId: number, from: Date, ms: number): Promise<void> {
    await this.uow.manager.query(MOVE_FORWARD, [subscriptionId, from, ms]);
  }

  /** @throws DomainError payment_already_recorded */
  async update(id: number, change: PaymentChange): Promise<void> {
    if (Object.keys(change).length === 0) return;
    await refusing(() => this.uow.repository(PaymentEntity).update({ id }, change));
  }

  async delete(id: number): Promise<void> {
    await this.uow.repository(PaymentEntity).delete({ id });
  }

  /** A page of one user's payments, or of everybody's. */
  async list(userId: number | null, page: Page): Promise<Listing<Payment>> {
    const { items, total } =
      userId === null
        ? await this.queries.page<PaymentRow>(OF_ALL, COUNT_OF_ALL, [], page)
        : await this.queries.page<PaymentRow>(OF_USER, COUNT_OF_USER, [userId], page);
    return { items: items.map((row) => owned(toPayment(row))), total };
  }
}

/** What nobody has claimed is nobody's to see: the revenue counts it, and `cli stores unclaimed` lists its purchase. */
function owned(entry: LedgerEntry | null): Payment {
  if (entry === null || !isOwned(entry)) throw new DomainError('payment_not_found');
  return { ...entry, providerPaymentId: shownReference(entry.kind, entry.providerPaymentId) };
}

export function toPayment(row: PaymentRow): LedgerEntry {
  return {
    id: row.id,
    userId: row.user_id,
    amount: storedMoney(row.amount),
    currency: row.currency,
    status: row.status,
    kind: row.kind,
    provider: row.provider,
    providerPaymentId: shownReference(row.kind, row.provider_payment_id),
    tariffId: row.tariff_id,
    subscriptionId: row.subscription_id,
    periodStart: row.period_start,
    periodEnd: row.period_end,
    refundedAmount: row.refunded_amount === null ? null : storedMoney(row.refunded_amount),
    refundedAt: row.refunded_at,
    isTest: row.is_test,
    createdAt: row.created_at,
  };
}
