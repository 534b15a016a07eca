import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AuthModule } from '#auth';
import { type Clock, DomainError, ManualClock } from '#kernel';
import { PaymentsModule } from '#payments';
import { createLog, type Environment, Metrics, UnitOfWork } from '#platform';
import { SubscriptionsModule } from '#subscriptions';
import { TariffsModule } from '#tariffs';
import { FakeGoogle, type GoogleFault } from '../../../test/fakes/fake-google.js';
import { type OpenRooms, openRooms } from '../../../test/support/rooms.js';
import { testSettings } from '../../../test/support/settings.js';
import { type GooglePurchase, type GoogleVoided } from './google-answer.rules.js';
import { GoogleStorefront } from './google.storefront.js';
import { IapModule } from './iap.module.js';
import { tokenKey } from './store.js';
import { StoreMetrics } from './store.metrics.js';

const START = '2026-11-22T10:00:00Z';
const ACCOUNT = '7B0E1E5C-3F0A-4D9E-9F52-0A4B7E8C1D22';
const MONTHLY = { productId: 'vpn.monthly', accountToken: ACCOUNT };
const DAY = 24 * 60 * 60 * 1000;
const at = (days: number): number => Date.parse(START) + days * DAY;

let open: OpenRooms;
let clock: ManualClock;
let fake: FakeGoogle;
let storefront: GoogleStorefront;
let logged: string[];

beforeAll(async () => {
  open = await openRooms([AuthModule, TariffsModule, SubscriptionsModule, PaymentsModule, IapModule]);
  fake = await FakeGoogle.start({ now: () => clock.now() });
});
afterAll(async () => {
  await open.close();
  await fake.close();
  expect(fake.unexpected).toEqual([]);
});
beforeEach(async () => {
  clock = new ManualClock(START);
  fake.heal();
  fake.seesOrders = true;
  logged = [];
  storefront = await storefrontWith(fake.settings());
});
afterEach(() => {
  // Whatever went wrong: no purchase token, access token or key is told.
  expect(logged.join('')).not.toMatch(/AO-J1O|ya29|PRIVATE KEY|eyJ/);
});

async function storefrontWith(environment: Environment, time: Clock = clock): Promise<GoogleStorefront> {
  const log = await createLog({ level: 'info', pretty: false }, { write: (line) => void logged.push(line) });
  const { rooms } = open;
  return new GoogleStorefront(testSettings(environment), time, rooms.get(UnitOfWork), rooms.get(StoreMetrics), log);
}

async function found(token: string, kind?: 'subscription' | 'product'): Promise<GooglePurchase> {
  const answer = await storefront.purchase(token, 7, kind === undefined ? {} : { kind });
  if (answer.state !== 'found') throw new Error(`It is ${answer.state}`);
  return answer;
}

async function refusal(work: Promise<unknown>): Promise<DomainError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('It was not refused');
}

const unavailable = (kind: string): object => ({ code: 'store_unavailable', params: { kind } });

