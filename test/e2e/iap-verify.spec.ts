import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { AppleCertificates } from '../fakes/apple-certificates.js';
import { type Account, type Answer, expectOk } from '../support/api.js';
import { faultsForTheApp } from '../support/app-model.js';
import { LIFETIME, MONTHLY, TestStores, UNMAPPED, YEARLY } from '../support/stores.js';

const logLines: string[] = [];
/** All that was ever shown: none of it may be in the log. */
const shown: string[] = [];
let stores: TestStores;

beforeAll(async () => {
  stores = await TestStores.start({}, logLines);
});
afterEach(() => {
  stores.apple.clearFaults();
  stores.google.heal();
});
afterAll(() => stores.stop());

/** The app shows a purchase; what it is answered it can read. */
async function show(account: Account, receipt: string, provider = 'apple', more: object = {}): Promise<Answer> {
  shown.push(receipt);
  const answer = await stores.verify(account, receipt, provider, more);
  if (answer.status === 200) expect(faultsForTheApp(answer.body)).toEqual([]);
  return answer;
}

interface AppleSale {
  readonly id: string;
  readonly jws: string;
  readonly json: string;
  readonly receipt: string;
}

function bought(sale: Partial<Parameters<TestStores['apple']['subscribe']>[0]> = {}): AppleSale {
  return saleOf(
    stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', ...sale }).originalTransactionId,
  );
}

function saleOf(id: string): AppleSale {
  const { apple } = stores;
  return { id, jws: apple.transactionJws(id), json: apple.transactionJson(id), receipt: apple.receiptOf(id) };
}

/** The receipt of one transaction, as StoreKit 1 had it. */
function oldReceipt(id: string): string {
  const info = Buffer.from(`{\n\t"transaction-id" = "${id}";\n}`).toString('base64');
  return Buffer.from(`{\n\t"signature" = "QUJD";\n\t"purchase-info" = "${info}";\n\t"pod" = "44";\n}`).toString(
    'base64',
  );
}

/** `originalJson` of Play's library. */
function originalJson(purchaseToken: string, packageName = stores.google.packageName): string {
  const orderId = stores.google.orderOf(purchaseToken);
  return JSON.stringify({ orderId, packageName, productId: MONTHLY, purchaseState: 0, purchaseToken });
}

async function unclaimed(): Promise<{ readonly id: number; readonly reference: string }[]> {
  const token = await stores.signedIn(stores.admin);
  return expectOk(await stores.api.get('/admin/iap/purchases?only=unclaimed', token));
}

async function purchaseOf(id: string): Promise<Record<string, unknown> | undefined> {
  const [row] = await stores.api.rows('SELECT * FROM store_purchases WHERE key = $1', [id]);
  return row;
}

