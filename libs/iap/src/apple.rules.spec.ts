import { describe, expect, it } from '@jest/globals';
import { type StorePayment } from '#payments';
import {
  appleFacts,
  appleRenewal,
  appleTransaction,
  catalogue,
  day,
  onDay,
} from '../../../test/histories/store-facts.js';
import { type AppleFacts, type AppleTransaction } from './apple-facts.js';
import { currentOf, deriveApple, mergeApple, NOTHING_OF_APPLE, paymentsOfApple } from './apple.rules.js';
import { type Standing } from './purchase.js';

const bought = appleTransaction();
const renewed = appleTransaction({
  transactionId: '2000000000000002',
  purchaseDate: onDay(30),
  expiresDate: onDay(60),
  transactionReason: 'RENEWAL',
});

function standing(facts: AppleFacts, at: number): Standing {
  return deriveApple(facts, catalogue, day(at));
}

function payments(...transactions: readonly AppleTransaction[]): readonly StorePayment[] {
  return paymentsOfApple(appleFacts(transactions), catalogue);
}

interface Told {
  readonly facts: AppleFacts;
  /** The day on which it is looked at. */
  readonly at: number;
  readonly standing: Partial<Standing>;
  /** Reference and kind, amount and what came back of it, in the order of purchase. */
  readonly paid: readonly string[];
}

function ledger(facts: AppleFacts): readonly string[] {
  return paymentsOfApple(facts, catalogue).map(
    ({ reference, kind, amount, status, refund }) =>
      `${reference.slice(-1)} ${kind} ${amount} ${status}${refund === null ? '' : ` -${refund.amount}`}`,
  );
}

const TRIAL = { offerType: 1, offerDiscountType: 'FREE_TRIAL', price: 0 };
const upgradedFrom = { ...bought, isUpgraded: true, signedDate: onDay(10) };
const upgrade = appleTransaction({
  transactionId: '2000000000000002',
  productId: 'plus',
  price: 19990,
  purchaseDate: onDay(10),
  expiresDate: onDay(40),
});

