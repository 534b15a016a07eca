import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { addDays } from '#kernel';
import { Enforcement } from '#peers';
import { AppleCertificates } from '../fakes/apple-certificates.js';
import { FakeAppleNotification, type FakeAppleSubscription } from '../fakes/fake-apple.js';
import { type Account, type Answer, expectOk, TestApi } from '../support/api.js';
import { LIFETIME, MONTHLY, TestStores, YEARLY } from '../support/stores.js';
import { until } from '../support/until.js';

const METRICS_TOKEN = 'h7Wq2nXt9KzV4mRb8YcD5sJe';
/** A week that does not renew itself. */
const WEEK = 'com.example.vpn.week';

const logLines: string[] = [];
/** What must never be logged: whatever Apple signed in this file, and whom purchases named. */
const secrets = new Set<string>();
let stores: TestStores;
let weekId: number;

beforeAll(async () => {
  stores = await TestStores.start({ METRICS_TOKEN, METRICS_PORT: '0' }, logLines);
  weekId = await stores.api.tariff(stores.admin, {
    name: 'Week',
    price: '3.99',
    duration_days: 7,
    store_products: [{ provider: 'apple', product_id: WEEK, kind: 'nonrenewing' }],
  });
});
afterAll(() => stores.stop());

/** Somebody with one purchase, which names him, and one device. */
interface Customer {
  readonly account: Account;
  /** The original transaction. */
  readonly purchase: string;
  readonly deviceId: number;
}

// What a customer sees is told by assertions on it.
/* eslint-disable @typescript-eslint/no-explicit-any */
interface Seen {
  readonly subscription: any;
  readonly payments: any[];
  /** How the config of his device is answered. */
  readonly config: number;
  readonly device: any;
}
/* eslint-enable @typescript-eslint/no-explicit-any */

const LET_IN = { config: 200, device: { status: 'active', suspended_reason: null } };
const SHUT_OUT = { config: 403, device: { status: 'suspended', suspended_reason: 'no_access' } };
const PAID = {
  amount: '9.99',
  currency: 'USD',
  kind: 'purchase',
  status: 'completed',
  provider: 'apple',
  refunded_amount: null,
  refunded_at: null,
  is_test: false,
};
const RENEWED = { ...PAID, kind: 'renewal' };

const now = (): Date => stores.api.clock.now();
const inDays = (days: number): string => addDays(now(), days).toISOString();
const pass = (days: number): void => stores.api.clock.advance({ days });

/** Apple tells of something, is answered at once, and it is dealt with. */
async function tell(notification: FakeAppleNotification): Promise<void> {
  secrets.add(notification.signedPayload);
  expect(expectOk(await stores.tellApple(notification))).toEqual({ status: 'ok' });
}

async function tokenOf(account: Account): Promise<string> {
  const token = await stores.tokenOf(account);
  secrets.add(token);
  return token;
}

async function addDevice(account: Account): Promise<number> {
  return expectOk(await stores.api.post('/vpn_peers/self', {}, await stores.signedIn(account))).id;
}

async function customer(sale: Partial<FakeAppleSubscription> = {}): Promise<Customer> {
  const account = await stores.api.user();
  const accountToken = await tokenOf(account);
  const bought = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', accountToken, ...sale });
  await tell(bought);
  return { account, purchase: bought.originalTransactionId, deviceId: await addDevice(account) };
}

async function see({ account, deviceId }: Customer): Promise<Seen> {
  const token = await stores.signedIn(account);
  const { status: config } = await stores.api.get(`/vpn_peers/${deviceId}/config`, token);
  return {
    subscription: expectOk(await stores.api.get('/auth/me/subscription', token)),
    payments: expectOk(await stores.api.get('/payments/', token)),
    config,
    device: expectOk(await stores.api.get(`/vpn_peers/${deviceId}`, await stores.signedIn(stores.admin))),
  };
}

/** What is kept of a purchase and not shown to its owner. */
async function kept(purchase: string): Promise<Record<string, unknown>> {
  const [row] = await stores.api.rows(
    `SELECT p.state, p.user_id, p.bound_by, p.refund_requested_at, p.facts->'renewal' AS renewal, p.next_check_at,
       t.pending_tariff_id, t.ended_reason, t.cancelled_at, t.grace_until, t.access_until
     FROM store_purchases p LEFT JOIN user_tariffs t ON t.store_purchase_id = p.id WHERE p.key = $1`,
    [purchase],
  );
  if (row === undefined) throw new Error(`Nothing is kept of ${purchase}`);
  return row;
}

async function paymentRows(purchase: string): Promise<Record<string, unknown>[]> {
  return stores.api.rows(
    `SELECT m.* FROM payments m JOIN store_purchases p ON p.id = m.store_purchase_id WHERE p.key = $1 ORDER BY m.id`,
    [purchase],
  );
}

/** What became of a notification in the inbox. */
async function eventOf({ id }: FakeAppleNotification): Promise<Record<string, unknown> | undefined> {
  const [row] = await stores.api.rows(`SELECT type, subtype, status FROM store_events WHERE event_id = $1`, [id]);
  return row;
}

/** Every row that could follow from a notification, with the version of each. */
function everything(): Promise<Record<string, unknown>[]> {
  const tables = ['store_events', 'store_purchases', 'store_transactions', 'user_tariffs', 'payments', 'vpn_peers'];
  return stores.api.rows(
    tables
      .map((table) => `SELECT '${table}' AS name, xmin::text, to_jsonb(t) AS row FROM ${table} t`)
      .join(' UNION ALL '),
  );
}

async function metric(line: string): Promise<number> {
  const { body } = await stores.api.get('/metrics', METRICS_TOKEN);
  const found = String(body)
    .split('\n')
    .find((one) => one.startsWith(`${line} `));
  return Number(found?.slice(line.length) ?? 0);
}

/** He keeps what he has: the same subscription, payments and device, whatever was told. */
async function expectUnchangedBy(who: Customer, ...notifications: FakeAppleNotification[]): Promise<void> {
  const before = await see(who);
  for (const notification of notifications) await tell(notification);
  expect(await see(who)).toEqual(before);
}

