import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Outbox, Settings } from '#platform';
import { type Account, type Answer, expectOk } from '../support/api.js';
import { faultsForTheApp } from '../support/app-model.js';
import { SmtpSink, type ReceivedMail } from '../support/smtp-sink.js';
import { MONTHLY, TestStores } from '../support/stores.js';
import { until } from '../support/until.js';

type Sale = { readonly accountToken?: string; readonly environment?: 'Production' | 'Sandbox' };

/** A subscription of the App Store: its transaction, and how that is signed now. */
function bought({ apple }: TestStores, sale: Sale = {}): { readonly id: string; readonly jws: () => string } {
  const { originalTransactionId: id } = apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', ...sale });
  return { id, jws: () => apple.transactionJws(id) };
}

async function purchaseIdOf({ api }: TestStores, key: string): Promise<number> {
  const [row] = await api.rows<{ id: number }>('SELECT id FROM store_purchases WHERE key = $1', [key]);
  return row?.id ?? 0;
}

async function deviceOf(stores: TestStores, account: Account): Promise<number> {
  return expectOk(await stores.api.post('/vpn_peers/self', {}, await stores.signedIn(account))).id;
}

async function statusOfDevice(stores: TestStores, id: number): Promise<string> {
  return expectOk(await stores.api.get(`/vpn_peers/${id}`, await stores.signedIn(stores.admin))).status;
}

const TAKEN = { status: 409, body: { code: 'purchase_belongs_to_another_account' } };