/** What must come out of each notification of the App Store that carries a transaction. */
const NOTIFICATIONS: Readonly<Record<string, Told>> = {
  'SUBSCRIBED / INITIAL_BUY': {
    facts: appleFacts([bought], appleRenewal()),
    at: 1,
    standing: { state: 'active', tariffId: 1, accessUntil: day(30), endsAt: day(30), autoRenewing: true },
    paid: ['1 purchase 9.99 completed'],
  },
  'SUBSCRIBED / INITIAL_BUY with a free trial': {
    facts: appleFacts([appleTransaction({ ...TRIAL, expiresDate: onDay(7) })], appleRenewal()),
    at: 1,
    standing: { state: 'trial', isTrial: true, accessUntil: day(7), autoRenewing: true },
    paid: ['1 purchase 0.00 completed'],
  },
  'SUBSCRIBED / INITIAL_BUY of a family': {
    facts: appleFacts([appleTransaction({ ownership: 'FAMILY_SHARED' })], appleRenewal()),
    at: 1,
    standing: { state: 'active', accessUntil: day(30) },
    paid: [],
  },
  'SUBSCRIBED / RESUBSCRIBE': {
    facts: appleFacts(
      [bought, { ...renewed, purchaseDate: onDay(90), expiresDate: onDay(120), transactionReason: 'PURCHASE' }],
      appleRenewal({ signedDate: onDay(90) }),
    ),
    at: 91,
    standing: { state: 'active', startedAt: day(0), periodStartedAt: day(90), accessUntil: day(120) },
    paid: ['1 purchase 9.99 completed', '2 purchase 9.99 completed'],
  },
  'OFFER_REDEEMED on an active subscription': {
    facts: appleFacts(
      [{ ...bought, signedDate: onDay(5), offerType: 3, offerDiscountType: 'PAY_UP_FRONT', price: 4990 }],
      appleRenewal({ signedDate: onDay(5) }),
    ),
    at: 6,
    standing: { state: 'active', isTrial: false, accessUntil: day(30) },
    paid: ['1 purchase 4.99 completed'],
  },
  'OFFER_REDEEMED / UPGRADE': {
    facts: appleFacts([upgradedFrom, { ...upgrade, offerType: 2, price: 9990 }], appleRenewal({ productId: 'plus' })),
    at: 11,
    standing: { state: 'active', tariffId: 3, accessUntil: day(40) },
    paid: ['1 purchase 9.99 completed', '2 upgrade 9.99 completed'],
  },
  DID_RENEW: {
    facts: appleFacts([bought, renewed], appleRenewal({ signedDate: onDay(30) })),
    at: 31,
    standing: { state: 'active', startedAt: day(0), periodStartedAt: day(30), accessUntil: day(60) },
    paid: ['1 purchase 9.99 completed', '2 renewal 9.99 completed'],
  },
  'DID_RENEW / BILLING_RECOVERY': {
    facts: appleFacts(
      [bought, { ...renewed, purchaseDate: onDay(35), expiresDate: onDay(65) }],
      appleRenewal({ signedDate: onDay(35) }),
    ),
    at: 36,
    standing: { state: 'active', accessUntil: day(65), graceUntil: null, autoRenewing: true },
    paid: ['1 purchase 9.99 completed', '2 renewal 9.99 completed'],
  },
  'DID_CHANGE_RENEWAL_PREF / UPGRADE': {
    facts: appleFacts(
      [upgradedFrom, upgrade],
      appleRenewal({ signedDate: onDay(10), productId: 'plus', autoRenewProductId: 'plus' }),
    ),
    at: 11,
    standing: { state: 'active', tariffId: 3, periodStartedAt: day(10), accessUntil: day(40), pendingTariffId: null },
    paid: ['1 purchase 9.99 completed', '2 upgrade 19.99 completed'],
  },
  'DID_CHANGE_RENEWAL_PREF / DOWNGRADE': {
    facts: appleFacts(
      [appleTransaction({ productId: 'plus', price: 19990 })],
      appleRenewal({ signedDate: onDay(5), productId: 'plus', autoRenewProductId: 'monthly' }),
    ),
    at: 6,
    standing: { state: 'active', tariffId: 3, accessUntil: day(30), pendingTariffId: 1 },
    paid: ['1 purchase 19.99 completed'],
  },
  'DID_CHANGE_RENEWAL_PREF, the downgrade withdrawn': {
    facts: appleFacts(
      [appleTransaction({ productId: 'plus', price: 19990 })],
      appleRenewal({ signedDate: onDay(6), productId: 'plus', autoRenewProductId: 'plus' }),
    ),
    at: 7,
    standing: { state: 'active', tariffId: 3, pendingTariffId: null },
    paid: ['1 purchase 19.99 completed'],
  },
  'DID_CHANGE_RENEWAL_STATUS / AUTO_RENEW_DISABLED': {
    facts: appleFacts([bought], appleRenewal({ signedDate: onDay(5), willRenew: false })),
    at: 6,
    standing: { state: 'cancelled', accessUntil: day(30), autoRenewing: false, cancelledAt: day(5) },
    paid: ['1 purchase 9.99 completed'],
  },
  'DID_CHANGE_RENEWAL_STATUS / AUTO_RENEW_ENABLED': {
    facts: appleFacts([bought], appleRenewal({ signedDate: onDay(6), willRenew: true })),
    at: 7,
    standing: { state: 'active', accessUntil: day(30), autoRenewing: true, cancelledAt: null },
    paid: ['1 purchase 9.99 completed'],
  },
  'DID_FAIL_TO_RENEW / GRACE_PERIOD': {
    facts: appleFacts(
      [bought],
      appleRenewal({ signedDate: onDay(30), isInBillingRetry: true, gracePeriodExpiresDate: onDay(46) }),
    ),
    at: 40,
    standing: { state: 'grace', endsAt: day(30), accessUntil: day(46), graceUntil: day(46), autoRenewing: true },
    paid: ['1 purchase 9.99 completed'],
  },
  'DID_FAIL_TO_RENEW without grace': {
    facts: appleFacts([bought], appleRenewal({ signedDate: onDay(30), isInBillingRetry: true, expirationIntent: 2 })),
    at: 31,
    standing: { state: 'retry', accessUntil: day(30), graceUntil: null, autoRenewing: true },
    paid: ['1 purchase 9.99 completed'],
  },
  GRACE_PERIOD_EXPIRED: {
    facts: appleFacts(
      [bought],
      appleRenewal({ signedDate: onDay(46), isInBillingRetry: true, gracePeriodExpiresDate: onDay(46) }),
    ),
    at: 46,
    standing: { state: 'retry', accessUntil: day(46) },
    paid: ['1 purchase 9.99 completed'],
  },
  ...Object.fromEntries(
    (
      [
        ['VOLUNTARY', 1, 'voluntary'],
        ['BILLING_RETRY', 2, 'billing'],
        ['PRICE_INCREASE', 3, 'price_increase'],
        ['PRODUCT_NOT_FOR_SALE', 4, 'product_not_for_sale'],
        ['anything else', 5, 'other'],
        ['a reason we have never heard of', 77, null],
      ] as const
    ).map(([subtype, expirationIntent, endedReason]) => [
      `EXPIRED / ${subtype}`,
      {
        facts: appleFacts([bought], appleRenewal({ signedDate: onDay(30), willRenew: false, expirationIntent })),
        at: 30,
        standing: { state: 'expired', endedReason, accessUntil: day(30), autoRenewing: false, pendingTariffId: null },
        paid: ['1 purchase 9.99 completed'],
      } satisfies Told,
    ]),
  ),
  'PRICE_INCREASE / PENDING': {
    facts: appleFacts([bought], appleRenewal({ signedDate: onDay(20), priceIncreaseStatus: 0, renewalPrice: 12990 })),
    at: 21,
    standing: { state: 'active', accessUntil: day(30), autoRenewing: true },
    paid: ['1 purchase 9.99 completed'],
  },
  RENEWAL_EXTENDED: {
    facts: appleFacts([{ ...bought, signedDate: onDay(20), expiresDate: onDay(44) }], appleRenewal()),
    at: 31,
    standing: { state: 'active', endsAt: day(44), accessUntil: day(44) },
    paid: ['1 purchase 9.99 completed'],
  },
  'REFUND of the current transaction': {
    facts: appleFacts(
      [bought, { ...renewed, signedDate: onDay(40), revocationDate: onDay(40), revocationReason: 1 }],
      appleRenewal({ signedDate: onDay(40), willRenew: false }),
    ),
    at: 40,
    standing: {
      state: 'refunded',
      accessUntil: day(40),
      endsAt: day(60),
      autoRenewing: false,
      endedReason: 'app_issue',
    },
    paid: ['1 purchase 9.99 completed', '2 renewal 9.99 refunded -9.99'],
  },
  'REFUND of a share of the current transaction': {
    facts: appleFacts([
      {
        ...bought,
        signedDate: onDay(10),
        revocationDate: onDay(10),
        revocationReason: 0,
        revocationType: 'REFUND_PRORATED',
        revocationPercentage: 66_667,
      },
    ]),
    at: 11,
    standing: { state: 'refunded', accessUntil: day(10), endedReason: 'other' },
    paid: ['1 purchase 9.99 refunded -6.66'],
  },
  'REFUND of an older transaction': {
    facts: appleFacts(
      [{ ...bought, signedDate: onDay(40), revocationDate: onDay(40), revocationReason: 0 }, renewed],
      appleRenewal({ signedDate: onDay(40) }),
    ),
    at: 41,
    standing: { state: 'active', accessUntil: day(60), autoRenewing: true },
    paid: ['1 purchase 9.99 refunded -9.99', '2 renewal 9.99 completed'],
  },
  'REFUND_DECLINED and CONSUMPTION_REQUEST': {
    facts: appleFacts([{ ...bought, signedDate: onDay(12) }], appleRenewal({ signedDate: onDay(12) })),
    at: 13,
    standing: { state: 'active', accessUntil: day(30) },
    paid: ['1 purchase 9.99 completed'],
  },
  REVOKE: {
    facts: appleFacts([
      {
        ...appleTransaction({ ownership: 'FAMILY_SHARED' }),
        signedDate: onDay(12),
        revocationDate: onDay(12),
        revocationType: 'FAMILY_REVOKE',
      },
    ]),
    at: 12,
    standing: { state: 'revoked', accessUntil: day(12), endedReason: 'family_sharing_ended', autoRenewing: false },
    paid: [],
  },
  'ONE_TIME_CHARGE of what is had for life': {
    facts: appleFacts([
      appleTransaction({ productId: 'lifetime', type: 'Non-Consumable', expiresDate: null, price: 199_000 }),
    ]),
    at: 5000,
    standing: { state: 'active', tariffId: 4, endsAt: null, accessUntil: null, autoRenewing: false },
    paid: ['1 one_time 199.00 completed'],
  },
  'ONE_TIME_CHARGE of a pass': {
    facts: appleFacts([
      appleTransaction({ productId: 'pass', type: 'Non-Renewing Subscription', expiresDate: null, price: 4990 }),
    ]),
    at: 29,
    standing: { state: 'active', tariffId: 5, endsAt: day(30), accessUntil: day(30), autoRenewing: false },
    paid: ['1 one_time 4.99 completed'],
  },
};

