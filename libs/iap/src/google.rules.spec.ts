import { describe, expect, it } from '@jest/globals';
import { type StorePayment } from '#payments';
import {
  catalogue,
  day,
  googleFacts,
  googleItem,
  googleOrder,
  googleSnapshot,
  onDay,
} from '../../../test/histories/store-facts.js';
import { type GoogleFacts, type GoogleItem, type GoogleOrder, type GoogleSnapshot } from './google-facts.js';
import {
  deriveGoogle,
  inheritedFrom,
  isLongOver,
  mergeGoogle,
  NOTHING_OF_GOOGLE,
  paymentsOfGoogle,
} from './google.rules.js';
import { type Standing } from './purchase.js';

const KEY = 'a1b2c3d4';
const LEARNT_AT = day(1);

function standing(facts: GoogleFacts, at: number): Standing {
  return deriveGoogle(facts, catalogue, day(at));
}

function payments(facts: GoogleFacts): readonly StorePayment[] {
  return paymentsOfGoogle(facts, KEY, catalogue, LEARNT_AT);
}

/** What Play answers, of one line. */
function answered(snapshot: Partial<GoogleSnapshot>, item: Partial<GoogleItem> = {}): GoogleFacts {
  return googleFacts({ snapshot: googleSnapshot({ items: [googleItem(item)], ...snapshot }) });
}

/** The same of a one-time product. */
function product(
  state: string,
  item: Partial<GoogleItem> = {},
  orders: readonly GoogleOrder[] = [],
  startTime: number | null = state === 'PURCHASED' ? onDay(0) : null,
): GoogleFacts {
  const line = {
    productId: 'lifetime',
    basePlanId: null,
    expiryTime: null,
    autoRenews: null,
    phase: null,
    price: null,
  };
  const snapshot = googleSnapshot({ kind: 'product', state, startTime, items: [googleItem({ ...line, ...item })] });
  return googleFacts({ snapshot, orders });
}

interface Told {
  readonly facts: GoogleFacts;
  /** The day on which it is looked at. */
  readonly at: number;
  readonly standing: Partial<Standing>;
  /** Order and kind, amount and status, in the order of payment. */
  readonly paid: readonly string[];
}

function ledger(facts: GoogleFacts): readonly string[] {
  return payments(facts).map(({ reference, kind, amount, status }) => `${reference} ${kind} ${amount} ${status}`);
}

const second = googleOrder({ orderId: 'GPA.1..0', seq: 2, createTime: onDay(30), expiryTime: onDay(60) });
const PAID = ['GPA.1 purchase 9.99 completed'];
const PAID_TWICE = [...PAID, 'GPA.1..0 renewal 9.99 completed'];