describe("Apple's receipts", () => {
  it.each([
    ['a signed transaction', ({ jws }: AppleSale) => jws, false],
    ['the JSON of StoreKit 2, which nobody signed', ({ json }: AppleSale) => json, true],
    ['a transaction id', ({ id }: AppleSale) => id, true],
    ['the receipt of the whole app', ({ receipt }: AppleSale) => receipt, true],
    ['the receipt of one transaction', ({ id }: AppleSale) => oldReceipt(id), true],
  ])('are taken as %s', async (_what, receiptOf, isWeak) => {
    const user = await stores.api.user();
    const accountToken = isWeak ? (await stores.tokenOf(user)).toUpperCase() : undefined;
    const sale = bought({ accountToken });
    const first = await show(user, receiptOf(sale));
    expect(first.body).toMatchObject({
      valid: true,
      status: 'verified',
      message: 'subscription_active',
      user_id: user.id,
      duplicate_subscription: false,
      payment: { user_id: user.id, amount: '9.99', currency: 'USD', status: 'completed', provider: 'apple' },
      subscription: {
        user_id: user.id,
        tariff_id: stores.tariffs[MONTHLY],
        tariff_name: 'Monthly',
        status: 'active',
        state: 'active',
        auto_renewing: true,
        days_remaining: 30,
        is_lifetime: false,
        store: 'apple',
        is_trial: false,
      },
    });
    expect(first.body.payment.provider_payment_id).toBe(sale.id);
    expect(first.body.expires_at).toBe(first.body.subscription.ended_at);
    expect((await show(user, receiptOf(sale))).body).toEqual({ ...first.body, status: 'already_verified' });
    expect(await stores.payments(user)).toHaveLength(1);
  });

  it.each(['apple', 'app_store', 'appstore', 'ios', 'Apple', 'APP_STORE', ' iOS '])(
    'are taken from %p, with fields that nobody knows',
    async (provider) => {
      const user = await stores.api.user();
      const more = { package_name: 'com.example.vpn', product_id: MONTHLY, platform: { os: 'x' }, sandbox: null };
      const { body } = await show(user, bought().jws, provider, more);
      expect(body).toMatchObject({ valid: true, status: 'verified', subscription: { store: 'apple' } });
    },
  );

  it('of another app are refused, whoever says so', async () => {
    const user = await stores.api.user();
    const { id, jws, json } = bought();
    for (const receipt of [jws, id, json]) {
      expect(await show(user, receipt, 'apple', { package_name: 'com.example.other' })).toMatchObject({
        status: 422,
        body: { code: 'wrong_app', detail: expect.any(String) },
      });
    }
    const foreign = stores.apple.certificates.sign({ ...JSON.parse(json), bundleId: 'com.example.other' });
    expect(await show(user, foreign)).toMatchObject({ status: 422, body: { code: 'wrong_app' } });
  });

  it('name a product as a hint only', async () => {
    const { body } = await show(await stores.api.user(), bought().jws, 'apple', { product_id: YEARLY });
    expect(body).toMatchObject({ valid: true, subscription: { tariff_id: stores.tariffs[MONTHLY] } });
  });

  it('that Apple did not sign are refused, and nothing is kept of them', async () => {
    const user = await stores.api.user();
    const { id, jws, json } = bought();
    const forger = await AppleCertificates.make();
    const [head = '', , signature = ''] = jws.split('.');
    const changed = Buffer.from(json.replace(MONTHLY, YEARLY)).toString('base64url');
    const forged = [
      forger.sign(JSON.parse(json)),
      `${head}.${changed}.${signature}`,
      stores.apple.certificates.sign({ ...JSON.parse(json), environment: 'Xcode' }),
      stores.apple.certificates.sign({ ...JSON.parse(json), environment: 'LocalTesting' }),
      stores.apple.certificates.sign({ bundleId: stores.apple.bundleId, environment: 'Production', signedDate: 1 }),
    ];
    for (const receipt of forged) {
      expect(await show(user, receipt)).toMatchObject({ status: 422, body: { code: 'receipt_invalid' } });
    }
    expect(await purchaseOf(id)).toBeUndefined();
    expect(await stores.subscription(user)).toBeNull();
  });
});

describe("Google's receipts", () => {
  it.each([
    ['a purchase token', (token: string) => ({ receipt: token, provider: 'google', more: {} })],
    [
      'originalJson, which the app calls "apple"',
      (token: string) => ({
        receipt: originalJson(token),
        provider: 'apple',
        more: { package_name: 'com.example.vpn' },
      }),
    ],
    [
      'an order id, with the token beside it',
      (token: string) => ({
        receipt: stores.google.orderOf(token),
        provider: 'google_play',
        more: { purchase_token: token },
      }),
    ],
    [
      'JSON without a token, with the token beside it',
      (token: string) => ({ receipt: '{"acknowledged":false}', provider: 'google', more: { purchase_token: token } }),
    ],
  ])('are taken as %s', async (_what, requestOf) => {
    const user = await stores.api.user();
    const { purchaseToken, orderId } = stores.google.subscribe({ productId: MONTHLY });
    shown.push(purchaseToken);
    const { receipt, provider, more } = requestOf(purchaseToken);
    const first = await show(user, receipt, provider, more);
    expect(first.body).toMatchObject({
      valid: true,
      status: 'verified',
      message: 'subscription_active',
      user_id: user.id,
      payment: { user_id: user.id, amount: '9.99', currency: 'USD', status: 'completed', provider: 'google' },
      subscription: { user_id: user.id, status: 'active', days_remaining: 30, store: 'google', is_trial: false },
    });
    expect(first.body.payment.provider_payment_id).toBe(orderId);
    expect((await show(user, receipt, provider, more)).body).toEqual({ ...first.body, status: 'already_verified' });
    expect(await stores.payments(user)).toHaveLength(1);
    expect(stores.google.isAcknowledged(purchaseToken)).toBe(true);
  });

  it.each(['google', 'google_play', 'android', 'play', 'Google', 'GOOGLE_PLAY', 'Android', 'PLAY'])(
    'are taken from %p, with fields that nobody knows',
    async (provider) => {
      const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
      const more = { package_name: 'com.example.vpn', transaction_id: 'GPA.1', extra: [1] };
      const { body } = await show(await stores.api.user(), purchaseToken, provider, more);
      expect(body).toMatchObject({ valid: true, status: 'verified', subscription: { store: 'google' } });
    },
  );

  it('of another app are refused, wherever it is said', async () => {
    const user = await stores.api.user();
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
    const other = { package_name: 'com.example.other' };
    for (const [receipt, provider, more] of [
      [purchaseToken, 'google', other],
      [originalJson(purchaseToken), 'apple', other],
      [originalJson(purchaseToken, 'com.example.other'), 'apple', {}],
      [originalJson(purchaseToken, 'com.example.other'), 'google', { package_name: 'com.example.vpn' }],
    ] as const) {
      expect(await show(user, receipt, provider, more)).toMatchObject({ status: 422, body: { code: 'wrong_app' } });
    }
    expect(await stores.subscription(user)).toBeNull();
  });
});