describe('what a notification of the App Store comes to', () => {
  it.each(Object.entries(NOTIFICATIONS))('%s', (_name, told) => {
    expect(standing(told.facts, told.at)).toMatchObject(told.standing);
    expect(ledger(told.facts)).toEqual(told.paid);
  });

  it('REFUND_REVERSED: the access and the payment are back', () => {
    const refunded = { ...bought, signedDate: onDay(10), revocationDate: onDay(10), revocationReason: 0 };
    const reversed = { ...bought, signedDate: onDay(15) };
    const facts = mergeApple(appleFacts([refunded]), { transactions: [reversed], renewals: [] });
    expect(standing(facts, 16)).toMatchObject({ state: 'active', accessUntil: day(30), endedReason: null });
    expect(ledger(facts)).toEqual(['1 purchase 9.99 completed']);
    expect(standing(facts, 31)).toMatchObject({ state: 'expired' });
  });
});

describe('merging', () => {
  it('keeps the form that was signed last, whichever came first', () => {
    const refunded = { ...bought, signedDate: onDay(10), revocationDate: onDay(10) };
    const forms = [
      { transactions: [bought], renewals: [] },
      { transactions: [refunded], renewals: [] },
    ];
    for (const order of [forms, forms.toReversed()]) {
      expect(order.reduce(mergeApple, NOTHING_OF_APPLE).transactions).toEqual([refunded]);
    }
  });

  it('keeps the renewal info that was signed last, also of one message', () => {
    const renewals = [appleRenewal({ signedDate: onDay(9), willRenew: false }), appleRenewal({ signedDate: onDay(3) })];
    const facts = mergeApple(NOTHING_OF_APPLE, { transactions: [], renewals });
    expect(mergeApple(facts, { transactions: [], renewals: [] }).renewal).toEqual(renewals[0]);
  });

  it('chooses the same of two forms that were signed at the same instant', () => {
    const one = { transactions: [{ ...bought, isUpgraded: true }], renewals: [appleRenewal({ willRenew: null })] };
    const other = { transactions: [bought], renewals: [appleRenewal()] };
    expect([one, other].reduce(mergeApple, NOTHING_OF_APPLE)).toEqual(
      [other, one].reduce(mergeApple, NOTHING_OF_APPLE),
    );
  });

  it('does not mind in which order the properties of a form stand', () => {
    const turned = Object.fromEntries(Object.entries(bought).toReversed());
    const facts = mergeApple(appleFacts([bought]), { transactions: [{ ...bought, ...turned }], renewals: [] });
    expect(facts.transactions).toEqual([bought]);
  });
});

