import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Account, expectOk, TestApi } from '../support/api.js';

let api: TestApi;
let admin: Account;
let user: Account;
let other: Account;

beforeAll(async () => {
  api = await TestApi.start();
  admin = await api.admin();
  [user, other] = [await api.user(), await api.user()];
});

const pay = async (body: object = {}, account = user): Promise<number> =>
  expectOk(await api.post('/payments/', { amount: '9.99', ...body }, account.token)).id;

describe('POST /payments/', () => {
  it('writes a payment down, pending, for the caller', async () => {
    const { status, body } = await api.post(
      '/payments/',
      { amount: 9.9, provider: 'bank', provider_payment_id: 'A-1' },
      user.token,
    );
    expect(status).toBe(200);
    expect(body).toEqual({
      id: expect.any(Number),
      user_id: user.id,
      amount: '9.90',
      currency: 'USD',
      status: 'pending',
      provider: 'bank',
      provider_payment_id: 'A-1',
      tariff_id: null,
      kind: 'manual',
      refunded_amount: null,
      refunded_at: null,
      is_test: false,
      created_at: expect.stringMatching(/Z$/),
    });
    expect((await api.get(`/payments/${body.id}`, user.token)).body).toEqual(body);
  });

  it('takes the price from the tariff, whatever the caller says it costs', async () => {
    const tariff_id = await api.tariff(admin, { price: '12.00', currency: 'EUR' });
    const { body } = await api.post('/payments/', { amount: '0.01', tariff_id }, user.token);
    expect(body).toMatchObject({ amount: '12.00', currency: 'EUR', tariff_id });
  });

  it('heeds a status from an administrator only', async () => {
    expect((await api.post('/payments/', { amount: 1, status: 'completed' }, user.token)).body.status).toBe('pending');
    expect((await api.post('/payments/', { amount: 1, status: 'completed' }, admin.token)).body.status).toBe(
      'completed',
    );
  });

  it('lets an administrator write it down for anybody, and nobody else', async () => {
    expect((await api.post('/payments/', { amount: 1, user_id: user.id }, admin.token)).body.user_id).toBe(user.id);
    expect(await api.post('/payments/', { amount: 1, user_id: user.id }, other.token)).toMatchObject({
      status: 403,
      body: { detail: 'Not allowed' },
    });
    expect((await api.post('/payments/', { amount: 1, user_id: 999_999 }, admin.token)).body.detail).toBe(
      'User not found',
    );
  });

  it('refuses a tariff that there is not, or that can no longer be taken', async () => {
    const hidden = await api.tariff(admin, { is_active: false });
    for (const tariff_id of [999_999, hidden]) {
      expect(await api.post('/payments/', { amount: 1, tariff_id }, user.token)).toMatchObject({
        status: 404,
        body: { detail: 'Tariff not found' },
      });
    }
  });

  it('knows one payment of a provider once', async () => {
    const reference = { provider: 'bank', provider_payment_id: 'once' };
    await pay(reference);
    expect(await api.post('/payments/', { amount: 1, ...reference }, other.token)).toMatchObject({
      status: 409,
      body: { code: 'payment_already_recorded' },
    });
  });

  it.each([
    {},
    { amount: 'x' },
    { amount: -1 },
    { amount: 1, currency: 'X' },
    { amount: 1, user_id: '5' },
    { amount: 1, provider: '' },
  ])('refuses %j', async (body) => {
    expect((await api.post('/payments/', body, user.token)).status).toBe(422);
  });
});

describe('GET /payments/', () => {
  it("shows one's own; an administrator everybody's, or one user's", async () => {
    const fresh = await api.user();
    const ids = [await pay({}, fresh), await pay({}, fresh)];
    const list = async (query: string, account: Account): Promise<number[]> =>
      expectOk(await api.get(`/payments/${query}`, account.token)).map(({ id }: { id: number }) => id);
    expect(await list('', fresh)).toEqual(ids);
    expect(await list(`?user_id=${fresh.id}`, fresh)).toEqual(ids);
    expect(await list(`?user_id=${fresh.id}`, admin)).toEqual(ids);
    expect(await list('?limit=1000', admin)).toEqual(expect.arrayContaining(ids));
    expect(await list('?skip=1&limit=1', fresh)).toEqual([ids[1]]);
    expect(await api.get(`/payments/?user_id=${fresh.id}`, other.token)).toMatchObject({
      status: 403,
      body: { detail: 'Not allowed' },
    });
    expect((await api.get('/payments/', fresh.token)).headers.get('x-total-count')).toBe('2');
  });

  it('shows one payment to its owner and to an administrator', async () => {
    const id = await pay();
    expect((await api.get(`/payments/${id}`, admin.token)).status).toBe(200);
    expect(await api.get(`/payments/${id}`, other.token)).toMatchObject({
      status: 403,
      body: { detail: 'Not allowed' },
    });
    expect(await api.get('/payments/999999', user.token)).toMatchObject({
      status: 404,
      body: { detail: 'Payment not found' },
    });
  });
});

