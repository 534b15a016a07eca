import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Inbox } from '#iap';
import { addDays } from '#kernel';
import { Enforcement } from '#peers';
import { type Account, type Answer, expectOk } from '../support/api.js';
import { MONTHLY, TestStores, UNMAPPED, YEARLY } from '../support/stores.js';
import { until } from '../support/until.js';

/** Ninety days that do not renew themselves. */
const PASS = 'com.example.vpn.pass';
const SALE = { productId: MONTHLY, price: 9990, currency: 'USD' };

const logLines: string[] = [];
let stores: TestStores;
beforeAll(async () => {
  stores = await TestStores.start({}, logLines);
  await stores.api.tariff(stores.admin, {
    name: 'Pass',
    price: '19.99',
    duration_days: 90,
    store_products: [{ provider: 'apple', product_id: PASS, kind: 'nonrenewing' }],
  });
});
afterAll(() => stores.stop());
afterEach(() => {
  stores.apple.clearFaults();
  stores.google.heal();
});

const now = (): Date => stores.api.clock.now();
const pass = (days: number): void => stores.api.clock.advance({ days });
const silence = (): void => stores.apple.fault('*', { kind: 'drop', times: 1_000_000 });

interface Customer {
  readonly account: Account;
  readonly id: string;
}

/** Somebody whom a purchase names. */
async function customer(sale: object = {}): Promise<Customer> {
  const account = await stores.api.user();
  const accountToken = await stores.tokenOf(account);
  const told = stores.apple.subscribe({ ...SALE, accountToken, ...sale });
  expectOk(await stores.tellApple(told));
  return { account, id: told.originalTransactionId };
}

const show = (account: Account, receipt: string, more: object = {}): Promise<Answer> =>
  stores.verify(account, receipt, 'apple', more);

async function revenue(): Promise<number> {
  const [row] = await stores.api.rows<{ sum: string | null }>(
    `SELECT sum(amount - coalesce(refunded_amount, 0)) AS sum FROM payments WHERE NOT is_test`,
  );
  return Number(row?.sum ?? 0);
}

/** The transaction as Apple would have signed it, changed. */
function signed(id: string, change: object): string {
  return stores.apple.certificates.sign({ ...JSON.parse(stores.apple.transactionJson(id)), ...change });
}

describe('a purchase that moves into a bundle, or out of one,', () => {
  it('stays with whom it is, without a gap, and its old chain is told to nobody as ended (H13)', async () => {
    const { account, id } = await customer();
    pass(20);
    const moved = stores.apple.move(id, { productId: YEARLY, price: 59_990, currency: 'USD', period: 365 });
    await stores.tellApple(moved);
    expect(await stores.subscription(account)).toMatchObject({ status: 'active', tariff_name: 'Yearly' });
    await stores.tellApple(stores.apple.expire(id));
    pass(30);
    await stores.api.app.get(Enforcement).run();
    expect(await stores.subscription(account)).toMatchObject({ status: 'active', tariff_name: 'Yearly' });
    const rows = await stores.api.rows('SELECT state, user_id FROM store_purchases WHERE key = ANY($1) ORDER BY id', [
      [id, moved.originalTransactionId],
    ]);
    expect(rows).toEqual([
      { state: 'superseded', user_id: account.id },
      { state: 'active', user_id: account.id },
    ]);
    // Whoever shows it first does not get it.
    const stranger = await stores.api.user();
    expect(await show(stranger, stores.apple.transactionJws(moved.originalTransactionId))).toMatchObject({
      status: 409,
      body: { code: 'purchase_belongs_to_another_account' },
    });
  });

  it('is found by asking about the old chain, when nobody told of the new one (H13)', async () => {
    const { account, id } = await customer();
    pass(28);
    const moved = stores.apple.move(id, { productId: YEARLY, price: 59_990, currency: 'USD', period: 365 });
    await stores.ask();
    expect(await stores.subscription(account)).toMatchObject({ status: 'active', tariff_name: 'Yearly' });
    const [row] = await stores.api.rows('SELECT user_id, bound_by FROM store_purchases WHERE key = $1', [
      moved.originalTransactionId,
    ]);
    expect(row).toEqual({ user_id: account.id, bound_by: 'link' });
  });

  it('is his whom the old chain names, whoever shows the new one, though nobody had heard of the old one (H13)', async () => {
    const [owner, stranger] = [await stores.api.user(), await stores.api.user()];
    const accountToken = await stores.tokenOf(owner);
    const old = stores.apple.subscribe({ ...SALE, accountToken }).originalTransactionId;
    const moved = stores.apple.move(old, { productId: YEARLY, price: 59_990, currency: 'USD' }).originalTransactionId;
    expect(await show(stranger, stores.apple.transactionJws(moved))).toMatchObject({ status: 409 });
    expect(await stores.subscription(stranger)).toBeNull();
    expect((await show(owner, stores.apple.transactionJws(moved))).body).toMatchObject({ valid: true });
  });

  it('leaves the old chain to its end where the new product has no tariff (H13)', async () => {
    const { account, id } = await customer();
    await stores.tellApple(stores.apple.move(id, { productId: UNMAPPED, price: 59_990, currency: 'USD' }));
    expect(await stores.subscription(account)).toMatchObject({ status: 'active', tariff_name: 'Monthly' });
  });
});