describe('the transaction that counts', () => {
  it('is none before there is one', () => {
    expect(currentOf(NOTHING_OF_APPLE)).toBeNull();
    expect(standing(appleFacts([], appleRenewal()), 1)).toMatchObject({
      state: 'pending',
      tariffId: null,
      startedAt: null,
      accessUntil: null,
    });
    expect(ledger(appleFacts([], appleRenewal()))).toEqual([]);
  });

  it('is never one that an upgrade took the place of, even while the upgrade is not known', () => {
    expect(currentOf(appleFacts([upgradedFrom]))).toBeNull();
    expect(standing(appleFacts([upgradedFrom]), 11).state).toBe('pending');
  });

  it('is the one bought last, in whatever order they are known', () => {
    expect(currentOf(appleFacts([renewed, bought]))).toBe(renewed);
    expect(currentOf(appleFacts([bought, renewed]))).toBe(renewed);
  });

  it('is, of two bought at once, the one that lasts longer, then the one with the greater number', () => {
    const longer = { ...bought, transactionId: '1', expiresDate: onDay(31) };
    expect(currentOf(appleFacts([longer, bought]))).toBe(longer);
    const forLife = { ...bought, transactionId: '1', expiresDate: null };
    expect(currentOf(appleFacts([forLife, longer]))).toBe(forLife);
    const short = { ...bought, transactionId: '999' };
    const long = { ...bought, transactionId: '1000' };
    expect(currentOf(appleFacts([long, short]))).toBe(long);
    const next = { ...bought, transactionId: '1001' };
    expect(currentOf(appleFacts([next, long]))).toBe(next);
    expect(currentOf(appleFacts([long, next]))).toBe(next);
  });
});