describe('a subscription', () => {
  it('is told as Play knows it', async () => {
    const { purchaseToken, orderId } = fake.subscribe({
      ...MONTHLY,
      offerId: 'welcome',
      country: 'DE',
      currency: 'EUR',
    });
    expect(await found(purchaseToken)).toEqual({
      state: 'found',
      snapshot: {
        seq: 7,
        kind: 'subscription',
        state: 'ACTIVE',
        startTime: at(0),
        items: [
          {
            productId: 'vpn.monthly',
            basePlanId: 'monthly',
            offerId: 'welcome',
            expiryTime: at(30),
            orderId,
            autoRenews: true,
            phase: 'base',
            price: { amount: '9.99', currency: 'EUR' },
            replacementProductId: null,
          },
        ],
        linkedKey: null,
        isAcknowledged: false,
        isOutOfApp: false,
        accountToken: ACCOUNT.toLowerCase(),
        isTest: false,
        cancelTime: null,
        autoResumeTime: null,
        regionCode: 'DE',
      },
      linkedToken: null,
      expiredToken: null,
      expiredAccountToken: null,
      orderIds: [orderId],
    });
  });

  it.each<[what: string, happens: (token: string) => unknown, state: string, expiryTime: number, more?: object]>([
    ['renewed', (token) => fake.renew(token), 'ACTIVE', at(60)],
    ['cancelled by its user', (token) => fake.cancel(token), 'CANCELED', at(30), { cancelTime: at(0) }],
    ['cancelled by the store', (token) => fake.cancel(token, 'system'), 'CANCELED', at(30), { cancelTime: null }],
    ['cancelled by us', (token) => fake.cancel(token, 'developer'), 'CANCELED', at(30), { cancelTime: null }],
    ['restarted', (token) => [fake.cancel(token), fake.restart(token)], 'ACTIVE', at(30), { cancelTime: null }],
    ['in grace', (token) => fake.grace(token, 3), 'IN_GRACE_PERIOD', at(3)],
    ['on hold', (token) => fake.hold(token), 'ON_HOLD', at(0)],
    ['recovered', (token) => [fake.hold(token), fake.recover(token)], 'ACTIVE', at(30)],
    ['cancelled while on hold', (token) => [fake.hold(token), fake.cancel(token)], 'EXPIRED', at(0)],
    ['paused', (token) => fake.pause(token, 10), 'PAUSED', at(0), { autoResumeTime: at(10) }],
    ['about to be paused', (token) => fake.schedulePause(token), 'ACTIVE', at(30)],
    ['resumed', (token) => [fake.pause(token), fake.resume(token)], 'ACTIVE', at(30), { autoResumeTime: null }],
    ['expired', (token) => fake.expire(token), 'EXPIRED', at(0)],
    ['revoked', (token) => fake.revoke(token), 'EXPIRED', at(0)],
    ['deferred', (token) => fake.defer(token, new Date(at(45))), 'ACTIVE', at(45)],
    ['charged back, and not revoked', (token) => fake.voidOrder(fake.orderOf(token)), 'ACTIVE', at(30)],
    ['past its end without a word (silent grace)', () => clock.advance({ days: 31 }), 'ACTIVE', at(30)],
  ])('that was %s says so', async (_what, happens, state, expiryTime, more = {}) => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    happens(purchaseToken);
    const { snapshot } = await found(purchaseToken);
    expect(snapshot).toMatchObject({ state, items: [{ expiryTime }], ...more });
  });

  it('says whether it goes on', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    fake.cancel(purchaseToken);
    const { purchaseToken: prepaid } = fake.subscribe({ ...MONTHLY, prepaid: true });
    expect((await found(purchaseToken)).snapshot.items[0]?.autoRenews).toBe(false);
    expect((await found(prepaid)).snapshot.items[0]).toMatchObject({ autoRenews: null, price: null });
  });

  it('that is not paid yet has no end and no order, and none when it never is', async () => {
    const { purchaseToken } = fake.subscribe({ ...MONTHLY, pending: true });
    expect((await found(purchaseToken)).snapshot).toMatchObject({
      state: 'PENDING',
      items: [{ expiryTime: null, orderId: null }],
    });
    fake.cancelPending(purchaseToken);
    expect((await found(purchaseToken)).snapshot.state).toBe('PENDING_PURCHASE_CANCELED');
    const { purchaseToken: paid } = fake.subscribe({ ...MONTHLY, pending: true });
    fake.completePending(paid);
    expect((await found(paid)).snapshot).toMatchObject({ state: 'ACTIVE', items: [{ expiryTime: at(30) }] });
  });

  it('says in which phase it is', async () => {
    const trial = fake.subscribe({ ...MONTHLY, trial: true });
    const introduction = fake.subscribe({ ...MONTHLY, introductoryPrice: '0.99' });
    expect((await found(trial.purchaseToken)).snapshot.items[0]?.phase).toBe('trial');
    expect((await found(introduction.purchaseToken)).snapshot.items[0]?.phase).toBe('introductory');
    fake.renew(trial.purchaseToken);
    expect((await found(trial.purchaseToken)).snapshot.items[0]?.phase).toBe('base');
  });

  it('with add-ons has an end for each of them', async () => {
    const { purchaseToken, orderId } = fake.subscribe(MONTHLY);
    fake.addOn(purchaseToken, { productId: 'vpn.devices', days: 10 });
    const { snapshot, orderIds } = await found(purchaseToken);
    expect(snapshot.items).toMatchObject([
      { productId: 'vpn.monthly', expiryTime: at(30) },
      { productId: 'vpn.devices', expiryTime: at(10) },
    ]);
    expect(orderIds).toEqual([orderId]);
  });

  it('that takes the place of another names it; the other one is over', async () => {
    const old = fake.subscribe(MONTHLY).purchaseToken;
    const { purchaseToken } = fake.changePlan(old, { productId: 'vpn.yearly', price: '79.9', periodDays: 365 });
    const { snapshot, linkedToken } = await found(purchaseToken);
    expect(linkedToken).toBe(old);
    expect(snapshot).toMatchObject({
      linkedKey: tokenKey(old),
      items: [{ productId: 'vpn.yearly', expiryTime: at(365), price: { amount: '79.90', currency: 'USD' } }],
    });
    expect((await found(old)).snapshot.state).toBe('EXPIRED');
  });

  it('that will be another from the next renewal on says which', async () => {
    const old = fake.subscribe(MONTHLY).purchaseToken;
    const { purchaseToken } = fake.changePlan(old, { productId: 'vpn.basic', deferred: true });
    expect((await found(purchaseToken)).snapshot.items).toMatchObject([
      { productId: 'vpn.monthly', replacementProductId: 'vpn.basic', expiryTime: at(30), autoRenews: false },
      { productId: 'vpn.basic', replacementProductId: null, expiryTime: null, orderId: null },
    ]);
    fake.renew(purchaseToken);
    expect((await found(purchaseToken)).snapshot.items).toMatchObject([
      { productId: 'vpn.basic', replacementProductId: null, expiryTime: at(60) },
    ]);
  });

  it('that was bought in Play itself tells whose it was, until it is acknowledged', async () => {
    const old = fake.subscribe(MONTHLY).purchaseToken;
    fake.expire(old);
    const { purchaseToken } = fake.subscribe({ productId: 'vpn.monthly', expiredToken: old });
    const before = await found(purchaseToken);
    expect(before).toMatchObject({ expiredToken: old, expiredAccountToken: ACCOUNT.toLowerCase() });
    expect(before.snapshot.accountToken).toBeNull();
    const accountToken = ACCOUNT.toLowerCase();
    await storefront.acknowledge({ kind: 'subscription', productIds: ['vpn.monthly'], purchaseToken, accountToken });
    expect(await found(purchaseToken)).toMatchObject({
      expiredToken: null,
      snapshot: { isAcknowledged: true, accountToken },
    });
  });

  it('of a licence tester is a test', async () => {
    const { purchaseToken } = fake.subscribe({ ...MONTHLY, test: true });
    expect((await found(purchaseToken)).snapshot.isTest).toBe(true);
  });

  it('of a price to come still costs the old one', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    fake.priceChange(purchaseToken, '12.5');
    expect((await found(purchaseToken)).snapshot.items[0]?.price?.amount).toBe('9.99');
    fake.renew(purchaseToken);
    expect((await found(purchaseToken)).snapshot.items[0]?.price?.amount).toBe('12.50');
  });

  it('in a state of later days keeps its name', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    fake.fault('subscription', {
      kind: 'body',
      body: JSON.stringify({
        subscriptionState: 'SUBSCRIPTION_STATE_ON_THE_MOON',
        lineItems: [{ productId: 7 }, null],
      }),
    });
    expect((await found(purchaseToken)).snapshot).toMatchObject({ state: 'ON_THE_MOON', items: [], isTest: false });
  });

  it('is forgotten 60 days after its end', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    fake.cancel(purchaseToken);
    clock.advance({ days: 89 });
    expect((await found(purchaseToken)).snapshot.state).toBe('EXPIRED');
    clock.advance({ days: 1 });
    expect(await storefront.purchase(purchaseToken, 8)).toEqual({ state: 'gone' });
  });
});

