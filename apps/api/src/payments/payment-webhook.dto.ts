import {
  PAYMENT_EVENT_STATUSES,
  PAYMENT_STATUSES,
  type PaymentEvent,
  type PaymentEventStatus,
  type PaymentNews,
} from '#payments';
import { GivenChoice, GivenCurrency, GivenMoney, GivenText } from '../http/given.decorator.js';
import { ShownChoice, ShownId, ShownText } from '../http/shown.decorator.js';

/** What a provider says of a payment. */
export class PaymentEventIn {
  @GivenText({
    min: 1,
    max: 255,
    example: 'evt_0001',
    description: 'Once each; a repetition is answered as the first was',
  })
  event_id: string;

  @GivenText({ min: 1, max: 255, example: 'INV-2026-0042' })
  provider_payment_id: string;

  @GivenChoice('PaymentEventStatus', PAYMENT_EVENT_STATUSES)
  status: PaymentEventStatus;

  @GivenMoney({ optional: true, description: 'Where it is given, it must be what was written down' })
  amount?: string | null;

  @GivenCurrency({ optional: true, description: 'Where it is given, it must be what was written down' })
  currency?: string | null;

  static toNews(provider: string, body: PaymentEventIn): PaymentNews {
    return {
      provider,
      eventId: body.event_id,
      providerPaymentId: body.provider_payment_id,
      status: body.status,
      amount: body.amount ?? null,
      currency: body.currency ?? null,
    };
  }
}

export class PaymentEventOut {
  @ShownText({ example: 'evt_0001' })
  event_id: string;

  @ShownId({ example: 31 })
  payment_id: number;

  @ShownChoice('PaymentStatus', PAYMENT_STATUSES, { description: 'What the payment was after it' })
  status: string;

  static from({ eventId, paymentId, outcome }: PaymentEvent): PaymentEventOut {
    return { event_id: eventId, payment_id: paymentId, status: outcome };
  }
}