describe('A first purchase (SUBSCRIBED / INITIAL_BUY)', () => {
  it('gives access until the end of its period, is one payment, and lets a device in', async () => {
    const he = await customer();
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: {
        tariff_id: stores.tariffs[MONTHLY],
        status: 'active',
        state: 'active',
        started_at: inDays(0),
        ended_at: inDays(30),
        auto_renewing: true,
        is_trial: false,
        store: 'apple',
      },
      payments: [{ ...PAID, provider_payment_id: he.purchase, tariff_id: stores.tariffs[MONTHLY] }],
    });
  });

  it('for a free trial gives access until the trial ends, and is a payment of nothing', async () => {
    const he = await customer({ trial: true, period: 7 });
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { status: 'active', state: 'trial', is_trial: true, ended_at: inDays(7), auto_renewing: true },
      payments: [{ ...PAID, amount: '0.00' }],
    });
  });

  it('of a family member gives access to who claims it, and is no payment', async () => {
    const account = await stores.api.user();
    const shared = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', familyShared: true });
    await tell(shared);
    expect(await kept(shared.originalTransactionId)).toMatchObject({ state: 'active', user_id: null });
    const jws = stores.apple.transactionJws(shared.transactionId);
    secrets.add(jws);
    expect((await stores.verify(account, jws)).body).toMatchObject({ valid: true, status: 'verified', payment: null });
    const he = { account, purchase: shared.originalTransactionId, deviceId: await addDevice(account) };
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { state: 'active', ended_at: inDays(30) },
      payments: [],
    });
  });

  it('without a price, as in old transactions, is a payment of what the tariff costs, marked as an estimate', async () => {
    const he = await customer({ price: undefined, currency: undefined });
    expect((await see(he)).payments).toMatchObject([{ ...PAID, amount: '9.99' }]);
    expect(await paymentRows(he.purchase)).toMatchObject([{ amount_estimated: true }]);
  });

  it('of a sandbox gives access for as long as the sandbox says, and is no revenue', async () => {
    const he = await customer({ environment: 'Sandbox', period: 0.05 });
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { status: 'active', ended_at: inDays(0.05) },
      payments: [{ ...PAID, is_test: true }],
    });
  });
});

describe('A purchase after a lapse (SUBSCRIBED / RESUBSCRIBE)', () => {
  it('goes on in the same subscription with a new end, is a second payment, and lets the same device in again', async () => {
    const he = await customer();
    const before = await see(he);
    pass(30);
    await tell(stores.apple.expire(he.purchase));
    expect(await see(he)).toMatchObject({ ...SHUT_OUT, subscription: { status: 'expired' } });
    pass(10);
    await tell(stores.apple.resubscribe(he.purchase));
    const after = await see(he);
    expect(after).toMatchObject({
      ...LET_IN,
      subscription: { id: before.subscription.id, state: 'active', ended_at: inDays(30), auto_renewing: true },
      payments: [PAID, PAID],
    });
    expect(after.device).toEqual(before.device);
  });
});

describe('A purchase of another product after a lapse (SUBSCRIBED / RESUBSCRIBE)', () => {
  it('goes on in the same subscription with another tariff, and is no upgrade', async () => {
    const he = await customer();
    const { subscription } = await see(he);
    pass(30);
    await tell(stores.apple.expire(he.purchase));
    await tell(stores.apple.resubscribe(he.purchase, { productId: YEARLY, price: 59_990 }));
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { id: subscription.id, tariff_id: stores.tariffs[YEARLY], state: 'active' },
      payments: [PAID, { ...PAID, amount: '59.99' }],
    });
    expect(await paymentRows(he.purchase)).toMatchObject([{ superseded_by: null }, { superseded_by: null }]);
  });
});

describe('An offer', () => {
  it('redeemed in a running subscription (OFFER_REDEEMED) sets its end, and is a payment of the offer', async () => {
    const he = await customer();
    pass(10);
    await tell(stores.apple.redeemOffer(he.purchase, { price: 4990 }));
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { state: 'active', ended_at: inDays(30) },
      payments: [PAID, { ...PAID, amount: '4.99' }],
    });
  });

  it('with an upgrade (OFFER_REDEEMED / UPGRADE) switches the tariff at once, and is a payment', async () => {
    const he = await customer();
    pass(10);
    stores.apple.upgrade(he.purchase, { productId: YEARLY, price: 39_990, period: 365 });
    await tell(stores.apple.raw('OFFER_REDEEMED', 'UPGRADE', { id: he.purchase }));
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { tariff_id: stores.tariffs[YEARLY], state: 'active', ended_at: inDays(365) },
      payments: [PAID, { ...PAID, amount: '39.99', kind: 'upgrade' }],
    });
  });

  it('with a downgrade (OFFER_REDEEMED / DOWNGRADE) waits for the next renewal, and is no payment', async () => {
    const he = await customer({ productId: YEARLY, price: 59_990, period: 365 });
    const before = await see(he);
    stores.apple.downgrade(he.purchase, { productId: MONTHLY, price: 4990 });
    await tell(stores.apple.raw('OFFER_REDEEMED', 'DOWNGRADE', { id: he.purchase }));
    expect(await see(he)).toEqual(before);
    expect(await kept(he.purchase)).toMatchObject({ pending_tariff_id: stores.tariffs[MONTHLY] });
  });
});

describe('A renewal (DID_RENEW)', () => {
  it('moves the end to that of the new period, and is a payment of its own', async () => {
    const he = await customer();
    pass(30);
    await tell(stores.apple.renew(he.purchase));
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { state: 'active', ended_at: inDays(30), auto_renewing: true },
      payments: [PAID, RENEWED],
    });
  });

  it('that recovers a failed charge (BILLING_RECOVERY) brings access and the same device back', async () => {
    const he = await customer();
    const before = await see(he);
    pass(30);
    await tell(stores.apple.failToRenew(he.purchase));
    pass(5);
    await tell(stores.apple.recover(he.purchase));
    const after = await see(he);
    expect(after).toMatchObject({
      ...LET_IN,
      subscription: { id: before.subscription.id, state: 'active', ended_at: inDays(30), auto_renewing: true },
      payments: [PAID, RENEWED],
    });
    expect(after.device).toEqual(before.device);
    expect(await kept(he.purchase)).toMatchObject({ grace_until: null, renewal: { isInBillingRetry: false } });
  });

  it('out of grace (BILLING_RECOVERY) clears the grace', async () => {
    const he = await customer();
    pass(30);
    await tell(stores.apple.failToRenew(he.purchase, { grace: 16 }));
    pass(2);
    await tell(stores.apple.recover(he.purchase));
    expect(await see(he)).toMatchObject({ ...LET_IN, subscription: { state: 'active', ended_at: inDays(30) } });
    expect(await kept(he.purchase)).toMatchObject({ grace_until: null, access_until: addDays(now(), 30) });
  });
});