describe('one paid period under two transaction ids', () => {
  it.each(['the first', 'the other'])(
    'is booked once, and a refund of %s takes it back once and ends access (H34)',
    async (which) => {
      const before = await revenue();
      const { account, id } = await customer();
      const twin = stores.apple.duplicate(id);
      await stores.tellApple(twin);
      expect(await stores.payments(account)).toMatchObject([{ amount: '9.99', status: 'completed' }]);
      expect((await show(account, stores.apple.transactionJws(twin.transactionId))).body).toMatchObject({
        valid: true,
      });
      expect(await revenue()).toBeCloseTo(before + 9.99);
      await stores.tellApple(stores.apple.refund(which === 'the first' ? id : twin.transactionId));
      expect(await stores.subscription(account)).toMatchObject({ status: 'refunded' });
      expect(await stores.payments(account)).toMatchObject([{ status: 'refunded', refunded_amount: '9.99' }]);
      expect(await revenue()).toBeCloseTo(before);
      await stores.tellApple(stores.apple.reverseRefund(which === 'the first' ? id : twin.transactionId));
      expect(await stores.subscription(account)).toMatchObject({ status: 'active' });
    },
  );

  it('is booked once, whichever is heard of first (H34)', async () => {
    const account = await stores.api.user();
    const told = stores.apple.subscribe({ ...SALE, accountToken: await stores.tokenOf(account) });
    const twin = stores.apple.duplicate(told.originalTransactionId);
    await stores.tellApple(twin);
    await stores.tellApple(told);
    expect(await stores.payments(account)).toMatchObject([{ provider_payment_id: twin.transactionId }]);
    await stores.tellApple(stores.apple.renew(told.originalTransactionId));
    expect(await stores.payments(account)).toHaveLength(2);
  });
});

describe("a sandbox's transaction with the number of one of production's", () => {
  it('is another payment, and leaves that one as it is (H9)', async () => {
    const { account, id } = await customer();
    const tester = await stores.api.user();
    const told = stores.apple.subscribe({
      ...SALE,
      price: 1000,
      environment: 'Sandbox',
      transactionId: id,
      accountToken: await stores.tokenOf(tester),
    });
    await stores.tellApple(told);
    expect(await stores.payments(account)).toMatchObject([
      { amount: '9.99', provider_payment_id: id, is_test: false, status: 'completed' },
    ]);
    const [payment] = await stores.payments(tester);
    expect(payment).toMatchObject({ amount: '1.00', provider_payment_id: id, is_test: true, user_id: tester.id });
    expect(expectOk(await stores.api.get(`/payments/${payment.id}`, await stores.signedIn(tester)))).toMatchObject({
      provider_payment_id: id,
    });
  });
});

