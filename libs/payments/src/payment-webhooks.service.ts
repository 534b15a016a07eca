import { Injectable } from '@nestjs/common';
import { Clock, DomainError } from '#kernel';
import { UnitOfWork } from '#platform';
import { Users } from '#auth';
import { PaymentEventsRepository } from './payment-events.repository.js';
import { type PaymentEvent, type PaymentNews } from './payment-event.js';
import { assertSameMoney, assertSameNews, statusAfter } from './payment.rules.js';
import { PaymentsRepository } from './payments.repository.js';
import { Settlement } from './settlement.service.js';

/** What providers other than the stores tell of payments that were written down by hand. */
@Injectable()
export class PaymentWebhooks {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly events: PaymentEventsRepository,
    private readonly payments: PaymentsRepository,
    private readonly settlement: Settlement,
    private readonly users: Users,
    private readonly clock: Clock,
  ) {}

  /**
   * Moves the payment that a provider's news is of, once for each of its events; a repetition is answered as the first was. News
   * that is refused is not kept, so that the provider's next try is looked at afresh. Whether the provider said it at all was
   * settled before (`WebhookSignatures`).
   * @throws DomainError payment_not_found | payment_amount_differs | webhook_event_reused
   */
  receive(news: PaymentNews): Promise<PaymentEvent> {
    return this.uow.run(async () => {
      const known = await this.events.find(news.provider, news.eventId);
      return known === null ? this.takeIn(news) : repeated(known, news);
    });
  }

  private async takeIn(news: PaymentNews): Promise<PaymentEvent> {
    const found = await this.payments.findManual(news.provider, news.providerPaymentId);
    if (found === null) throw new DomainError('payment_not_found');
    await this.users.lock(found.userId); // first the user, then what he has: everybody locks in this order
    const payment = await this.payments.lock(found.id);
    if (payment.provider !== news.provider) throw new DomainError('payment_not_found'); // corrected in the meantime
    assertSameMoney(news, payment);
    const outcome = statusAfter(payment.status, news.status);
    const event = { ...news, paymentId: payment.id, outcome, receivedAt: this.clock.now() };
    if (!(await this.events.insert(event))) return this.overtaken(news);
    if (outcome !== payment.status) await this.settlement.settle(payment, outcome);
    return event;
  }

  /** The same event was taken in while we waited for the payment. */
  private async overtaken(news: PaymentNews): Promise<PaymentEvent> {
    const known = await this.events.find(news.provider, news.eventId);
    if (known === null) throw new Error('A payment event is kept, and cannot be read');
    return repeated(known, news);
  }
}

/** @throws DomainError webhook_event_reused */
function repeated(known: PaymentEvent, news: PaymentNews): PaymentEvent {
  assertSameNews(known, news);
  return known;
}