describe('A change of plan (DID_CHANGE_RENEWAL_PREF)', () => {
  it('upwards (UPGRADE) switches the tariff now: the new payment supersedes the old, which stays completed', async () => {
    const he = await customer();
    pass(10);
    await tell(stores.apple.upgrade(he.purchase, { productId: YEARLY, price: 59_990, period: 365 }));
    const seen = await see(he);
    expect(seen).toMatchObject({
      ...LET_IN,
      subscription: { tariff_id: stores.tariffs[YEARLY], state: 'active', ended_at: inDays(365) },
      payments: [PAID, { ...PAID, amount: '59.99', kind: 'upgrade' }],
    });
    const [month, year] = await paymentRows(he.purchase);
    expect(month).toMatchObject({ status: 'completed', refunded_amount: null, superseded_by: year?.['id'] });
    // Apple gives back what was left of the month.
    await tell(stores.apple.refund(he.purchase, { percentage: 60 }));
    const [given] = await paymentRows(he.purchase);
    expect(given).toMatchObject({ status: 'completed', refunded_amount: '5.994000', superseded_by: year?.['id'] });
    expect(await see(he)).toMatchObject({ ...LET_IN, subscription: seen.subscription });
  });

  it('downwards (DOWNGRADE) waits for the next renewal, which switches the tariff', async () => {
    const he = await customer({ productId: YEARLY, price: 59_990, period: 365 });
    await expectUnchangedBy(he, stores.apple.downgrade(he.purchase, { productId: MONTHLY, price: 9990 }));
    expect(await kept(he.purchase)).toMatchObject({ pending_tariff_id: stores.tariffs[MONTHLY] });
    pass(365);
    await tell(stores.apple.renew(he.purchase));
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { tariff_id: stores.tariffs[MONTHLY], state: 'active' },
      payments: [{ ...PAID, amount: '59.99' }, RENEWED],
    });
    expect(await kept(he.purchase)).toMatchObject({ pending_tariff_id: null });
  });

  it('taken back (without a subtype) leaves everything as it was', async () => {
    const he = await customer({ productId: YEARLY, price: 59_990, period: 365 });
    await tell(stores.apple.downgrade(he.purchase, { productId: MONTHLY, price: 9990 }));
    await expectUnchangedBy(he, stores.apple.cancelDowngrade(he.purchase));
    expect(await kept(he.purchase)).toMatchObject({ pending_tariff_id: null });
  });
});

describe('Auto-renewal (DID_CHANGE_RENEWAL_STATUS)', () => {
  it('switched off (AUTO_RENEW_DISABLED) is a cancellation: access until the end, by the clock alone', async () => {
    const he = await customer();
    await tell(stores.apple.setAutoRenew(he.purchase, false));
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { status: 'active', state: 'cancelled', ended_at: inDays(30), auto_renewing: false },
      payments: [PAID],
    });
    expect(await kept(he.purchase)).toMatchObject({ cancelled_at: expect.any(Date) });
    pass(30);
    await stores.api.app.get(Enforcement).run({ force: true });
    expect(await see(he)).toMatchObject({ ...SHUT_OUT, subscription: { status: 'expired', state: 'expired' } });
  });

  it('switched on again (AUTO_RENEW_ENABLED) takes the cancellation back', async () => {
    const he = await customer();
    const before = await see(he);
    await tell(stores.apple.setAutoRenew(he.purchase, false));
    await tell(stores.apple.setAutoRenew(he.purchase, true));
    expect(await see(he)).toEqual(before);
    expect(await kept(he.purchase)).toMatchObject({ cancelled_at: null });
  });
});

describe('A failed charge (DID_FAIL_TO_RENEW)', () => {
  it('with grace (GRACE_PERIOD) leaves access until the grace ends, shows that end, and is no payment (E7)', async () => {
    const he = await customer();
    pass(30);
    await tell(stores.apple.failToRenew(he.purchase, { grace: 16 }));
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: {
        status: 'active',
        state: 'grace',
        days_remaining: 16,
        ended_at: inDays(16),
        access_until: inDays(16),
        auto_renewing: true,
      },
      payments: [PAID],
    });
    expect(await kept(he.purchase)).toMatchObject({
      grace_until: addDays(now(), 16),
      access_until: addDays(now(), 16),
    });
    pass(16);
    await stores.api.app.get(Enforcement).run({ force: true });
    expect(await see(he)).toMatchObject({ ...SHUT_OUT, subscription: { state: 'retry' }, payments: [PAID] });
  });

  it('without grace ends access at once while Apple tries again, and is no payment', async () => {
    const he = await customer();
    pass(30);
    await tell(stores.apple.failToRenew(he.purchase));
    expect(await see(he)).toMatchObject({
      ...SHUT_OUT,
      subscription: { status: 'expired', state: 'retry', auto_renewing: true, days_remaining: 0 },
      payments: [PAID],
    });
  });

  it('whose grace is over (GRACE_PERIOD_EXPIRED) ends access while Apple tries again', async () => {
    const he = await customer();
    pass(30);
    await tell(stores.apple.failToRenew(he.purchase, { grace: 6 }));
    pass(6);
    await tell(stores.apple.expireGrace(he.purchase));
    expect(await see(he)).toMatchObject({ ...SHUT_OUT, subscription: { state: 'retry' }, payments: [PAID] });
  });
});

describe('The end (EXPIRED)', () => {
  it.each([
    ['VOLUNTARY', 'voluntary'],
    ['BILLING_RETRY', 'billing'],
    ['PRICE_INCREASE', 'price_increase'],
    ['PRODUCT_NOT_FOR_SALE', 'product_not_for_sale'],
  ] as const)('for the reason %s ends access, and the reason is kept', async (subtype, reason) => {
    const he = await customer();
    pass(30);
    await tell(stores.apple.expire(he.purchase, subtype));
    expect(await see(he)).toMatchObject({
      ...SHUT_OUT,
      subscription: { status: 'expired', state: 'expired', ended_at: inDays(0), auto_renewing: false },
      payments: [PAID],
    });
    expect(await kept(he.purchase)).toMatchObject({ ended_reason: reason, next_check_at: null });
  });
});

describe('A higher price (PRICE_INCREASE)', () => {
  it('is noted when it is asked for (PENDING) and when it is agreed to (ACCEPTED), and changes nothing', async () => {
    const he = await customer();
    await expectUnchangedBy(he, stores.apple.priceIncrease(he.purchase, { price: 12_990 }));
    expect(await kept(he.purchase)).toMatchObject({ renewal: { priceIncreaseStatus: 0, renewalPrice: 12_990 } });
    await expectUnchangedBy(he, stores.apple.priceIncrease(he.purchase, { price: 12_990, isAccepted: true }));
    expect(await kept(he.purchase)).toMatchObject({ renewal: { priceIncreaseStatus: 1, renewalPrice: 12_990 } });
    pass(30);
    await tell(stores.apple.renew(he.purchase));
    expect((await see(he)).payments).toMatchObject([PAID, { ...RENEWED, amount: '12.99' }]);
  });
});