/** What must come out of each notification of Play, after the purchase was fetched. */
const NOTIFICATIONS: Readonly<Record<string, Told>> = {
  '1 RECOVERED from a hold': {
    facts: {
      ...answered({}, { expiryTime: onDay(70), orderId: 'GPA.1..0' }),
      orders: [googleOrder(), { ...second, createTime: onDay(40), expiryTime: onDay(70) }],
    },
    at: 41,
    standing: { state: 'active', startedAt: day(0), periodStartedAt: day(40), endsAt: day(70), accessUntil: day(72) },
    paid: PAID_TWICE,
  },
  '2 RENEWED': {
    facts: { ...answered({}, { expiryTime: onDay(60), orderId: 'GPA.1..0' }), orders: [googleOrder(), second] },
    at: 31,
    standing: { state: 'active', periodStartedAt: day(30), endsAt: day(60), accessUntil: day(62), autoRenewing: true },
    paid: PAID_TWICE,
  },
  '3 CANCELED': {
    facts: answered({ state: 'CANCELED', cancelTime: onDay(5) }, { autoRenews: false }),
    at: 6,
    standing: { state: 'cancelled', accessUntil: day(30), autoRenewing: false, cancelledAt: day(5) },
    paid: PAID,
  },
  '3 CANCELED, its end reached': {
    facts: answered({ state: 'CANCELED', cancelTime: onDay(5) }, { autoRenews: false }),
    at: 30,
    standing: { state: 'expired', accessUntil: day(30), autoRenewing: false },
    paid: PAID,
  },
  '3 CANCELED while on hold, with an end in the past': {
    facts: answered({ state: 'CANCELED', cancelTime: onDay(35) }, { autoRenews: false }),
    at: 36,
    standing: { state: 'expired', accessUntil: day(30) },
    paid: PAID,
  },
  '4 PURCHASED': {
    facts: answered({}),
    at: 1,
    standing: {
      state: 'active',
      tariffId: 1,
      basePlanId: 'monthly',
      endsAt: day(30),
      accessUntil: day(32),
      isTrial: false,
    },
    paid: PAID,
  },
  '4 PURCHASED with a free trial': {
    facts: {
      ...answered({}, { phase: 'trial', expiryTime: onDay(7) }),
      orders: [googleOrder({ phase: 'trial', total: { amount: '0.00', currency: 'USD' } })],
    },
    at: 1,
    standing: { state: 'trial', isTrial: true, accessUntil: day(9), autoRenewing: true },
    paid: ['GPA.1 purchase 0.00 completed'],
  },
  '4 PURCHASED in place of another': {
    facts: answered({ linkedKey: 'the other' }),
    at: 1,
    standing: { state: 'active' },
    paid: ['GPA.1 upgrade 9.99 completed'],
  },
  '4 PURCHASED of a prepaid plan': {
    facts: answered({}, { autoRenews: null }),
    at: 1,
    standing: { state: 'active', accessUntil: day(30), autoRenewing: false },
    paid: PAID,
  },
  '5 ON_HOLD': {
    facts: answered({ state: 'ON_HOLD' }),
    at: 31,
    standing: { state: 'retry', accessUntil: day(30), autoRenewing: true },
    paid: PAID,
  },
  '6 IN_GRACE_PERIOD': {
    facts: answered({ state: 'IN_GRACE_PERIOD' }, { expiryTime: onDay(33) }),
    at: 32,
    standing: { state: 'grace', accessUntil: day(33), graceUntil: day(33), autoRenewing: true },
    paid: PAID,
  },
  '6 IN_GRACE_PERIOD that nobody ended': {
    facts: answered({ state: 'IN_GRACE_PERIOD' }, { expiryTime: onDay(33) }),
    at: 33,
    standing: { state: 'expired', accessUntil: day(33), graceUntil: null },
    paid: PAID,
  },
  '7 RESTARTED': {
    facts: answered({ state: 'ACTIVE', cancelTime: null }),
    at: 8,
    standing: { state: 'active', autoRenewing: true, cancelledAt: null },
    paid: PAID,
  },
  '9 DEFERRED': {
    facts: answered({}, { expiryTime: onDay(44) }),
    at: 31,
    standing: { state: 'active', endsAt: day(44), accessUntil: day(46) },
    paid: PAID,
  },
  '10 PAUSED': {
    facts: answered({ state: 'PAUSED', autoResumeTime: onDay(60) }),
    at: 31,
    standing: { state: 'paused', accessUntil: day(30) },
    paid: PAID,
  },
  '11 PAUSE_SCHEDULE_CHANGED': {
    facts: answered({ autoResumeTime: onDay(60) }),
    at: 20,
    standing: { state: 'active', endsAt: day(30) },
    paid: PAID,
  },
  '12 REVOKED': {
    facts: { ...answered({ state: 'EXPIRED' }, { expiryTime: onDay(12), autoRenews: false }), revokedAt: onDay(12) },
    at: 12,
    standing: { state: 'revoked', accessUntil: day(12), endedReason: 'revoked', autoRenewing: false },
    paid: PAID,
  },
  '13 EXPIRED': {
    facts: answered({ state: 'EXPIRED' }, { autoRenews: false }),
    at: 30,
    standing: { state: 'expired', accessUntil: day(30), endedReason: null },
    paid: PAID,
  },
  '13 EXPIRED, because another took its place': {
    facts: { ...answered({ state: 'EXPIRED' }), supersededBy: 'the other' },
    at: 12,
    standing: { state: 'superseded', endedReason: 'replaced', autoRenewing: false },
    paid: PAID,
  },
  '17 ITEMS_CHANGED, to another plan from the next renewal on': {
    facts: answered({}, { replacementProductId: 'plus' }),
    at: 12,
    standing: { state: 'active', tariffId: 1, pendingTariffId: 3 },
    paid: PAID,
  },
  'a purchase that is not paid yet': {
    facts: {
      ...answered({ state: 'PENDING', startTime: null }, { expiryTime: null, orderId: null }),
      orders: [],
    },
    at: 1,
    standing: { state: 'pending', startedAt: null },
    paid: [`token:${KEY} purchase 9.99 pending`],
  },
  '20 PENDING_PURCHASE_CANCELED': {
    facts: {
      ...answered({ state: 'PENDING_PURCHASE_CANCELED', startTime: null }, { expiryTime: null, orderId: null }),
      orders: [],
    },
    at: 1,
    standing: { state: 'void', autoRenewing: false },
    paid: [`token:${KEY} purchase 9.99 failed`],
  },
  'a voided order, while Play still says ACTIVE': {
    facts: { ...answered({}), voids: [{ orderId: 'GPA.1', at: onDay(5), isPartial: false, reason: 7 }] },
    at: 5,
    standing: { state: 'refunded', endedReason: 'chargeback', autoRenewing: false, pendingTariffId: null },
    paid: ['GPA.1 purchase 9.99 refunded'],
  },
  'an older order that is voided': {
    facts: {
      ...answered({}, { expiryTime: onDay(60), orderId: 'GPA.1..0' }),
      orders: [googleOrder(), second],
      voids: [{ orderId: 'GPA.1', at: onDay(35), isPartial: false, reason: 0 }],
    },
    at: 36,
    standing: { state: 'active', endsAt: day(60) },
    paid: ['GPA.1 purchase 9.99 refunded', 'GPA.1..0 renewal 9.99 completed'],
  },
  'one-time 1 PURCHASED': {
    facts: product('PURCHASED', {}, [googleOrder({ productId: 'lifetime', basePlanId: null, expiryTime: null })]),
    at: 5000,
    standing: { state: 'active', tariffId: 4, endsAt: null, accessUntil: null, autoRenewing: false },
    paid: ['GPA.1 one_time 9.99 completed'],
  },
  'one-time, not paid yet': {
    facts: product('PENDING', { orderId: null }),
    at: 1,
    standing: { state: 'pending' },
    paid: [`token:${KEY} one_time 199.00 pending`],
  },
  'one-time 2 CANCELED, never paid': {
    facts: product('CANCELLED', { orderId: null }),
    at: 1,
    standing: { state: 'void' },
    paid: [`token:${KEY} one_time 199.00 failed`],
  },
  'one-time 2 CANCELED, its order never paid': {
    facts: product('CANCELLED', {}, [googleOrder({ state: 'CANCELED', expiryTime: null })]),
    at: 1,
    standing: { state: 'void' },
    paid: ['GPA.1 one_time 9.99 failed'],
  },
  'one-time, cancelled after it was paid': {
    facts: product('CANCELLED', {}, [googleOrder({ state: 'REFUNDED', expiryTime: null })]),
    at: 1,
    standing: { state: 'refunded' },
    paid: ['GPA.1 one_time 9.99 refunded'],
  },
  'a part of a quantity that is voided': {
    facts: {
      ...product('PURCHASED', {}, [googleOrder({ expiryTime: null, state: 'PARTIALLY_REFUNDED' })]),
      voids: [{ orderId: 'GPA.1', at: onDay(5), isPartial: true, reason: 0 }],
    },
    at: 6,
    standing: { state: 'active', accessUntil: null },
    paid: ['GPA.1 one_time 9.99 completed'],
  },
};