describe('what is no receipt', () => {
  it.each([
    ['apple', 'nothing of the kind'],
    ['apple', '{'],
    ['apple', '{"transactionId":"2000000100000001"}'],
    ['apple', '{"bundleId":"com.example.vpn","transactionId":"../../notifications/test"}'],
    ['apple', '../notifications/test'],
    ['apple', '123456789012345678901'],
    ['apple', 'MIAGCSqGSIb3DQEHAqCA'],
    ['apple', Buffer.from('{\n"signature" = "x";').toString('base64')],
    ['apple', 'eyJ.a'],
    ['google', '..'],
    ['google', 'a token with blanks'],
    ['google', `${'a'.repeat(20)}/../${'a'.repeat(20)}`],
  ])('from %s is answered 400: %p', async (provider, receipt) => {
    expect(await show(await stores.api.user(), receipt, provider)).toMatchObject({
      status: 400,
      body: { code: 'receipt_malformed', detail: expect.any(String) },
    });
  });

  it('is answered 422 where a field is missing, of another type, or of no store', async () => {
    const token = await stores.signedIn(await stores.api.user());
    for (const body of [
      {},
      { receipt: '1' },
      { provider: 'apple' },
      { receipt: '', provider: 'apple' },
      { receipt: 1, provider: 'apple' },
      { receipt: '1', provider: 'amazon' },
      { receipt: '1', provider: 'constructor' },
    ]) {
      const answer = await stores.api.post('/payments/iap_verify', body, token);
      expect(answer).toMatchObject({ status: 422, body: { code: 'validation_error' } });
    }
  });

  it('is answered 401 without a session, 400 up to 1 MiB, and 413 above', async () => {
    expect((await stores.api.post('/payments/iap_verify', { receipt: '1', provider: 'apple' })).status).toBe(401);
    const token = await stores.signedIn(await stores.api.user());
    const ofBytes = (bytes: number): string => {
      const [before, after] = ['{"provider":"apple","receipt":"', '"}'];
      return `${before}${'A'.repeat(bytes - before.length - after.length)}${after}`;
    };
    const post = (body: string): Promise<Answer> => stores.api.call('POST', '/payments/iap_verify', { token, body });
    expect(await post(ofBytes(1_048_576))).toMatchObject({ status: 400, body: { code: 'receipt_malformed' } });
    expect(await post(ofBytes(1_048_577))).toMatchObject({ status: 413, body: { code: 'body_too_large' } });
  });

  it('is answered 422 when its store knows it not', async () => {
    const user = await stores.api.user();
    for (const [receipt, provider] of [
      ['2999999999999999', 'apple'],
      [oldReceipt('2999999999999998'), 'apple'],
      ['{"transactionId":2999999999999997,"bundleId":"com.example.vpn"}', 'apple'],
      ['there.is-no_such~token', 'google'],
    ] as const) {
      expect(await show(user, receipt, provider)).toMatchObject({ status: 422, body: { code: 'receipt_invalid' } });
    }
  });
});