describe('Days that were given away', () => {
  it('to one subscriber (RENEWAL_EXTENDED) move his end, and are no payment', async () => {
    const he = await customer();
    await tell(stores.apple.extend(he.purchase, 5));
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { state: 'active', ended_at: inDays(35) },
      payments: [PAID],
    });
  });

  it('to many (RENEWAL_EXTENSION / SUMMARY, FAILURE) are told to the operator, and change nothing', async () => {
    const he = await customer();
    const summary = stores.apple.raw('RENEWAL_EXTENSION', 'SUMMARY', {
      instead: 'summary',
      data: { requestIdentifier: randomUUID(), productId: MONTHLY, succeededCount: 5, failedCount: 1 },
    });
    const failure = stores.apple.raw('RENEWAL_EXTENSION', 'FAILURE', { id: he.purchase });
    await expectUnchangedBy(he, summary, failure);
    expect(await eventOf(summary)).toEqual({ type: 'RENEWAL_EXTENSION', subtype: 'SUMMARY', status: 'ignored' });
    expect(await eventOf(failure)).toEqual({ type: 'RENEWAL_EXTENSION', subtype: 'FAILURE', status: 'done' });
    expect(operatorWasTold('RENEWAL_EXTENSION')).toBe(2);
  });
});

describe('A refund (REFUND)', () => {
  it('of what he has now ends access at once, and is written at its payment', async () => {
    const he = await customer();
    pass(10);
    await tell(stores.apple.refund(he.purchase));
    expect(await see(he)).toMatchObject({
      ...SHUT_OUT,
      subscription: { status: 'refunded', state: 'refunded', auto_renewing: false, days_remaining: 0 },
      payments: [{ ...PAID, status: 'refunded', refunded_amount: '9.99', refunded_at: inDays(0) }],
    });
    expect(await kept(he.purchase)).toMatchObject({ access_until: now() });
  });

  it('of an earlier period leaves access as it is', async () => {
    const he = await customer();
    pass(30);
    await tell(stores.apple.renew(he.purchase));
    const { subscription } = await see(he);
    pass(1);
    await tell(stores.apple.refund(he.purchase));
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { id: subscription.id, state: 'active', ended_at: subscription.ended_at, auto_renewing: true },
      payments: [{ ...PAID, status: 'refunded', refunded_amount: '9.99', refunded_at: inDays(0) }, RENEWED],
    });
  });

  it('of a part (REFUND_PRORATED) is of so much of the price, and ends access as well', async () => {
    const he = await customer();
    pass(18);
    await tell(stores.apple.refund(he.purchase, { percentage: 40 }));
    expect(await see(he)).toMatchObject({
      ...SHUT_OUT,
      subscription: { status: 'refunded' },
      payments: [{ ...PAID, status: 'refunded', refunded_amount: '3.996', refunded_at: inDays(0) }],
    });
  });

  it('that was declined (REFUND_DECLINED) changes nothing', async () => {
    const he = await customer();
    await expectUnchangedBy(he, stores.apple.declineRefund(he.purchase));
  });

  it('that was taken back (REFUND_REVERSED) brings access, the same device and the payment back', async () => {
    const he = await customer();
    const before = await see(he);
    pass(3);
    await tell(stores.apple.refund(he.purchase));
    expect(await see(he)).toMatchObject(SHUT_OUT);
    pass(3);
    await tell(stores.apple.reverseRefund(he.purchase));
    const after = await see(he);
    expect(after).toMatchObject({
      ...LET_IN,
      subscription: { id: before.subscription.id, state: 'active', ended_at: before.subscription.ended_at },
      payments: before.payments,
    });
    expect(after.device).toEqual(before.device);
    expect(await historyOf(he.purchase)).toEqual(['active', 'refunded', 'active']);
  });

  it('that was taken back after the period was over (REFUND_REVERSED) brings the payment back, and no access', async () => {
    const he = await customer();
    await tell(stores.apple.refund(he.purchase));
    pass(31);
    await tell(stores.apple.reverseRefund(he.purchase));
    expect(await see(he)).toMatchObject({ ...SHUT_OUT, subscription: { status: 'expired' }, payments: [PAID] });
  });

  it('that is asked for (CONSUMPTION_REQUEST), again and again, is noted with the latest request, and changes nothing', async () => {
    const he = await customer();
    await expectUnchangedBy(he, stores.apple.requestRefund(he.purchase));
    expect(await kept(he.purchase)).toMatchObject({ refund_requested_at: expect.any(Date) });
    pass(1);
    await expectUnchangedBy(he, stores.apple.requestRefund(he.purchase));
    const [payment] = await paymentRows(he.purchase);
    const requestedAt = payment?.['refund_requested_at'];
    expect(requestedAt).toEqual((await kept(he.purchase))['refund_requested_at']);
    expect(Number(requestedAt)).toBeGreaterThanOrEqual(now().getTime());
  });

  it('that is asked for (CONSUMPTION_REQUEST) has Apple told how much was used, if he agreed to that', async () => {
    const he = await customer();
    await tell(stores.apple.requestRefund(he.purchase));
    expectOk(await stores.api.put('/auth/me', { refund_data_consent: true }, await stores.signedIn(he.account)));
    pass(15);
    // Of what was asked before he agreed, nothing is ever told.
    expect(await stores.api.rows(`SELECT 1 FROM outbox WHERE kind = 'apple_consumption'`)).toEqual([]);
    await tell(stores.apple.requestRefund(he.purchase));
    const told = await until(() => Promise.resolve(stores.apple.consumption.get(he.purchase)));
    expect(told).toEqual({ customerConsented: true, deliveryStatus: 'DELIVERED', sampleContentProvided: false });
  });

  it('that was asked for long ago, and is heard of late, does not count as the latest', async () => {
    const he = await customer();
    const first = stores.apple.requestRefund(he.purchase);
    pass(1);
    await tell(stores.apple.requestRefund(he.purchase));
    const before = await kept(he.purchase);
    await tell(first);
    expect(await kept(he.purchase)).toMatchObject({ refund_requested_at: before['refund_requested_at'] });
    expect(await paymentRows(he.purchase)).toMatchObject([{ refund_requested_at: before['refund_requested_at'] }]);
  });
});

describe('Family sharing that ends (REVOKE)', () => {
  it('ends access at once, and no money is involved', async () => {
    const he = await customer({ familyShared: true });
    expect(await see(he)).toMatchObject({ ...LET_IN, payments: [] });
    pass(3);
    await tell(stores.apple.revokeFamily(he.purchase));
    expect(await see(he)).toMatchObject({
      ...SHUT_OUT,
      subscription: { status: 'revoked', state: 'revoked', auto_renewing: false },
      payments: [],
    });
    expect(await kept(he.purchase)).toMatchObject({ ended_reason: 'family_sharing_ended', access_until: now() });
  });
});