describe('a renewal that is charged a day early', () => {
  const early = { ...renewed, signedDate: onDay(29) };

  it('leaves the period that runs as it is, and moves the end', () => {
    const facts = appleFacts([bought, early], appleRenewal({ signedDate: onDay(29) }));
    expect(standing(facts, 29.5)).toMatchObject({ state: 'active', periodStartedAt: day(0), accessUntil: day(60) });
    expect(standing(facts, 29.5).nextPeriodAt).toEqual(day(30)); // C1
    expect(standing(facts, 30).nextPeriodAt).toBeNull();
    expect(standing(facts, 30)).toMatchObject({ state: 'active', periodStartedAt: day(30), accessUntil: day(60) });
  });

  it('can be cancelled before its period begins', () => {
    const facts = appleFacts([bought, early], appleRenewal({ signedDate: onDay(29.5), willRenew: false }));
    expect(standing(facts, 31)).toMatchObject({ state: 'cancelled', cancelledAt: day(29.5) });
  });

  it('can be refunded before its period begins, and the period that runs stays paid', () => {
    const refunded = { ...early, signedDate: onDay(29.5), revocationDate: onDay(29.5), revocationReason: 0 };
    const facts = appleFacts([bought, refunded], appleRenewal({ signedDate: onDay(29.5), willRenew: false }));
    expect(standing(facts, 29.9)).toMatchObject({ state: 'cancelled', accessUntil: day(30) });
    expect(standing(facts, 30)).toMatchObject({ state: 'expired' });
    expect(ledger(facts)).toEqual(['1 purchase 9.99 completed', '2 renewal 9.99 refunded -9.99']);
  });

  it('ends all the same when family sharing ends', () => {
    const shared = { ...bought, ownership: 'FAMILY_SHARED' };
    const ended = { ...early, ownership: 'FAMILY_SHARED', signedDate: onDay(29.5), revocationDate: onDay(29.5) };
    expect(standing(appleFacts([shared, ended]), 29.6)).toMatchObject({ state: 'revoked', accessUntil: day(29.5) });
  });

  it('is what is shown when nothing else was ever bought', () => {
    const first = appleTransaction({ purchaseDate: onDay(5), signedDate: onDay(4) });
    expect(standing(appleFacts([first]), 4.5)).toMatchObject({ startedAt: day(5), periodStartedAt: day(5) });
    const refunded = { ...first, revocationDate: onDay(4.5) };
    expect(standing(appleFacts([refunded]), 4.6)).toMatchObject({ state: 'refunded', accessUntil: day(4.5) });
  });
});

describe('what was signed before the current transaction was bought', () => {
  const failed = appleRenewal({
    signedDate: onDay(30),
    isInBillingRetry: true,
    gracePeriodExpiresDate: onDay(46),
    expirationIntent: 2,
    willRenew: false,
    autoRenewProductId: 'plus',
  });
  const recovered = { ...renewed, purchaseDate: onDay(40), expiresDate: onDay(70) };

  it('says nothing of it: neither that it was cancelled nor what it will become', () => {
    expect(standing(appleFacts([bought, recovered], failed), 41)).toMatchObject({
      state: 'active',
      autoRenewing: true,
      cancelledAt: null,
      graceUntil: null,
      accessUntil: day(70),
      pendingTariffId: null,
    });
  });

  it('neither holds a charge against it, nor says why it ended', () => {
    expect(standing(appleFacts([bought, recovered], failed), 70)).toMatchObject({
      state: 'expired',
      endedReason: null,
    });
  });

  it('gives it no grace, though it was signed within the day', () => {
    const soon = { ...renewed, purchaseDate: onDay(30.5), expiresDate: onDay(60.5) };
    const facts = appleFacts([bought, soon], failed);
    expect(standing(facts, 31)).toMatchObject({ graceUntil: null, accessUntil: day(60.5) });
    expect(standing(facts, 61)).toMatchObject({ state: 'retry', accessUntil: day(60.5) });
  });
});