describe('whose a purchase is', () => {
  it('is shown by having it: numbers and what nobody signed claim nothing', async () => {
    const user = await stores.api.user();
    const { id, jws, json, receipt } = bought();
    for (const weak of [id, json, receipt, oldReceipt(id)]) {
      expect(await show(user, weak)).toMatchObject({ status: 422, body: { code: 'proof_required' } });
    }
    expect((await unclaimed()).map(({ reference }) => reference)).toContain(id);
    expect(await stores.subscription(user)).toBeNull();
    expect((await show(user, jws)).body).toMatchObject({ valid: true, status: 'verified' });
    expect((await show(user, id)).body).toMatchObject({ valid: true, status: 'already_verified' });
    expect((await unclaimed()).map(({ reference }) => reference)).not.toContain(id);
  });

  it.each(['apple', 'google'] as const)('stays: another who shows it has 409 (%s)', async (provider) => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const proof = provider === 'apple' ? bought().jws : stores.google.subscribe({ productId: MONTHLY }).purchaseToken;
    expectOk(await show(ann, proof, provider));
    expect(await show(bob, proof, provider)).toMatchObject({
      status: 409,
      body: { code: 'purchase_belongs_to_another_account', detail: expect.any(String) },
    });
    expect(await stores.subscription(bob)).toBeNull();
    expect(await stores.payments(bob)).toEqual([]);
    expect(await stores.subscription(ann)).toMatchObject({ status: 'active' });
  });

  it('is not told to who has no proof', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { id, jws, json } = bought();
    expectOk(await show(ann, jws));
    for (const weak of [id, json]) {
      expect(await show(bob, weak)).toMatchObject({ status: 422, body: { code: 'proof_required' } });
    }
  });

  it.each(['apple', 'google'] as const)(
    'is said by the token inside, whoever shows it first (%s)',
    async (provider) => {
      const [ann, bob] = [await stores.api.user(), await stores.api.user()];
      const accountToken = await stores.tokenOf(ann);
      const proof =
        provider === 'apple'
          ? bought({ accountToken }).jws
          : stores.google.subscribe({ productId: MONTHLY, accountToken }).purchaseToken;
      expect(await show(bob, proof, provider)).toMatchObject({
        status: 409,
        body: { code: 'purchase_belongs_to_another_account' },
      });
      expect(await stores.subscription(bob)).toBeNull();
      expect(await stores.subscription(ann)).toMatchObject({ status: 'active' });
      expect((await show(ann, proof, provider)).body).toMatchObject({ valid: true, status: 'already_verified' });
    },
  );

  it('is up for the claim when the token inside names nobody we know', async () => {
    const user = await stores.api.user();
    const { jws } = bought({ accountToken: '6b29fc40-ca47-1067-b31d-00dd010662da' });
    expect((await show(user, jws)).body).toMatchObject({ valid: true, status: 'verified' });
  });

  it('is never re-decided by a token: a purchase that has an owner keeps him', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { id, jws } = bought();
    expectOk(await show(ann, jws));
    const named = { ...JSON.parse(stores.apple.transactionJson(id)), appAccountToken: await stores.tokenOf(bob) };
    expect((await show(bob, stores.apple.certificates.sign(named))).status).toBe(409);
    expect(await stores.subscription(ann)).toMatchObject({ status: 'active' });
    expect(await stores.subscription(bob)).toBeNull();
  });

  it('is one account, however many show it at once', async () => {
    const users = await Promise.all(Array.from({ length: 5 }, () => stores.api.user()));
    const { jws, id } = bought();
    const answers = await Promise.all(users.map((user) => show(user, jws)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409]);
    const rows = await stores.api.rows(
      'SELECT t.user_id FROM user_tariffs t JOIN store_purchases p ON p.id = t.store_purchase_id WHERE p.key = $1',
      [id],
    );
    expect(rows).toHaveLength(1);
  });

  it('is changed by an administrator: access, devices and all that follows move at once', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { jws, id } = bought();
    expectOk(await show(ann, jws));
    const device = expectOk(await stores.api.post('/vpn_peers/self', {}, await stores.signedIn(ann)));
    const purchase = await purchaseOf(id);
    const admin = await stores.signedIn(stores.admin);
    const path = `/admin/iap/purchases/${Number(purchase?.['id'])}/transfer`;
    const move = (body: object, token: string): Promise<Answer> => stores.api.post(path, body, token);
    const reason = 'Bob has the phone now';
    expect((await move({ user_id: bob.id, reason }, await stores.signedIn(bob))).status).toBe(403);
    expect((await move({ user_id: 999_999, reason }, admin)).status).toBe(404);
    expect((await move({ user_id: bob.id }, admin)).status).toBe(422);
    expect(
      (await stores.api.post('/admin/iap/purchases/999999/transfer', { user_id: bob.id, reason }, admin)).status,
    ).toBe(404);
    expect(expectOk(await move({ user_id: bob.id, reason }, admin))).toMatchObject({
      user_id: bob.id,
      bound_by: 'admin',
      state: 'active',
    });
    expect(await stores.subscription(ann)).toBeNull();
    expect(await stores.subscription(bob)).toMatchObject({ status: 'active', store: 'apple' });
    expect(expectOk(await stores.api.get(`/vpn_peers/${device.id}`, admin))).toMatchObject({
      status: 'suspended',
      suspended_reason: 'no_access',
    });
    expectOk(await stores.api.post('/vpn_peers/self', {}, await stores.signedIn(bob)));
    const [entry] = expectOk(await stores.api.get('/admin/audit?action=purchase_transfer', admin));
    expect(entry).toMatchObject({
      actor_id: stores.admin.id,
      data: { from_user_id: ann.id, to_user_id: bob.id, reason },
    });
    expect((await show(ann, jws)).status).toBe(409);
    // What Ann paid stays hers, and is not shown to Bob.
    expect((await show(bob, jws)).body).toMatchObject({ valid: true, status: 'already_verified', payment: null });
    expect(await stores.payments(ann)).toHaveLength(1);
    // And back: her device is there again.
    expectOk(await move({ user_id: ann.id, reason: 'It was a mistake' }, admin));
    expect(expectOk(await stores.api.get(`/vpn_peers/${device.id}`, admin))).toMatchObject({ status: 'active' });
  });

  it('is decided by an administrator also while nobody has claimed it', async () => {
    const user = await stores.api.user();
    const sold = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD' });
    await stores.tellApple(sold);
    const [purchase] = (await unclaimed()).filter(({ reference }) => reference === sold.originalTransactionId);
    const admin = await stores.signedIn(stores.admin);
    const body = { user_id: user.id, reason: 'Redeemed an offer code' };
    expectOk(await stores.api.post(`/admin/iap/purchases/${purchase?.id}/transfer`, body, admin));
    expect(await stores.subscription(user)).toMatchObject({ status: 'active' });
    expect(await stores.payments(user)).toHaveLength(1);
  });
});

