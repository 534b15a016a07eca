import { describe, expect, it } from '@jest/globals';
import { environmentOfNotification, peek, renewalOf, transactionOf } from './apple-payloads.rules.js';

/** As Apple documents a transaction (JWSTransactionDecodedPayload), with every field that is kept and some that are not. */
const TRANSACTION = {
  transactionId: '23456',
  originalTransactionId: '12345',
  webOrderLineItemId: '34343',
  bundleId: 'com.example',
  productId: 'com.example.product',
  subscriptionGroupIdentifier: '55555',
  purchaseDate: 1_698_148_900_000,
  originalPurchaseDate: 1_698_148_800_000,
  expiresDate: 1_698_149_000_000,
  quantity: 1,
  type: 'Auto-Renewable Subscription',
  appAccountToken: '7E3FB204-2F8F-4F0E-9C0E-5B3D4A5B6C7D',
  appTransactionId: '71134',
  inAppOwnershipType: 'PURCHASED',
  signedDate: 1_698_148_900_000,
  revocationReason: 1,
  revocationDate: 1_698_148_950_000,
  revocationType: 'REFUND_PRORATED',
  revocationPercentage: 50_000,
  isUpgraded: true,
  offerType: 1,
  offerIdentifier: 'abc.123',
  offerDiscountType: 'PAY_AS_YOU_GO',
  environment: 'Sandbox',
  storefront: 'USA',
  storefrontId: '143441',
  transactionReason: 'PURCHASE',
  currency: 'USD',
  price: 10_990,
};
const RENEWAL = {
  expirationIntent: 1,
  originalTransactionId: '12345',
  autoRenewProductId: 'com.example.product.2',
  productId: 'com.example.product',
  autoRenewStatus: 1,
  isInBillingRetryPeriod: true,
  priceIncreaseStatus: 0,
  gracePeriodExpiresDate: 1_698_148_900_000,
  signedDate: 1_698_148_800_000,
  environment: 'Production',
  renewalPrice: 9990,
  currency: 'USD',
};

describe('a transaction of the App Store', () => {
  it('is kept with all that decisions and accounts are made from', () => {
    expect(transactionOf(TRANSACTION)).toEqual({
      transactionId: '23456',
      originalTransactionId: '12345',
      environment: 'sandbox',
      signedDate: 1_698_148_900_000,
      purchaseDate: 1_698_148_900_000,
      originalPurchaseDate: 1_698_148_800_000,
      expiresDate: 1_698_149_000_000,
      productId: 'com.example.product',
      type: 'Auto-Renewable Subscription',
      ownership: 'PURCHASED',
      isUpgraded: true,
      revocationDate: 1_698_148_950_000,
      revocationReason: 1,
      revocationType: 'REFUND_PRORATED',
      revocationPercentage: 50_000,
      price: 10_990,
      currency: 'USD',
      offerType: 1,
      offerDiscountType: 'PAY_AS_YOU_GO',
      transactionReason: 'PURCHASE',
      storefront: 'USA',
      appAccountToken: '7e3fb204-2f8f-4f0e-9c0e-5b3d4a5b6c7d',
      appTransactionId: '71134',
      webOrderLineItemId: '34343',
    });
    expect(transactionOf({ ...TRANSACTION, previousOriginalTransactionId: '12344' })).toMatchObject({
      previousOriginalTransactionId: '12344',
    });
  });

  it.each(['transactionId', 'originalTransactionId', 'environment', 'signedDate', 'purchaseDate', 'productId', 'type'])(
    'is none without its %s',
    (field) => {
      expect(transactionOf({ ...TRANSACTION, [field]: undefined })).toBeNull();
    },
  );

  it('is none with an id that is no number, or an instant that is none', () => {
    expect(transactionOf({ ...TRANSACTION, transactionId: '../1' })).toBeNull();
    expect(transactionOf({ ...TRANSACTION, originalTransactionId: 12_345 })).toBeNull();
    expect(transactionOf({ ...TRANSACTION, purchaseDate: 1e17 })).toBeNull();
    expect(transactionOf({ ...TRANSACTION, signedDate: Number.NaN })).toBeNull();
  });

  it('says nothing where Apple says nothing', () => {
    const { transactionId, originalTransactionId, environment, signedDate, purchaseDate, productId, type } =
      TRANSACTION;
    const bare = { transactionId, originalTransactionId, environment, signedDate, purchaseDate, productId, type };
    expect(transactionOf(bare)).toEqual({
      ...bare,
      environment: 'sandbox',
      ownership: 'PURCHASED',
      isUpgraded: false,
      originalPurchaseDate: null,
      expiresDate: null,
      revocationDate: null,
      revocationReason: null,
      revocationType: null,
      revocationPercentage: null,
      price: null,
      currency: null,
      offerType: null,
      offerDiscountType: null,
      transactionReason: null,
      storefront: null,
      appAccountToken: null,
      appTransactionId: null,
    });
  });

  it('drops the fraction that some instants have', () => {
    expect(transactionOf({ ...TRANSACTION, signedDate: 1_698_148_900_000.6 })?.signedDate).toBe(1_698_148_900_000);
  });
});