describe('What is bought once (ONE_TIME_CHARGE)', () => {
  async function buyer(sale: Parameters<typeof stores.apple.oneTime>[0]): Promise<{ account: Account; id: string }> {
    const account = await stores.api.user();
    const bought = stores.apple.oneTime({ currency: 'USD', accountToken: await tokenOf(account), ...sale });
    await tell(bought);
    return { account, id: bought.transactionId };
  }

  it('for life has no end', async () => {
    const { account, id } = await buyer({ productId: LIFETIME, price: 199_990 });
    const he = { account, purchase: id, deviceId: await addDevice(account) };
    const forLife = {
      status: 'active',
      ended_at: null,
      is_lifetime: true,
      days_remaining: 36_500,
      auto_renewing: false,
    };
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: forLife,
      payments: [{ ...PAID, amount: '199.99', kind: 'one_time', provider_payment_id: id }],
    });
    pass(1000);
    await stores.api.app.get(Enforcement).run({ force: true });
    expect(await see(he)).toMatchObject({ ...LET_IN, subscription: forLife });
    await tell(stores.apple.refund(id));
    expect(await see(he)).toMatchObject({
      ...SHUT_OUT,
      subscription: { status: 'refunded' },
      payments: [{ status: 'refunded', refunded_amount: '199.99' }],
    });
  });

  it.each(['Non-Renewing Subscription', 'Consumable'] as const)(
    'as a %s lasts as long as its tariff says',
    async (type) => {
      const { account, id } = await buyer({ productId: WEEK, price: 3990, type });
      const he = { account, purchase: id, deviceId: await addDevice(account) };
      expect(await see(he)).toMatchObject({
        ...LET_IN,
        subscription: { tariff_id: weekId, state: 'active', ended_at: inDays(7), auto_renewing: false },
        payments: [{ ...PAID, amount: '3.99', kind: 'one_time' }],
      });
      pass(7);
      await stores.api.app.get(Enforcement).run({ force: true });
      expect(await see(he)).toMatchObject({ ...SHUT_OUT, subscription: { status: 'expired' } });
    },
  );

  it('as a consumable of no tariff is a payment, and gives nothing', async () => {
    const { account } = await buyer({ productId: 'com.example.vpn.coins', price: 990, type: 'Consumable' });
    expect(await stores.subscription(account)).toBeNull();
    expect(await stores.payments(account)).toMatchObject([
      { ...PAID, amount: '0.99', kind: 'one_time', tariff_id: null },
    ]);
  });
});

describe('News that concern no purchase', () => {
  it.each(['UNREPORTED', 'CREATED', 'ACTIVE_TOKEN_REMINDER'])(
    'of the external purchase programme (EXTERNAL_PURCHASE_TOKEN / %s) are kept and told to the operator',
    async (subtype) => {
      const told = operatorWasTold('EXTERNAL_PURCHASE_TOKEN');
      const notification = stores.apple.raw('EXTERNAL_PURCHASE_TOKEN', subtype, {
        instead: 'externalPurchaseToken',
        data: { externalPurchaseId: randomUUID(), tokenCreationDate: now().getTime() },
      });
      await tell(notification);
      expect(await eventOf(notification)).toEqual({ type: 'EXTERNAL_PURCHASE_TOKEN', subtype, status: 'ignored' });
      expect(operatorWasTold('EXTERNAL_PURCHASE_TOKEN')).toBe(told + 1);
    },
  );

  it("of a parent's consent that is withdrawn (RESCIND_CONSENT) take nothing away, and tell the operator of whom", async () => {
    const he = await customer();
    const appTransactionId = '704289572318975823';
    await tell(carrying(he.purchase, { appTransactionId }));
    await customer();
    const signedAppTransactionInfo = stores.apple.certificates.sign({
      receiptType: 'Production',
      environment: 'Production',
      appAppleId: stores.apple.appAppleId,
      bundleId: stores.apple.bundleId,
      appTransactionId,
    });
    const notification = stores.apple.raw('RESCIND_CONSENT', undefined, {
      instead: 'appData',
      data: { signedAppTransactionInfo },
    });
    await expectUnchangedBy(he, notification);
    expect(await eventOf(notification)).toMatchObject({ type: 'RESCIND_CONSENT', status: 'ignored' });
    expect(operatorWasTold('RESCIND_CONSENT')).toBe(1);
    expect(logLines.find((line) => line.includes('RESCIND_CONSENT'))).toContain(`"userIds":[${he.account.id}]`);
  });

  it.each(['Production', 'Sandbox'] as const)(
    'that were asked for to try the way (TEST) in %s change nothing',
    async (from) => {
      const he = await customer();
      const unknown = await metric('iap_unknown_events_total{provider="apple"}');
      const notification = stores.apple.test(from);
      await expectUnchangedBy(he, notification);
      expect(await eventOf(notification)).toEqual({ type: 'TEST', subtype: null, status: 'done' });
      expect(await metric('iap_unknown_events_total{provider="apple"}')).toBe(unknown);
    },
  );
});

describe('News of other kinds', () => {
  it.each(['METADATA_UPDATE', 'MIGRATION', 'MIGRATE', 'PRICE_CHANGE'])(
    'that Apple documents (%s) bring what is signed inside of them, and nothing else',
    async (type) => {
      const he = await customer();
      const unknown = await metric('iap_unknown_events_total{provider="apple"}');
      pass(30);
      stores.apple.renew(he.purchase); // and the notification of it is lost
      await tell(stores.apple.raw(type, undefined, { id: he.purchase }));
      expect(await see(he)).toMatchObject({
        ...LET_IN,
        subscription: { state: 'active', ended_at: inDays(30) },
        payments: [PAID, RENEWED],
      });
      expect(await metric('iap_unknown_events_total{provider="apple"}')).toBe(unknown);
    },
  );

  it('that nobody has heard of are merged, answered 200 and counted', async () => {
    const he = await customer();
    const unknown = await metric('iap_unknown_events_total{provider="apple"}');
    pass(30);
    stores.apple.renew(he.purchase);
    await tell(stores.apple.raw('SOMETHING_NEW', 'OF_A_NEW_KIND', { id: he.purchase, data: { news: [1, 2, 3] } }));
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { state: 'active', ended_at: inDays(30) },
      payments: [PAID, RENEWED],
    });
    expect(await metric('iap_unknown_events_total{provider="apple"}')).toBe(unknown + 1);
  });

  it('that nobody has heard of, about no purchase, are kept, answered 200 and counted', async () => {
    const unknown = await metric('iap_unknown_events_total{provider="apple"}');
    const notification = stores.apple.raw('SOMETHING_NEW');
    await tell(notification);
    expect(await eventOf(notification)).toMatchObject({ status: 'ignored' });
    expect(await metric('iap_unknown_events_total{provider="apple"}')).toBe(unknown + 1);
  });
});