describe('a product', () => {
  it.each(['product', 'subscription', undefined] as const)('is found with the hint %p', async (kind) => {
    const { purchaseToken, orderId } = fake.oneTime({ productId: 'vpn.lifetime', purchaseOptionId: 'buy', test: true });
    expect(await found(purchaseToken, kind)).toMatchObject({
      snapshot: {
        seq: 7,
        kind: 'product',
        state: 'PURCHASED',
        startTime: at(0),
        items: [{ productId: 'vpn.lifetime', basePlanId: 'buy', orderId, expiryTime: null, autoRenews: null }],
        isTest: true,
        isAcknowledged: false,
      },
      orderIds: [orderId],
    });
  });

  it('waits to be paid, or is never', async () => {
    const { purchaseToken } = fake.oneTimePending({ productId: 'vpn.lifetime', accountToken: ACCOUNT });
    expect((await found(purchaseToken)).snapshot).toMatchObject({
      state: 'PENDING',
      startTime: null,
      accountToken: ACCOUNT.toLowerCase(),
    });
    fake.cancelPending(purchaseToken);
    expect((await found(purchaseToken)).snapshot.state).toBe('CANCELLED');
  });

  it('got for a promo code has no order', async () => {
    const { purchaseToken } = fake.oneTime({ productId: 'vpn.lifetime', promo: true });
    expect(await found(purchaseToken)).toMatchObject({ snapshot: { items: [{ orderId: null }] }, orderIds: [] });
  });
});