describe('what a notification of Play comes to', () => {
  it.each(Object.entries(NOTIFICATIONS))('%s', (_name, told) => {
    expect(standing(told.facts, told.at)).toMatchObject(told.standing);
    expect(ledger(told.facts)).toEqual(told.paid);
  });
});

describe('merging', () => {
  const inBothOrders = (...news: readonly Partial<GoogleFacts>[]): readonly GoogleFacts[] => [
    news.reduce(mergeGoogle, NOTHING_OF_GOOGLE),
    news.toReversed().reduce(mergeGoogle, NOTHING_OF_GOOGLE),
  ];

  it('keeps the answer to the later question', () => {
    const early = { snapshot: googleSnapshot({ seq: 1, state: 'ACTIVE' }) };
    const late = { snapshot: googleSnapshot({ seq: 2, state: 'ON_HOLD' }) };
    for (const facts of inBothOrders(early, late)) expect(facts.snapshot?.state).toBe('ON_HOLD');
  });

  it('keeps what was answered of an order when later we may not ask', () => {
    const known = googleOrder({ seq: 1 });
    const unknown = googleOrder({ seq: 9, state: null, total: null });
    for (const facts of inBothOrders({ orders: [known] }, { orders: [unknown] })) {
      expect(facts.orders).toEqual([known]);
    }
    const refunded = googleOrder({ seq: 4, state: 'REFUNDED' });
    for (const facts of inBothOrders({ orders: [known] }, { orders: [refunded, unknown] })) {
      expect(facts.orders).toEqual([refunded]);
    }
  });

  it('keeps of two voids the one of everything, then the one with a reason, then the first', () => {
    const part = { orderId: 'GPA.1', at: onDay(1), isPartial: true, reason: 1 };
    const notice = { orderId: 'GPA.1', at: onDay(2), isPartial: false, reason: null };
    const listed = { orderId: 'GPA.1', at: onDay(3), isPartial: false, reason: 7 };
    const again = { orderId: 'GPA.1', at: onDay(4), isPartial: false, reason: 8 };
    for (const facts of inBothOrders({ voids: [part] }, { voids: [notice] })) expect(facts.voids).toEqual([notice]);
    for (const facts of inBothOrders({ voids: [notice] }, { voids: [listed] })) expect(facts.voids).toEqual([listed]);
    for (const facts of inBothOrders({ voids: [listed] }, { voids: [again] })) expect(facts.voids).toEqual([listed]);
  });

  it('keeps the first revocation, and that there is a successor', () => {
    for (const facts of inBothOrders({ revokedAt: onDay(3) }, { revokedAt: onDay(2) }, { supersededBy: 'b' })) {
      expect(facts).toMatchObject({ revokedAt: onDay(2), supersededBy: 'b' });
    }
    for (const facts of inBothOrders({ supersededBy: 'b' }, {}, { supersededBy: 'a' })) {
      expect(facts.supersededBy).toBe('b');
    }
  });
});