describe('a renewal info of the App Store', () => {
  it('is kept with all that decisions are made from', () => {
    expect(renewalOf(RENEWAL)).toEqual({
      originalTransactionId: '12345',
      environment: 'production',
      signedDate: 1_698_148_800_000,
      productId: 'com.example.product',
      autoRenewProductId: 'com.example.product.2',
      willRenew: true,
      isInBillingRetry: true,
      gracePeriodExpiresDate: 1_698_148_900_000,
      expirationIntent: 1,
      priceIncreaseStatus: 0,
      renewalPrice: 9990,
      currency: 'USD',
      appAccountToken: null,
    });
  });

  it('does not guess whether it will renew', () => {
    expect(renewalOf({ ...RENEWAL, autoRenewStatus: undefined })?.willRenew).toBeNull();
    expect(renewalOf({ ...RENEWAL, autoRenewStatus: 0 })?.willRenew).toBe(false);
    expect(renewalOf({ ...RENEWAL, autoRenewStatus: 7 })?.willRenew).toBe(false);
  });

  it.each(['originalTransactionId', 'environment', 'signedDate'])('is none without its %s', (field) => {
    expect(renewalOf({ ...RENEWAL, [field]: undefined })).toBeNull();
  });
});

describe('a JWS, before it is believed', () => {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

  it('shows its certificates and its payload', () => {
    expect(peek(`${part({ x5c: ['a', 'b', 'c'] })}.${part({ a: 1 })}.AA`)).toEqual({
      chain: ['a', 'b', 'c'],
      payload: { a: 1 },
    });
    expect(peek(`${part({ x5c: 'a' })}.${part({})}.AA`)).toEqual({ chain: [], payload: {} });
  });

  it.each([
    '',
    '.',
    '..',
    'a.b.c',
    `${part([])}.${part({})}.AA`,
    `${part({})}.${part(7)}.AA`,
    `${part({})}.${part({})}.A=`,
  ])('is none: %j', (text) => {
    expect(peek(text)).toBeNull();
  });

  it('names the environment that a notification is of in what it is about', () => {
    expect(environmentOfNotification({ data: { environment: 'Sandbox' } })).toBe('sandbox');
    expect(environmentOfNotification({ summary: { environment: 'Production' } })).toBe('production');
    expect(environmentOfNotification({ appData: { environment: 'Xcode' } })).toBeNull();
    expect(environmentOfNotification({ externalPurchaseToken: { externalPurchaseId: 'SANDBOX_1' } })).toBe('sandbox');
    expect(environmentOfNotification({ externalPurchaseToken: { externalPurchaseId: '1' } })).toBe('production');
    expect(environmentOfNotification({ externalPurchaseToken: {} })).toBe('production');
    expect(environmentOfNotification({ environment: 'Production' })).toBeNull();
  });
});
