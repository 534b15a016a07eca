import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Acknowledging, Repair } from '#iap';
import { Enforcement } from '#peers';
import { Metrics } from '#platform';
import { type Rtdn, type SubscribeOptions } from '../fakes/play-ledger.js';
import { type Account, type Answer, expectOk, TestApi } from '../support/api.js';
import { LIFETIME, MONTHLY, TestStores, UNMAPPED, YEARLY } from '../support/stores.js';

const DAY_MS = 24 * 3_600_000;
const SUBSCRIPTION = 'projects/example-project/subscriptions/play';
const PAID = 'purchase 9.99 USD completed';
const RENEWED = 'renewal 9.99 USD completed';

const logLines: string[] = [];
let stores: TestStores;
let google: TestStores['google'];

beforeAll(async () => {
  stores = await TestStores.start({ GOOGLE_PUBSUB_SUBSCRIPTION: SUBSCRIPTION }, logLines);
  google = stores.google;
});
afterEach(() => {
  google.heal();
  google.seesOrders = true;
});
afterAll(() => stores.stop());

/** Somebody with a device, who bought something in Play at `boughtAt`. */
interface Customer {
  readonly account: Account;
  readonly token: string;
  readonly boughtAt: Date;
  /** His device; null while he may not have one. */
  readonly deviceId: number | null;
}

/** He buys it, the app shows it, and he adds a device. */
async function customer(options: Partial<SubscribeOptions> = {}): Promise<Customer> {
  return shown(google.subscribe({ productId: MONTHLY, ...options }));
}

/** The app of a new user shows a purchase. */
async function shown({ purchaseToken }: Rtdn): Promise<Customer> {
  const account = await stores.api.user();
  const boughtAt = stores.api.clock.now();
  expectOk(await stores.verify(account, purchaseToken, 'google'));
  return { account, token: purchaseToken, boughtAt, deviceId: await addDevice(account) };
}

/** The purchase names its user, and Play tells of it: the app never does. */
async function named(buy: (accountToken: string) => Rtdn): Promise<Customer> {
  const account = await stores.api.user();
  const boughtAt = stores.api.clock.now();
  const told = buy(await stores.tokenOf(account));
  await stores.tellGoogle(told);
  return { account, token: told.purchaseToken, boughtAt, deviceId: await addDevice(account) };
}

async function addDevice(account: Account): Promise<number | null> {
  const { status, body } = await stores.api.post('/vpn_peers/self', {}, await stores.signedIn(account));
  return status === 200 ? body.id : null;
}

/** How things stand for a customer: in the answers of the service. `ends` is in days from when he bought. */
async function standing({ account, boughtAt, deviceId }: Customer): Promise<object> {
  const subscription = await stores.subscription(account);
  const admin = await stores.signedIn(stores.admin);
  const device = deviceId === null ? null : expectOk(await stores.api.get(`/vpn_peers/${deviceId}`, admin));
  return {
    status: subscription?.status ?? null,
    state: subscription?.state ?? null,
    ...(subscription?.ended_at == null
      ? {}
      : { ends: (Date.parse(subscription.ended_at) - boughtAt.getTime()) / DAY_MS }),
    renews: subscription?.auto_renewing ?? null,
    device: device?.status ?? null,
    paid: await paidBy(account),
  };
}

/** Payments, the oldest first, as the service lists them. */
async function paidBy(account: Account): Promise<readonly string[]> {
  return (await stores.payments(account)).map(({ kind, amount, currency, status, refunded_amount: back }) =>
    [kind, amount, currency, status, ...(back === null ? [] : [`back ${back}`])].join(' '),
  );
}

/** The job that takes away what is over has its turn. Forced, because the customers of all tests grow old together. */
async function enforce(): Promise<void> {
  await stores.api.app.get(Enforcement).run({ force: true });
}

const acknowledge = (): Promise<number> => stores.api.app.get(Acknowledging).acknowledgeDue();
const repair = (): Promise<number> => stores.api.app.get(Repair).repairDue();
const pass = (time: Parameters<TestApi['clock']['advance']>[0]): void => stores.api.clock.advance(time);

/** A notification that says no more than what it is about. */
function hint(token: string, notificationType: number, change: object = {}): Rtdn {
  const subscriptionNotification = { version: '1.0', notificationType, purchaseToken: token };
  return {
    purchaseToken: token,
    orderId: null,
    data: {
      version: '1.0',
      packageName: google.packageName,
      eventTimeMillis: String(stores.api.clock.now().getTime()),
      subscriptionNotification,
      ...change,
    },
  };
}

async function rowOf(token: string): Promise<Record<string, unknown>> {
  const rows = await stores.api.rows('SELECT * FROM store_purchases WHERE key = encode(sha256($1::bytea), $2)', [
    Buffer.from(token),
    'hex',
  ]);
  const [row] = rows;
  if (row === undefined) throw new Error('The purchase is not known');
  return row;
}

/** What the operators are told of a purchase as an error. */
async function alarmsAbout(token: string): Promise<readonly Record<string, unknown>[]> {
  const { id } = await rowOf(token);
  return logLines
    .map((line): Record<string, unknown> => JSON.parse(line))
    .filter(({ level, purchaseId }) => level === 'error' && purchaseId === id);
}

async function events(): Promise<readonly { event_id: string; type: string; status: string }[]> {
  return stores.api.rows('SELECT event_id, type, status FROM store_events ORDER BY id');
}

const lastEvent = async (): Promise<unknown> => (await events()).at(-1);