describe('the state', () => {
  it.each([
    ['ACTIVE', 'active'],
    ['CANCELED', 'cancelled'],
    ['IN_GRACE_PERIOD', 'grace'],
    ['ON_HOLD', 'retry'],
    ['PAUSED', 'paused'],
    ['PENDING', 'pending'],
    ['PENDING_PURCHASE_CANCELED', 'void'],
    ['EXPIRED', 'expired'],
    ['UNSPECIFIED', 'expired'],
    ['SOMETHING_NEW', 'expired'],
  ])('%s of a subscription is %s', (said, state) => {
    expect(standing(answered({ state: said }), 1).state).toBe(state);
  });

  it.each([
    ['PURCHASED', 'active'],
    ['PENDING', 'pending'],
    ['CANCELLED', 'void'],
    ['UNSPECIFIED', 'expired'],
    ['SOMETHING_NEW', 'expired'],
  ])('%s of a product is %s', (said, state) => {
    expect(standing(product(said), 1).state).toBe(state);
  });

  it('is pending before the first answer, and superseded when only that is known', () => {
    const nothing = { tariffId: null, startedAt: null, accessUntil: null, autoRenewing: false };
    expect(standing(NOTHING_OF_GOOGLE, 1)).toMatchObject({ state: 'pending', ...nothing });
    expect(standing({ ...NOTHING_OF_GOOGLE, supersededBy: 'b' }, 1)).toMatchObject({ state: 'superseded', ...nothing });
    expect(standing(answered({ items: [] }), 1)).toMatchObject({ state: 'pending', ...nothing });
  });

  it('is superseded before it is anything else', () => {
    const voids = [{ orderId: 'GPA.1', at: onDay(1), isPartial: false, reason: null }];
    expect(standing(googleFacts({ supersededBy: 'b', voids, revokedAt: onDay(1) }), 2).state).toBe('superseded');
  });

  it('is revoked only once Play says that it ended', () => {
    const facts = { ...answered({}), revokedAt: onDay(5) };
    expect(standing(facts, 6).state).toBe('active');
    expect(standing(facts, 32)).toMatchObject({ state: 'revoked', endedReason: 'revoked' });
  });

  it.each([
    [7, 'chargeback'],
    [8, 'unacknowledged'],
    [1, 'refund'],
    [null, 'refund'],
  ])('after a void for reason %p: refunded (%s)', (reason, endedReason) => {
    const voids = [{ orderId: 'GPA.1', at: onDay(1), isPartial: false, reason }];
    expect(standing(googleFacts({ voids }), 2)).toMatchObject({ state: 'refunded', endedReason });
    expect(payments(googleFacts({ voids }))).toMatchObject([
      { refund: { amount: '9.99', at: day(1), reason: endedReason } },
    ]);
  });
});

