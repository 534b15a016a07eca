import { Injectable } from '@nestjs/common';
import { DomainError, type Listing, type Money, type Page } from '#kernel';
import { PreparedQueries, refuseOn, UnitOfWork } from '#platform';
import { PaymentEntity } from './payment.entity.js';
import { type Payment, type PaymentKind, type PaymentStatus } from './payment.js';

export type NewPayment = Omit<Payment, 'id'>;
export type PaymentChange = Partial<
  Pick<PaymentEntity, 'amount' | 'currency' | 'provider' | 'status' | 'subscriptionId' | 'periodStart' | 'periodEnd'>
>;

const REFUSALS = { payments_manual_reference: 'payment_already_recorded' } as const;

const COLUMNS = `id, user_id, amount, currency, status, kind, provider, provider_payment_id, tariff_id, created_at`;
const OF_USER = {
  name: 'payments_of_user',
  text: `SELECT ${COLUMNS} FROM payments WHERE user_id = $1 ORDER BY id LIMIT $2 OFFSET $3`,
};
const OF_ALL = { name: 'payments_of_all', text: `SELECT ${COLUMNS} FROM payments ORDER BY id LIMIT $1 OFFSET $2` };
const COUNT_OF_USER = {
  name: 'payment_count_of_user',
  text: 'SELECT count(*)::int AS total FROM payments WHERE user_id = $1',
};
const COUNT_OF_ALL = { name: 'payment_count_of_all', text: 'SELECT count(*)::int AS total FROM payments' };

interface Row {
  id: number;
  user_id: number;
  amount: Money;
  currency: string;
  status: PaymentStatus;
  kind: PaymentKind;
  provider: string | null;
  provider_payment_id: string | null;
  tariff_id: number | null;
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
    const row = rows.create(payment);
    await refuseOn(REFUSALS, () => rows.insert(row));
    return row;
  }

  /** @throws DomainError payment_not_found */
  async get(id: number): Promise<Payment> {
    const payment = await this.uow.repository(PaymentEntity).findOneBy({ id });
    if (payment === null) throw new DomainError('payment_not_found');
    return payment;
  }

  /** Locks the row until the transaction ends. @throws DomainError payment_not_found */
  async lock(id: number): Promise<Payment> {
    this.uow.assertOpen();
    const payment = await this.uow
      .repository(PaymentEntity)
      .findOne({ where: { id }, lock: { mode: 'pessimistic_write' } });
    if (payment === null) throw new DomainError('payment_not_found');
    return payment;
  }

  /** @throws DomainError payment_already_recorded */
  async update(id: number, change: PaymentChange): Promise<void> {
    if (Object.keys(change).length === 0) return;
    await refuseOn(REFUSALS, () => this.uow.repository(PaymentEntity).update({ id }, change));
  }

  async delete(id: number): Promise<void> {
    await this.uow.repository(PaymentEntity).delete({ id });
  }

  /** A page of one user's payments, or of everybody's. */
  async list(userId: number | null, page: Page): Promise<Listing<Payment>> {
    const { items, total } =
      userId === null
        ? await this.queries.page<Row>(OF_ALL, COUNT_OF_ALL, [], page)
        : await this.queries.page<Row>(OF_USER, COUNT_OF_USER, [userId], page);
    return { items: items.map(toPayment), total };
  }
}

function toPayment(row: Row): Payment {
  return {
    id: row.id,
    userId: row.user_id,
    amount: row.amount,
    currency: row.currency,
    status: row.status,
    kind: row.kind,
    provider: row.provider,
    providerPaymentId: row.provider_payment_id,
    tariffId: row.tariff_id,
    createdAt: row.created_at,
  };
}