describe('a subscription of Play', () => {
  it('1 RECOVERED: comes back from a hold with its device, and is paid anew', async () => {
    const one = await customer();
    pass({ days: 30 });
    await stores.tellGoogle(google.hold(one.token));
    expect(await standing(one)).toMatchObject({ state: 'retry', device: 'suspended' });
    pass({ days: 5 });
    await stores.tellGoogle(google.recover(one.token));
    expect(await standing(one)).toEqual({
      status: 'active',
      state: 'active',
      ends: 65,
      renews: true,
      device: 'active',
      paid: [PAID, RENEWED],
    });
  });

  it('1 RECOVERED: comes back from a pause', async () => {
    const one = await customer();
    pass({ days: 30 });
    await stores.tellGoogle(google.pause(one.token));
    pass({ days: 10 });
    await stores.tellGoogle(google.resume(one.token));
    expect(await standing(one)).toMatchObject({ state: 'active', ends: 70, device: 'active', paid: [PAID, RENEWED] });
  });

  it('2 RENEWED: goes on until the new end, each renewal is paid once', async () => {
    const one = await customer();
    for (const months of [1, 2]) {
      pass({ days: 30 });
      await stores.tellGoogle(google.renew(one.token));
      expect(await standing(one)).toMatchObject({ state: 'active', ends: 30 + 30 * months, device: 'active' });
    }
    expect(await paidBy(one.account)).toEqual([PAID, RENEWED, RENEWED]);
  });

  it('3 CANCELED: is had until its end, and not longer', async () => {
    const one = await customer();
    await stores.tellGoogle(google.cancel(one.token));
    expect(await standing(one)).toEqual({
      status: 'active',
      state: 'cancelled',
      ends: 30,
      renews: false,
      device: 'active',
      paid: [PAID],
    });
    pass({ days: 30 });
    await enforce();
    expect(await standing(one)).toMatchObject({
      status: 'expired',
      state: 'expired',
      device: 'suspended',
      paid: [PAID],
    });
  });

  it.each(['system', 'developer'] as const)('3 CANCELED: by the %s is the same', async (by) => {
    const one = await customer();
    await stores.tellGoogle(google.cancel(one.token, by));
    expect(await standing(one)).toMatchObject({
      status: 'active',
      state: 'cancelled',
      renews: false,
      device: 'active',
    });
  });

  it('3 CANCELED: is over when that happens during a hold', async () => {
    const one = await customer();
    pass({ days: 30 });
    await stores.tellGoogle(google.hold(one.token));
    pass({ days: 1 });
    await stores.tellGoogle(google.cancel(one.token));
    expect(await standing(one)).toMatchObject({
      status: 'expired',
      state: 'expired',
      renews: false,
      device: 'suspended',
    });
  });

  it('4 PURCHASED: is given to whom it names, and acknowledged', async () => {
    const one = await named((accountToken) =>
      google.subscribe({ productId: MONTHLY, accountToken, price: '8.49', currency: 'EUR' }),
    );
    expect(await standing(one)).toEqual({
      status: 'active',
      state: 'active',
      ends: 30,
      renews: true,
      device: 'active',
      paid: ['purchase 8.49 EUR completed'],
    });
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(true);
  });

  it('4 PURCHASED: a trial costs nothing, and what follows it does', async () => {
    const one = await named((accountToken) =>
      google.subscribe({ productId: MONTHLY, accountToken, trial: true, periodDays: 7 }),
    );
    expect(await stores.subscription(one.account)).toMatchObject({ status: 'active', state: 'trial', is_trial: true });
    pass({ days: 7 });
    await stores.tellGoogle(google.renew(one.token));
    expect(await standing(one)).toMatchObject({
      state: 'active',
      ends: 14,
      paid: ['purchase 0.00 USD completed', RENEWED],
    });
  });

  it('4 PURCHASED: an introductory price is what was paid', async () => {
    const one = await named((accountToken) =>
      google.subscribe({ productId: MONTHLY, accountToken, introductoryPrice: '1.99' }),
    );
    expect(await standing(one)).toMatchObject({ state: 'active', paid: ['purchase 1.99 USD completed'] });
  });

  it('5 ON_HOLD: takes the access away', async () => {
    const one = await customer();
    pass({ days: 31 });
    await stores.tellGoogle(google.hold(one.token));
    expect(await standing(one)).toMatchObject({ status: 'expired', state: 'retry', device: 'suspended', paid: [PAID] });
  });

  it('6 IN_GRACE_PERIOD: keeps the access, for as long as Google moves its end', async () => {
    const one = await customer();
    pass({ days: 30 });
    await stores.tellGoogle(google.grace(one.token, 3));
    expect(await standing(one)).toMatchObject({
      status: 'active',
      state: 'grace',
      ends: 33,
      device: 'active',
      paid: [PAID],
    });
    pass({ days: 2 });
    await stores.tellGoogle(google.grace(one.token, 4));
    pass({ days: 3 });
    await enforce();
    expect(await standing(one)).toMatchObject({ status: 'active', state: 'grace', ends: 36, device: 'active' });
    pass({ days: 1 });
    await enforce();
    expect(await standing(one)).toMatchObject({ status: 'expired', device: 'suspended', paid: [PAID] });
  });

  it('7 RESTARTED: renews itself again', async () => {
    const one = await customer();
    await stores.tellGoogle(google.cancel(one.token));
    await stores.tellGoogle(google.restart(one.token));
    expect(await standing(one)).toMatchObject({ status: 'active', state: 'active', renews: true, paid: [PAID] });
  });

  it.each([
    ['8 PRICE_CHANGE_CONFIRMED', 8],
    ['18 CANCELLATION_SCHEDULED', 18],
    ['22 PRICE_STEP_UP_CONSENT_UPDATED', 22],
    ['a number that nobody has heard of', 99],
  ])('%s: changes nothing', async (_name, type) => {
    const one = await customer();
    const before = await standing(one);
    expect((await stores.tellGoogle(hint(one.token, type))).status).toBe(200);
    expect(await lastEvent()).toMatchObject({ type: `subscription:${type}`, status: 'done' });
    expect(await standing(one)).toEqual(before);
  });

  it('19 PRICE_CHANGE_UPDATED: changes nothing before the next renewal', async () => {
    const one = await customer();
    const before = await standing(one);
    await stores.tellGoogle(google.priceChange(one.token, '12.99'));
    expect(await standing(one)).toEqual(before);
    pass({ days: 30 });
    await stores.tellGoogle(google.renew(one.token));
    expect(await standing(one)).toMatchObject({ state: 'active', paid: [PAID, 'renewal 12.99 USD completed'] });
  });

  it('9 DEFERRED: ends when Google now says', async () => {
    const one = await customer();
    await stores.tellGoogle(google.defer(one.token, new Date(one.boughtAt.getTime() + 45 * DAY_MS)));
    expect(await standing(one)).toMatchObject({
      state: 'active',
      ends: 45,
      renews: true,
      device: 'active',
      paid: [PAID],
    });
    pass({ days: 40 });
    await enforce();
    expect(await standing(one)).toMatchObject({ status: 'active', device: 'active' });
  });

  it('10 PAUSED: has no access while it lasts', async () => {
    const one = await customer();
    pass({ days: 30 });
    await stores.tellGoogle(google.pause(one.token));
    expect(await standing(one)).toMatchObject({
      status: 'expired',
      state: 'paused',
      device: 'suspended',
      paid: [PAID],
    });
  });

  it('11 PAUSE_SCHEDULE_CHANGED: is only planned', async () => {
    const one = await customer();
    const before = await standing(one);
    await stores.tellGoogle(google.schedulePause(one.token));
    expect(await standing(one)).toEqual(before);
  });

  it('12 REVOKED: ends at once; the money is told of by the void', async () => {
    const one = await customer();
    await stores.tellGoogle(google.revoke(one.token));
    expect(await standing(one)).toMatchObject({
      status: 'revoked',
      state: 'revoked',
      renews: false,
      device: 'suspended',
      paid: [PAID],
    });
    const [voided] = google.notifications.filter(({ data }) => 'voidedPurchaseNotification' in data).slice(-1);
    await stores.tellGoogle(voided ?? '');
    expect(await standing(one)).toMatchObject({
      state: 'refunded',
      device: 'suspended',
      paid: ['purchase 9.99 USD refunded back 9.99'],
    });
  });

  it('13 EXPIRED: is over', async () => {
    const one = await customer();
    pass({ days: 30 });
    await stores.tellGoogle(google.expire(one.token));
    expect(await standing(one)).toMatchObject({
      status: 'expired',
      state: 'expired',
      ends: 30,
      renews: false,
      device: 'suspended',
      paid: [PAID],
    });
  });

  it('17 ITEMS_CHANGED: an item that belongs to no tariff takes nothing away, the best of those that do counts', async () => {
    const one = await customer();
    await stores.tellGoogle(google.addOn(one.token, { productId: UNMAPPED, days: 90 }));
    expect(await stores.subscription(one.account)).toMatchObject({
      tariff_id: stores.tariffs[MONTHLY],
      state: 'active',
    });
    await stores.tellGoogle(google.addOn(one.token, { productId: YEARLY, days: 10 }));
    expect(await stores.subscription(one.account)).toMatchObject({
      tariff_id: stores.tariffs[YEARLY],
      state: 'active',
    });
    expect(await standing(one)).toMatchObject({ ends: 10, device: 'active', paid: [PAID] });
  });

  it('20 PENDING_PURCHASE_CANCELED: was never paid', async () => {
    const one = await named((accountToken) => google.subscribe({ productId: MONTHLY, accountToken, pending: true }));
    await stores.tellGoogle(google.cancelPending(one.token));
    expect(await standing(one)).toMatchObject({ device: null, paid: ['purchase 9.99 USD failed'] });
    expect(await rowOf(one.token)).toMatchObject({ state: 'void' });
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(false);
  });
});

