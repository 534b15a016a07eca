import { Injectable } from '@nestjs/common';
import { Clock, DomainError, type Listing, type Money, type Page } from '#kernel';
import { Audit, Idempotency, UnitOfWork } from '#platform';
import { actorOf, type Principal, Users } from '#auth';
import { Subscriptions } from '#subscriptions';
import { Tariffs } from '#tariffs';
import { assertMayBecome, isEditable, isRefundable } from './payment.rules.js';
import { type Payment, type PaymentStatus } from './payment.js';
import { type NewPayment, PaymentsRepository } from './payments.repository.js';
import { type Revenue, RevenueRepository } from './revenue.repository.js';
import { Settlement } from './settlement.service.js';

export interface PaymentDraft {
  /** Ignored for a payment with a tariff: then the tariff says what it costs. */
  readonly amount: Money;
  readonly currency: string;
  readonly provider: string | null;
  readonly providerPaymentId: string | null;
  readonly tariffId: number | null;
  /** Heeded from an administrator only; `pending` for anybody else. */
  readonly status: PaymentStatus | undefined;
}

export interface PaymentCorrection {
  readonly amount?: Money | undefined;
  readonly currency?: string | undefined;
  readonly provider?: string | undefined;
  readonly status?: PaymentStatus | undefined;
}

/** The ledger: a payment is written down, completed or failed, and never forgotten. */
@Injectable()
export class Payments {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly repository: PaymentsRepository,
    private readonly users: Users,
    private readonly tariffs: Tariffs,
    private readonly subscriptions: Subscriptions,
    private readonly settlement: Settlement,
    private readonly revenues: RevenueRepository,
    private readonly idempotency: Idempotency,
    private readonly audit: Audit,
    private readonly clock: Clock,
  ) {}

  /**
   * Writes a payment down: for the caller, or for anybody when an administrator does it.
   * @throws DomainError not_allowed | user_not_found | tariff_not_found | payment_already_recorded | payment_status_not_allowed
   */
  async create(by: Principal, userId: number, draft: PaymentDraft): Promise<Payment> {
    const { user } = by;
    if (userId !== user.id && !user.isAdmin) throw new DomainError('not_allowed');
    return this.idempotency.creating(
      () => this.write(by, userId, draft),
      (id) => this.repository.get(id),
    );
  }

  /** @throws DomainError payment_not_found | not_allowed */
  async get(by: Principal, id: number): Promise<Payment> {
    const payment = await this.repository.get(id);
    if (payment.userId !== by.user.id && !by.user.isAdmin) throw new DomainError('not_allowed');
    return payment;
  }

  /** One's own payments; an administrator sees everybody's (`userId` undefined) or one user's. @throws DomainError not_allowed */
  async list(by: Principal, userId: number | undefined, page: Page): Promise<Listing<Payment>> {
    const { user } = by;
    if (user.isAdmin) return this.repository.list(userId ?? null, page);
    if (userId !== undefined && userId !== user.id) throw new DomainError('not_allowed');
    return this.repository.list(user.id, page);
  }

  /** What came in and went back by currency, from an instant to before another; null = without that limit. */
  revenue(from: Date | null, to: Date | null): Promise<readonly Revenue[]> {
    return this.revenues.between(from, to);
  }

  /**
   * Corrects a payment made by hand while it is pending. Only an administrator moves its status; completing it starts, or
   * prolongs, the subscription it pays for, once. He may also say that a completed one was given back: then the time it bought
   * is cut off.
   * @throws DomainError payment_not_found | not_allowed | payment_not_editable | payment_status_not_allowed
   */
  correct(by: Principal, id: number, correction: PaymentCorrection): Promise<Payment> {
    return this.uow.run(async () => {
      const payment = await this.lockEditable(by, id, isRefund(correction));
      const { status, amount, currency, provider } = correction;
      if (status !== undefined && status !== payment.status && !by.user.isAdmin) throw new DomainError('not_allowed');
      const pricedByTariff = payment.tariffId !== null && !by.user.isAdmin;
      await this.repository.update(id, {
        ...(amount === undefined || pricedByTariff ? {} : { amount }),
        ...(currency === undefined || pricedByTariff ? {} : { currency }),
        ...(provider === undefined ? {} : { provider }),
      });
      if (status !== undefined) await this.setStatus(by, payment, status);
      return this.repository.get(id);
    });
  }

  /** @throws DomainError payment_not_found | not_allowed | payment_not_editable */
  async delete(by: Principal, id: number): Promise<void> {
    await this.uow.run(async () => {
      await this.lockEditable(by, id, false);
      await this.repository.delete(id);
    });
  }

  private async write(by: Principal, userId: number, draft: PaymentDraft): Promise<Payment> {
    const { isAdmin, id } = by.user;
    if (userId !== id) await this.users.get(userId);
    const payment: NewPayment = {
      userId,
      ...(await this.priced(draft, isAdmin)),
      status: 'pending',
      kind: 'manual',
      provider: draft.provider,
      providerPaymentId: draft.providerPaymentId,
      tariffId: draft.tariffId,
      createdAt: this.clock.now(),
    };
    const status = isAdmin ? (draft.status ?? 'pending') : 'pending';
    if (status === 'pending') return this.repository.insert(payment);
    return this.uow.run(async () => {
      await this.users.lock(userId);
      const written = await this.repository.insert(payment);
      await this.setStatus(by, written, status);
      return this.repository.get(written.id);
    });
  }

  /** What it costs: as the tariff says where there is one, so that nobody pays a cent for a year. */
  private async priced(draft: PaymentDraft, byAdmin: boolean): Promise<{ amount: Money; currency: string }> {
    if (draft.tariffId === null) return { amount: draft.amount, currency: draft.currency };
    const { price, currency } = await (byAdmin
      ? this.tariffs.get(draft.tariffId)
      : this.subscriptions.takeable(draft.tariffId));
    return { amount: price, currency };
  }

  /** Who may not touch a payment at all is told so; who may, but too late, is told that. */
  private async lockEditable(by: Principal, id: number, refunds: boolean): Promise<Payment> {
    const found = await this.repository.get(id);
    if (found.userId !== by.user.id && !by.user.isAdmin) throw new DomainError('not_allowed');
    await this.users.lock(found.userId); // first the user, then what he has: everybody locks in this order
    const payment = await this.repository.lock(id);
    const allowed = isEditable(payment) || (refunds && by.user.isAdmin && isRefundable(payment));
    if (!allowed) throw new DomainError(by.user.isAdmin ? 'payment_not_editable' : 'not_allowed');
    return payment;
  }

  private async setStatus(by: Principal, payment: Payment, status: PaymentStatus): Promise<void> {
    assertMayBecome(payment.status, status);
    if (payment.status === status) return;
    await this.settlement.settle(payment, status);
    const { id, userId, tariffId } = payment;
    const data = { user_id: userId, tariff_id: tariffId, from: payment.status, to: status };
    await this.audit.record({ ...actorOf(by), action: 'payment_status', target: `payment:${id}`, data });
  }
}

/** Whether a correction says that the money was given back, and nothing else: no other field of a completed payment moves. */
function isRefund({ status, ...others }: PaymentCorrection): boolean {
  return status === 'refunded' && Object.values(others).every((value) => value === undefined);
}