describe('a token that Play does not know', () => {
  it.each([
    ['never was', 'abcdefgh.AO-J1Oxyz'],
    ['is empty', ''],
    ['is endless', 'x'.repeat(100_000)],
    ['is a path', '../../orders/GPA.1'],
    ['is anything', 'ä €/?#%00:acknowledge'],
  ])('is unknown: it %s', async (_what, token) => {
    expect(await storefront.purchase(token, 7)).toEqual({ state: 'unknown' });
    fake.unexpected.length = 0; // a path leads nowhere here, too
  });
});

describe('an order', () => {
  it('tells what was paid', async () => {
    const { orderId } = fake.subscribe({ ...MONTHLY, price: '1234.567891', currency: 'JPY', country: 'JP' });
    expect(await storefront.order(orderId ?? '', 3)).toEqual({
      seq: 3,
      total: { amount: '1234.567891', currency: 'JPY' },
      tax: { amount: '0.00', currency: 'JPY' },
      state: 'PROCESSED',
      refunded: null,
      refundedAt: null,
      createTime: at(0),
      country: 'JP',
      productId: MONTHLY.productId,
      basePlanId: 'monthly',
      expiryTime: at(30),
    });
  });

  it('of a trial cost nothing', async () => {
    const { orderId } = fake.subscribe({ ...MONTHLY, trial: true });
    expect(await storefront.order(orderId ?? '', 3)).toMatchObject({ total: { amount: '0.00' } });
  });

  it('tells what was given back', async () => {
    const { orderId } = fake.oneTime({ productId: 'vpn.lifetime', price: '30', quantity: 3 });
    fake.refund(orderId ?? '', { partial: true });
    expect(await storefront.order(orderId ?? '', 3)).toMatchObject({
      state: 'PARTIALLY_REFUNDED',
      refunded: { amount: '10.00', currency: 'USD' },
    });
    fake.refund(orderId ?? '');
    expect(await storefront.order(orderId ?? '', 3)).toMatchObject({
      state: 'REFUNDED',
      refunded: { amount: '30.00' },
      refundedAt: at(0),
    });
  });

  it('that never was is unknown', async () => {
    expect(await storefront.order('GPA.0000-0000-0000-00000', 3)).toBe('unknown');
  });

  it('is forbidden without the right to see amounts, which is told by its name, once in a while (H28)', async () => {
    const { orderId, purchaseToken } = fake.subscribe(MONTHLY);
    fake.seesOrders = false;
    expect(await storefront.order(orderId ?? '', 3)).toBe('forbidden');
    expect((await found(purchaseToken)).snapshot.state).toBe('ACTIVE');
    expect(logged.map((line): unknown => JSON.parse(line))).toMatchObject([
      { level: 'error', op: 'order', status: 403, right: expect.stringMatching(/^View financial data/) },
    ]);
    await storefront.order(orderId ?? '', 3);
    expect(logged).toHaveLength(1);
    clock.advance({ minutes: 11 });
    await storefront.order(orderId ?? '', 3);
    expect(logged).toHaveLength(2);
  });

  it.each([
    ['voided', 'View financial data', () => storefront.voided(clock.now()).next()],
    ['refund', 'Manage orders', () => storefront.refund('GPA.1', { revoke: true })],
  ])('that is refused elsewhere names the right for that too: %s (H28)', async (op, right, ask) => {
    fake.fault(op === 'voided' ? 'voided' : 'refund', { kind: 'status', status: 403, reason: 'permissionDenied' });
    expect(await refusal(ask())).toMatchObject(unavailable('refused'));
    expect(logged.map((line): unknown => JSON.parse(line))).toMatchObject([{ right: expect.stringContaining(right) }]);
  });

  it('is asked for to find out which rights are missing (H28)', async () => {
    expect(await storefront.missingRights()).toEqual([]);
    fake.seesOrders = false;
    expect(await storefront.missingRights()).toEqual([expect.stringMatching(/^View financial data/)]);
    fake.fault('acknowledge', { kind: 'status', status: 403, reason: 'permissionDenied' });
    expect(await storefront.missingRights()).toHaveLength(2);
    fake.fault('order', { kind: 'status', status: 500 });
    expect(await refusal(storefront.missingRights())).toMatchObject(unavailable('status'));
    fake.unexpected.length = 0;
  });
});