describe('a one-time product of Play', () => {
  it('1 PURCHASED: is had for life, acknowledged and paid', async () => {
    const one = await named((accountToken) => google.oneTime({ productId: LIFETIME, accountToken, price: '199.99' }));
    expect(await stores.subscription(one.account)).toMatchObject({
      status: 'active',
      state: 'active',
      ended_at: null,
      is_lifetime: true,
      days_remaining: 36_500,
      auto_renewing: false,
    });
    expect(await standing(one)).toMatchObject({ device: 'active', paid: ['one_time 199.99 USD completed'] });
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(true);
    pass({ days: 400 });
    await enforce();
    expect(await standing(one)).toMatchObject({ status: 'active', device: 'active' });
  });

  it('1 PURCHASED: that is not paid yet gives nothing, and has one payment when it is', async () => {
    const began = stores.api.clock.now();
    const one = await named((accountToken) =>
      google.oneTimePending({ productId: LIFETIME, accountToken, price: '189.99' }),
    );
    expect(await standing(one)).toMatchObject({ device: null, paid: ['one_time 199.99 USD pending'] });
    expect(await stores.payments(one.account)).toMatchObject([{ created_at: began.toISOString() }]);
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(false);
    pass({ days: 2 });
    await stores.tellGoogle(google.completePending(one.token));
    expect(await standing(one)).toMatchObject({ status: 'active', paid: ['one_time 189.99 USD completed'] });
    expect(await stores.payments(one.account)).toMatchObject([
      { provider_payment_id: google.orderOf(one.token), created_at: stores.api.clock.now().toISOString() },
    ]);
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(true);
  });

  it('2 CANCELED: one that was never paid leaves a failed payment', async () => {
    const one = await named((accountToken) => google.oneTimePending({ productId: LIFETIME, accountToken }));
    await stores.tellGoogle(google.cancelPending(one.token));
    expect(await rowOf(one.token)).toMatchObject({ state: 'void' });
    expect(await standing(one)).toMatchObject({ device: null, paid: ['one_time 199.99 USD failed'] });
  });

  it('by a promo code costs nothing', async () => {
    const one = await named((accountToken) => google.oneTime({ productId: LIFETIME, accountToken, promo: true }));
    expect(await standing(one)).toMatchObject({
      status: 'active',
      device: 'active',
      paid: ['one_time 0.00 USD completed'],
    });
  });

  it('keeps its access when some of a quantity are given back, and says how much', async () => {
    const one = await named((accountToken) =>
      google.oneTime({ productId: LIFETIME, accountToken, price: '30.00', quantity: 3 }),
    );
    await stores.tellGoogle(google.refund(google.orderOf(one.token), { partial: true }));
    expect(await standing(one)).toMatchObject({
      status: 'active',
      device: 'active',
      paid: ['one_time 30.00 USD completed back 10.00'],
    });
  });

  it('is taken away when it is given back', async () => {
    const one = await named((accountToken) => google.oneTime({ productId: LIFETIME, accountToken, price: '199.99' }));
    await stores.tellGoogle(google.refund(google.orderOf(one.token), { revoke: true }));
    expect(await standing(one)).toMatchObject({
      status: 'refunded',
      device: 'suspended',
      paid: ['one_time 199.99 USD refunded back 199.99'],
    });
  });
});

describe('a purchase that waits for its money', () => {
  it('is pending without access or acknowledgement, and active once it is paid, with one payment', async () => {
    const one = await named((accountToken) => google.subscribe({ productId: MONTHLY, accountToken, pending: true }));
    expect(await standing(one)).toMatchObject({
      status: 'pending',
      state: 'pending',
      device: null,
      paid: ['purchase 9.99 USD pending'],
    });
    expect((await stores.verify(one.account, one.token, 'google')).body).toMatchObject({
      valid: false,
      status: 'pending',
    });
    expect(google.isAcknowledged(one.token)).toBe(false);
    pass({ days: 1 });
    await stores.tellGoogle(google.completePending(one.token));
    expect(await standing(one)).toMatchObject({ status: 'active', state: 'active', ends: 31, paid: [PAID] });
    expect(await stores.payments(one.account)).toMatchObject([{ provider_payment_id: google.orderOf(one.token) }]);
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(true);
  });

  it('is asked about each time that it is shown (H24)', async () => {
    const one = await named((accountToken) => google.subscribe({ productId: MONTHLY, accountToken, pending: true }));
    const show = async (): Promise<unknown> => (await stores.verify(one.account, one.token, 'google')).body.status;
    expect(await show()).toBe('pending');
    google.completePending(one.token);
    expect(await show()).toMatch(/verified$/);
    expect(await standing(one)).toMatchObject({ status: 'active', paid: [PAID] });
  });

  it('is asked about every hour, so that it is had even when nobody tells', async () => {
    const one = await named((accountToken) => google.subscribe({ productId: MONTHLY, accountToken, pending: true }));
    google.completePending(one.token);
    pass({ hours: 1 });
    await stores.ask();
    expect(await standing(one)).toMatchObject({ status: 'active', paid: [PAID] });
  });

  it('leaves the plan alone that it is to replace, until it is paid', async () => {
    const one = await customer();
    const told = google.changePlan(one.token, { productId: YEARLY, price: '59.99', periodDays: 365, pending: true });
    await stores.tellGoogle(told);
    expect(await standing(one)).toMatchObject({
      status: 'active',
      ends: 30,
      device: 'active',
      paid: [PAID, 'upgrade 59.99 USD pending'],
    });
    await stores.tellGoogle(google.completePending(told.purchaseToken));
    expect(await standing(one)).toMatchObject({
      status: 'active',
      ends: 365,
      device: 'active',
      paid: [PAID, 'upgrade 59.99 USD completed'],
    });
    expect(await rowOf(one.token)).toMatchObject({ state: 'superseded' });
  });
});

