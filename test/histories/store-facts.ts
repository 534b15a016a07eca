import { DAY_MS } from '#kernel';
import { grantsAccess } from '#subscriptions';
import { type AppleFacts, type AppleRenewal, type AppleTransaction } from '../../libs/iap/src/apple-facts.js';
import {
  type GoogleFacts,
  type GoogleItem,
  type GoogleOrder,
  type GoogleSnapshot,
} from '../../libs/iap/src/google-facts.js';
import { type Catalogue, type ProductTerms, type Standing } from '../../libs/iap/src/purchase.js';

/** What is sold in the tests of purchases, by product or by `product:plan`. */
export const TERMS = {
  monthly: terms({ tariffId: 1, rank: 1, durationDays: 30, price: '9.99' }),
  yearly: terms({ tariffId: 2, rank: 2, durationDays: 365, price: '59.99' }),
  plus: terms({ tariffId: 3, rank: 3, durationDays: 30, price: '19.99' }),
  lifetime: terms({ tariffId: 4, rank: 4, durationDays: 0, price: '199.00', kind: 'lifetime' }),
  pass: terms({ tariffId: 5, rank: 0, durationDays: 30, price: '4.99', kind: 'nonrenewing' }),
  'vpn:yearly': terms({ tariffId: 2, rank: 2, durationDays: 365, price: '59.99' }),
  vpn: terms({ tariffId: 1, rank: 1, durationDays: 30, price: '9.99' }),
} satisfies Record<string, ProductTerms>;

const sold: ReadonlyMap<string, ProductTerms> = new Map(Object.entries(TERMS));

/** As the tariffs do it: the plan's own terms, else the product's, else none. */
export const catalogue: Catalogue = (productId, basePlanId) =>
  (basePlanId === null ? undefined : sold.get(`${productId}:${basePlanId}`)) ?? sold.get(productId) ?? null;

const BEGINNING = Date.UTC(2026, 0, 1);

/** Milliseconds since 1970 of the start of a day, the first of January 2026 being day 0; halves are noons. */
export function onDay(day: number): number {
  return BEGINNING + day * DAY_MS;
}

/** The same as a Date. */
export function day(number: number): Date {
  return new Date(onDay(number));
}

/** A month bought on day 0 for 9.99 USD, signed when it was bought. */
export function appleTransaction(change: Partial<AppleTransaction> = {}): AppleTransaction {
  return {
    transactionId: '2000000000000001',
    originalTransactionId: '2000000000000001',
    environment: 'production',
    signedDate: change.purchaseDate ?? onDay(0),
    purchaseDate: onDay(0),
    originalPurchaseDate: onDay(0),
    expiresDate: onDay(30),
    productId: 'monthly',
    type: 'Auto-Renewable Subscription',
    ownership: 'PURCHASED',
    isUpgraded: false,
    revocationDate: null,
    revocationReason: null,
    revocationType: null,
    revocationPercentage: null,
    price: 9990,
    currency: 'USD',
    offerType: null,
    offerDiscountType: null,
    transactionReason: 'PURCHASE',
    storefront: 'USA',
    appAccountToken: null,
    appTransactionId: null,
    ...change,
  };
}

/** What Apple says of a month that will renew. */
export function appleRenewal(change: Partial<AppleRenewal> = {}): AppleRenewal {
  return {
    originalTransactionId: '2000000000000001',
    environment: 'production',
    signedDate: onDay(0),
    productId: 'monthly',
    autoRenewProductId: 'monthly',
    willRenew: true,
    isInBillingRetry: false,
    gracePeriodExpiresDate: null,
    expirationIntent: null,
    priceIncreaseStatus: null,
    renewalPrice: 9990,
    currency: 'USD',
    appAccountToken: null,
    ...change,
  };
}

export function appleFacts(transactions: readonly AppleTransaction[], renewal: AppleRenewal | null = null): AppleFacts {
  return { provider: 'apple', transactions, renewal };
}

/** A month that renews, paid by the order `GPA.1`. */
export function googleItem(change: Partial<GoogleItem> = {}): GoogleItem {
  return {
    productId: 'vpn',
    basePlanId: 'monthly',
    offerId: null,
    expiryTime: onDay(30),
    orderId: 'GPA.1',
    autoRenews: true,
    phase: 'base',
    price: { amount: '9.99', currency: 'USD' },
    replacementProductId: null,
    ...change,
  };
}

/** What Play says of a subscription that was bought on day 0. */
export function googleSnapshot(change: Partial<GoogleSnapshot> = {}): GoogleSnapshot {
  return {
    seq: 1,
    kind: 'subscription',
    state: 'ACTIVE',
    startTime: onDay(0),
    items: [googleItem()],
    linkedKey: null,
    isAcknowledged: true,
    accountToken: null,
    isTest: false,
    cancelTime: null,
    autoResumeTime: null,
    regionCode: 'US',
    ...change,
  };
}

/** 9.99 USD for a month, paid on day 0. */
export function googleOrder(change: Partial<GoogleOrder> = {}): GoogleOrder {
  return {
    orderId: 'GPA.1',
    seq: 1,
    state: 'PROCESSED',
    total: { amount: '9.99', currency: 'USD' },
    refunded: null,
    createTime: onDay(0),
    productId: 'vpn',
    basePlanId: 'monthly',
    expiryTime: onDay(30),
    phase: 'base',
    price: { amount: '9.99', currency: 'USD' },
    ...change,
  };
}

/** A token of Play's, with its first answer and the order that paid for it. */
export function googleFacts(change: Partial<GoogleFacts> = {}): GoogleFacts {
  return {
    provider: 'google',
    snapshot: googleSnapshot(),
    orders: [googleOrder()],
    voids: [],
    revokedAt: null,
    supersededBy: null,
    ...change,
  };
}

/** Whether a purchase lets its owner use the VPN: the rule of subscriptions, and that a tariff has the product. */
export function hasAccess({ tariffId, startedAt, ...standing }: Standing, at: Date): boolean {
  return tariffId !== null && startedAt !== null && grantsAccess({ ...standing, startedAt }, at);
}

function terms(change: Partial<ProductTerms>): ProductTerms {
  return { tariffId: 0, kind: 'subscription', durationDays: 0, rank: 0, price: '0.00', currency: 'USD', ...change };
}