describe('acknowledging', () => {
  it('keeps a purchase from being taken back, and may be repeated', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    const lifetime = fake.oneTime({ productId: 'vpn.lifetime' }).purchaseToken;
    for (let times = 0; times < 2; times++) {
      await storefront.acknowledge({
        kind: 'subscription',
        productIds: ['vpn.monthly'],
        purchaseToken,
        accountToken: null,
      });
      await storefront.acknowledge({
        kind: 'product',
        productIds: ['vpn.lifetime'],
        purchaseToken: lifetime,
        accountToken: null,
      });
    }
    clock.advance({ days: 4 });
    fake.letTimePass();
    expect((await found(purchaseToken)).snapshot).toMatchObject({ state: 'ACTIVE', isAcknowledged: true });
    expect((await found(lifetime)).snapshot).toMatchObject({ state: 'PURCHASED', isAcknowledged: true });
  });

  it('comes too late after three days: Play has taken it back', async () => {
    const { purchaseToken, orderId } = fake.subscribe(MONTHLY);
    clock.advance({ days: 3 });
    fake.letTimePass();
    expect((await found(purchaseToken)).snapshot.state).toBe('EXPIRED');
    expect(await storefront.order(orderId ?? '', 3)).toMatchObject({ state: 'REFUNDED' });
    const late = storefront.acknowledge({
      kind: 'subscription',
      productIds: ['vpn.monthly'],
      purchaseToken,
      accountToken: null,
    });
    expect(await refusal(late)).toMatchObject({ code: 'purchase_not_found' });
  });

  it('is done when Play refuses it because it was done', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    const what = { kind: 'subscription', productIds: ['vpn.monthly'], purchaseToken, accountToken: null } as const;
    await storefront.acknowledge(what);
    fake.fault('acknowledge', { kind: 'status', status: 400 });
    await storefront.acknowledge(what);
  });

  it('of a subscription with add-ons is said of its base item, of none, or of another, until Play takes one (H2)', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    fake.addOn(purchaseToken, { productId: 'vpn.extra' });
    const lines = ['vpn.extra', 'vpn.monthly']; // whichever Play lists first
    await storefront.acknowledge({ kind: 'subscription', productIds: lines, purchaseToken, accountToken: null });
    expect(fake.isAcknowledged(purchaseToken)).toBe(true);
    expect(fake.unexpected).toEqual([]);
  });

  it('says a name to Play, and leaves it out where Play refuses it (H1)', async () => {
    const old = fake.subscribe(MONTHLY).purchaseToken;
    fake.expire(old);
    const accountToken = ACCOUNT.toLowerCase();
    const say = (purchaseToken: string): Promise<{ readonly isNamed: boolean }> =>
      storefront.acknowledge({ kind: 'subscription', productIds: ['vpn.monthly'], purchaseToken, accountToken });
    const bought = (): string => fake.subscribe({ productId: 'vpn.monthly', expiredToken: old }).purchaseToken;
    expect(await say(bought())).toEqual({ isNamed: true });
    fake.refusesNames = true;
    const nameless = bought();
    expect(await say(nameless)).toEqual({ isNamed: false });
    fake.refusesNames = false;
    expect(await found(nameless)).toMatchObject({ snapshot: { isAcknowledged: true, accountToken: null } });
  });

  it('is not done by the page of a proxy', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    fake.fault('acknowledge', { kind: 'html', times: 1 });
    const what = { kind: 'subscription', productIds: ['vpn.monthly'], purchaseToken, accountToken: null } as const;
    expect(await refusal(storefront.acknowledge(what))).toMatchObject(unavailable('answer'));
    expect(fake.isAcknowledged(purchaseToken)).toBe(false);
  });

  it('of what Play does not know says so', async () => {
    const what = {
      kind: 'product',
      productIds: ['vpn.lifetime'],
      purchaseToken: 'nobody',
      accountToken: null,
    } as const;
    expect(await refusal(storefront.acknowledge(what))).toMatchObject({ code: 'purchase_not_found' });
  });
});