describe('a store that is away', () => {
  it.each(['a signed transaction', 'a number', 'the receipt of the app', 'a purchase token'])(
    'is not needed for what is known, runs, and is shown by its owner (%s) (H25)',
    async (what) => {
      const account = await stores.api.user();
      const told = stores.apple.subscribe({ ...SALE, accountToken: await stores.tokenOf(account) });
      const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
      const id = told.originalTransactionId;
      const provider = what === 'a purchase token' ? 'google' : 'apple';
      const jws = stores.apple.transactionJws(id);
      const receipt = {
        'a signed transaction': jws,
        'a number': id,
        'the receipt of the app': stores.apple.receiptOf(id),
      }[what];
      const present = (by: Account): Promise<Answer> => stores.verify(by, receipt ?? purchaseToken, provider);
      expectOk(await present(account));
      pass(5);
      silence();
      stores.google.fault('*', { kind: 'drop' });
      expect(await present(account)).toMatchObject({
        status: 200,
        body: { valid: true, status: 'already_verified', subscription: { status: 'active' } },
      });
      // Somebody else's, what is over, and what would be new, wait.
      expect((await present(await stores.api.user())).status).toBe(503);
      pass(40);
      expect((await present(account)).status).toBe(503);
    },
  );

  it('is needed for a renewal that nobody has heard of (H25)', async () => {
    const { account, id } = await customer({ period: 60 });
    pass(30);
    const offered = stores.apple.redeemOffer(id, { price: 1000 });
    const jws = stores.apple.transactionJws(offered.transactionId);
    pass(2);
    silence();
    expect((await show(account, jws)).status).toBe(503);
  });
});

describe('the receipt of an app', () => {
  it("counts when either its first or its last purchase is the caller's (H8)", async () => {
    const [mine, other] = [await customer(), await customer()];
    const both = (first: string, last: string): string => stores.apple.receiptOf(first, last);
    for (const receipt of [both(mine.id, other.id), both(other.id, mine.id)]) {
      pass(0.01);
      expect(await show(mine.account, receipt)).toMatchObject({
        status: 200,
        body: { valid: true, user_id: mine.account.id },
      });
    }
    const stranger = await stores.api.user();
    expect((await show(stranger, both(mine.id, other.id))).body).toMatchObject({ code: 'proof_required' });
  });

  it('that is older than the purchase, or empty, is no reason not to ask about the transaction that is meant (H15)', async () => {
    const account = await stores.api.user();
    const accountToken = await stores.tokenOf(account);
    const old = stores.apple.subscribe({ ...SALE, accountToken }).originalTransactionId;
    const stale = stores.apple.receiptOf(old);
    pass(31);
    const { transactionId } = stores.apple.resubscribe(old);
    const another = stores.apple.subscribe({ ...SALE, accountToken }).originalTransactionId;
    for (const [receipt, meant] of [
      [stale, transactionId],
      [stores.apple.receiptOf(), another],
    ] as const) {
      expect(await show(account, receipt, { transaction_id: meant })).toMatchObject({
        status: 200,
        body: { valid: true, payment: { provider_payment_id: meant } },
      });
    }
    expect(await show(account, stores.apple.receiptOf())).toMatchObject({
      status: 400,
      body: { code: 'receipt_malformed' },
    });
  });

  it.each(['0', '000', '{"transactionId":"0","bundleId":"com.example.vpn"}'])(
    'is refused without a question where it names no transaction: %s (H33)',
    async (receipt) => {
      const account = await stores.api.user();
      silence();
      expect(await show(account, receipt)).toMatchObject({ status: 400, body: { code: 'receipt_malformed' } });
      const xcode = stores.apple.receiptWith(['0']);
      expect(await show(account, xcode)).toMatchObject({ status: 400, body: { code: 'receipt_malformed' } });
    },
  );
});