describe('what Google takes back', () => {
  it('ends at once, though the subscription still says that it is active', async () => {
    const one = await customer();
    await stores.tellGoogle(google.voidOrder(google.orderOf(one.token)));
    expect(await standing(one)).toMatchObject({
      status: 'refunded',
      state: 'refunded',
      renews: false,
      device: 'suspended',
      paid: ['purchase 9.99 USD refunded back 9.99'],
    });
    // Whatever is asked or told later: what was voided stays so.
    await stores.tellGoogle(hint(one.token, 2));
    expect(await standing(one)).toMatchObject({ state: 'refunded', device: 'suspended' });
  });

  it('is only that payment, where it is an older one', async () => {
    const one = await customer();
    const first = google.orderOf(one.token);
    pass({ days: 30 });
    await stores.tellGoogle(google.renew(one.token));
    await stores.tellGoogle(google.voidOrder(first));
    expect(await standing(one)).toMatchObject({
      status: 'active',
      state: 'active',
      ends: 60,
      device: 'active',
      paid: ['purchase 9.99 USD refunded back 9.99', RENEWED],
    });
  });

  it('is had again with the next order', async () => {
    const one = await customer();
    await stores.tellGoogle(google.voidOrder(google.orderOf(one.token)));
    pass({ days: 30 });
    await stores.tellGoogle(google.renew(one.token));
    expect(await standing(one)).toMatchObject({
      state: 'active',
      device: 'active',
      paid: ['purchase 9.99 USD refunded back 9.99', RENEWED],
    });
  });

  it('counts also when it is told before the purchase is known here', async () => {
    const account = await stores.api.user();
    const bought = google.subscribe({ productId: MONTHLY, accountToken: await stores.tokenOf(account) });
    await stores.tellGoogle(google.voidOrder(google.orderOf(bought.purchaseToken)));
    expect(await stores.subscription(account)).toMatchObject({ status: 'refunded' });
    expect(await paidBy(account)).toEqual(['purchase 9.99 USD refunded back 9.99']);
    expect((await stores.verify(account, bought.purchaseToken, 'google')).body).toMatchObject({
      valid: false,
      status: 'refunded',
    });
  });

  it('in part, with the access, is the part that the order names (H6)', async () => {
    const one = await customer();
    pass({ days: 18 });
    await stores.tellGoogle(google.revoke(one.token, { amount: '4.00' }));
    for (const told of google.notifications.slice(-2)) await stores.tellGoogle(told);
    expect(await standing(one)).toMatchObject({
      status: 'refunded',
      device: 'suspended',
      paid: ['purchase 9.99 USD refunded back 4.00'],
    });
  });

  it('by support counts at once, though Play goes on saying that it is active (H11)', async () => {
    const one = await customer();
    const { id } = await rowOf(one.token);
    google.fault('subscription', { kind: 'status', status: 500 });
    const admin = await stores.signedIn(stores.admin);
    expectOk(await stores.api.post(`/admin/iap/purchases/${String(id)}/refund`, {}, admin));
    expect(await standing(one)).toMatchObject({
      status: 'refunded',
      state: 'refunded',
      device: 'suspended',
      paid: ['purchase 9.99 USD refunded back 9.99'],
    });
  });

  it('is learnt from the orders themselves by one reconciliation, when no record tells of it any more (H21)', async () => {
    const one = await customer({ periodDays: 365 });
    const other = await named((accountToken) => google.oneTime({ productId: LIFETIME, accountToken, price: '30.00' }));
    google.refundSome(google.orderOf(one.token), '2.50');
    google.refund(google.orderOf(other.token));
    pass({ days: 40 });
    const admin = await stores.signedIn(stores.admin);
    for (const { token } of [one, other]) {
      const { id } = await rowOf(token);
      expectOk(await stores.api.post(`/admin/iap/purchases/${String(id)}/reconcile`, {}, admin));
    }
    expect(await standing(one)).toMatchObject({
      status: 'active',
      device: 'active',
      paid: ['purchase 9.99 USD completed back 2.50'],
    });
    expect(await standing(other)).toMatchObject({
      status: 'refunded',
      device: 'suspended',
      paid: ['one_time 30.00 USD refunded back 30.00'],
    });
  });

  it('is found in its own record when nobody told, subscriptions and products, once', async () => {
    pass({ hours: 7 });
    await repair();
    const one = await customer();
    const other = await named((accountToken) => google.oneTime({ productId: LIFETIME, accountToken, price: '199.99' }));
    google.voidOrder(google.orderOf(one.token), { reason: 7 });
    google.refund(google.orderOf(other.token), { revoke: true });
    google.pageSize = 1;
    pass({ hours: 7 });
    expect(await repair()).toBe(2);
    for (const { account, deviceId } of [one, other]) {
      expect(await standing({ ...one, account, deviceId })).toMatchObject({ status: 'refunded', device: 'suspended' });
    }
    expect(await repair()).toBe(0);
    pass({ hours: 7 });
    expect(await repair()).toBe(0);
    const [row] = await stores.api.rows(`SELECT refund_reason FROM payments WHERE user_id = $1`, [one.account.id]);
    expect(row).toEqual({ refund_reason: 'chargeback' });
  });
});