describe('what was taken back', () => {
  async function voidedSince(since: Date): Promise<readonly GoogleVoided[]> {
    const all: GoogleVoided[] = [];
    for await (const one of storefront.voided(since)) all.push(one);
    return all;
  }

  it('is listed: subscriptions, products and parts, page by page, for 30 days', async () => {
    clock.set('2027-06-01T00:00:00Z');
    fake.pageSize = 2;
    const since = clock.now();
    const subscription = fake.subscribe(MONTHLY);
    fake.voidOrder(subscription.orderId ?? '');
    const lifetime = fake.oneTime({ productId: 'vpn.lifetime' });
    fake.refund(lifetime.orderId ?? '', { revoke: true, reason: 1 });
    const some = fake.oneTime({ productId: 'vpn.coins', quantity: 2 });
    fake.refund(some.orderId ?? '', { partial: true, source: 0 });
    for (let times = 0; times < 2; times++) fake.voidOrder(fake.subscribe(MONTHLY).orderId ?? '');
    const all = await voidedSince(since);
    expect(all).toHaveLength(5);
    const entry = ({ purchaseToken, orderId }: { purchaseToken: string; orderId: string | null }): object => ({
      purchaseToken,
      orderId,
      at: since,
    });
    expect(all.slice(0, 3)).toEqual([
      { ...entry(subscription), reason: 7, source: 2, isPartial: false },
      { ...entry(lifetime), reason: 1, source: 1, isPartial: false },
      { ...entry(some), reason: 0, source: 0, isPartial: true },
    ]);
    clock.advance({ days: 29 });
    expect(await voidedSince(new Date(0))).toHaveLength(5);
    clock.advance({ days: 2 });
    expect(await voidedSince(since)).toEqual([]);
  });

  it('is not taken for nothing when Google fails half way', async () => {
    clock.set('2028-06-01T00:00:00Z');
    fake.pageSize = 1;
    for (let times = 0; times < 2; times++) fake.voidOrder(fake.subscribe(MONTHLY).orderId ?? '');
    const listing = storefront.voided(clock.now());
    await listing.next();
    fake.fault('voided', { kind: 'status', status: 500, times: 1 });
    expect(await refusal(listing.next())).toMatchObject(unavailable('status'));
    fake.fault('voided', { kind: 'status', status: 400, times: 1 });
    expect(await refusal(voidedSince(clock.now()))).toMatchObject(unavailable('status'));
  });
});

describe('giving money back', () => {
  it('ends the access with it, and may be repeated', async () => {
    const { purchaseToken, orderId } = fake.subscribe(MONTHLY);
    for (let times = 0; times < 2; times++) await storefront.refund(orderId ?? '', { revoke: true });
    expect((await found(purchaseToken)).snapshot.state).toBe('EXPIRED');
    expect(await storefront.order(orderId ?? '', 3)).toMatchObject({ state: 'REFUNDED' });
  });

  it('may leave the access', async () => {
    const { purchaseToken, orderId } = fake.subscribe(MONTHLY);
    await storefront.refund(orderId ?? '', { revoke: false });
    expect((await found(purchaseToken)).snapshot.state).toBe('ACTIVE');
  });

  it('ends a subscription by its token, and may be repeated', async () => {
    const { purchaseToken, orderId } = fake.subscribe(MONTHLY);
    for (let times = 0; times < 2; times++) await storefront.revoke(purchaseToken);
    expect((await found(purchaseToken)).snapshot.state).toBe('EXPIRED');
    expect(await storefront.order(orderId ?? '', 3)).toMatchObject({ state: 'REFUNDED' });
  });

  it('says when there is no such thing', async () => {
    const notFound = { code: 'purchase_not_found' };
    expect(await refusal(storefront.refund('GPA.0000', { revoke: true }))).toMatchObject(notFound);
    expect(await refusal(storefront.revoke('nobody'))).toMatchObject(notFound);
    fake.fault('refund', { kind: 'status', status: 400, times: 1 });
    const { orderId } = fake.subscribe(MONTHLY);
    expect(await refusal(storefront.refund(orderId ?? '', { revoke: true }))).toMatchObject(unavailable('status'));
  });
});