describe('the silent grace of 48 h', () => {
  it('is had by what renews by itself', () => {
    expect(standing(answered({}), 31.9)).toMatchObject({ state: 'active', endsAt: day(30), accessUntil: day(32) });
    expect(standing(answered({}), 32)).toMatchObject({ state: 'expired', accessUntil: day(32) });
  });

  it.each([
    ['a prepaid plan', answered({}, { autoRenews: null })],
    ['what will not renew', answered({}, { autoRenews: false })],
    ['what was cancelled', answered({ state: 'CANCELED' }, { autoRenews: true })],
    ['the grace of Play itself', answered({ state: 'IN_GRACE_PERIOD' })],
  ])('is not had by %s', (_what, facts) => {
    expect(standing(facts, 29.9)).toMatchObject({ accessUntil: day(30) });
    expect(standing(facts, 30).state).toBe('expired');
  });

  it('is not had by a subscription that Play names no end of', () => {
    const facts = answered({}, { expiryTime: null });
    expect(standing(facts, 0)).toMatchObject({ state: 'expired', accessUntil: day(0) });
    expect(standing(answered({ startTime: null }, { expiryTime: null }), 0).state).toBe('expired');
  });
});

describe('a purchase of several lines', () => {
  const addOn = googleItem({ productId: 'plus', basePlanId: null, expiryTime: onDay(10), autoRenews: false });
  const unmapped = googleItem({ productId: 'coins', basePlanId: null, expiryTime: onDay(90) });

  it('is what its best line is', () => {
    const facts = answered({ items: [googleItem(), addOn, unmapped] });
    expect(standing(facts, 1)).toMatchObject({ tariffId: 3, productId: 'plus', accessUntil: day(10) });
    expect(standing(facts, 10)).toMatchObject({ tariffId: 1, productId: 'vpn', accessUntil: day(32) });
    expect(standing(facts, 33)).toMatchObject({ tariffId: 3, state: 'expired' });
  });

  it('is the line that lasts longest, of lines of the same rank', () => {
    const longer = googleItem({ expiryTime: onDay(40) });
    expect(standing(answered({ items: [googleItem(), longer] }), 1)).toMatchObject({ endsAt: day(40) });
    expect(standing(answered({ items: [longer, googleItem()] }), 1)).toMatchObject({ endsAt: day(40) });
  });

  it('is for life, if one of its lines of the same rank is', () => {
    const lines = [googleItem({ expiryTime: onDay(50) }), googleItem({ expiryTime: null }), googleItem()];
    const snapshot = googleSnapshot({
      kind: 'product',
      state: 'PURCHASED',
      items: lines.map((line) => ({ ...line, productId: 'lifetime', basePlanId: null })),
    });
    expect(standing(googleFacts({ snapshot }), 1)).toMatchObject({ tariffId: 4, accessUntil: null });
  });

  it('loses only the line whose order was voided', () => {
    const voids = [{ orderId: 'GPA.2', at: onDay(1), isPartial: false, reason: null }];
    const facts = { ...answered({ items: [googleItem(), { ...addOn, orderId: 'GPA.2' }] }), voids };
    expect(standing(facts, 2)).toMatchObject({ state: 'active', tariffId: 1 });
  });

  it('of which no tariff has any grants nothing', () => {
    expect(standing(answered({ items: [unmapped] }), 1)).toMatchObject({ state: 'active', tariffId: null });
  });
});