describe('another plan', () => {
  /** Play's notifications of a change: of the old purchase, and of the new one. */
  function change(one: Customer): { readonly old: Rtdn; readonly taking: Rtdn } {
    const before = google.notifications.length;
    const taking = google.changePlan(one.token, {
      productId: YEARLY,
      price: '59.99',
      firstPrice: '50.00',
      periodDays: 365,
    });
    const [old] = google.notifications.slice(before).filter(({ purchaseToken }) => purchaseToken === one.token);
    if (old === undefined) throw new Error('Nothing was told of the old purchase');
    return { old, taking };
  }

  it.each(['the old purchase first', 'the new purchase first', 'the new purchase alone'])(
    'moves the access to the new purchase of the same owner: %s',
    async (order) => {
      const one = await customer();
      const { old, taking } = change(one);
      const told = order === 'the old purchase first' ? [old, taking] : [taking, old];
      for (const notification of order.endsWith('alone') ? [taking] : told) await stores.tellGoogle(notification);
      expect(await standing(one)).toEqual({
        status: 'active',
        state: 'active',
        ends: 365,
        renews: true,
        device: 'active',
        paid: [PAID, 'upgrade 50.00 USD completed'],
      });
      expect(await stores.subscription(one.account)).toMatchObject({ tariff_id: stores.tariffs[YEARLY] });
      expect(await rowOf(one.token)).toMatchObject({ state: 'superseded', user_id: one.account.id });
      expect(await rowOf(taking.purchaseToken)).toMatchObject({ user_id: one.account.id });
      await acknowledge();
      expect(google.isAcknowledged(taking.purchaseToken)).toBe(true);
    },
  );

  it('that begins with the next renewal is told of beforehand, costs nothing yet, and is no end (H17)', async () => {
    const one = await customer();
    const { purchaseToken } = google.changePlan(one.token, { productId: YEARLY, price: '59.99', deferred: true });
    await stores.tellGoogle(hint(purchaseToken, 4));
    const rows = (): Promise<unknown> =>
      stores.api.rows(
        `SELECT tariff_id, pending_tariff_id, auto_renewing FROM user_tariffs WHERE user_id = $1 AND state = 'active'`,
        [one.account.id],
      );
    expect(await standing(one)).toMatchObject({ status: 'active', ends: 30, renews: true, paid: [PAID] });
    const [monthly, yearly] = [stores.tariffs[MONTHLY], stores.tariffs[YEARLY]];
    expect(await rows()).toEqual([{ tariff_id: monthly, pending_tariff_id: yearly, auto_renewing: true }]);
    pass({ days: 31 }); // Play has not told of the renewal yet
    await enforce();
    expect(await standing(one)).toMatchObject({ status: 'active', device: 'active' });
    await stores.tellGoogle(google.renew(purchaseToken));
    expect(await rows()).toEqual([{ tariff_id: yearly, pending_tariff_id: null, auto_renewing: true }]);
    expect(await standing(one)).toMatchObject({ ends: 60, paid: [PAID, 'upgrade 59.99 USD completed'] });
  });

  it('that waits does not keep what was taken back: the order counts, whichever token names it (H22)', async () => {
    for (const isToldBefore of [true, false]) {
      const one = await customer();
      const orderId = google.orderOf(one.token);
      const taking = google.changePlan(one.token, { productId: YEARLY, price: '59.99', deferred: true });
      if (isToldBefore) await stores.tellGoogle(taking);
      expect(await standing(one)).toMatchObject({ status: 'active', paid: [PAID] });
      await stores.tellGoogle(google.voidOrder(orderId));
      if (!isToldBefore) await stores.tellGoogle(taking);
      expect(await standing(one)).toMatchObject({
        status: 'refunded',
        device: 'suspended',
        paid: ['purchase 9.99 USD refunded back 9.99'],
      });
    }
  });

  it('finds its owner through a whole chain, also past a purchase of which nothing was ever told', async () => {
    const one = await customer();
    const unseen = google.changePlan(one.token, { productId: YEARLY, price: '59.99', periodDays: 365 });
    const last = google.changePlan(unseen.purchaseToken, { productId: MONTHLY, price: '9.99' });
    await stores.tellGoogle(last);
    expect(await rowOf(last.purchaseToken)).toMatchObject({ user_id: one.account.id, state: 'active' });
    for (const token of [one.token, unseen.purchaseToken]) {
      expect(await rowOf(token)).toMatchObject({ user_id: one.account.id, state: 'superseded' });
    }
    expect(await standing(one)).toMatchObject({ status: 'active', state: 'active', device: 'active' });
    await stores.tellGoogle(hint(unseen.purchaseToken, 4));
    await stores.tellGoogle(hint(one.token, 2));
    expect(await rowOf(unseen.purchaseToken)).toMatchObject({ state: 'superseded' });
    expect(await rowOf(one.token)).toMatchObject({ state: 'superseded' });
  });

  it("is nobody else's: who shows the last of a chain is told that it has an owner", async () => {
    const one = await customer();
    const unseen = google.changePlan(one.token, { productId: YEARLY });
    const last = google.changePlan(unseen.purchaseToken, { productId: MONTHLY });
    const stranger = await stores.api.user();
    expect(await stores.verify(stranger, last.purchaseToken, 'google')).toMatchObject({
      status: 409,
      body: { code: 'purchase_belongs_to_another_account' },
    });
    expect(await rowOf(last.purchaseToken)).toMatchObject({ user_id: one.account.id });
  });

  it('is had by its owner once he shows the purchase that it replaced', async () => {
    const old = google.subscribe({ productId: MONTHLY });
    const taking = google.changePlan(old.purchaseToken, { productId: YEARLY, periodDays: 365 });
    await stores.tellGoogle(taking);
    expect(await rowOf(taking.purchaseToken)).toMatchObject({ user_id: null });
    const account = await stores.api.user();
    expect((await stores.verify(account, old.purchaseToken, 'google')).body).toMatchObject({ valid: false });
    await stores.ask();
    expect(await rowOf(taking.purchaseToken)).toMatchObject({ user_id: account.id, bound_by: 'link' });
    expect(await stores.subscription(account)).toMatchObject({ status: 'active', tariff_id: stores.tariffs[YEARLY] });
  });

  it('of a prepaid plan that is topped up begins where the time before it ends', async () => {
    const one = await customer({ prepaid: true });
    expect(await standing(one)).toMatchObject({ state: 'active', renews: false });
    pass({ days: 20 });
    const added = google.topUp(one.token);
    await stores.tellGoogle(added);
    expect(await standing(one)).toEqual({
      status: 'active',
      state: 'active',
      ends: 60,
      renews: false,
      device: 'active',
      paid: [PAID, RENEWED],
    });
    await acknowledge();
    expect(google.isAcknowledged(added.purchaseToken)).toBe(true);
  });
});

describe('bought again in Play itself, after it had expired', () => {
  it('goes to the owner of the expired one, and its account is named to Play', async () => {
    const one = await customer();
    pass({ days: 30 });
    await stores.tellGoogle(google.expire(one.token));
    const again = google.subscribe({ productId: MONTHLY, expiredToken: one.token });
    await stores.tellGoogle(again);
    expect(await standing(one)).toMatchObject({ status: 'active', ends: 60, device: 'active', paid: [PAID, PAID] });
    await acknowledge();
    expect(google.isAcknowledged(again.purchaseToken)).toBe(true);
    await stores.tellGoogle(hint(again.purchaseToken, 2)); // Play says no more what expired, but whom it names
    expect((await rowOf(again.purchaseToken))['facts']).toMatchObject({
      snapshot: { accountToken: await stores.tokenOf(one.account) },
    });
  });

  it('goes to the account that the expired one named, though that one was never told of', async () => {
    const account = await stores.api.user();
    const accountToken = await stores.tokenOf(account);
    const old = google.subscribe({ productId: MONTHLY, accountToken });
    google.expire(old.purchaseToken);
    pass({ days: 61 }); // Play has forgotten it
    const again = google.subscribe({ productId: MONTHLY, expiredToken: old.purchaseToken });
    await stores.tellGoogle(again);
    expect(await rowOf(again.purchaseToken)).toMatchObject({ user_id: account.id, bound_by: 'token' });
    await acknowledge();
    await stores.tellGoogle(hint(again.purchaseToken, 2));
    expect((await rowOf(again.purchaseToken))['facts']).toMatchObject({ snapshot: { accountToken } });
    expect(await stores.subscription(account)).toMatchObject({ status: 'active' });
  });
});