describe('PUT /payments/{id}', () => {
  it('lets the owner correct it while it is pending', async () => {
    const id = await pay();
    const { status, body } = await api.put(
      `/payments/${id}`,
      { amount: 5, currency: 'eur', provider: 'cash' },
      user.token,
    );
    expect([status, body]).toEqual([
      200,
      expect.objectContaining({ amount: '5.00', currency: 'EUR', provider: 'cash' }),
    ]);
  });

  it('keeps the price of a tariff, unless an administrator changes it', async () => {
    const id = await pay({ tariff_id: await api.tariff(admin, { price: '8.00' }) });
    expect((await api.put(`/payments/${id}`, { amount: 1 }, user.token)).body.amount).toBe('8.00');
    expect((await api.put(`/payments/${id}`, { amount: 1 }, admin.token)).body.amount).toBe('1.00');
  });

  it('lets only an administrator set the status', async () => {
    const id = await pay();
    expect(await api.put(`/payments/${id}`, { status: 'completed' }, user.token)).toMatchObject({
      status: 403,
      body: { detail: 'Not allowed' },
    });
    expect((await api.put(`/payments/${id}`, { status: 'pending', amount: 3 }, user.token)).status).toBe(200);
    expect((await api.put(`/payments/${id}`, { status: 'refunded' }, admin.token)).body.code).toBe(
      'payment_status_not_allowed',
    );
    expect((await api.put(`/payments/${id}`, { status: 'failed' }, admin.token)).body.status).toBe('failed');
  });

  it('starts the subscription it pays for, exactly once, whoever completes it how often', async () => {
    const buyer = await api.user();
    const tariff_id = await api.tariff(admin, { duration_days: 30 });
    const id = await pay({ tariff_id }, buyer);
    const complete = (): ReturnType<TestApi['put']> => api.put(`/payments/${id}`, { status: 'completed' }, admin.token);
    const answers = await Promise.all(Array.from({ length: 20 }, complete));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array<number>(19).fill(409)]);
    const { body } = await api.get('/auth/me/subscription', buyer.token);
    expect(body).toMatchObject({ status: 'active', store: 'manual', tariff_id, days_remaining: 30 });
    expect(await api.rows('SELECT id FROM user_tariffs WHERE user_id = $1', [buyer.id])).toHaveLength(1);
  });

  it('refuses one that is not pending: 403 for the owner, 409 for an administrator', async () => {
    const id = await pay();
    expectOk(await api.put(`/payments/${id}`, { status: 'completed' }, admin.token));
    expect((await api.put(`/payments/${id}`, { amount: 1 }, user.token)).status).toBe(403);
    expect(await api.put(`/payments/${id}`, { amount: 1 }, admin.token)).toMatchObject({
      status: 409,
      body: { code: 'payment_not_editable' },
    });
  });

  it("refuses a store's, even while it is pending", async () => {
    const id = await pay();
    await api.rows(`UPDATE payments SET kind = 'purchase' WHERE id = $1`, [id]);
    expect((await api.put(`/payments/${id}`, { amount: 1 }, user.token)).status).toBe(403);
    expect((await api.put(`/payments/${id}`, { amount: 1 }, admin.token)).status).toBe(409);
    expect((await api.delete(`/payments/${id}`, user.token)).status).toBe(403);
    expect((await api.delete(`/payments/${id}`, admin.token)).status).toBe(409);
  });

  it("refuses somebody else's, and one that there is not", async () => {
    const id = await pay();
    expect((await api.put(`/payments/${id}`, { amount: 1 }, other.token)).status).toBe(403);
    expect((await api.put('/payments/999999', { amount: 1 }, user.token)).body.detail).toBe('Payment not found');
  });
});