describe('a chain of plan changes in Play', () => {
  it.each([
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ])('has one owner and one token that grants, shown in the order %i %i %i', async (...order) => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { google } = stores;
    const first = google.subscribe({ productId: MONTHLY }).purchaseToken;
    const second = google.changePlan(first, { productId: YEARLY }).purchaseToken;
    const third = google.changePlan(second, { productId: MONTHLY }).purchaseToken;
    const tokens = [first, second, third];
    for (const place of order) expectOk(await show(ann, tokens[place] ?? '', 'google'));
    await stores.ask();
    for (const token of tokens) {
      expect(await show(bob, token, 'google')).toMatchObject({ status: 409 });
      stores.api.clock.advance({ minutes: 2 });
      const { body } = await show(ann, token, 'google');
      expect(body).toMatchObject({ valid: token === third, duplicate_subscription: false });
    }
    const granting = await stores.api.rows(
      `SELECT id FROM user_tariffs WHERE user_id = $1 AND state IN ('trial', 'active', 'cancelled', 'grace')`,
      [ann.id],
    );
    expect(granting).toHaveLength(1);
    expect(await stores.subscription(ann)).toMatchObject({ status: 'active', tariff_name: 'Monthly' });
  });
});

describe('what a purchase is worth', () => {
  it('for life has no end, and 36500 days left', async () => {
    const user = await stores.api.user();
    const { originalTransactionId } = stores.apple.oneTime({ productId: LIFETIME, price: 199_990, currency: 'USD' });
    const sale = saleOf(originalTransactionId);
    const { body } = await show(user, sale.jws);
    expect(body).toMatchObject({
      valid: true,
      status: 'verified',
      expires_at: null,
      payment: { amount: '199.99', status: 'completed' },
      subscription: {
        ended_at: null,
        is_lifetime: true,
        days_remaining: 36_500,
        status: 'active',
        auto_renewing: false,
      },
    });
    const other = await stores.api.user();
    const { purchaseToken } = stores.google.oneTime({ productId: LIFETIME, price: '199.99' });
    expect((await show(other, purchaseToken, 'google')).body).toMatchObject({
      valid: true,
      expires_at: null,
      payment: { amount: '199.99' },
      subscription: { ended_at: null, is_lifetime: true, days_remaining: 36_500, store: 'google' },
    });
  });

  it('is said to be double when another gives access already; the better one is shown', async () => {
    const user = await stores.api.user();
    expect((await show(user, bought().jws)).body).toMatchObject({ duplicate_subscription: false });
    const { purchaseToken } = stores.google.oneTime({ productId: LIFETIME, price: '199.99' });
    expect((await show(user, purchaseToken, 'google')).body).toMatchObject({
      valid: true,
      duplicate_subscription: true,
      subscription: { is_lifetime: true, store: 'google' },
    });
    expect(await stores.subscription(user)).toMatchObject({ is_lifetime: true, tariff_name: 'Lifetime' });
  });

  it('is nothing while its product belongs to no tariff, and what it should be once it does', async () => {
    const user = await stores.api.user();
    const productId = `${UNMAPPED}.verify`;
    const { jws } = bought({ productId });
    expect((await show(user, jws)).body).toMatchObject({
      valid: false,
      status: 'unmapped_product',
      message: 'purchase_unmapped_product',
      subscription: null,
      expires_at: null,
    });
    const products = [
      { provider: 'apple', product_id: MONTHLY, kind: 'subscription' },
      { provider: 'google', product_id: MONTHLY, kind: 'subscription' },
      { provider: 'apple', product_id: productId, kind: 'subscription' },
    ];
    const admin = await stores.signedIn(stores.admin);
    const path = `/tariffs/${stores.tariffs[MONTHLY]}`;
    expectOk(await stores.api.put(path, { store_products: products }, admin));
    expect((await show(user, jws)).body).toMatchObject({ valid: true, subscription: { tariff_name: 'Monthly' } });
  });

  it('is access and no payment to a member of the family', async () => {
    const user = await stores.api.user();
    const { jws, id } = bought({ familyShared: true, price: undefined, currency: undefined });
    expect((await show(user, jws)).body).toMatchObject({
      valid: true,
      status: 'verified',
      payment: null,
      payment_id: null,
      subscription: { status: 'active' },
    });
    expect(await stores.payments(user)).toEqual([]);
    stores.apple.revokeFamily(id);
    stores.api.clock.advance({ minutes: 2 });
    expect((await show(user, stores.apple.transactionJws(id))).body).toMatchObject({
      valid: false,
      status: 'revoked',
      subscription: { status: 'revoked' },
    });
  });

  it('is active to the app in grace and after a cancellation', async () => {
    const user = await stores.api.user();
    const { jws, id } = bought();
    stores.apple.setAutoRenew(id, false);
    expect((await show(user, jws)).body).toMatchObject({
      valid: true,
      subscription: { status: 'active', state: 'cancelled', auto_renewing: false },
    });
    const other = await stores.api.user();
    const late = bought();
    stores.api.clock.advance({ days: 30 });
    stores.apple.failToRenew(late.id, { grace: 6 });
    expect((await show(other, late.jws)).body).toMatchObject({
      valid: true,
      status: 'verified',
      subscription: { status: 'active', state: 'grace' },
    });
  });

  it('is nothing after a refund', async () => {
    const user = await stores.api.user();
    const { id } = bought();
    stores.apple.refund(id);
    expect((await show(user, stores.apple.transactionJws(id))).body).toMatchObject({
      valid: false,
      status: 'refunded',
      payment: { status: 'refunded' },
    });
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
    expectOk(await show(user, purchaseToken, 'google'));
    await stores.tellGoogle(stores.google.revoke(purchaseToken));
    stores.api.clock.advance({ minutes: 2 });
    const { body } = await show(user, purchaseToken, 'google');
    expect(body).toMatchObject({ valid: false, subscription: { status: body.status } });
    expect(['refunded', 'revoked']).toContain(body.status);
  });

  it('is nothing yet while it is not paid', async () => {
    const user = await stores.api.user();
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY, pending: true });
    expect((await show(user, purchaseToken, 'google')).body).toMatchObject({ valid: false, status: 'pending' });
    expect(stores.google.isAcknowledged(purchaseToken)).toBe(false);
    stores.google.completePending(purchaseToken);
    stores.api.clock.advance({ minutes: 2 });
    expect((await show(user, purchaseToken, 'google')).body).toMatchObject({ valid: true, status: 'already_verified' });
    expect(stores.google.isAcknowledged(purchaseToken)).toBe(true);
  });

  it('of a trial is access for nothing', async () => {
    const { body } = await show(await stores.api.user(), bought({ trial: true }).jws);
    expect(body).toMatchObject({ valid: true, payment: { amount: '0.00' }, subscription: { is_trial: true } });
  });
});