describe('A notification that comes', () => {
  it('twice (the same notificationUUID) is answered 200 both times, and counts once', async () => {
    const he = await customer();
    pass(30);
    const renewal = stores.apple.renew(he.purchase);
    await tell(renewal);
    const before = await everything();
    await tell(renewal);
    expect(expectOk(await stores.api.post('/payments/webhook/apple', renewal))).toEqual({ status: 'ok' });
    await stores.settle();
    expect(await everything()).toEqual(before);
  });

  it('again under another notificationUUID changes nothing', async () => {
    const he = await customer();
    const again = stores.apple.raw('SUBSCRIBED', 'INITIAL_BUY', { id: he.purchase });
    await expectUnchangedBy(he, again, stores.apple.raw('DID_RENEW', undefined, { id: he.purchase }));
    expect(await historyOf(he.purchase)).toEqual(['active']);
  });

  it('late does not bring back what has ended since', async () => {
    const he = await customer();
    pass(30);
    const renewal = stores.apple.renew(he.purchase);
    const cancellation = stores.apple.setAutoRenew(he.purchase, false);
    const reactivation = stores.apple.setAutoRenew(he.purchase, true);
    pass(10);
    await tell(stores.apple.refund(renewal.transactionId));
    expect(await see(he)).toMatchObject(SHUT_OUT);
    await expectUnchangedBy(he, reactivation, renewal, cancellation);
    expect((await see(he)).payments).toMatchObject([
      PAID,
      { ...RENEWED, status: 'refunded', refunded_amount: '9.99', refunded_at: inDays(0) },
    ]);
  });

  it('before the one that it follows from says all by itself', async () => {
    const account = await stores.api.user();
    const accountToken = await tokenOf(account);
    const bought = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', accountToken });
    const purchase = bought.originalTransactionId;
    pass(30);
    await tell(stores.apple.renew(purchase));
    const he = { account, purchase, deviceId: await addDevice(account) };
    expect(await see(he)).toMatchObject({ ...LET_IN, payments: [RENEWED] });
    await tell(bought);
    const seen = await see(he);
    expect(seen).toMatchObject({ ...LET_IN, subscription: { state: 'active', ended_at: inDays(30) } });
    expect(byDate(seen.payments)).toMatchObject([PAID, RENEWED]);
  });

  it('out of order, as all the others of a year and some twice, leaves what the right order leaves', async () => {
    const [orderly, disorderly] = [await customer(), await stores.api.user()];
    const accountToken = await tokenOf(disorderly);
    const first = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', accountToken });
    const purchase = first.originalTransactionId;
    const late = [first];
    async function both(happen: (id: string) => FakeAppleNotification): Promise<string> {
      await tell(happen(orderly.purchase));
      const notification = happen(purchase);
      late.push(notification);
      return notification.transactionId;
    }
    pass(30);
    await both((id) => stores.apple.renew(id));
    pass(5);
    await both((id) => stores.apple.setAutoRenew(id, false));
    await both((id) => stores.apple.setAutoRenew(id, true));
    pass(10);
    await both((id) => stores.apple.upgrade(id, { productId: YEARLY, price: 59_990, period: 365 }));
    await both((id) => stores.apple.refund(id));
    pass(100);
    await both((id) => stores.apple.downgrade(id, { productId: MONTHLY, price: 9990 }));
    pass(265);
    await both((id) => stores.apple.failToRenew(id, { grace: 16 }));
    pass(3);
    await both((id) => stores.apple.recover(id));
    pass(1);

    for (const notification of [...late, ...late.slice(2, 6)].reverse()) await tell(notification);
    const [right, shuffled] = [
      await see(orderly),
      await see({ account: disorderly, purchase, deviceId: await addDevice(disorderly) }),
    ];
    const anonymous = ({ subscription, payments }: Seen): object => ({
      subscription: { ...subscription, id: 0, user_id: 0 },
      payments: byDate(payments).map((payment) => ({ ...payment, id: 0, user_id: 0, provider_payment_id: '' })),
    });
    expect(right).toMatchObject({
      ...LET_IN,
      payments: [{ status: 'refunded' }, RENEWED, { kind: 'upgrade' }, RENEWED],
    });
    expect(shuffled).toMatchObject(LET_IN);
    expect(anonymous(shuffled)).toEqual(anonymous(right));
  });

  it('with a status that is not what follows from all we know has Apple asked, and brings back what was lost', async () => {
    const he = await customer();
    pass(30);
    stores.apple.renew(he.purchase); // and the notification of it is lost
    const mismatches = await metric('iap_reconcile_mismatch_total');
    await tell(stores.apple.declineRefund(he.purchase));
    expect(await metric('iap_reconcile_mismatch_total')).toBe(mismatches + 1);
    expect(await see(he)).toMatchObject({ subscription: { status: 'expired' }, payments: [PAID] });
    await stores.ask();
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { state: 'active', ended_at: inDays(30) },
      payments: [PAID, RENEWED],
    });
    await tell(stores.apple.declineRefund(he.purchase));
    expect(await metric('iap_reconcile_mismatch_total')).toBe(mismatches + 1);
  });
});

describe('A product that belongs to no tariff', () => {
  it('is kept and paid for, and grants what it is mapped to as soon as it is, once', async () => {
    const account = await stores.api.user();
    const productId = 'com.example.vpn.later';
    const accountToken = await tokenOf(account);
    const bought = stores.apple.subscribe({ productId, price: 4990, currency: 'EUR', accountToken });
    await tell(bought);
    await stores.ask();
    expect(await stores.subscription(account)).toBeNull();
    const payment = { ...PAID, amount: '4.99', currency: 'EUR' };
    expect(await stores.payments(account)).toMatchObject([{ ...payment, tariff_id: null }]);
    expect((await stores.api.post('/vpn_peers/self', {}, await stores.signedIn(account))).status).toBe(403);

    const token = await stores.signedIn(stores.admin);
    const tariffId = await stores.api.tariff({ ...stores.admin, token }, { name: 'Later' });
    const store_products = [{ provider: 'apple', product_id: productId }];
    expectOk(await stores.api.put(`/tariffs/${tariffId}`, { store_products }, token));
    pass(1);
    await stores.ask();
    await stores.ask();
    const he = { account, purchase: bought.originalTransactionId, deviceId: await addDevice(account) };
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { tariff_id: tariffId, state: 'active', started_at: inDays(-1), ended_at: inDays(29) },
      payments: [{ ...payment, tariff_id: tariffId }],
    });
    expect(await historyOf(he.purchase)).toEqual(['active']);
  });
});