describe('with IAP_TRANSFER_POLICY=transfer', () => {
  let stores: TestStores;
  let sink: SmtpSink;
  beforeAll(async () => {
    sink = await SmtpSink.start();
    stores = await TestStores.start({
      IAP_TRANSFER_POLICY: 'transfer',
      RATE_LIMIT_IAP_VERIFY: undefined,
      SMTP_URL: `smtp://127.0.0.1:${sink.port}`,
      MAIL_FROM: 'no-reply@example.com',
    });
  });
  afterAll(async () => {
    await stores.stop();
    await sink.stop();
  });

  async function mails(count: number): Promise<readonly ReceivedMail[]> {
    await stores.api.app.get(Outbox).deliver();
    return until(() => Promise.resolve(sink.mails.length >= count ? sink.mails.splice(0) : undefined));
  }

  it.each(['apple', 'google'] as const)(
    'who shows a purchase gets it, and who had it loses it (%s)',
    async (provider) => {
      const [ann, bob] = [await stores.api.user(), await stores.api.user()];
      await stores.api.rows(`UPDATE users SET locale = 'ru' WHERE id = $1`, [bob.id]);
      const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
      const { jws } = bought(stores);
      const proof = provider === 'apple' ? jws() : purchaseToken;
      expectOk(await stores.verify(ann, proof, provider));
      const device = await deviceOf(stores, ann);
      const { body } = await stores.verify(bob, proof, provider);
      expect(faultsForTheApp(body)).toEqual([]);
      expect(body).toMatchObject({
        valid: true,
        status: 'verified',
        user_id: bob.id,
        subscription: { user_id: bob.id },
      });
      expect(await stores.subscription(ann)).toBeNull();
      expect(await stores.subscription(bob)).toMatchObject({ status: 'active' });
      expect(await statusOfDevice(stores, device)).toBe('suspended');
      const letters = await mails(2);
      const subjects = letters.map(({ recipients, headers }) => [recipients[0], headers.get('subject')]);
      expect(new Map(subjects.map(([to, subject]) => [to, subject]))).toEqual(
        new Map([
          [ann.email, 'Your VPN subscription was moved to another account'],
          [bob.email, 'Подписка на VPN перенесена в ваш аккаунт'],
        ]),
      );
      for (const { text, recipients } of letters) {
        expect(text).toContain(provider === 'apple' ? 'App Store' : 'Google Play');
        expect(text).toContain('Monthly');
        expect(text).not.toContain(recipients.includes(ann.email) ? bob.email : ann.email);
      }
      // Not again for thirty days, not even back.
      expect(await stores.verify(ann, proof, provider)).toMatchObject(TAKEN);
      await stores.api.app.get(Outbox).deliver();
      expect(sink.mails).toEqual([]);
    },
  );

  it('moves a purchase once in thirty days', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { id, jws } = bought(stores);
    expectOk(await stores.verify(ann, jws()));
    expectOk(await stores.verify(bob, jws()));
    stores.api.clock.advance({ days: 29 });
    expect(await stores.verify(ann, jws())).toMatchObject(TAKEN);
    stores.api.clock.advance({ days: 1 });
    const { transactionId } = stores.apple.renew(id);
    const renewed = stores.apple.transactionJws(transactionId);
    expect((await stores.verify(ann, renewed)).body).toMatchObject({ valid: true, status: 'verified' });
    expect(await stores.subscription(bob)).toBeNull();
    expect(await stores.payments(ann)).toHaveLength(2); // her first, and the renewal; Bob's access was paid by her
    await mails(4);
  });

  it('takes a proof for it: a bare number moves nothing', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { id, jws } = bought(stores);
    expectOk(await stores.verify(ann, jws()));
    for (const weak of [id, stores.apple.transactionJson(id), stores.apple.receiptOf(id)]) {
      expect(await stores.verify(bob, weak)).toMatchObject({ status: 422, body: { code: 'proof_required' } });
    }
    expect(await stores.subscription(ann)).toMatchObject({ status: 'active' });
  });

  it('never takes it from whom the purchase itself names', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { jws } = bought(stores, { accountToken: await stores.tokenOf(ann) });
    expectOk(await stores.verify(ann, jws()));
    expect(await stores.verify(bob, jws())).toMatchObject(TAKEN);
    expect(await stores.subscription(ann)).toMatchObject({ status: 'active' });
    expect(await stores.subscription(bob)).toBeNull();
  });

  it('gives it to one of those who ask for it at once', async () => {
    const ann = await stores.api.user();
    const others = await Promise.all(Array.from({ length: 4 }, () => stores.api.user()));
    const { jws } = bought(stores);
    expectOk(await stores.verify(ann, jws()));
    const answers = await Promise.all(others.map((other) => stores.verify(other, jws())));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
    const holders = [];
    for (const account of [ann, ...others]) if ((await stores.subscription(account)) !== null) holders.push(account.id);
    expect(holders).toEqual([others[answers.findIndex(({ status }) => status === 200)]?.id]);
    expect(await mails(2)).toHaveLength(2);
  });

  it('holds nothing in place by the name that this service gave it (H1)', async () => {
    const [ann, bob, cid] = [await stores.api.user(), await stores.api.user(), await stores.api.user()];
    const { google, api } = stores;
    const show = (account: Account): Promise<Answer> => stores.verify(account, token, 'google');
    const policy = api.app.get(Settings).purchases;
    const old = google.subscribe({ productId: MONTHLY }).purchaseToken;
    google.expire(old);
    const token = google.subscribe({ productId: MONTHLY, expiredToken: old }).purchaseToken;
    Object.assign(policy, { transferPolicy: 'keep' }); // as it was when she bought: Play was told her name
    expectOk(await show(ann));
    Object.assign(policy, { transferPolicy: 'transfer' });
    await stores.tellGoogle(google.cancel(token));
    const [row] = await api.rows(
      'SELECT facts FROM store_purchases WHERE user_id = $1 AND linked_purchase_id IS NOT NULL',
      [ann.id],
    );
    expect(row).toMatchObject({ facts: { snapshot: { accountToken: await stores.tokenOf(ann) } } });
    for (const account of [bob, cid, ann]) {
      expect((await show(account)).body).toMatchObject({ valid: true, user_id: account.id });
      api.clock.advance({ days: 30 });
      await stores.tellGoogle(google.renew(token));
    }
    await mails(6);
  });

  it('leaves the last word to an administrator, of whose move both are told as well', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { id, jws } = bought(stores, { accountToken: await stores.tokenOf(ann) });
    expectOk(await stores.verify(ann, jws()));
    const admin = await stores.signedIn(stores.admin);
    const path = `/admin/iap/purchases/${await purchaseIdOf(stores, id)}/transfer`;
    expectOk(await stores.api.post(path, { user_id: bob.id, reason: 'The same person' }, admin));
    expect((await mails(2)).flatMap(({ recipients }) => recipients).sort()).toEqual([ann.email, bob.email].sort());
    expect(await stores.subscription(bob)).toMatchObject({ status: 'active' });
    // To who has it already: nobody is told of what did not happen.
    expectOk(await stores.api.post(path, { user_id: bob.id, reason: 'Once more' }, admin));
    await stores.api.app.get(Outbox).deliver();
    expect(sink.mails).toEqual([]);
  });

  it('ten calls a minute are answered, for each user; the next is told when to come again', async () => {
    const [busy, calm] = [await stores.api.user(), await stores.api.user()];
    const statuses: number[] = [];
    const call = (): Promise<Answer> => stores.verify(busy, 'nonsense');
    for (let turn = 0; turn < 10; turn += 1) statuses.push((await call()).status);
    expect(new Set(statuses)).toEqual(new Set([400]));
    const refused = await call();
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expectOk(await stores.verify(calm, bought(stores).jws()));
  });
});