describe('when Google does not answer as it should', () => {
  it.each<[what: string, fault: GoogleFault, kind: string]>([
    ['500', { kind: 'status', status: 500 }, 'status'],
    ['503', { kind: 'status', status: 503 }, 'status'],
    ['a redirect', { kind: 'status', status: 302 }, 'network'],
    ['a dropped connection', { kind: 'drop' }, 'network'],
    ['HTML', { kind: 'html' }, 'answer'],
    ['HTML that says 404', { kind: 'html', status: 404 }, 'answer'],
    ['HTML that says 502', { kind: 'html', status: 502 }, 'status'],
    ['half of an answer', { kind: 'body', body: '{"subscriptionState":"SUBSCR' }, 'answer'],
    ['an empty answer', { kind: 'body', body: '' }, 'answer'],
    ['an empty object', { kind: 'body', body: '{}' }, 'answer'],
    ['a list', { kind: 'body', body: '[]' }, 'answer'],
  ])('but with %s, a purchase is neither found nor unknown', async (_what, fault, kind) => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    fake.fault('subscription', { ...fault, times: 1 });
    const refused = await refusal(storefront.purchase(purchaseToken, 7));
    expect(refused).toMatchObject({ ...unavailable(kind), retryAfterSeconds: 30 });
    expect(refused.cause).toBeUndefined();
    expect((await found(purchaseToken)).snapshot.state).toBe('ACTIVE');
  });

  it.each<[seen: string, fault: GoogleFault]>([
    ['a web page', { kind: 'html' }],
    ['cut JSON', { kind: 'body', body: '{"subscriptionState":"SUBSCR' }],
    ['nothing', { kind: 'body', body: '' }],
  ])('it is said what was seen instead: %s (I4)', async (seen, fault) => {
    const { purchaseToken, orderId } = fake.subscribe(MONTHLY);
    for (const op of ['subscription', 'order'] as const) fake.fault(op, { ...fault, times: 1 });
    expect(await refusal(storefront.purchase(purchaseToken, 7))).toMatchObject(unavailable('answer'));
    expect(await refusal(storefront.order(orderId ?? '', 7))).toMatchObject(unavailable('answer'));
    const told = logged.map((line): { seen?: unknown } => JSON.parse(line));
    expect(told.map((line) => line.seen)).toEqual([seen, seen]);
  });

  it('a 404 that is not Google’s own is no word of a purchase (I4)', async () => {
    fake.fault('*', { kind: 'reply', status: 404, body: '{"message":"no route"}' });
    expect(await refusal(storefront.purchase('nobody', 7))).toMatchObject(unavailable('answer'));
  });

  it('a purchase is not unknown because only one of the two could be asked', async () => {
    fake.fault('product', { kind: 'status', status: 500, times: 1 });
    expect(await refusal(storefront.purchase('nobody', 7))).toMatchObject(unavailable('status'));
  });

  it('it is given four seconds, whatever is asked', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    await found(purchaseToken);
    fake.fault('subscription', { kind: 'delay', ms: 60_000 });
    fake.fault('token', { kind: 'delay', ms: 60_000 });
    const other = await storefrontWith(fake.settings());
    const answers = await Promise.all([
      refusal(storefront.purchase(purchaseToken, 7)),
      refusal(other.purchase(purchaseToken, 7)),
    ]);
    expect(answers).toMatchObject([unavailable('timeout'), unavailable('timeout')]);
  });

  it.each([
    [{ kind: 'rate_limit', retryAfter: 120 }, 120],
    [{ kind: 'rate_limit' }, 60],
    [{ kind: 'rate_limit', retryAfter: 999_999_999 }, 3600],
    [{ kind: 'status', status: 403, reason: 'rateLimitExceeded' }, 60],
  ] as const)('it is left alone as long as it wants to be: %j', async (fault, seconds) => {
    const { purchaseToken, orderId } = fake.subscribe(MONTHLY);
    fake.fault('*', { ...fault, times: 1 });
    const limited = { ...unavailable('rate_limit'), retryAfterSeconds: seconds };
    expect(await refusal(storefront.order(orderId ?? '', 7))).toMatchObject(limited);
    clock.advance({ seconds: seconds - 1 });
    expect(await refusal(storefront.purchase(purchaseToken, 7))).toMatchObject({ retryAfterSeconds: 1 });
    clock.advance({ seconds: 1 });
    expect((await found(purchaseToken)).snapshot.state).toBe('ACTIVE');
    expect(logged).toEqual([]);
  });
});