describe('Whose a purchase is', () => {
  it('is said by its token before he ever opened the app again', async () => {
    const he = await customer();
    expect(await kept(he.purchase)).toMatchObject({ user_id: he.account.id, bound_by: 'token' });
  });

  it('is said by its token in capital letters as well', async () => {
    const account = await stores.api.user();
    const accountToken = (await tokenOf(account)).toUpperCase();
    secrets.add(accountToken);
    await tell(stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', accountToken }));
    expect(await stores.subscription(account)).toMatchObject({ state: 'active' });
  });

  it.each([
    ['names an account that is not here (any more)', () => randomUUID()],
    ['names nobody', () => undefined],
    ['carries what is no token of ours', () => 'ann@example.com'],
  ])(
    'is open when it %s: all is kept up to date and its money counted, and whoever verifies it next has it (H27)',
    async (_, token) => {
      const bought = stores.apple.subscribe({
        productId: MONTHLY,
        price: 9990,
        currency: 'USD',
        accountToken: token(),
      });
      const purchase = bought.originalTransactionId;
      const unclaimed = await metric('iap_unclaimed');
      await tell(bought);
      pass(30);
      const renewal = stores.apple.renew(purchase);
      await tell(renewal);
      expect(await kept(purchase)).toMatchObject({ state: 'active', user_id: null });
      expect(await metric('iap_unclaimed')).toBe(unclaimed + 1);
      expect(await paymentRows(purchase)).toMatchObject([{ user_id: null }, { user_id: null }]);

      const account = await stores.api.user();
      const jws = stores.apple.transactionJws(renewal.transactionId);
      secrets.add(jws);
      expect((await stores.verify(account, jws)).body).toMatchObject({ valid: true, status: 'verified' });
      const he = { account, purchase, deviceId: await addDevice(account) };
      const seen = await see(he);
      expect(seen).toMatchObject({ ...LET_IN, subscription: { state: 'active', ended_at: inDays(30) } });
      expect(byDate(seen.payments)).toMatchObject([PAID, RENEWED]);
      expect(await kept(purchase)).toMatchObject({ user_id: account.id, bound_by: 'claim' });
      expect(await metric('iap_unclaimed')).toBe(unclaimed);

      pass(30);
      await tell(stores.apple.renew(purchase));
      expect((await see(he)).payments).toHaveLength(3);
    },
  );

  it('is not decided again by a token that comes later', async () => {
    const [owner, other] = [await stores.api.user(), await stores.api.user()];
    const bought = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD' });
    const jws = stores.apple.transactionJws(bought.transactionId);
    secrets.add(jws);
    expectOk(await stores.verify(owner, jws));
    await tell(carrying(bought.transactionId, { appAccountToken: await tokenOf(other) }));
    expect(await kept(bought.transactionId)).toMatchObject({ user_id: owner.id });
    expect(await stores.subscription(other)).toBeNull();
  });

  it.each(['notification first', 'verification first'])('and what he has is the same with the %s', async (order) => {
    const account = await stores.api.user();
    const accountToken = await tokenOf(account);
    const bought = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', accountToken });
    const jws = stores.apple.transactionJws(bought.transactionId);
    secrets.add(jws);
    const isFirst = order === 'notification first';
    if (isFirst) await tell(bought);
    const status = isFirst ? 'already_verified' : 'verified';
    expect((await stores.verify(account, jws)).body).toMatchObject({ valid: true, status });
    if (!isFirst) await tell(bought);
    const he = { account, purchase: bought.originalTransactionId, deviceId: await addDevice(account) };
    expect(await see(he)).toMatchObject({
      ...LET_IN,
      subscription: { state: 'active', ended_at: inDays(30), auto_renewing: true },
      payments: [PAID],
    });
    expect(await historyOf(he.purchase)).toEqual(['active']);
  });
});

describe('What did not come from Apple, or not for us,', () => {
  const FORGED = { status: 401, body: { code: 'store_signature_invalid' } };
  const MALFORMED = { status: 400, body: { code: 'receipt_malformed' } };

  function payload(data: object = {}, more: object = {}): object {
    const { appAppleId, bundleId } = stores.apple;
    return {
      notificationType: 'TEST',
      notificationUUID: randomUUID(),
      version: '2.0',
      signedDate: now().getTime(),
      data: { appAppleId, bundleId, bundleVersion: '1', environment: 'Production', ...data },
      ...more,
    };
  }

  /** It is refused so, and not a row is written. */
  async function expectRefused(signedPayload: string, expected: object): Promise<void> {
    secrets.add(signedPayload);
    const before = await everything();
    expect(await stores.api.post('/payments/webhook/app_store', { signedPayload })).toMatchObject(expected);
    await stores.settle();
    expect(await everything()).toEqual(before);
  }

  it('is refused when it is signed by a chain of the same names that is not ours', async () => {
    const foreign = await AppleCertificates.make();
    await expectRefused(foreign.sign(payload()), FORGED);
    await expectRefused(foreign.sign(payload(), { alg: 'ES256', x5c: stores.apple.certificates.chain }), FORGED);
  });

  it('is refused by what it is, and what is authentic is taken however much there is of both (H19)', async () => {
    const strict = await TestStores.start({ RATE_LIMIT_WEBHOOK: '3' }, []);
    const foreign = await AppleCertificates.make();
    const forge = () => strict.api.post('/payments/webhook/app_store', { signedPayload: foreign.sign(payload()) });
    const push = (options: object) => strict.deliverGoogle(strict.google.testNotification(), options);
    for (let i = 0; i < 8; i++) expect((await strict.deliverApple(strict.apple.test('Production'))).status).toBe(200);
    const forged = [await forge(), await push({ badSignature: true }), await forge(), await forge()];
    expect(forged.map(({ status }) => status)).toEqual([401, 401, 401, 429]);
    for (let i = 0; i < 4; i++) {
      expect((await strict.deliverApple(strict.apple.test('Production'))).status).toBe(200);
      expect((await push({})).status).toBe(200);
    }
    await strict.stop();
  });

  it('is refused when it is not signed at all', async () => {
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const { certificates } = stores.apple;
    await expectRefused(certificates.sign(payload(), { alg: 'none', x5c: certificates.chain }), FORGED);
    await expectRefused(certificates.sign(payload(), { alg: 'ES256' }), FORGED);
    await expectRefused(`${encode({ alg: 'ES256', x5c: certificates.chain })}.${encode(payload())}.AAAA`, FORGED);
  });

  it('is refused when it was changed after it was signed', async () => {
    const he = await customer();
    const [head, body, signature] = stores.apple.raw('REFUND', undefined, { id: he.purchase }).signedPayload.split('.');
    const claims = JSON.parse(Buffer.from(body ?? '', 'base64url').toString());
    const changed = Buffer.from(JSON.stringify({ ...claims, notificationUUID: randomUUID() })).toString('base64url');
    await expectRefused([head, changed, signature].join('.'), FORGED);
  });

  it('is refused when what is signed inside of it is not signed by Apple', async () => {
    const he = await customer();
    const foreign = await AppleCertificates.make();
    const signedTransactionInfo = foreign.sign(JSON.parse(stores.apple.transactionJson(he.purchase)));
    const { signedPayload } = stores.apple.raw('DID_RENEW', undefined, {
      id: he.purchase,
      data: { signedTransactionInfo },
    });
    await expectRefused(signedPayload, FORGED);
  });

  it('is kept, and nothing follows from it, when Apple says that its certificate is revoked', async () => {
    const he = await customer();
    const revoked = await stores.apple.anotherChain();
    const signedTransactionInfo = revoked.sign({
      ...(JSON.parse(stores.apple.transactionJson(he.purchase)) as object),
      revocationDate: now().getTime(),
      signedDate: now().getTime() + 1000,
    });
    const signedPayload = revoked.sign(payload({ signedTransactionInfo }, { notificationType: 'REFUND' }));
    stores.apple.certificateStatus = 'revoked';
    await expectUnchangedBy(he, new FakeAppleNotification(signedPayload, { id: '' }));
    stores.apple.certificateStatus = 'good';
    const waiting = await stores.api.rows(`SELECT error FROM store_events WHERE status = 'received'`);
    expect(waiting).toEqual([{ error: 'store_signature_invalid' }]);
  });

  it('is refused when it is about another app', async () => {
    const { certificates } = stores.apple;
    await expectRefused(certificates.sign(payload({ bundleId: 'com.example.other' })), FORGED);
    await expectRefused(certificates.sign(payload({ appAppleId: 42 })), FORGED);
    const signedTransactionInfo = certificates.sign({
      ...JSON.parse(stores.apple.transactionJson((await customer()).purchase)),
      bundleId: 'com.example.other',
    });
    await expectRefused(certificates.sign(payload({ signedTransactionInfo })), FORGED);
  });

  it.each(['Xcode', 'LocalTesting', 'Mars', undefined])(
    'is refused when it says it is of the environment %s',
    async (environment) => {
      await expectRefused(stores.apple.certificates.sign(payload({ environment })), FORGED);
    },
  );

  it.each(['notificationUUID', 'notificationType', 'signedDate'])('is refused without %s', async (field) => {
    await expectRefused(stores.apple.certificates.sign(payload({}, { [field]: undefined })), MALFORMED);
  });

  it.each(['hello', 'eyJ.eyJ', 'eyJhbGciOiJFUzI1NiJ9.bm90IGpzb24.AAAA', '..'])(
    'is refused when it is no JWS (%s)',
    async (text) => {
      await expectRefused(text, MALFORMED);
    },
  );

  it('is refused as JSON of another form, or as no JSON', async () => {
    const before = await everything();
    const post = (body: unknown): Promise<Answer> => stores.api.post('/payments/webhook/app_store', body);
    for (const body of [{}, [], null, { signedPayload: 7 }, { signedPayload: '' }, { signed_payload: 'a.b.c' }]) {
      expect(await post(body)).toMatchObject(MALFORMED);
    }
    expect(await post('signedPayload=eyJ')).toMatchObject({ status: 400, body: { code: 'malformed_json' } });
    const asForm = { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'signedPayload=eyJ' };
    expect((await stores.api.call('POST', '/payments/webhook/app_store', asForm)).status).toBe(415);
    expect(await everything()).toEqual(before);
  });

  it('is refused when it is larger than 256 KiB', async () => {
    const before = await everything();
    const { signedPayload } = stores.apple.raw('TEST', undefined, { data: { padding: 'a'.repeat(300_000) } });
    secrets.add(signedPayload);
    const answer = await stores.api.post('/payments/webhook/app_store', { signedPayload });
    expect(answer).toMatchObject({ status: 413, body: { code: 'body_too_large' } });
    expect(await everything()).toEqual(before);
  });

  it('is refused with 503 while no App Store is set up, so that Apple tries again', async () => {
    const api = await TestApi.start();
    const notification = stores.apple.test('Production');
    for (const name of ['app_store', 'apple']) {
      expect(await api.post(`/payments/webhook/${name}`, notification)).toMatchObject({
        status: 503,
        body: { code: 'store_not_configured' },
      });
    }
    expect(await api.rows('SELECT 1 FROM store_events')).toEqual([]);
    await api.stop();
  });
});

describe('The log of all of this', () => {
  it('holds nothing that was signed, no token and no receipt', () => {
    const log = logLines.join('\n');
    expect(logLines.length).toBeGreaterThan(500);
    expect(log).not.toMatch(/eyJ[\w-]{4}/);
    expect([...secrets].filter((secret) => secret.length > 8 && log.includes(secret))).toEqual([]);
  });

  it('holds no fault of ours', () => {
    expect(logLines.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
  });
});

/** News of a purchase whose first transaction says something else than before. */
function carrying(purchase: string, change: object): FakeAppleNotification {
  const transaction = JSON.parse(stores.apple.transactionJson(purchase)) as object;
  const signedTransactionInfo = stores.apple.certificates.sign({ ...transaction, ...change });
  secrets.add(signedTransactionInfo);
  return stores.apple.raw('DID_RENEW', undefined, { id: purchase, data: { signedTransactionInfo } });
}

/** The states that its subscription went through. */
async function historyOf(purchase: string): Promise<readonly string[]> {
  const rows = await stores.api.rows<{ to_state: string }>(
    `SELECT h.to_state FROM subscription_history h JOIN user_tariffs t ON t.id = h.subscription_id
     JOIN store_purchases p ON p.id = t.store_purchase_id WHERE p.key = $1 ORDER BY h.id`,
    [purchase],
  );
  return rows.map(({ to_state }) => to_state);
}

/** As they were charged, whatever was heard of first. */
function byDate<T extends { readonly created_at: string }>(payments: readonly T[]): T[] {
  return payments.toSorted((left, right) => left.created_at.localeCompare(right.created_at));
}

function operatorWasTold(type: string): number {
  const isOfType = (line: string): boolean => line.includes(`"type":"${type}"`) && line.includes('a person should see');
  return logLines.filter(isOfType).length;
}