describe('with IAP_TRANSFER_POLICY=if_inactive and IAP_SANDBOX_POLICY=testers', () => {
  let stores: TestStores;
  let tester: Account;
  beforeAll(async () => {
    stores = await TestStores.start({
      IAP_TRANSFER_POLICY: 'if_inactive',
      IAP_SANDBOX_POLICY: 'testers',
      IAP_SANDBOX_TESTERS: 'Tester@Example.com',
    });
    const credentials = { email: 'tester@example.com', password: 'correct horse battery' };
    const { id } = expectOk(await stores.api.post('/auth/register', credentials));
    tester = { id, ...credentials, token: await stores.api.login(credentials) };
  });
  afterAll(() => stores.stop());

  it('a purchase stays while it gives its owner access, and moves once it does not', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { id, jws } = bought(stores);
    expectOk(await stores.verify(ann, jws()));
    expect(await stores.verify(bob, jws())).toMatchObject(TAKEN);
    stores.api.clock.advance({ days: 31 });
    stores.apple.expire(id);
    expect((await stores.verify(bob, jws())).body).toMatchObject({ valid: false, status: 'expired', user_id: bob.id });
    const { transactionId } = stores.apple.resubscribe(id);
    expect((await stores.verify(bob, stores.apple.transactionJws(transactionId))).body).toMatchObject({ valid: true });
    expect(await stores.subscription(ann)).toBeNull();
    expect(await stores.api.rows('SELECT id FROM outbox')).toEqual([]); // mail is off
  });

  it('what a tester has ends with the next news, once he is a tester no more', async () => {
    const sandbox = stores.apple.subscribe({ productId: MONTHLY, environment: 'Sandbox' });
    expectOk(await stores.verify(tester, stores.apple.transactionJws(sandbox.transactionId)));
    expect(await stores.subscription(tester)).toMatchObject({ status: 'active' });
    const policy = stores.api.app.get(Settings).purchases;
    Object.assign(policy, { sandboxTesters: [] }); // as after a start with other settings
    await stores.tellApple(stores.apple.setAutoRenew(sandbox.originalTransactionId, false));
    expect(await stores.subscription(tester)).toMatchObject({ status: 'revoked' });
    Object.assign(policy, { sandboxTesters: [tester.email] });
  });

  it('a renewal that its owner has not shown yet is his: another who shows it first gets nothing', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { id, jws } = bought(stores);
    expectOk(await stores.verify(ann, jws()));
    stores.api.clock.advance({ days: 30 });
    const { transactionId } = stores.apple.renew(id);
    expect(await stores.verify(bob, stores.apple.transactionJws(transactionId))).toMatchObject(TAKEN);
    expect(await stores.subscription(ann)).toMatchObject({ status: 'active' });
  });

  it('a purchase of the sandbox counts for testers, and is no revenue', async () => {
    const { id, jws } = bought(stores, { environment: 'Sandbox' });
    const { body } = await stores.verify(tester, jws());
    expect(faultsForTheApp(body)).toEqual([]);
    expect(body).toMatchObject({ valid: true, status: 'verified', payment: { is_test: true, amount: '9.99' } });
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY, test: true });
    expect((await stores.verify(tester, purchaseToken, 'google')).body).toMatchObject({
      valid: true,
      payment: { is_test: true },
    });
    const before = await revenue();
    const real = await stores.api.user();
    expectOk(await stores.verify(real, bought(stores).jws()));
    expect((await revenue()) - before).toBeCloseTo(9.99);
    expect(await purchaseIdOf(stores, id)).toBeGreaterThan(0);
  });

  async function revenue(): Promise<number> {
    const admin = await stores.signedIn(stores.admin);
    const sums: { completed: string }[] = expectOk(await stores.api.get('/admin/payments/summary', admin));
    return sums.reduce((sum, { completed }) => sum + Number(completed), 0);
  }

  it('a purchase of the sandbox is worth nothing to others, whoever it names', async () => {
    const user = await stores.api.user();
    const accountToken = await stores.tokenOf(user);
    for (const sale of [{ environment: 'Sandbox' }, { environment: 'Sandbox', accountToken }] as const) {
      expect(await stores.verify(user, bought(stores, sale).jws())).toMatchObject({
        body: { code: 'sandbox_not_allowed', detail: expect.any(String) },
      });
    }
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY, test: true, accountToken });
    expect((await stores.verify(user, purchaseToken, 'google')).body).toMatchObject({ code: 'sandbox_not_allowed' });
    const told = stores.apple.subscribe({ productId: MONTHLY, accountToken, environment: 'Sandbox' });
    await stores.tellApple(told);
    expect(await stores.subscription(user)).toBeNull();
  });

  it('no administrator moves a purchase of the sandbox to who is no tester', async () => {
    const user = await stores.api.user();
    const { id, jws } = bought(stores, { environment: 'Sandbox' });
    expectOk(await stores.verify(tester, jws()));
    const admin = await stores.signedIn(stores.admin);
    const path = `/admin/iap/purchases/${await purchaseIdOf(stores, id)}/transfer`;
    const answer = await stores.api.post(path, { user_id: user.id, reason: 'A try' }, admin);
    expect(answer).toMatchObject({ status: 422, body: { code: 'sandbox_not_allowed' } });
    expect(await stores.subscription(user)).toBeNull();
    const { body } = await stores.verify(tester, jws());
    expect(body).toMatchObject({ valid: true, status: 'already_verified' });
  });
});

