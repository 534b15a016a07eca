import { type Purchase, STORE_EVENT_STATUSES, type StoreEvent, type StoreEventStatus } from '#iap';
import { SUBSCRIPTION_STATES } from '#subscriptions';
import { GivenId, GivenChoice, GivenQueryId, GivenText } from '../http/given.decorator.js';
import { ListQuery } from '../http/listing.js';
import { ShownBoolean, ShownChoice, ShownId, ShownInstant, ShownInteger, ShownText } from '../http/shown.decorator.js';

const PROVIDERS = ['apple', 'google'] as const;
const ENVIRONMENTS = ['production', 'sandbox'] as const;

export class PurchaseListQuery extends ListQuery {
  @GivenQueryId({ optional: true, description: "One user's" })
  user_id?: number;

  @GivenChoice('PurchaseFilter', ['all', 'unclaimed'], { optional: true, default: 'all' })
  only?: 'all' | 'unclaimed';
}

export class StoreEventListQuery extends ListQuery {
  @GivenChoice('StoreEventStatus', STORE_EVENT_STATUSES, { optional: true })
  status?: StoreEventStatus;

  @GivenQueryId({ optional: true, description: 'Of one purchase' })
  purchase_id?: number;
}

export class TransferIn {
  @GivenId({ description: 'Who gets the purchase' })
  user_id: number;

  @GivenText({ min: 3, max: 500, description: 'Why, for the audit log', example: 'The customer lost the old account' })
  reason: string;
}

export class PurchaseOut {
  @ShownId()
  id: number;

  @ShownChoice('StoreProvider', PROVIDERS)
  provider: string;

  @ShownChoice('StoreEnvironment', ENVIRONMENTS)
  environment: string;

  @ShownText({
    description: "Apple's original transaction id; of Play's token the first 8 digits of its SHA-256",
    example: '2000000123456789',
  })
  reference: string;

  @ShownId({ nullable: true, description: 'Null = nobody has claimed it' })
  user_id: number | null;

  @ShownText({
    nullable: true,
    description: 'How it came to its owner: token, claim, link, admin, transfer',
    example: 'claim',
  })
  bound_by: string | null;

  @ShownChoice('SubscriptionState', SUBSCRIPTION_STATES, { example: 'active' })
  state: string;

  @ShownId({ nullable: true, description: 'Null = its product belongs to no tariff' })
  tariff_id: number | null;

  @ShownText({ nullable: true, example: 'com.example.vpn.monthly' })
  product_id: string | null;

  @ShownInstant({ nullable: true, description: 'Null = for life, or nothing is known yet' })
  access_until: string | null;

  @ShownBoolean()
  auto_renewing: boolean;

  @ShownBoolean({ example: false })
  is_test: boolean;

  @ShownInstant()
  created_at: string;

  static from(purchase: Purchase): PurchaseOut {
    return {
      id: purchase.id,
      provider: purchase.provider,
      environment: purchase.environment,
      reference: purchase.reference,
      user_id: purchase.userId,
      bound_by: purchase.boundBy,
      state: purchase.state,
      tariff_id: purchase.tariffId,
      product_id: purchase.productId,
      access_until: purchase.accessUntil?.toISOString() ?? null,
      auto_renewing: purchase.autoRenewing,
      is_test: purchase.isTest,
      created_at: purchase.createdAt.toISOString(),
    };
  }
}

export class StoreEventOut {
  @ShownId()
  id: number;

  @ShownChoice('StoreProvider', PROVIDERS)
  provider: string;

  @ShownText({ description: "The store's own id of it", example: '9ad56bd2-0bc6-42e0-af24-fd996d87a1e6' })
  event_id: string;

  @ShownText({ example: 'DID_RENEW' })
  type: string;

  @ShownText({ nullable: true, example: 'BILLING_RECOVERY' })
  subtype: string | null;

  @ShownText({ nullable: true, description: 'production or sandbox', example: 'production' })
  environment: string | null;

  @ShownChoice('StoreEventStatus', STORE_EVENT_STATUSES)
  status: string;

  @ShownInteger({ example: 1 })
  attempts: number;

  @ShownText({ nullable: true, description: 'The code of what went wrong last', example: null })
  error: string | null;

  @ShownId({ nullable: true })
  purchase_id: number | null;

  @ShownInstant()
  event_at: string;

  @ShownInstant()
  received_at: string;

  @ShownInstant({ nullable: true })
  next_try_at: string | null;

  static from(event: StoreEvent): StoreEventOut {
    return {
      id: event.id,
      provider: event.provider,
      event_id: event.eventId,
      type: event.type,
      subtype: event.subtype,
      environment: event.environment,
      status: event.status,
      attempts: event.attempts,
      error: event.error,
      purchase_id: event.purchaseId,
      event_at: event.eventAt.toISOString(),
      received_at: event.receivedAt.toISOString(),
      next_try_at: event.nextTryAt?.toISOString() ?? null,
    };
  }
}
