import {
  type Payment,
  PAYMENT_KINDS,
  PAYMENT_STATUSES,
  type PaymentCorrection,
  type PaymentDraft,
  type PaymentStatus,
} from '#payments';
import { GivenChoice, GivenCurrency, GivenId, GivenMoney, GivenText } from '../http/given.decorator.js';
import { ShownBoolean, ShownChoice, ShownId, ShownInstant, ShownMoney, ShownText } from '../http/shown.decorator.js';

/** Stores charge to the millionth. */
export const LEDGER_DIGITS = 6;

export class PaymentIn {
  @GivenMoney({ description: 'With a tariff_id the price of the tariff counts instead' })
  amount: string;

  @GivenCurrency({ optional: true, default: 'USD' })
  currency?: string | null;

  @GivenText({ min: 1, max: 32, optional: true, example: 'bank' })
  provider?: string | null;

  @GivenId({ optional: true, description: 'Whose payment; the caller by default. Others only by an administrator' })
  user_id?: number | null;

  @GivenId({ optional: true, description: 'What is paid for', example: 3 })
  tariff_id?: number | null;

  @GivenText({ min: 1, max: 255, optional: true, example: 'INV-2026-0042' })
  provider_payment_id?: string | null;

  @GivenChoice('PaymentStatus', PAYMENT_STATUSES, {
    optional: true,
    default: 'pending',
    description: 'Heeded from an administrator only',
  })
  status?: PaymentStatus | null;

  static toDraft(body: PaymentIn): PaymentDraft {
    return {
      amount: body.amount,
      currency: body.currency ?? 'USD',
      provider: body.provider ?? null,
      providerPaymentId: body.provider_payment_id ?? null,
      tariffId: body.tariff_id ?? null,
      status: body.status ?? undefined,
    };
  }
}

/** What is left out, or null, stays as it is. */
export class PaymentChangeIn {
  @GivenMoney({ optional: true, description: 'Of a payment with a tariff: heeded from an administrator only' })
  amount?: string | null;

  @GivenCurrency({ optional: true })
  currency?: string | null;

  @GivenText({ min: 1, max: 32, optional: true, example: 'bank' })
  provider?: string | null;

  @GivenChoice('PaymentStatus', PAYMENT_STATUSES, { optional: true, description: 'Only by an administrator' })
  status?: PaymentStatus | null;

  static toCorrection(body: PaymentChangeIn): PaymentCorrection {
    return {
      amount: body.amount ?? undefined,
      currency: body.currency ?? undefined,
      provider: body.provider ?? undefined,
      status: body.status ?? undefined,
    };
  }
}

export class PaymentOut {
  @ShownId({ example: 31 })
  id: number;

  @ShownId()
  user_id: number;

  @ShownMoney({ digits: LEDGER_DIGITS })
  amount: string;

  @ShownText({ example: 'USD' })
  currency: string;

  @ShownChoice('PaymentStatus', PAYMENT_STATUSES)
  status: string;

  @ShownText({ nullable: true, example: 'bank' })
  provider: string | null;

  @ShownText({ nullable: true, example: 'INV-2026-0042' })
  provider_payment_id: string | null;

  @ShownId({ nullable: true, example: 3 })
  tariff_id: number | null;

  @ShownChoice('PaymentKind', PAYMENT_KINDS, { description: "`manual` is made by hand; all others are a store's" })
  kind: string;

  @ShownMoney({
    digits: LEDGER_DIGITS,
    nullable: true,
    description: 'A store may give back a part and leave it completed',
  })
  refunded_amount: string | null;

  @ShownInstant({ nullable: true })
  refunded_at: string | null;

  @ShownBoolean({ example: false, description: 'From a sandbox: no money moved' })
  is_test: boolean;

  @ShownInstant()
  created_at: string;

  static from(payment: Payment): PaymentOut {
    return {
      id: payment.id,
      user_id: payment.userId,
      amount: payment.amount,
      currency: payment.currency,
      status: payment.status,
      provider: payment.provider,
      provider_payment_id: payment.providerPaymentId,
      tariff_id: payment.tariffId,
      kind: payment.kind,
      refunded_amount: payment.refundedAmount,
      refunded_at: payment.refundedAt?.toISOString() ?? null,
      is_test: payment.isTest,
      created_at: payment.createdAt.toISOString(),
    };
  }
}