describe('what was paid before the first verification', () => {
  it('is learnt with it: payments, and since when (H7)', async () => {
    const account = await stores.api.user();
    const { originalTransactionId: id } = stores.apple.subscribe(SALE);
    const began = now();
    let last = id;
    for (let month = 0; month < 3; month += 1) {
      pass(30);
      last = stores.apple.renew(id).transactionId;
    }
    const { body } = await show(account, stores.apple.transactionJws(last));
    expect(body).toMatchObject({ valid: true, status: 'verified' });
    expect(Date.parse(body.subscription.started_at)).toBe(began.getTime());
    expect(await stores.payments(account)).toHaveLength(4);
  });

  it('and what was lost between two notifications, is learnt by asking once (H7)', async () => {
    const { account, id } = await customer();
    expectOk(await show(account, stores.apple.transactionJws(id)));
    for (const isHeard of [false, false, true]) {
      pass(30);
      const told = stores.apple.renew(id);
      if (isHeard) await stores.tellApple(told);
    }
    expect(await stores.payments(account)).toHaveLength(2);
    const [row] = await stores.api.rows<{ id: number }>('SELECT id FROM store_purchases WHERE key = $1', [id]);
    pass(28);
    await stores.ask();
    expect(row).toBeDefined();
    expect(await stores.payments(account)).toHaveLength(4);
  });
});

describe('a purchase that begins later than now', () => {
  it.each([
    ['because the clock of its store is a second ahead', { ms: 1000, transactionReason: 'PURCHASE' }],
    ['because its renewal was charged early', { ms: 20 * 3_600_000, transactionReason: 'RENEWAL' }],
  ])('gives access from now on, %s (H4)', async (_why, { ms, transactionReason }) => {
    const account = await stores.api.user();
    const { originalTransactionId: id } = stores.apple.subscribe(SALE);
    silence();
    const purchaseDate = now().getTime() + ms;
    const expiresDate = addDays(new Date(purchaseDate), 30).getTime();
    const jws = signed(id, { purchaseDate, expiresDate, transactionReason });
    expect((await show(account, jws)).body).toMatchObject({ valid: true, status: 'verified' });
    expect(await stores.subscription(account)).toMatchObject({ status: 'active' });
    const token = await stores.signedIn(account);
    expect((await stores.api.post('/vpn_peers/self', {}, token)).status).toBe(200);
  });
});

describe('a refund of what an upgrade took the place of, unheard,', () => {
  it('takes nothing from who has the upgrade, whether Apple answers or not, within the leeway (H31)', async () => {
    const { account, id } = await customer();
    pass(3);
    stores.apple.upgrade(id, { productId: YEARLY, price: 59_990, period: 365, isUnmarked: true });
    const refund = stores.apple.refund(id);
    silence();
    await stores.tellApple(refund);
    expect(await stores.subscription(account)).toMatchObject({ status: 'active', tariff_name: 'Monthly' });
    for (let hours = 0; hours < 60; hours += 12) {
      stores.api.clock.advance({ hours: 12 });
      await stores.api.app.get(Inbox).process();
      await stores.ask();
      expect(await stores.subscription(account)).toMatchObject({ status: 'active' });
    }
    stores.apple.clearFaults();
    stores.api.clock.advance({ hours: 12 });
    await stores.api.app.get(Inbox).process();
    expect(await stores.subscription(account)).toMatchObject({ status: 'active', tariff_name: 'Yearly' });
    const rows = await stores.api.rows(`SELECT status FROM store_events WHERE event_id = $1`, [refund.id]);
    expect(rows).toEqual([{ status: 'done' }]);
    expect((await stores.payments(account)).map(({ status }) => status).toSorted()).toEqual(['completed', 'refunded']);
  });

  it('counts as it is when Apple does not answer for as long as the leeway (H31)', async () => {
    const { account, id } = await customer();
    pass(3);
    stores.apple.upgrade(id, { productId: YEARLY, price: 59_990, period: 365, isUnmarked: true });
    const refund = stores.apple.refund(id);
    silence();
    await stores.tellApple(refund);
    for (let hours = 0; hours <= 72; hours += 12) {
      stores.api.clock.advance({ hours: 12 });
      await stores.api.app.get(Inbox).process();
    }
    expect(await stores.subscription(account)).toMatchObject({ status: 'refunded' });
  });
});