describe('with IAP_SANDBOX_POLICY=reject', () => {
  let stores: TestStores;
  beforeAll(async () => {
    stores = await TestStores.start({ IAP_SANDBOX_POLICY: 'reject' });
  });
  afterAll(() => stores.stop());

  it('no purchase of a sandbox is worth anything, to anybody', async () => {
    const user = await stores.api.user();
    const { jws, id } = bought(stores, { environment: 'Sandbox', accountToken: await stores.tokenOf(user) });
    const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY, test: true });
    for (const [receipt, provider] of [
      [jws(), 'apple'],
      [id, 'apple'],
      [purchaseToken, 'google'],
    ] as const) {
      expect((await stores.verify(user, receipt, provider)).body).toMatchObject({ code: 'sandbox_not_allowed' });
    }
    expect(await stores.subscription(user)).toBeNull();
    expect((await stores.verify(user, bought(stores).jws())).body).toMatchObject({ valid: true });
  });
});

describe('with IAP_SANDBOX_POLICY=allow, as it is by itself', () => {
  let stores: TestStores;
  beforeAll(async () => {
    stores = await TestStores.start();
  });
  afterAll(() => stores.stop());

  it('reviewers and testers have what they bought, and it is no revenue', async () => {
    const user = await stores.api.user();
    const { body } = await stores.verify(user, bought(stores, { environment: 'Sandbox' }).jws());
    expect(body).toMatchObject({ valid: true, payment: { is_test: true }, subscription: { status: 'active' } });
    const admin = await stores.signedIn(stores.admin);
    expect(expectOk(await stores.api.get('/admin/payments/summary', admin))).toEqual([]);
  });

  it('the same number in production and in the sandbox are two purchases', async () => {
    const [ann, bob] = [await stores.api.user(), await stores.api.user()];
    const { id } = bought(stores);
    const sandbox = { ...JSON.parse(stores.apple.transactionJson(id)), environment: 'Sandbox' };
    expectOk(await stores.verify(ann, stores.apple.transactionJws(id)));
    expectOk(await stores.verify(bob, stores.apple.certificates.sign(sandbox)));
    expect(await stores.subscription(ann)).toMatchObject({ status: 'active' });
    expect(await stores.subscription(bob)).toMatchObject({ status: 'active' });
  });
});