describe('acknowledgement', () => {
  it('waits until somebody claims the purchase', async () => {
    const bought = google.subscribe({ productId: MONTHLY });
    await stores.tellGoogle(bought);
    await acknowledge();
    expect(google.isAcknowledged(bought.purchaseToken)).toBe(false);
    expect(await rowOf(bought.purchaseToken)).toMatchObject({ user_id: null, acknowledge_by: null });
    await shown(bought);
    expect(google.isAcknowledged(bought.purchaseToken)).toBe(true);
    expect(await rowOf(bought.purchaseToken)).toMatchObject({ acknowledge_by: null });
  });

  it.each([
    ['three days', {}, 3 * 24 * 60],
    ['three minutes, of a tester', { test: true }, 3],
    ['half of a prepaid plan of three days', { prepaid: true, periodDays: 3 }, 36 * 60],
  ])('is tried again until it succeeds, within %s', async (_name, options: Partial<SubscribeOptions>, minutes) => {
    google.fault('acknowledge', { kind: 'status', status: 500 });
    const one = await customer(options);
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(false);
    expect(await standing(one)).toMatchObject({ status: 'active' });
    expect(await rowOf(one.token)).toMatchObject({
      acknowledge_by: new Date(one.boughtAt.getTime() + minutes * 60_000),
    });
    google.heal();
    pass({ minutes: 1 });
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(true);
    expect(await rowOf(one.token)).toMatchObject({ acknowledge_by: null });
  });

  it('of one that Play answers with 500 keeps no other waiting, and is tried less and less often (H20)', async () => {
    const broken = await customer(); // it is acknowledged at once, and that is forgotten
    const brokenRow = await rowOf(broken.token);
    const tried = async (): Promise<unknown> => (await rowOf(broken.token))['acknowledge_failures'];
    await stores.api.rows(`UPDATE store_purchases SET acknowledge_by = $2 WHERE id = $1`, [
      brokenRow['id'],
      new Date(stores.api.clock.now().getTime() + 3 * DAY_MS),
    ]);
    google.fault('acknowledge', { kind: 'status', status: 500, about: broken.token });
    pass({ minutes: 5 });
    const others: Customer[] = [];
    for (let count = 0; count < 2; count++) {
      others.push(await named((accountToken) => google.subscribe({ productId: MONTHLY, accountToken })));
    }
    await acknowledge();
    for (const { token } of others) expect(google.isAcknowledged(token)).toBe(true);
    expect(await tried()).toBe(1);
    await acknowledge(); // its pause is not over
    expect(await tried()).toBe(1);
    pass({ minutes: 1 });
    await acknowledge();
    pass({ minutes: 1 });
    await acknowledge();
    expect(await tried()).toBe(2);
    google.heal();
    pass({ minutes: 4 });
    await acknowledge();
    expect(await rowOf(broken.token)).toMatchObject({ acknowledge_by: null, acknowledge_failures: 0 });
  });

  it('ends a run early where Play refuses everything, and begins again with the next one (H20)', async () => {
    await acknowledge();
    google.fault('acknowledge', { kind: 'rate_limit', retryAfter: 20 });
    const waiting: Customer[] = [];
    for (let count = 0; count < 3; count++) {
      waiting.push(await named((accountToken) => google.subscribe({ productId: MONTHLY, accountToken })));
    }
    await acknowledge();
    const failures = async (): Promise<unknown[]> =>
      Promise.all(waiting.map(async ({ token }) => (await rowOf(token))['acknowledge_failures']));
    expect((await failures()).toSorted()).toEqual([0, 0, 1]);
    google.heal();
    pass({ seconds: 21 });
    await acknowledge();
    pass({ minutes: 1 });
    await acknowledge();
    expect(waiting.map(({ token }) => google.isAcknowledged(token))).toEqual([true, true, true]);
  });

  it('of a subscription whose better add-on is not its first line is done (H2)', async () => {
    const account = await stores.api.user();
    const { purchaseToken } = google.subscribe({ productId: MONTHLY, accountToken: await stores.tokenOf(account) });
    google.addOn(purchaseToken, { productId: YEARLY });
    await stores.tellGoogle(hint(purchaseToken, 4));
    expect(await stores.subscription(account)).toMatchObject({ tariff_id: stores.tariffs[YEARLY] });
    await acknowledge();
    expect(google.isAcknowledged(purchaseToken)).toBe(true);
  });

  it('names nobody to Play for what was bought in the app (H1)', async () => {
    const one = await customer();
    expect(google.isAcknowledged(one.token)).toBe(true);
    await stores.tellGoogle(hint(one.token, 2));
    expect((await rowOf(one.token))['facts']).toMatchObject({ snapshot: { accountToken: null } });
  });

  it('waits for a tariff: what gives nothing is not acknowledged (H11)', async () => {
    const productId = 'com.example.vpn.later';
    const one = await named((accountToken) => google.subscribe({ productId, accountToken }));
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(false);
    const storeProducts = [{ provider: 'google', product_id: productId, kind: 'subscription' }];
    const body = { name: 'Later', price: '9.99', duration_days: 30, rank: 1, store_products: storeProducts };
    expectOk(await stores.api.post('/tariffs/', body, await stores.signedIn(stores.admin)));
    await stores.ask();
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(true);
    expect(await rowOf(one.token)).toMatchObject({ acknowledge_by: null });
  });

  it('alarms the operators when less than a day is left', async () => {
    await acknowledge(); // nothing is more urgent
    google.fault('acknowledge', { kind: 'status', status: 500 });
    const one = await customer();
    pass({ hours: 47 });
    await acknowledge();
    expect(await alarmsAbout(one.token)).toEqual([]);
    pass({ hours: 2 });
    await acknowledge();
    expect(await alarmsAbout(one.token)).toMatchObject([{ hoursLeft: 23, code: 'store_unavailable' }]);
    google.heal();
    pass({ hours: 1 });
    await acknowledge();
    expect(google.isAcknowledged(one.token)).toBe(true);
  });

  it('of one that cannot be acknowledged any more keeps nobody else waiting', async () => {
    google.fault('acknowledge', { kind: 'drop' });
    const lost = await customer();
    const other = await customer();
    google.heal();
    google.expire(lost.token);
    await acknowledge();
    expect(google.isAcknowledged(other.token)).toBe(true);
    await stores.ask();
    expect(await standing(lost)).toMatchObject({ status: 'expired', device: 'suspended' });
    expect(await rowOf(lost.token)).toMatchObject({ acknowledge_by: null });
  });

  it('is for what is new, not for renewals', async () => {
    const one = await customer();
    pass({ days: 30 });
    await stores.tellGoogle(google.renew(one.token));
    expect(await rowOf(one.token)).toMatchObject({ acknowledge_by: null });
  });
});