describe('a question of how much was used', () => {
  async function consenting(sale: () => string): Promise<string> {
    const account = await stores.api.user();
    expectOk(await stores.api.put('/auth/me', { refund_data_consent: true }, await stores.signedIn(account)));
    const id = sale();
    expectOk(await show(account, stores.apple.transactionJws(id)));
    return id;
  }
  const told = (id: string) => until(() => Promise.resolve(stores.apple.consumption.get(id)));

  it('is answered once for each transaction, and without a figure for what renews itself (H3, H35)', async () => {
    const id = await consenting(() => stores.apple.subscribe(SALE).originalTransactionId);
    for (let turn = 0; turn < 3; turn += 1) {
      await stores.tellApple(stores.apple.requestRefund(id));
      pass(2);
    }
    expect(await told(id)).not.toHaveProperty('consumptionPercentage');
    expect(await stores.api.rows(`SELECT 1 FROM outbox WHERE kind = 'apple_consumption'`)).toEqual([]);
    expect(stores.apple.consumptionReports.filter((one) => one === id)).toHaveLength(1);
  });

  it("is answered by the share of a pass's own days (H35)", async () => {
    const id = await consenting(
      () => stores.apple.oneTime({ productId: PASS, price: 19_990, type: 'Non-Renewing Subscription' }).transactionId,
    );
    pass(45);
    await stores.tellApple(stores.apple.requestRefund(id));
    const { consumptionPercentage } = (await told(id)) as { consumptionPercentage: number };
    expect(Math.round(consumptionPercentage / 1000)).toBe(50);
  });

  it('that Apple does not take the answer to stays to be seen (H3)', async () => {
    const id = await consenting(() => stores.apple.subscribe(SALE).originalTransactionId);
    stores.apple.fault('consumption', { kind: 'status', status: 400, errorCode: 4_000_047 });
    await stores.tellApple(stores.apple.requestRefund(id));
    const row = await until(async () => {
      const [found] = await stores.api.rows<{ error: string | null }>(
        `SELECT * FROM outbox WHERE kind = 'apple_consumption' AND payload->>'transactionId' = $1`,
        [id],
      );
      return found?.error == null ? undefined : found;
    });
    expect(row).toMatchObject({ error: 'apple_4000047' });
    expect(logLines.some((line) => line.includes('INVALID_TRANSACTION_TYPE_NOT_SUPPORTED'))).toBe(true);
  });
});

describe('a figure that cannot be', () => {
  it.each([
    ['a price below zero', { price: -9990 }],
    ['a price that no column holds', { price: 9_000_000_000_000_000 }],
    ['a currency that is none', { currency: 'DOLLARS AND CENTS' }],
    ['a country that is none', { storefront: 'UNITED STATES' }],
  ])('harms itself only: %s (H33)', async (_what, change) => {
    const account = await stores.api.user();
    const { originalTransactionId: id } = stores.apple.subscribe(SALE);
    silence();
    expect((await show(account, signed(id, change))).body).toMatchObject({ valid: true, status: 'verified' });
    expect(await stores.payments(account)).toMatchObject([{ amount: '9.99', currency: 'USD', status: 'completed' }]);
  });
});