describe('PUT /payments/{id} with the status refunded', () => {
  const refund = (id: number, body: object = {}, account = admin): ReturnType<TestApi['put']> =>
    api.put(`/payments/${id}`, { status: 'refunded', ...body }, account.token);
  const completed = async (buyer: Account, tariff_id?: number): Promise<number> => {
    const id = await pay(tariff_id === undefined ? {} : { tariff_id }, buyer);
    expectOk(await api.put(`/payments/${id}`, { status: 'completed' }, admin.token));
    return id;
  };
  const subscriptionOf = async ({ token }: Account): Promise<object> =>
    expectOk(await api.get('/auth/me/subscription', token));

  it('gives the money back and cuts off the time that it bought; the devices go with it', async () => {
    const buyer = await api.user();
    const id = await completed(buyer, await api.tariff(admin, { price: '12.50' }));
    const { id: peer } = expectOk(await api.post('/vpn_peers/self', {}, buyer.token));
    expect(expectOk(await refund(id))).toMatchObject({
      status: 'refunded',
      amount: '12.50',
      refunded_amount: '12.50',
      refunded_at: expect.stringMatching(/Z$/),
    });
    expect(await subscriptionOf(buyer)).toMatchObject({ status: 'refunded', state: 'refunded', days_remaining: 0 });
    expect(expectOk(await api.get(`/vpn_peers/${peer}`, buyer.token)).status).toBe('suspended');
  });

  it('leaves the time that other payments bought', async () => {
    const buyer = await api.user();
    const tariff = await api.tariff(admin);
    const ids = [await completed(buyer, tariff), await completed(buyer, tariff)];
    expectOk(await refund(ids[1]!));
    expect(await subscriptionOf(buyer)).toMatchObject({ status: 'active', days_remaining: 30 });
    expectOk(await refund(ids[0]!));
    expect(await subscriptionOf(buyer)).toMatchObject({ status: 'refunded' });
  });

  it.each([
    [0, 1],
    [1, 0],
  ])('ends what was bought for life twice only when both are given back (%i, %i)', async (...order) => {
    const buyer = await api.user();
    const tariff = await api.tariff(admin, { duration_days: 0 });
    const ids = [await completed(buyer, tariff), await completed(buyer, tariff)];
    expectOk(await refund(ids[order[0]]!));
    expect(await subscriptionOf(buyer)).toMatchObject({ status: 'active', is_lifetime: true });
    expectOk(await refund(ids[order[1]]!));
    expect(await subscriptionOf(buyer)).toMatchObject({ status: 'refunded' });
  });

  it('happens once, however many ask for it', async () => {
    const buyer = await api.user();
    const tariff = await api.tariff(admin);
    const ids = [await completed(buyer, tariff), await completed(buyer, tariff)];
    const answers = await Promise.all(Array.from({ length: 20 }, () => refund(ids[0]!)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array<number>(19).fill(409)]);
    expect(await subscriptionOf(buyer)).toMatchObject({ status: 'active', days_remaining: 30 });
  });

  it('is for an administrator, of money that came in, and changes nothing else', async () => {
    const buyer = await api.user();
    const id = await completed(buyer);
    expect((await refund(id, {}, buyer)).status).toBe(403);
    expect(await refund(id, { amount: 1 })).toMatchObject({ status: 409, body: { code: 'payment_not_editable' } });
    expect((await refund(await pay({}, buyer))).body.code).toBe('payment_status_not_allowed');
    expectOk(await refund(id));
    expect(await api.put(`/payments/${id}`, { status: 'completed' }, admin.token)).toMatchObject({
      status: 409,
      body: { code: 'payment_not_editable' },
    });
    expect((await api.delete(`/payments/${id}`, admin.token)).status).toBe(409);
  });
});

describe('GET /admin/payments/summary', () => {
  it('sums up what came in and went back, by currency', async () => {
    const kept = await pay({ amount: '7.25', currency: 'NOK', user_id: user.id }, admin);
    const returned = await pay({ amount: '2.00', currency: 'NOK', user_id: user.id }, admin);
    await pay({ amount: '100.00', currency: 'NOK' });
    for (const id of [kept, returned]) {
      expectOk(await api.put(`/payments/${id}`, { status: 'completed' }, admin.token));
    }
    expectOk(await api.put(`/payments/${returned}`, { status: 'refunded' }, admin.token));
    const ours = ({ currency }: { currency: string }): boolean => currency === 'NOK';
    const now = api.clock.now().toISOString();
    const of = async (query: string): Promise<object[]> =>
      expectOk(await api.get(`/admin/payments/summary${query}`, admin.token)).filter(ours);
    const all = [{ currency: 'NOK', completed: '9.25', refunded: '2.00', net: '7.25', count: 2 }];
    expect(await of('')).toEqual(all);
    expect(await of(`?from=${now}`)).toEqual(all);
    expect(await of(`?to=${now}`)).toEqual([]);
    expect((await api.get('/admin/payments/summary?from=yesterday', admin.token)).status).toBe(422);
  });
});

describe('DELETE /payments/{id}', () => {
  it('deletes a pending one, for its owner or an administrator', async () => {
    for (const account of [user, admin]) {
      const id = await pay();
      expect(await api.delete(`/payments/${id}`, account.token)).toMatchObject({
        status: 200,
        body: { msg: 'deleted' },
      });
      expect((await api.get(`/payments/${id}`, user.token)).status).toBe(404);
      expect((await api.delete(`/payments/${id}`, account.token)).status).toBe(404);
    }
  });

  it('keeps money that moved, and what belongs to others', async () => {
    const id = await pay();
    expect((await api.delete(`/payments/${id}`, other.token)).status).toBe(403);
    expectOk(await api.put(`/payments/${id}`, { status: 'completed' }, admin.token));
    expect((await api.delete(`/payments/${id}`, user.token)).status).toBe(403);
    expect((await api.delete(`/payments/${id}`, admin.token)).status).toBe(409);
    expect((await api.get(`/payments/${id}`, user.token)).status).toBe(200);
  });
});
