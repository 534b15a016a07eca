import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '#platform';
import { PaymentEventEntity } from './payment-event.entity.js';
import { type PaymentEvent } from './payment-event.js';

const INSERT = `
  INSERT INTO payment_events
    (provider, event_id, payment_id, provider_payment_id, status, amount, currency, outcome, received_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
  ON CONFLICT (provider, event_id) DO NOTHING
  RETURNING event_id`;

@Injectable()
export class PaymentEventsRepository {
  constructor(private readonly uow: UnitOfWork) {}

  /** Null when it was not taken in yet. */
  find(provider: string, eventId: string): Promise<PaymentEvent | null> {
    return this.uow.repository(PaymentEventEntity).findOneBy({ provider, eventId });
  }

  /** Keeps an event; false when it is kept already. One that is being taken in by somebody else is waited for. */
  async insert(event: PaymentEvent): Promise<boolean> {
    this.uow.assertOpen();
    const kept = await this.uow.manager.query<{ event_id: string }[]>(INSERT, [
      event.provider,
      event.eventId,
      event.paymentId,
      event.providerPaymentId,
      event.status,
      event.amount,
      event.currency,
      event.outcome,
      event.receivedAt,
    ]);
    return kept.length > 0;
  }
}
