import { DomainError, invalidField } from '#kernel';
import { type Receipt, type Redemption, REDEMPTION_STATUSES } from '#iap';
import { type Allowance } from '#peers';
import { shownEnd } from '#subscriptions';
import { SubscriptionOut } from '../auth/auth.dto.js';
import { GivenText } from '../http/given.decorator.js';
import { ShownBoolean, ShownChoice, ShownId, ShownInstant, ShownObject, ShownText } from '../http/shown.decorator.js';
import { PaymentOut } from './payment.dto.js';

/** What the app and its guides call the stores, in any case. */
const PROVIDERS: ReadonlyMap<string, Receipt['provider']> = new Map([
  ['apple', 'apple'],
  ['app_store', 'apple'],
  ['appstore', 'apple'],
  ['ios', 'apple'],
  ['google', 'google'],
  ['google_play', 'google'],
  ['android', 'google'],
  ['play', 'google'],
]);

export class IapVerifyIn {
  @GivenText({
    min: 1,
    max: 1_048_576,
    description: 'A signed transaction of StoreKit 2, a purchase token of Play, or what the app has of either',
    example: '2000000123456789',
  })
  receipt: string;

  @GivenText({
    min: 1,
    max: 32,
    description: 'apple, app_store, appstore, ios, google, google_play, android or play, in any case',
    example: 'app_store',
  })
  provider: string;

  @GivenText({ min: 1, max: 255, optional: true, example: 'com.example.vpn' })
  package_name?: string | null;

  @GivenText({ min: 1, max: 255, optional: true, description: 'A hint', example: 'com.example.vpn.monthly' })
  product_id?: string | null;

  @GivenText({ min: 1, max: 2048, optional: true, description: "Play's, where the receipt is something else" })
  purchase_token?: string | null;

  @GivenText({ min: 1, max: 64, optional: true, description: 'A hint' })
  transaction_id?: string | null;

  /** @throws DomainError validation_error for a provider that is none */
  static toReceipt(body: IapVerifyIn): Receipt {
    const provider = PROVIDERS.get(body.provider.trim().toLowerCase());
    if (provider === undefined) throw invalidField(['body', 'provider'], 'provider is not a store', 'type_error.enum');
    return {
      provider,
      receipt: body.receipt,
      packageName: body.package_name ?? undefined,
      productId: body.product_id ?? undefined,
      purchaseToken: body.purchase_token ?? undefined,
      transactionId: body.transaction_id ?? undefined,
    };
  }
}

export class IapVerifyOut {
  @ShownBoolean({ description: 'Whether the purchase grants access now' })
  valid: boolean;

  @ShownChoice('IapStatus', REDEMPTION_STATUSES)
  status: string;

  @ShownId()
  user_id: number;

  @ShownId({ nullable: true, example: 31 })
  payment_id: number | null;

  @ShownText({ example: 'subscription_active' })
  message: string;

  @ShownId({ nullable: true, example: 12 })
  subscription_id: number | null;

  @ShownInstant({
    nullable: true,
    description: '`ended_at` of the subscription. Null = for life, or there is no subscription',
  })
  expires_at: string | null;

  @ShownBoolean({ description: 'Another purchase gives access at the same time', example: false })
  duplicate_subscription: boolean;

  @ShownObject(() => PaymentOut, { nullable: true })
  payment: PaymentOut | null;

  @ShownObject(() => SubscriptionOut, { nullable: true })
  subscription: SubscriptionOut | null;

  static from(redemption: Redemption, userId: number, now: Date, allowance: Allowance | null): IapVerifyOut {
    const { payment, subscription, status } = redemption;
    return {
      valid: redemption.isValid,
      status,
      user_id: userId,
      payment_id: payment?.id ?? null,
      message: subscription === null ? `purchase_${status}` : `subscription_${redemption.isValid ? 'active' : status}`,
      subscription_id: subscription?.id ?? null,
      expires_at: subscription === null ? null : (shownEnd(subscription, now)?.toISOString() ?? null),
      duplicate_subscription: redemption.isDuplicate,
      payment: payment === null ? null : PaymentOut.from(payment),
      subscription: subscription === null ? null : SubscriptionOut.from(subscription, now, allowance),
    };
  }
}

/** `POST /payments/webhook/app_store`: App Store Server Notifications, version 2. */
export class AppleNotificationIn {
  @GivenText({ min: 1, max: 262_144, description: 'The JWS that Apple signed' })
  signedPayload: string;

  /** What stands in a body of this form. @throws DomainError receipt_malformed for one of another form */
  static signedPayloadOf(body: unknown): string {
    const isNotification = typeof body === 'object' && body !== null && 'signedPayload' in body;
    if (!isNotification || typeof body.signedPayload !== 'string') throw new DomainError('receipt_malformed');
    return body.signedPayload;
  }
}

export class StoreWebhookOut {
  @ShownText({ example: 'ok' })
  status: string;
}
