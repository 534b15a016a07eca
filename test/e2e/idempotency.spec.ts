import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Account, type Answer, expectOk, TestApi } from '../support/api.js';

let api: TestApi;
let admin: Account;
let user: Account;
let sequence = 0;

beforeAll(async () => {
  api = await TestApi.start();
  admin = await api.admin();
  user = await api.subscriber(admin);
});

const newKey = (): string => `key-${++sequence}`;
const post = (path: string, body: unknown, key: string, token = user.token): Promise<Answer> =>
  api.call('POST', path, { body, token, headers: { 'idempotency-key': key } });

describe('Idempotency-Key', () => {
  it('gives the first answer again, private key included, and creates nothing more', async () => {
    const key = newKey();
    const first = expectOk(await post('/vpn_peers/self', { device_name: 'phone' }, key));
    const second = await post('/vpn_peers/self/', { device_name: 'phone' }, key);
    expect(second.body).toEqual(first);
    expect(first.wg_private_key).not.toBeNull();
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    const sealed = await api.rows<{ sealed_answer: string }>('SELECT sealed_answer FROM idempotency_keys');
    expect(sealed.at(-1)?.sealed_answer).toMatch(/^gAAAA/);
  });

  it('holds for whatever is created', async () => {
    const creations: [string, object, Account][] = [
      ['/payments/', { amount: 1 }, user],
      ['/tariffs/', { name: 'Once', price: 1 }, admin],
      ['/vpn_peers/', { user_id: user.id }, admin],
    ];
    for (const [path, body, { token }] of creations) {
      const key = newKey();
      const first = expectOk(await post(path, body, key, token));
      expect(expectOk(await post(path, body, key, token))).toEqual(first);
    }
  });

  it('with another body, or on another route, is refused', async () => {
    const key = newKey();
    expectOk(await post('/payments/', { amount: 1 }, key));
    for (const [path, body] of [
      ['/payments/', { amount: 2 }],
      ['/vpn_peers/self', { amount: 1 }],
    ] as const) {
      expect(await post(path, body, key)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    }
  });

  it('knows the same request again when its JSON has the keys in another order (F14)', async () => {
    const [key, listed] = [newKey(), newKey()];
    const first = expectOk(await post('/payments/', { amount: 1, currency: 'EUR', provider: 'bank' }, key));
    const second = await post('/payments/', { provider: 'bank', amount: 1, currency: 'EUR' }, key);
    expect(expectOk(second)).toEqual(first);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    const product = { provider: 'google', product_id: 'in-order', base_plan_id: 'p1m' };
    const turned = { base_plan_id: 'p1m', product_id: 'in-order', provider: 'google' };
    const other = { provider: 'apple', product_id: 'in-order' };
    const tariff = (...store_products: object[]) =>
      post('/tariffs/', { name: 'In order', price: 1, store_products }, listed, admin.token);
    expect(expectOk(await tariff(turned, other))).toEqual(expectOk(await tariff(product, other)));
    expect((await tariff(other, product)).status).toBe(422); // the order of a list means something
  });

  it("is one's own: the same key of another user is another request", async () => {
    const key = newKey();
    const mine = expectOk(await post('/payments/', { amount: 1 }, key));
    const theirs = expectOk(await post('/payments/', { amount: 1 }, key, admin.token));
    expect(theirs.id).not.toBe(mine.id);
  });

  it('creates one thing when twenty come at once; the others are told that the first is running', async () => {
    const key = newKey();
    const before: number = (await api.get('/payments/', user.token)).body.length;
    const answers = await Promise.all(Array.from({ length: 20 }, () => post('/payments/', { amount: 7 }, key)));
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect(answers.find(({ status }) => status === 409)?.body.code).toBe('idempotency_key_in_use');
    expect((await api.get('/payments/', user.token)).body).toHaveLength(before + 1);
  });

  it('is not spent on a refusal: who was refused may ask again', async () => {
    const [key, poor] = [newKey(), await api.user()];
    expect((await post('/vpn_peers/self', {}, key, poor.token)).status).toBe(403);
    await api.assign(admin, poor, await api.tariff(admin));
    expect((await post('/vpn_peers/self', {}, key, poor.token)).status).toBe(200);
  });

  it('finds what was created when the process died before it could answer', async () => {
    const key = newKey();
    const first = expectOk(await post('/vpn_peers/self', {}, key));
    await api.rows('UPDATE idempotency_keys SET sealed_answer = NULL WHERE user_id = $1 AND key = $2', [user.id, key]);
    expect(expectOk(await post('/vpn_peers/self', {}, key))).toEqual(first);
  });

  it('is forgotten after a day', async () => {
    const key = newKey();
    const first = expectOk(await post('/payments/', { amount: 1 }, key));
    api.clock.advance({ hours: 25 });
    user = { ...user, token: await api.login(user) };
    const second = expectOk(await post('/payments/', { amount: 1 }, key));
    expect(second.id).not.toBe(first.id);
    expect(expectOk(await post('/payments/', { amount: 1 }, key))).toEqual(second);
  });

  it.each(['', 'x'.repeat(129), 'ключ'])('must be 1 to 128 printable characters: %p', async (key) => {
    const headers = { 'idempotency-key': Buffer.from(key).toString('latin1') };
    const answer = await api.call('POST', '/payments/', { body: { amount: 1 }, token: user.token, headers });
    expect(answer).toMatchObject({ status: 422, body: { detail: [{ loc: ['header', 'idempotency-key'] }] } });
  });
});