describe('terms', () => {
  it.each([
    ['the plan', 'yearly', 2],
    ['the product, for a plan without terms of its own', 'weekly', 1],
    ['the product, without a plan', null, 1],
  ])('are those of %s', (_what, basePlanId, tariffId) => {
    expect(standing(answered({}, { basePlanId }), 1)).toMatchObject({ tariffId, basePlanId });
  });

  it.each([
    ['for life', 'lifetime', null],
    ['as long as the tariff says', 'pass', day(30)],
    ['as long as the tariff says, though it is sold as a subscription', 'monthly', day(30)],
    ['for life, without a tariff', 'coins', null],
  ])('of a one-time product: %s', (_what, productId, endsAt) => {
    expect(standing(product('PURCHASED', { productId }), 1)).toMatchObject({ state: 'active', endsAt });
  });

  it('of what is to come are none, where no tariff has it or it is over', () => {
    expect(standing(answered({}, { replacementProductId: 'coins' }), 1).pendingTariffId).toBeNull();
    const over = answered({ state: 'EXPIRED' }, { replacementProductId: 'plus' });
    expect(standing(over, 40).pendingTariffId).toBeNull();
  });
});

describe('a payment', () => {
  it('says what Play said of its order', () => {
    expect(payments(googleFacts())).toEqual([
      {
        reference: 'GPA.1',
        formerReference: `token:${KEY}`,
        kind: 'purchase',
        amount: '9.99',
        currency: 'USD',
        status: 'completed',
        paidAt: day(0),
        periodStart: day(0),
        periodEnd: day(30),
        productId: 'vpn',
        tariffId: 1,
        isTrial: false,
        isEstimated: false,
        country: 'US',
        refund: null,
        supersededByReference: null,
      },
    ]);
  });

  it('is not known before the first answer', () => {
    expect(payments({ ...NOTHING_OF_GOOGLE, orders: [googleOrder()] })).toEqual([]);
    expect(payments({ ...answered({ items: [] }), orders: [] })).toEqual([]);
  });

  it('that waits for its money has the day on which it was learnt while Play gives no other', () => {
    const waiting = { state: 'PENDING', startTime: null, items: [googleItem({ orderId: null })] };
    expect(payments({ ...answered(waiting), orders: [] })).toMatchObject([{ paidAt: LEARNT_AT, status: 'pending' }]);
    const dated = { ...waiting, startTime: onDay(0) };
    expect(payments({ ...answered(dated), orders: [] })).toMatchObject([{ paidAt: day(0) }]);
  });

  it('is told in the order of payment, whatever the order of the facts', () => {
    const facts = googleFacts({ orders: [second, googleOrder(), googleOrder({ orderId: 'GPA.0' })] });
    expect(payments(facts).map(({ reference }) => reference)).toEqual(['GPA.0', 'GPA.1', 'GPA.1..0']);
  });

  it('goes on being known when Play names no line any more', () => {
    expect(ledger(answered({ items: [] }))).toEqual(PAID);
  });

  it('of a renewal is for the time from the end before it, or from when it was paid after a hold', () => {
    const early = { ...second, createTime: onDay(29.5) };
    expect(payments(googleFacts({ orders: [googleOrder(), early] }))[1]).toMatchObject({ periodStart: day(30) });
    const late = { ...second, createTime: onDay(40) };
    expect(payments(googleFacts({ orders: [googleOrder(), late] }))[1]).toMatchObject({ periodStart: day(40) });
    expect(payments(googleFacts({ orders: [{ ...second, expiryTime: null }] }))[0]).toMatchObject({
      periodStart: day(30),
      periodEnd: null,
    });
  });

  it.each([
    ['of the plan', {}, '9.99', 'USD'],
    ['of the tariff, where the plan has none', { price: null }, '9.99', 'USD'],
    ['of nothing, where there is no tariff either', { price: null, productId: 'coins' }, '0.00', 'USD'],
    ['of the plan in its currency', { price: { amount: '980.00', currency: 'JPY' } }, '980.00', 'JPY'],
  ])('is estimated by the price %s, where we may not ask', (_what, change, amount, currency) => {
    const order = googleOrder({ state: null, total: null, ...change });
    expect(payments(googleFacts({ orders: [order] }))).toMatchObject([
      { amount, currency, status: 'completed', isEstimated: true },
    ]);
  });

  it('of a trial is nothing, and that is no estimate', () => {
    const order = googleOrder({ state: null, total: null, phase: 'trial', price: null });
    expect(payments(googleFacts({ orders: [order] }))).toMatchObject([
      { amount: '0.00', currency: 'USD', isTrial: true, isEstimated: false },
    ]);
  });

  it.each([
    ['PROCESSED', 'completed'],
    ['PENDING', 'pending'],
    ['CANCELED', 'failed'],
    ['PENDING_REFUND', 'completed'],
    ['PARTIALLY_REFUNDED', 'completed'],
    ['REFUNDED', 'refunded'],
    ['SOMETHING_NEW', 'completed'],
  ])('whose order is %s is %s', (state, status) => {
    expect(payments(googleFacts({ orders: [googleOrder({ state })] }))).toMatchObject([{ status }]);
  });

  it('gives back what Play says, all of it where Play only says that it did, nothing where only a part went', () => {
    const part = googleOrder({ state: 'PARTIALLY_REFUNDED', refunded: { amount: '3.00', currency: 'USD' } });
    expect(payments(googleFacts({ orders: [part] }))).toMatchObject([
      { status: 'completed', refund: { amount: '3.00', reason: null } },
    ]);
    const whole = googleOrder({ state: 'REFUNDED' });
    expect(payments(googleFacts({ orders: [whole] }))).toMatchObject([{ refund: { amount: '9.99', at: day(0) } }]);
    const voids = [{ orderId: 'GPA.1', at: onDay(4), isPartial: true, reason: null }];
    expect(payments(googleFacts({ voids }))).toMatchObject([
      { status: 'completed', refund: { amount: '0.00', at: day(4) } },
    ]);
  });

  it('without an order is a promo code, and nothing was charged', () => {
    const facts = { ...answered({}, { orderId: null }), orders: [] };
    expect(payments(facts)).toMatchObject([
      { reference: `token:${KEY}`, amount: '0.00', currency: 'USD', status: 'completed', isEstimated: false },
    ]);
    const unpriced = { ...answered({}, { orderId: null, price: null, productId: 'coins' }), orders: [] };
    expect(payments(unpriced)).toMatchObject([{ amount: '0.00', currency: 'USD', tariffId: null }]);
  });

  it('waits for the order that Play named', () => {
    expect(payments({ ...answered({}), orders: [] })).toEqual([]);
  });
});

