import { Injectable } from '@nestjs/common';
import { Clock } from '#kernel';
import { Subscriptions } from '#subscriptions';
import { type Payment, type PaymentStatus } from './payment.js';
import { PaymentsRepository } from './payments.repository.js';

/** What follows when money comes or goes: access is given with it, and taken with it. */
@Injectable()
export class Settlement {
  constructor(
    private readonly repository: PaymentsRepository,
    private readonly subscriptions: Subscriptions,
    private readonly clock: Clock,
  ) {}

  /**
   * Gives a payment made by hand its next status. The caller has locked its owner and the payment, and decided that it may have
   * it: that is what makes a payment be granted once.
   */
  async settle(payment: Payment, status: PaymentStatus): Promise<void> {
    if (status === 'completed') await this.complete(payment);
    else if (status === 'refunded') await this.refund(payment);
    else await this.repository.update(payment.id, { status });
  }

  private async complete({ id, userId, tariffId }: Payment): Promise<void> {
    const bought = tariffId === null ? undefined : await this.subscriptions.grantPaid(userId, tariffId);
    await this.repository.update(id, {
      status: 'completed',
      ...(bought === undefined
        ? {}
        : { subscriptionId: bought.subscriptionId, periodStart: bought.startedAt, periodEnd: bought.endedAt }),
    });
  }

  private async refund(payment: Payment): Promise<void> {
    const { id, userId, amount, subscriptionId, periodStart, periodEnd } = payment;
    await this.repository.update(id, { status: 'refunded', refundedAmount: amount, refundedAt: this.clock.now() });
    if (subscriptionId === null || periodStart === null) return;
    const goesOn = periodEnd === null && (await this.repository.passOnLifetime(subscriptionId, periodStart));
    if (goesOn) return;
    const period = { subscriptionId, startedAt: periodStart, endedAt: periodEnd };
    const movedMs = await this.subscriptions.takeBack(userId, period);
    if (movedMs > 0 && periodEnd !== null) await this.repository.moveForward(subscriptionId, periodEnd, movedMs);
  }
}