describe('a restore', () => {
  it.each(['apple', 'google'] as const)('of what is over says so, and asks once a day (%s)', async (provider) => {
    const user = await stores.api.user();
    const { jws } = bought();
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
    const proof = provider === 'apple' ? jws : purchaseToken;
    stores.api.clock.advance({ days: 31 });
    stores.google.expire(purchaseToken);
    const over = { valid: false, status: 'expired' };
    expect((await show(user, proof, provider)).body).toMatchObject(over);
    expect(await stores.subscription(user)).not.toMatchObject({ status: 'active' });
    stores.apple.fault('*', { kind: 'drop', times: 100 });
    stores.google.fault('*', { kind: 'drop' });
    stores.api.clock.advance({ hours: 1 });
    expect((await show(user, proof, provider)).body).toMatchObject(over);
    stores.api.clock.advance({ days: 1 });
    expect((await show(user, proof, provider)).status).toBe(503);
  });

  it('of what was bought again grants it, although the old one was just asked about', async () => {
    const user = await stores.api.user();
    const { id, jws } = bought();
    stores.api.clock.advance({ days: 31 });
    expect((await show(user, jws)).body).toMatchObject({ valid: false, status: 'expired' });
    const { transactionId } = stores.apple.resubscribe(id);
    const again = stores.apple.transactionJws(transactionId);
    expect((await show(user, again)).body).toMatchObject({ valid: true, subscription: { status: 'active' } });
  });

  it('gives a purchase to a new account, when the old one is gone', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { id, jws } = bought();
    expectOk(await show(ann, jws));
    await stores.api.rows('UPDATE store_purchases SET user_id = NULL WHERE key = $1', [id]);
    await stores.api.rows('UPDATE users SET app_account_token = gen_random_uuid() WHERE id = $1', [ann.id]);
    expect((await show(bob, jws)).body).toMatchObject({ valid: true, status: 'verified' });
    expect(await stores.subscription(ann)).toBeNull();
  });
});