describe('a push', () => {
  const fresh = (): Rtdn => google.cancel(google.subscribe({ productId: MONTHLY }).purchaseToken);

  it.each([
    ['for another audience', { aud: 'https://elsewhere.example.com' }],
    ['of another sender', { email: 'somebody@example.iam.gserviceaccount.com' }],
    ['of a sender who is not verified', { emailVerified: false }],
    ['of another issuer', { iss: 'https://accounts.example.com' }],
    ['by an unknown key', { kid: 'f00d' }],
    ['with a broken signature', { badSignature: true }],
    ['without a signature', { alg: 'none' as const }],
    ['signed with the certificate as a secret', { alg: 'HS256' as const }],
    ['that is too old', { issuedAgo: 7200 }],
  ])('%s is refused, and nothing of it is kept', async (_name, options) => {
    const before = await events();
    expect(await stores.deliverGoogle(fresh(), options)).toMatchObject({
      status: 401,
      body: { code: 'store_signature_invalid' },
    });
    expect(await events()).toEqual(before);
  });

  it.each(['', 'Basic dXNlcjpwYXNz', 'Bearer ', 'Bearer a.b.c'])(
    'with the header "%s" is refused, and nothing of it is kept',
    async (authorization) => {
      const before = await events();
      const { body } = google.push(fresh());
      for (const path of ['/payments/webhook/google', '/payments/webhook/google_play']) {
        const headers: Record<string, string> = authorization === '' ? {} : { authorization };
        expect((await stores.api.call('POST', path, { body, headers })).status).toBe(401);
      }
      expect(await events()).toEqual(before);
    },
  );

  it.each([
    ['is no JSON', 'not json'],
    ['is empty', ''],
    ['is a list', '[]'],
    ['is null', 'null'],
    ['says nothing that is known here', { pendingRefundReviewNotification: { purchaseToken: 'x' } }],
    ['names no purchase', { subscriptionNotification: { version: '1.0', notificationType: 4 } }],
    ['names no purchase but a number', { subscriptionNotification: { notificationType: '4', purchaseToken: 7 } }],
  ])('whose data %s is taken, kept and left aside', async (_name, data) => {
    const about =
      typeof data === 'string' ? data : { ...hint('', 4), data: { packageName: google.packageName, ...data } };
    expect((await stores.tellGoogle(about)).status).toBe(200);
    expect(await lastEvent()).toMatchObject({ status: 'ignored' });
  });

  it('about another app is taken and left aside', async () => {
    const one = await customer();
    google.cancel(one.token);
    expect((await stores.tellGoogle(hint(one.token, 3, { packageName: 'com.example.other' }))).status).toBe(200);
    expect(await lastEvent()).toMatchObject({ status: 'ignored' });
    expect(await standing(one)).toMatchObject({ state: 'active' });
  });

  it('of another subscription of Pub/Sub is taken, and not kept', async () => {
    const before = await events();
    const answer = await stores.tellGoogle(fresh(), { subscription: 'projects/example-project/subscriptions/other' });
    expect(answer.status).toBe(200);
    expect(await events()).toEqual(before);
  });

  it('without its wrapper is read, where headers name its subscription, and refused aloud where not (H18)', async () => {
    const one = await customer();
    const told = google.cancel(one.token);
    const { authorization } = google.push(told).headers;
    const send = (headers: Record<string, string>, body: unknown = told.data): Promise<Answer> =>
      stores.api.call('POST', '/payments/webhook/google', { headers: { authorization, ...headers }, body });
    const before = await events();
    for (const body of [told.data, { hello: 'world' }]) {
      logLines.length = 0;
      expect(await send({}, body)).toMatchObject({ status: 400, body: { code: 'receipt_malformed' } });
      expect(logLines.filter((line) => line.includes('"error"') && line.includes('payload unwrapping'))).toHaveLength(
        1,
      );
    }
    expect(await events()).toEqual(before);
    const metadata = { 'x-goog-pubsub-message-id': '88000000000001', 'x-goog-pubsub-subscription-name': SUBSCRIPTION };
    for (let times = 0; times < 2; times++) expect((await send(metadata)).status).toBe(200);
    await stores.settle();
    expect(await events()).toHaveLength(before.length + 1);
    expect(await lastEvent()).toMatchObject({ event_id: '88000000000001', type: 'subscription:3', status: 'done' });
    expect(await standing(one)).toMatchObject({ state: 'cancelled' });
  });

  it('that only tests the way is done', async () => {
    expect((await stores.tellGoogle(google.testNotification())).status).toBe(200);
    expect(await lastEvent()).toMatchObject({ type: 'test', status: 'done' });
  });

  it('that comes again, or twice at once, is one event and one payment', async () => {
    const one = await customer();
    pass({ days: 30 });
    const told = google.renew(one.token);
    const messageId = '77000000000001';
    const answers = await Promise.all([1, 2, 3].map(() => stores.deliverGoogle(told, { messageId })));
    answers.push(await stores.tellGoogle(told, { messageId }));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect((await events()).filter(({ event_id }) => event_id === messageId)).toMatchObject([{ status: 'done' }]);
    expect(await paidBy(one.account)).toEqual([PAID, RENEWED]);
  });

  it('may come in any order: what Play says now counts', async () => {
    const one = await customer();
    const before = google.notifications.length;
    google.cancel(one.token);
    google.restart(one.token);
    pass({ days: 30 });
    google.grace(one.token);
    pass({ days: 1 });
    google.recover(one.token);
    for (const told of google.notifications.slice(before).toReversed()) await stores.tellGoogle(told);
    expect(await standing(one)).toEqual({
      status: 'active',
      state: 'active',
      ends: 61,
      renews: true,
      device: 'active',
      paid: [PAID, RENEWED],
    });
  });
});