describe('where orders may not be read, the state of the purchase itself decides (H5)', () => {
  const unread = googleOrder({ state: null, total: null, expiryTime: null, productId: 'lifetime', basePlanId: null });

  it.each([
    ['waits to be paid', product('PENDING', {}, [unread]), 'pending', 'pending'],
    ['was never paid', product('CANCELLED', {}, [unread]), 'void', 'failed'],
    ['was paid', product('PURCHASED', {}, [unread]), 'active', 'completed'],
    ['was paid and taken back', product('CANCELLED', {}, [unread], onDay(0)), 'refunded', 'refunded'],
    [
      'is cancelled after its order waited',
      product('CANCELLED', {}, [{ ...unread, state: 'PENDING' }]),
      'void',
      'failed',
    ],
    ['waits, a subscription', { ...answered({ state: 'PENDING' }), orders: [unread] }, 'pending', 'pending'],
    [
      'was never paid, a subscription',
      { ...answered({ state: 'PENDING_PURCHASE_CANCELED' }), orders: [unread] },
      'void',
      'failed',
    ],
    ['goes on, a subscription', { ...answered({}), orders: [unread] }, 'active', 'completed'],
  ])('%s', (_name, facts, state, status) => {
    expect(standing(facts, 1).state).toBe(state);
    expect(payments(facts)).toMatchObject([{ status }]);
  });
});