describe('a transaction that was signed yesterday', () => {
  it.each(['nobody', 'who shows it'])(
    'grants nothing while Apple does not answer, and is kept (it names %s)',
    async (named) => {
      const user = await stores.api.user();
      const { id, jws } = bought({ accountToken: named === 'nobody' ? undefined : await stores.tokenOf(user) });
      stores.api.clock.advance({ hours: 25 });
      stores.apple.fault('*', { kind: 'status', status: 500, times: 100 });
      const answer = await show(user, jws);
      expect(answer).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await unclaimed()).map(({ reference }) => reference)).toContain(id);
      expect(await stores.subscription(user)).toBeNull();
      stores.apple.clearFaults();
      expect((await show(user, jws)).body).toMatchObject({ valid: true, status: 'verified' });
      stores.apple.refund(id);
      stores.api.clock.advance({ minutes: 2 });
      expect((await show(user, jws)).body).toMatchObject({ valid: false, status: 'refunded' });
      expect(await stores.subscription(user)).toMatchObject({ status: 'refunded' });
    },
  );

  it('grants nothing when it was refunded since', async () => {
    const user = await stores.api.user();
    const { id, jws } = bought();
    stores.api.clock.advance({ hours: 25 });
    stores.apple.refund(id);
    expect((await show(user, jws)).body).toMatchObject({ valid: false, status: 'refunded' });
    expect(await stores.subscription(user)).not.toMatchObject({ status: 'active' });
  });

  it('does not lengthen what somebody has, before Apple says so', async () => {
    const user = await stores.api.user();
    const { id, jws } = bought();
    const until = expectOk(await show(user, jws)).expires_at;
    stores.api.clock.advance({ days: 30 });
    const { transactionId } = stores.apple.renew(id);
    const renewed = stores.apple.transactionJws(transactionId);
    stores.api.clock.advance({ hours: 25 });
    stores.apple.fault('*', { kind: 'drop', times: 100 });
    expect((await show(user, renewed)).status).toBe(503);
    const [row] = await stores.api.rows<{ ended_at: Date }>('SELECT ended_at FROM user_tariffs WHERE user_id = $1', [
      user.id,
    ]);
    expect(row?.ended_at.toISOString()).toBe(until);
    stores.apple.clearFaults();
    expect((await show(user, renewed)).body).toMatchObject({ valid: true, status: 'already_verified' });
  });
});