describe('grace', () => {
  const facts = appleFacts(
    [bought],
    appleRenewal({ signedDate: onDay(29), isInBillingRetry: true, gracePeriodExpiresDate: onDay(46) }),
  );

  it.each([
    [29, 'active'],
    [30, 'grace'],
    [45.9, 'grace'],
    [46, 'retry'],
    [90, 'retry'],
  ] as const)('on day %p of a charge that failed: %s', (at, state) => {
    expect(standing(facts, at)).toMatchObject({ state, accessUntil: day(46) });
  });

  it('is not given to what does not renew', () => {
    const forLife = appleTransaction({ productId: 'pass', type: 'Non-Renewing Subscription', expiresDate: null });
    expect(standing({ ...facts, transactions: [forLife] }, 31)).toMatchObject({
      state: 'expired',
      accessUntil: day(30),
      graceUntil: null,
    });
  });
});

describe('what Apple sets no end to', () => {
  const oneTime = (change: Partial<AppleTransaction>): Standing =>
    standing(appleFacts([appleTransaction({ expiresDate: null, ...change })]), 0.5);

  it.each([
    ['a consumable whose tariff lasts 30 days', { type: 'Consumable', productId: 'pass' }, day(30)],
    ['a consumable whose tariff is for life', { type: 'Consumable', productId: 'lifetime' }, null],
    ['a consumable that no tariff has', { type: 'Consumable', productId: 'coins' }, day(0)],
    ['a pass that no tariff has', { type: 'Non-Renewing Subscription', productId: 'coins' }, day(0)],
    ['a subscription without an end', { productId: 'monthly' }, day(0)],
    ['a type that we have never heard of', { type: 'Perpetual', productId: 'lifetime' }, day(0)],
    ['what is had for life, though no tariff has it', { type: 'Non-Consumable', productId: 'coins' }, null],
  ])('%s', (_what, change, endsAt) => {
    expect(oneTime(change)).toMatchObject({ endsAt, accessUntil: endsAt, autoRenewing: false });
  });

  it('is not cancelled by renewal info', () => {
    const forLife = appleTransaction({ productId: 'lifetime', type: 'Non-Consumable', expiresDate: null });
    const facts = appleFacts([forLife], appleRenewal({ willRenew: false, signedDate: onDay(1) }));
    expect(standing(facts, 2).state).toBe('active');
  });

  it('is lost by a refund', () => {
    const forLife = appleTransaction({ productId: 'lifetime', type: 'Non-Consumable', expiresDate: null });
    expect(standing(appleFacts([{ ...forLife, revocationDate: onDay(3) }]), 4)).toMatchObject({
      state: 'refunded',
      accessUntil: day(3),
    });
  });
});

describe('what is to come', () => {
  it.each([
    ['nothing, when Apple does not say', { autoRenewProductId: null }, null],
    ['the same', { autoRenewProductId: 'monthly' }, null],
    ['another tariff', { autoRenewProductId: 'yearly' }, 2],
    ['a product that no tariff has', { autoRenewProductId: 'coins' }, null],
    ['nothing, when it will not renew', { autoRenewProductId: 'yearly', willRenew: false }, null],
  ])('%s', (_what, change, pendingTariffId) => {
    expect(standing(appleFacts([bought], appleRenewal(change)), 1)).toMatchObject({ pendingTariffId });
  });

  it('is a renewal, as long as Apple has not said otherwise', () => {
    expect(standing(appleFacts([bought]), 1)).toMatchObject({ state: 'active', autoRenewing: true });
    expect(standing(appleFacts([bought], appleRenewal({ willRenew: null })), 1)).toMatchObject({ autoRenewing: true });
  });
});

it('a product that no tariff has grants nothing, and keeps its facts', () => {
  const facts = appleFacts([appleTransaction({ productId: 'coins', price: null, currency: null })]);
  expect(standing(facts, 1)).toMatchObject({ state: 'active', tariffId: null, productId: 'coins' });
  expect(ledger(facts)).toEqual(['1 purchase 0.00 completed']);
  expect(paymentsOfApple(facts, catalogue)[0]).toMatchObject({ tariffId: null, currency: 'USD', isEstimated: true });
});