describe('trouble with Play', () => {
  it('leaves a hint that is done, and a purchase that is asked about later', async () => {
    const one = await customer();
    google.fault('*', { kind: 'drop' });
    expect((await stores.tellGoogle(google.revoke(one.token))).status).toBe(200);
    expect(await lastEvent()).toMatchObject({ status: 'done' });
    const row = await rowOf(one.token);
    expect(Number(row['dirty_seq'])).toBeGreaterThan(Number(row['clean_seq']));
    expect(await standing(one)).toMatchObject({ status: 'active' });
    await stores.ask(); // not yet due again
    google.heal();
    await stores.ask();
    expect(await standing(one)).toMatchObject({ status: 'active' });
    pass({ seconds: 60 });
    await stores.ask();
    expect(await standing(one)).toMatchObject({ status: 'revoked', device: 'suspended' });
    const after = await rowOf(one.token);
    expect(after['dirty_seq']).toBe(after['clean_seq']);
  });

  it('has a purchase asked about again when Google says, and not before', async () => {
    const one = await customer();
    google.fault('subscription', { kind: 'rate_limit', retryAfter: 600, times: 1 });
    await stores.tellGoogle(google.cancel(one.token));
    pass({ minutes: 9 });
    await stores.ask();
    expect(await standing(one)).toMatchObject({ state: 'active' });
    pass({ minutes: 2 });
    await stores.ask();
    expect(await standing(one)).toMatchObject({ state: 'cancelled' });
  });

  it('is none when a purchase ended so long ago that Play forgot it: what is known stays, and it is not asked about again', async () => {
    const one = await customer();
    await stores.tellGoogle(google.cancel(one.token));
    pass({ days: 30 });
    await enforce();
    const before = await standing(one);
    pass({ days: 61 });
    await stores.tellGoogle(hint(one.token, 13));
    expect(await standing(one)).toEqual(before);
    expect(await rowOf(one.token)).toMatchObject({ is_gone: true, next_check_at: null, state: 'expired' });
  });

  it('that knows a purchase no more takes nothing away, and is told to the operators', async () => {
    const one = await customer();
    const before = await standing(one);
    for (const op of ['subscription', 'product'] as const) {
      google.fault(op, { kind: 'status', status: 404, reason: 'purchaseTokenNotFound' });
    }
    await stores.tellGoogle(hint(one.token, 2));
    google.heal();
    expect(await standing(one)).toEqual(before);
    expect(await alarmsAbout(one.token)).toMatchObject([{ answer: 'unknown' }]);
    expect(await stores.verify(one.account, 'made-up-token-of-nobody-0123456789', 'google')).toMatchObject({
      status: 422,
      body: { code: 'receipt_invalid' },
    });
  });

  it('that says once that it forgot what runs takes nothing away, and is asked again (H23)', async () => {
    const one = await customer();
    const before = await standing(one);
    google.fault('subscription', { kind: 'status', status: 410, reason: 'purchaseTokenNoLongerValid' });
    await stores.tellGoogle(hint(one.token, 2));
    expect(await standing(one)).toEqual(before);
    expect(await alarmsAbout(one.token)).toMatchObject([{ answer: 'gone' }]);
    expect(await rowOf(one.token)).toMatchObject({ is_gone: false });
    pass({ days: 30, hours: 1 }); // it is renewed, and nobody tells
    google.renew(one.token);
    await enforce();
    expect(await standing(one)).toMatchObject({ status: 'active', device: 'active' });
    google.heal();
    pass({ hours: 12 });
    await stores.ask();
    expect(await standing(one)).toMatchObject({ status: 'active', ends: 60, paid: [PAID, RENEWED] });
  });

  it('that said so to an earlier version is made up for by a reconciliation (H23)', async () => {
    const one = await customer();
    await stores.api.rows('UPDATE store_purchases SET is_gone = true, next_check_at = NULL WHERE id = $1', [
      (await rowOf(one.token))['id'],
    ]);
    pass({ days: 31 });
    google.renew(one.token);
    const { unanswered } = await stores.api.app.get(Repair).reconcileAll();
    expect(unanswered).toBe(0);
    expect(await rowOf(one.token)).toMatchObject({ is_gone: false });
    expect(await standing(one)).toMatchObject({ ends: 60, paid: [PAID, RENEWED] });
  });

  it('that knows nothing of a hint is asked again soon (H11)', async () => {
    const one = await customer();
    const { id } = await rowOf(one.token);
    for (const op of ['subscription', 'product'] as const) {
      google.fault(op, { kind: 'status', status: 404, reason: 'purchaseTokenNotFound', times: 1 });
    }
    pass({ days: 29 });
    await stores.tellGoogle(google.renew(one.token));
    expect(await standing(one)).toMatchObject({ ends: 30 });
    pass({ minutes: 1 });
    await stores.ask();
    expect(await standing(one)).toMatchObject({ ends: 60 });
    expect(Number(id)).toBeGreaterThan(0);
  });

  it('with a word for the state that is new gives no access, and the operators are told (H33)', async () => {
    const account = await stores.api.user();
    const bought = google.subscribe({ productId: MONTHLY, accountToken: await stores.tokenOf(account) });
    google.fault('subscription', {
      kind: 'body',
      times: 1,
      body: JSON.stringify({ subscriptionState: 'SUBSCRIPTION_STATE_DORMANT', lineItems: [{ productId: MONTHLY }] }),
    });
    await stores.tellGoogle(bought);
    expect((await stores.subscription(account))?.status ?? null).not.toBe('active');
    expect(logLines.some((line) => line.includes('DORMANT') && line.includes('"error"'))).toBe(true);
    const counted = await stores.api.app.get(Metrics).registry.getSingleMetricAsString('iap_unknown_states_total');
    expect(counted).toMatch(/provider="google"\} [1-9]/);
  });

  it('with a price that is none spoils nothing else (H33)', async () => {
    const account = await stores.api.user();
    const bought = google.subscribe({ productId: MONTHLY, accountToken: await stores.tokenOf(account) });
    const total = { currencyCode: 'USD', units: '-9' };
    google.fault('order', { kind: 'body', times: 1, body: JSON.stringify({ state: 'PROCESSED', total }) });
    await stores.tellGoogle(bought);
    expect(await lastEvent()).toMatchObject({ status: 'done' });
    expect(await stores.subscription(account)).toMatchObject({ status: 'active' });
    expect(await paidBy(account)).toEqual([PAID]); // estimated by the plan
  });

  it('that may not show orders has amounts estimated by the plan, until it may', async () => {
    google.seesOrders = false;
    const one = await customer({ price: '7.49', currency: 'EUR', firstPrice: '6.00' });
    const estimated = (): Promise<unknown> =>
      stores.api.rows('SELECT amount_estimated FROM payments WHERE user_id = $1', [one.account.id]);
    expect(await standing(one)).toMatchObject({ status: 'active', paid: ['purchase 7.49 EUR completed'] });
    expect(await estimated()).toEqual([{ amount_estimated: true }]);
    google.seesOrders = true;
    await stores.tellGoogle(hint(one.token, 2));
    expect(await paidBy(one.account)).toEqual(['purchase 6.00 EUR completed']);
    expect(await estimated()).toEqual([{ amount_estimated: false }]);
  });

  it('an estimate is a reason to ask every day, for life too, and ends with the right to see amounts (H28)', async () => {
    google.seesOrders = false;
    const one = await named((accountToken) => google.oneTime({ productId: LIFETIME, accountToken, price: '88.88' }));
    expect(await paidBy(one.account)).toEqual(['one_time 199.99 USD completed']);
    google.seesOrders = true;
    pass({ days: 1 });
    await stores.ask();
    expect(await paidBy(one.account)).toEqual(['one_time 88.88 USD completed']);
    expect(await rowOf(one.token)).toMatchObject({ next_check_at: null });
  });

  it('an order that waits for its money is asked about until it has it', async () => {
    const account = await stores.api.user();
    const bought = google.oneTime({ productId: LIFETIME, accountToken: await stores.tokenOf(account), price: '5.00' });
    google.fault('order', {
      kind: 'body',
      times: 1,
      body: JSON.stringify({ state: 'PENDING', total: { currencyCode: 'USD', units: '5' } }),
    });
    await stores.tellGoogle(bought);
    expect(await paidBy(account)).toEqual(['one_time 5.00 USD pending']);
    await stores.tellGoogle(hint(bought.purchaseToken, 1));
    expect(await paidBy(account)).toEqual(['one_time 5.00 USD completed']);
  });

  it('a renewal that fails silently keeps the access for 48 h, and shows no end that is past (E7)', async () => {
    const one = await customer();
    expect(await standing(one)).toMatchObject({ ends: 30 });
    pass({ days: 30, hours: 47 });
    await enforce();
    expect(await standing(one)).toMatchObject({ status: 'active', state: 'active', ends: 32, device: 'active' });
    pass({ hours: 1 });
    await enforce();
    expect(await standing(one)).toMatchObject({ status: 'expired', device: 'suspended' });
    await stores.tellGoogle(google.recover(one.token));
    expect(await standing(one)).toMatchObject({ status: 'active', device: 'active', paid: [PAID, RENEWED] });
  });
});

it('a product that belongs to no tariff is kept and paid, and grants as soon as it belongs to one', async () => {
  const one = await named((accountToken) => google.subscribe({ productId: 'com.example.vpn.new', accountToken }));
  expect(await standing(one)).toMatchObject({ status: null, device: null, paid: [PAID] });
  const storeProducts = [{ provider: 'google', product_id: 'com.example.vpn.new', kind: 'subscription' }];
  const body = { name: 'New', price: '9.99', duration_days: 30, rank: 1, store_products: storeProducts };
  expectOk(await stores.api.post('/tariffs/', body, await stores.signedIn(stores.admin)));
  await stores.ask();
  expect(await standing(one)).toMatchObject({ status: 'active', ends: 30, paid: [PAID] });
});

it('a service without Google Play says so', async () => {
  const api = await TestApi.start();
  const { headers, body } = google.push(google.testNotification());
  for (const path of ['/payments/webhook/google', '/payments/webhook/google_play']) {
    expect(await api.call('POST', path, { headers, body })).toMatchObject({
      status: 503,
      body: { code: 'store_not_configured' },
    });
  }
  const { token } = await api.user();
  expect(
    await api.post('/payments/iap_verify', { receipt: 'some-purchase-token-0123456789', provider: 'google' }, token),
  ).toMatchObject({
    status: 503,
    body: { code: 'store_not_configured' },
  });
  await api.stop();
});

it('the log holds no purchase token, and Play was asked nothing that it should not be', () => {
  const log = logLines.join('\n');
  const tokens = new Set(google.notifications.map(({ purchaseToken }) => purchaseToken));
  expect(tokens.size).toBeGreaterThan(50);
  expect([...tokens].filter((token) => log.includes(token))).toEqual([]);
  expect(google.unexpected).toEqual([]);
});