describe('a store in trouble', () => {
  const APPLE = [
    ['that is down', { kind: 'status', status: 503, times: 100 }],
    ['that says 500', { kind: 'status', status: 500, errorCode: 5_000_000, times: 100 }],
    ['that takes ten seconds', { kind: 'delay', ms: 10_000, times: 100 }],
    ['that answers a web page', { kind: 'html', times: 100 }],
    ['that hangs up', { kind: 'drop', times: 100 }],
    ['that takes our key no more', { kind: 'status', status: 401, times: 100 }],
  ] as const;
  const GOOGLE = [
    ['that is down', { kind: 'status', status: 503 }],
    ['that says 500', { kind: 'status', status: 500 }],
    ['that takes ten seconds', { kind: 'delay', ms: 10_000 }],
    ['that answers a web page', { kind: 'html' }],
    ['that hangs up', { kind: 'drop' }],
    ['that refuses our account', { kind: 'status', status: 401 }],
  ] as const;

  /** 503, with when to come again; how long it took is printed, and is 5 s at most. */
  async function expectUnavailable(what: string, answer: Promise<Answer>): Promise<void> {
    const began = performance.now();
    const { status, headers, body } = await answer;
    process.stdout.write(`iap_verify, a store ${what}: ${Math.round(performance.now() - began)} ms\n`);
    expect({ status, body }).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  }

  it.each(APPLE)('(Apple) %s: 503 in time, and the next call heals it', async (what, fault) => {
    const user = await stores.api.user();
    const { id, json, jws, receipt } = bought({ accountToken: await stores.tokenOf(user) });
    stores.api.clock.advance({ minutes: 10 }); // of Apple's rate limit
    stores.apple.fault('*', fault);
    await expectUnavailable(`${what} (Apple)`, show(user, what.includes('ten') ? receipt : id));
    expect(await stores.subscription(user)).toBeNull();
    // What is signed today is proof enough, whoever answers.
    if (!what.includes('ten')) expect((await show(user, jws)).body).toMatchObject({ valid: true, status: 'verified' });
    stores.apple.clearFaults();
    expect((await show(user, json)).body).toMatchObject({ valid: true });
    expect(await stores.payments(user)).toHaveLength(1);
  });

  it.each(GOOGLE)('(Google) %s: 503 in time, and the next call heals it', async (what, fault) => {
    const user = await stores.api.user();
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
    stores.google.fault('*', fault);
    await expectUnavailable(`${what} (Google)`, show(user, purchaseToken, 'google'));
    expect(await stores.subscription(user)).toBeNull();
    stores.google.heal();
    expect((await show(user, purchaseToken, 'google')).body).toMatchObject({ valid: true });
    expect(await stores.payments(user)).toHaveLength(1);
    expect(stores.google.isAcknowledged(purchaseToken)).toBe(true);
  });

  it('that is slow at every step keeps nobody longer than that', async () => {
    const user = await stores.api.user();
    const { receipt } = bought({ environment: 'Sandbox' }); // asked about in production, then in the sandbox
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
    stores.apple.fault('*', { kind: 'delay', ms: 3000, times: 100 });
    stores.google.fault('*', { kind: 'delay', ms: 3000 });
    await Promise.all([
      expectUnavailable('3 s for each question (Apple)', show(user, receipt)),
      expectUnavailable('3 s for each question (Google)', show(user, purchaseToken, 'google')),
    ]);
  });

  it('is as good as one that is not after two 500s (Apple)', async () => {
    const user = await stores.api.user();
    const { id } = bought({ accountToken: await stores.tokenOf(user) });
    stores.apple.fault('transaction', { kind: 'status', status: 500, errorCode: 5_000_000, times: 2 });
    expect((await show(user, id)).body).toMatchObject({ valid: true, status: 'verified' });
    expect(await stores.payments(user)).toHaveLength(1);
  });

  it('(Google) that said 500 twice has one payment in the end', async () => {
    const user = await stores.api.user();
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
    stores.google.fault('subscription', { kind: 'status', status: 500, times: 2 });
    const statuses = [];
    for (let turn = 0; turn < 3; turn += 1) statuses.push((await show(user, purchaseToken, 'google')).status);
    expect(statuses).toEqual([503, 503, 200]);
    expect(await stores.payments(user)).toHaveLength(1);
  });

  it('that asks for silence is left alone until then, and the caller is told how long', async () => {
    const user = await stores.api.user();
    const { id } = bought({ accountToken: await stores.tokenOf(user) });
    stores.apple.fault('*', { kind: 'rate_limit', until: new Date(stores.api.clock.now().getTime() + 90_000) });
    for (let turn = 0; turn < 2; turn += 1) {
      const refused = await show(user, id);
      expect(refused).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
      expect(refused.headers.get('retry-after')).toBe('90');
    }
    stores.api.clock.advance({ seconds: 91 });
    expect((await show(user, id)).body).toMatchObject({ valid: true });

    const other = await stores.api.user();
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
    stores.google.fault('*', { kind: 'rate_limit', retryAfter: 120, times: 1 });
    for (let turn = 0; turn < 2; turn += 1) {
      const refused = await show(other, purchaseToken, 'google');
      expect(refused).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
      expect(refused.headers.get('retry-after')).toBe('120');
    }
    stores.api.clock.advance({ seconds: 121 });
    expect((await show(other, purchaseToken, 'google')).body).toMatchObject({ valid: true });
  });

  it('is not needed for what it was asked about within a minute', async () => {
    const user = await stores.api.user();
    const { id, jws, json, receipt } = bought();
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
    expectOk(await show(user, jws));
    expectOk(await show(user, purchaseToken, 'google'));
    stores.apple.fault('*', { kind: 'drop', times: 100 });
    stores.google.fault('*', { kind: 'drop' });
    stores.api.clock.advance({ seconds: 59 });
    for (const proof of [jws, id, json, receipt]) {
      expect((await show(user, proof)).body).toMatchObject({ valid: true, status: 'already_verified' });
    }
    expect((await show(user, purchaseToken, 'google')).body).toMatchObject({ valid: true, status: 'already_verified' });
    const other = await stores.api.user();
    expect((await show(other, id)).body).toMatchObject({ code: 'proof_required' });
    expect((await show(other, purchaseToken, 'google')).status).toBe(409);
    stores.api.clock.advance({ seconds: 2 });
    expect((await show(other, id)).status).toBe(503);
    expect((await show(other, purchaseToken, 'google')).status).toBe(503);
  });
});

describe('the log', () => {
  it('holds no receipt, token or signature of all that was shown', () => {
    const text = logLines.join('\n');
    const secrets = shown
      .filter((receipt) => receipt.length >= 40)
      .flatMap((receipt) => [receipt.slice(-40), receipt.slice(receipt.length / 2 - 20, receipt.length / 2 + 20)]);
    expect(secrets.length).toBeGreaterThan(100);
    expect(text.length).toBeGreaterThan(10_000);
    expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
    expect(text).not.toMatch(/eyJ[\w-]{20,}\.[\w-]+/);
  });

  it('and the stores have seen no call that they do not know', () => {
    expect(stores.apple.unexpected).toEqual([]);
    expect(stores.google.unexpected).toEqual([]);
  });
});