describe('the access token', () => {
  it('is asked for anew when it is refused, and when it ran out', async () => {
    const { purchaseToken, orderId } = fake.subscribe(MONTHLY);
    await found(purchaseToken);
    fake.withdrawAccessTokens();
    expect(await storefront.order(orderId ?? '', 3)).toMatchObject({ state: 'PROCESSED' });
    clock.advance({ hours: 2 });
    expect((await found(purchaseToken)).snapshot.state).toBe('ACTIVE');
    expect(logged).toEqual([]);
  });

  it('is asked for once by many questions at once', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    fake.fault('token', { kind: 'delay', ms: 50, times: 1 });
    fake.fault('token', { kind: 'status', status: 500 });
    const questions = Array.from({ length: 10 }, () => storefront.purchase(purchaseToken, 7));
    expect((await Promise.all(questions)).every(({ state }) => state === 'found')).toBe(true);
  });

  it.each<[status: number, reason?: string]>([[401], [403], [404, 'applicationNotFound']])(
    'is of no use when account or app are refused (%i): operators are told',
    async (status, reason = 'none') => {
      const { purchaseToken } = fake.subscribe(MONTHLY);
      fake.fault('subscription', { kind: 'status', status, reason, times: 2 });
      const refused = await refusal(storefront.purchase(purchaseToken, 7));
      expect(refused).toMatchObject(unavailable('refused'));
      expect(logged.join('')).toMatch(/refuses the service account|does not know the app/);
    },
  );

  it.each([
    [{ kind: 'status', status: 400 }, 'refused', /refuses the key/],
    [{ kind: 'status', status: 500 }, 'status', /^$/],
    [{ kind: 'drop' }, 'network', /^$/],
    [{ kind: 'html' }, 'answer', /^$/],
    [{ kind: 'rate_limit' }, 'status', /^$/],
  ] as const)('that is not given (%j) leaves everything as it is', async (fault, kind, line) => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    fake.fault('token', { ...fault, times: 1 });
    expect(await refusal(storefront.purchase(purchaseToken, 7))).toMatchObject(unavailable(kind));
    expect(logged.join('')).toMatch(line);
    expect((await found(purchaseToken)).snapshot.state).toBe('ACTIVE');
  });

  it('is not given to a clock that is ten minutes off', async () => {
    const { purchaseToken } = fake.subscribe(MONTHLY);
    const late = await storefrontWith(fake.settings(), new ManualClock('2026-11-22T10:10:00Z'));
    expect(await refusal(late.purchase(purchaseToken, 7))).toMatchObject(unavailable('refused'));
  });

  it.each(['{}', '{"client_email":"a@b.c","private_key":"-----BEGIN PRIVATE KEY-----\\nnone"}'])(
    'is not given for a key file that is none: %s',
    async (text) => {
      const { purchaseToken } = fake.subscribe(MONTHLY);
      const broken = await storefrontWith({ ...fake.settings(), GOOGLE_SERVICE_ACCOUNT_JSON: text });
      expect(await refusal(broken.purchase(purchaseToken, 7))).toMatchObject(unavailable('refused'));
      expect(logged.join('')).toContain('cannot be read');
    },
  );
});

describe('the storefront', () => {
  it('is off without its settings', async () => {
    const off = await storefrontWith({});
    expect(off.isConfigured).toBe(false);
    expect(await refusal(off.purchase('a', 7))).toMatchObject({ code: 'store_not_configured' });
    expect(await refusal(off.voided(clock.now()).next())).toMatchObject({ code: 'store_not_configured' });
    expect(storefront.isConfigured).toBe(true);
  });

  it('is not asked while rows are locked', async () => {
    const uow = open.rooms.get(UnitOfWork);
    await expect(uow.run(() => storefront.purchase('a', 7))).rejects.toThrow('inside a transaction');
    await expect(uow.run(() => storefront.voided(clock.now()).next())).rejects.toThrow('inside a transaction');
  });

  it('counts what it asked', async () => {
    await found(fake.subscribe(MONTHLY).purchaseToken);
    const figures = await open.rooms.get(Metrics).render();
    expect(figures).toMatch(/iap_store_request_seconds_count\{provider="google",op="subscription",status="200"\} \d/);
    expect(figures).toMatch(/iap_store_request_seconds_count\{provider="google",op="token",status="200"\} \d/);
  });
});