describe('another plan from the next renewal on (H17)', () => {
  const running = googleItem({
    productId: 'vpn',
    basePlanId: 'monthly',
    autoRenews: false,
    replacementProductId: 'vpn',
  });
  const waiting = googleItem({ productId: 'vpn', basePlanId: 'yearly', expiryTime: null, orderId: null });
  const facts = (items: readonly GoogleItem[], state = 'ACTIVE'): GoogleFacts =>
    googleFacts({ snapshot: googleSnapshot({ items, state }) });

  it.each([
    ['listed after', [running, waiting]],
    ['listed before', [waiting, running]],
  ])('goes on, shows what comes, and is not cut off at the boundary: %s', (_name, items) => {
    expect(standing(facts(items), 29)).toMatchObject({
      state: 'active',
      tariffId: 1,
      autoRenewing: true,
      endsAt: day(30),
      accessUntil: day(32),
      pendingTariffId: 2,
    });
    expect(standing(facts(items), 31)).toMatchObject({ state: 'active', tariffId: 1 });
    expect(standing(facts(items), 33)).toMatchObject({ state: 'expired', tariffId: 1, pendingTariffId: null });
  });

  it('does not go on once it is cancelled', () => {
    expect(standing(facts([running, waiting], 'CANCELED'), 29)).toMatchObject({
      state: 'cancelled',
      autoRenewing: false,
      accessUntil: day(30),
    });
  });

  it('leaves a line that is only removed to its end', () => {
    const removed = googleItem({ autoRenews: false });
    expect(standing(facts([removed]), 29)).toMatchObject({ autoRenewing: false, accessUntil: day(30) });
  });
});

describe('what a linked purchase is paid for (H11)', () => {
  const kindOf = (before: Partial<GoogleItem>, now: Partial<GoogleItem>, startsOn: number): unknown => {
    const old = answered({ seq: 1 }, before);
    const item = googleItem({ orderId: 'GPA.2', ...now });
    const snapshot = googleSnapshot({ seq: 2, linkedKey: 'old', startTime: onDay(startsOn), items: [item] });
    const order = googleOrder({ orderId: 'GPA.2', productId: item.productId, basePlanId: item.basePlanId });
    const facts = mergeGoogle(googleFacts({ snapshot, orders: [order] }), inheritedFrom(old));
    return payments(facts)[0]?.kind;
  };

  it.each([
    ['another product', {}, { productId: 'plus' }, 10, 'upgrade'],
    ['another plan of the product', {}, { basePlanId: 'yearly' }, 10, 'upgrade'],
    ['a prepaid plan for one more period', { autoRenews: null }, { autoRenews: null }, 20, 'renewal'],
    ['the same again before it ended', { autoRenews: false }, {}, 20, 'purchase'],
    ['the same again after it ended', {}, {}, 50, 'purchase'],
    ['another product after it ended', {}, { productId: 'plus' }, 50, 'purchase'],
  ])('%s', (_name, before, now, startsOn, kind) => {
    expect(kindOf(before, now, startsOn)).toBe(kind);
  });

  it('stays what it was when a plan change follows', () => {
    const old = answered({ seq: 1 });
    const snapshot = googleSnapshot({ seq: 2, linkedKey: 'old', items: [googleItem({ orderId: 'GPA.2' })] });
    const facts = mergeGoogle(
      googleFacts({ snapshot, orders: [googleOrder({ orderId: 'GPA.2' })] }),
      inheritedFrom(old),
    );
    const later = mergeGoogle(facts, {
      snapshot: { ...snapshot, seq: 3, items: [googleItem({ productId: 'plus', orderId: 'GPA.2..0' })] },
    });
    expect([facts, later].map((one) => payments(one)[0]?.kind)).toEqual(['purchase', 'purchase']);
  });
});

it('a pass that is bought several times at once lasts so many times as long (H11)', () => {
  const pass = product('PURCHASED', { productId: 'pass', quantity: 3 });
  expect(standing(pass, 1)).toMatchObject({ state: 'active', endsAt: day(90) });
});

describe('whether Play can have forgotten it (H23)', () => {
  it.each([
    ['while it runs', answered({}), 20, false],
    ['just after its end', answered({}), 33, false],
    ['60 days after its end', answered({ state: 'EXPIRED' }), 90, true],
    ['when another took its place', { ...answered({}), supersededBy: 'another' }, 20, true],
    ['when it was never paid', answered({ state: 'PENDING_PURCHASE_CANCELED' }, { expiryTime: null }), 1, true],
    ['when nothing was ever known of it', NOTHING_OF_GOOGLE, 1, true],
    ['a product that is had for life', product('PURCHASED'), 900, false],
    ['a product that was taken back', product('CANCELLED'), 900, true],
  ])('%s', (_name, facts, on, isOver) => {
    expect(isLongOver(facts, day(on))).toBe(isOver);
  });
});