describe('a payment', () => {
  it('says what Apple said of it', () => {
    expect(payments(bought)).toEqual([
      {
        reference: '2000000000000001',
        formerReference: null,
        kind: 'purchase',
        amount: '9.99',
        currency: 'USD',
        status: 'completed',
        paidAt: day(0),
        periodStart: day(0),
        periodEnd: day(30),
        productId: 'monthly',
        tariffId: 1,
        isTrial: false,
        isEstimated: false,
        country: 'USA',
        refund: null,
        supersededByReference: null,
      },
    ]);
  });

  it.each([
    [980_000, 'JPY', '980.00'],
    [2_995, 'KWD', '2.995'],
    [12_990_000, 'KRW', '12990.00'],
  ])('of %d thousandths of a %s', (price, currency, amount) => {
    expect(payments(appleTransaction({ price, currency }))).toMatchObject([{ amount, currency, isEstimated: false }]);
  });

  it('is estimated by the tariff where Apple says no price, and so is what comes back of it', () => {
    const silent = appleTransaction({ price: null, currency: null });
    expect(payments(silent)).toMatchObject([{ amount: '9.99', currency: 'USD', isEstimated: true }]);
    const half = { ...silent, revocationDate: onDay(3), revocationPercentage: 50_000 };
    expect(payments(half)).toMatchObject([{ status: 'refunded', refund: { amount: '4.995', at: day(3) } }]);
  });

  it('of a trial is nothing, whether Apple says so or not', () => {
    const trial = appleTransaction({ ...TRIAL, price: null });
    expect(payments(trial)).toMatchObject([{ amount: '0.00', isTrial: true, isEstimated: false }]);
  });

  it('is a renewal or a purchase by its place where Apple does not say', () => {
    const kinds = payments({ ...bought, transactionReason: null }, { ...renewed, transactionReason: null });
    expect(kinds.map(({ kind }) => kind)).toEqual(['purchase', 'renewal']);
  });

  it('gave way to another product that was bought while its period ran, even before Apple says so of it', () => {
    expect(payments(bought, upgrade)).toMatchObject([
      { kind: 'purchase', supersededByReference: upgrade.transactionId },
      { kind: 'upgrade' },
    ]);
    const takenBack = { ...bought, revocationDate: upgrade.purchaseDate };
    expect(payments(takenBack, upgrade).map(({ kind }) => kind)).toEqual(['purchase', 'purchase']);
  });

  it('names the upgrade that took its place, once that is known', () => {
    expect(payments(upgrade, upgradedFrom)[0]).toMatchObject({ supersededByReference: '2000000000000002' });
    expect(payments(upgradedFrom)[0]).toMatchObject({ status: 'completed', supersededByReference: null });
  });

  it('is replaced by another product that was bought while it ran, also before Apple says so', () => {
    expect(payments(bought, upgrade)).toMatchObject([
      { status: 'completed', supersededByReference: '2000000000000002' },
      { kind: 'upgrade', supersededByReference: null },
    ]);
  });

  it.each([
    ['the same product, by an offer', { productId: bought.productId }, {}],
    ['the product of a downgrade, as it renews', { transactionReason: 'RENEWAL' }, {}],
    ['another product after its end', { purchaseDate: bought.expiresDate ?? 0 }, {}],
    ['another product after its refund', {}, { revocationDate: onDay(9), revocationType: 'REFUND_FULL' }],
  ])('is not replaced by %s', (_, change, before) => {
    const [first, second] = payments({ ...bought, ...before }, { ...upgrade, ...change });
    expect(first).toMatchObject({ supersededByReference: null });
    expect(second?.kind).not.toBe('upgrade');
  });

  it('stays completed when an upgrade gives back what was left of it', () => {
    const madeUpFor = { ...upgradedFrom, revocationDate: onDay(10), revocationType: 'REFUND_PRORATED' };
    expect(payments(madeUpFor, upgrade)[0]).toMatchObject({ status: 'completed', refund: null });
    expect(payments({ ...madeUpFor, revocationPercentage: 66_667 }, upgrade)[0]).toMatchObject({
      status: 'completed',
      refund: { amount: '6.66' },
    });
  });

  it('is refunded when all of it came back, also after an upgrade', () => {
    const refunded = { ...upgradedFrom, revocationDate: onDay(12), revocationType: 'REFUND_FULL' };
    expect(payments(refunded, upgrade)[0]).toMatchObject({ status: 'refunded', refund: { amount: '9.99' } });
  });

  it('is not refunded by the end of family sharing', () => {
    const ended = { ...bought, revocationDate: onDay(12), revocationType: 'FAMILY_REVOKE' };
    expect(payments(ended)).toMatchObject([{ status: 'completed', refund: null }]);
    expect(standing(appleFacts([ended]), 13).state).toBe('revoked');
  });
});
