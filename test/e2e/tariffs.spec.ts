import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Account, expectOk, TestApi } from '../support/api.js';

let api: TestApi;
let admin: Account;
let user: Account;

beforeAll(async () => {
  api = await TestApi.start();
  admin = await api.admin();
  user = await api.user();
});

const PRODUCTS = [
  { provider: 'apple', product_id: 'com.example.vpn.monthly', base_plan_id: null, kind: 'subscription' },
  { provider: 'google', product_id: 'monthly', base_plan_id: 'p1m', kind: 'subscription' },
];

describe('POST /tariffs/', () => {
  it('adds a tariff, with the defaults of the contract', async () => {
    const { status, body } = await api.post('/tariffs/', { name: 'Basic', price: 4.5 }, admin.token);
    expect(status).toBe(200);
    expect(body).toEqual({
      id: expect.any(Number),
      name: 'Basic',
      description: null,
      duration_days: 30,
      price: '4.50',
      currency: 'USD',
      device_limit: null,
      traffic_limit_gb: null,
      rank: 0,
      is_active: true,
      store_products: [],
    });
  });

  it('takes everything a tariff can have', async () => {
    const full = {
      name: 'Full',
      description: 'All of it',
      duration_days: 0,
      price: '199.00',
      currency: 'EUR',
      device_limit: 5,
      traffic_limit_gb: 100,
      rank: 3,
      is_active: true,
      store_products: PRODUCTS,
    };
    const { status, body } = await api.post('/tariffs/', full, admin.token);
    expect([status, body]).toEqual([200, { id: body.id, ...full }]);
    expect((await api.get(`/tariffs/${body.id}`)).body).toEqual(body);
  });

  it('refuses a name that is taken, and a store product that is', async () => {
    expect(await api.post('/tariffs/', { name: 'Full', price: 1 }, admin.token)).toMatchObject({
      status: 400,
      body: { detail: 'Tariff already exists' },
    });
    expect(
      await api.post('/tariffs/', { name: 'Thief', price: 1, store_products: PRODUCTS }, admin.token),
    ).toMatchObject({
      status: 409,
      body: { code: 'store_product_taken' },
    });
    expect((await api.get('/tariffs/?limit=100')).body).not.toContainEqual(expect.objectContaining({ name: 'Thief' }));
  });

  it('refuses anybody but an administrator', async () => {
    expect(await api.post('/tariffs/', { name: 'Mine', price: 1 }, user.token)).toMatchObject({
      status: 403,
      body: { detail: 'Admin privileges required' },
    });
  });

  it.each([
    [{ price: 1 }, 'name'],
    [{ name: '  ', price: 1 }, 'name'],
    [{ name: 'X' }, 'price'],
    [{ name: 'X', price: -1 }, 'price'],
    [{ name: 'X', price: '1.999' }, 'price'],
    [{ name: 'X', price: 1, duration_days: -1 }, 'duration_days'],
    [{ name: 'X', price: 1, duration_days: 1e9 }, 'duration_days'],
    [{ name: 'X', price: 1, duration_days: 1.5 }, 'duration_days'],
    [{ name: 'X', price: 1, currency: 'dollars' }, 'currency'],
    [{ name: 'X', price: 1, device_limit: 0 }, 'device_limit'],
    [{ name: 'X', price: 1, is_active: 'yes' }, 'is_active'],
    [{ name: 'X', price: 1, store_products: {} }, 'store_products'],
  ])('names the field at fault in %j', async (body, name) => {
    const answer = await api.post('/tariffs/', body, admin.token);
    expect(answer).toMatchObject({ status: 422, body: { detail: [{ loc: ['body', name] }] } });
  });

  it('names the item at fault in a list', async () => {
    const store_products = [PRODUCTS[0], { provider: 'amazon', product_id: 'x' }];
    const answer = await api.post('/tariffs/', { name: 'X', price: 1, store_products }, admin.token);
    expect(answer.body.detail).toMatchObject([
      { loc: ['body', 'store_products', 1, 'provider'], type: 'type_error.enum' },
    ]);
  });

  it.each([{ provider: null, product_id: 'x' }, { product_id: 'x' }, { provider: [], product_id: 'x' }])(
    'names a provider that is missing in a list: %j (A2)',
    async (product) => {
      for (const path of ['', '/store_products']) {
        const id = await api.tariff(admin);
        const answer = await api.put(`/tariffs/${id}${path}`, { store_products: [product] }, admin.token);
        expect(answer).toMatchObject({
          status: 422,
          body: { detail: [{ loc: ['body', 'store_products', 0, 'provider'] }] },
        });
      }
    },
  );

  it.each([[[[]]], [['x']], [[null]], [[[{ provider: 'apple', product_id: 'x' }]]]])(
    'refuses a list of what is no object: %j (A2)',
    async (store_products) => {
      const answer = await api.post('/tariffs/', { name: 'X', price: 1, store_products }, admin.token);
      expect(answer).toMatchObject({ status: 422, body: { detail: [{ loc: ['body', 'store_products'] }] } });
    },
  );

  it('takes as many characters outside the basic plane as inside it (A9)', async () => {
    const longest = '😀'.repeat(100);
    expect((await api.post('/tariffs/', { name: longest, price: 1 }, admin.token)).body.name).toBe(longest);
    expect(await api.post('/tariffs/', { name: `${longest}!`, price: 1 }, admin.token)).toMatchObject({
      status: 422,
      body: { detail: [{ loc: ['body', 'name'], type: 'value_error.any_str.max_length' }] },
    });
  });
});

describe('GET /tariffs/', () => {
  it('is public, ordered, paged, and counts', async () => {
    for (let count = 0; count < 12; count++) await api.tariff(admin);
    const first = await api.get('/tariffs/');
    expect(first.body).toHaveLength(10);
    const total = Number(first.headers.get('x-total-count'));
    const all = await api.get('/tariffs?limit=100');
    expect(all.body).toHaveLength(total);
    const ids = all.body.map(({ id }: { id: number }) => id);
    expect(ids).toEqual([...ids].sort((left, right) => left - right));
    const page = await api.get('/tariffs/?skip=3&limit=2');
    expect(page.body.map(({ id }: { id: number }) => id)).toEqual(ids.slice(3, 5));
    const beyond = await api.get('/tariffs/?skip=1000');
    expect([beyond.body, beyond.headers.get('x-total-count')]).toEqual([[], String(total)]);
  });

  it('shows a change at once', async () => {
    const id = await api.tariff(admin, { name: 'Before' });
    const names = async (): Promise<string[]> =>
      (await api.get('/tariffs/?limit=100')).body.map(({ name }: { name: string }) => name);
    expect(await names()).toContain('Before');
    expectOk(await api.put(`/tariffs/${id}`, { name: 'After' }, admin.token));
    expect(await names()).toContain('After');
    expectOk(await api.put(`/tariffs/${id}`, { is_active: false }, admin.token));
    expect(await names()).not.toContain('After');
    expect((await api.get(`/tariffs/${id}`)).body.is_active).toBe(false);
  });

  it.each(['skip=-1', 'skip=x', 'skip=1.5', 'limit=0', 'limit=101', 'limit=', 'skip=99999999999'])(
    'refuses ?%s',
    async (query) => {
      expect((await api.get(`/tariffs/?${query}`)).status).toBe(422);
    },
  );
});

describe('GET /tariffs/{id}', () => {
  it('says when there is none', async () => {
    expect(await api.get('/tariffs/999999')).toMatchObject({ status: 404, body: { detail: 'Tariff not found' } });
  });

  it.each(['0', '-1', 'abc', '2147483648', '99999999999999999999', '1.5', '1e3', '%00', '%27'])(
    'refuses the id %s',
    async (id) => {
      const answer = await api.get(`/tariffs/${id}`);
      expect(answer).toMatchObject({ status: 422, body: { detail: [{ loc: ['path', 'id'] }] } });
    },
  );
});

describe('PUT /tariffs/{id}', () => {
  it('changes what is given, clears what `clear` names, and leaves the rest (I2)', async () => {
    const id = await api.tariff(admin, {
      description: 'x',
      device_limit: 3,
      traffic_limit_gb: 100,
      rank: 2,
      price: '5.00',
      store_products: [{ provider: 'apple', product_id: 'com.example.cleared' }],
    });
    const before = (await api.get(`/tariffs/${id}`)).body;
    const change = {
      price: '6.00',
      name: null,
      description: null,
      device_limit: null,
      store_products: [],
      clear: null,
    };
    expect((await api.put(`/tariffs/${id}`, change, admin.token)).body).toEqual({ ...before, price: '6.00' });
    const clear = ['description', 'device_limit', 'traffic_limit_gb', 'store_products'];
    expect((await api.put(`/tariffs/${id}`, { clear }, admin.token)).body).toEqual({
      ...before,
      price: '6.00',
      description: null,
      device_limit: null,
      traffic_limit_gb: null,
      store_products: [],
    });
  });

  it.each([
    [{ clear: ['name'] }, 'clear'],
    [{ clear: { description: true } }, 'clear'],
    [{ clear: ['device_limit'], device_limit: 2 }, 'device_limit'],
    [{ clear: ['store_products'], store_products: [{ provider: 'apple', product_id: 'x' }] }, 'store_products'],
  ])('refuses to clear what cannot be, or is given as well: %j (I2)', async (change, field) => {
    const id = await api.tariff(admin, { device_limit: 3 });
    const refused = await api.put(`/tariffs/${id}`, change, admin.token);
    expect(refused).toMatchObject({ status: 422, body: { detail: [{ loc: ['body', field] }] } });
    expect((await api.get(`/tariffs/${id}`)).body.device_limit).toBe(3);
  });

  it('gets other names in the stores, and keeps the rest', async () => {
    const product = { provider: 'google', product_id: 'com.example.vpn.renamed', base_plan_id: null };
    const id = await api.tariff(admin, { rank: 7 });
    const path = `/tariffs/${id}/store_products`;
    expect(expectOk(await api.put(path, { store_products: [product] }, admin.token))).toMatchObject({
      rank: 7,
      store_products: [{ ...product, kind: 'subscription' }],
    });
    const other = await api.tariff(admin);
    const taken = await api.put(`/tariffs/${other}/store_products`, { store_products: [product] }, admin.token);
    expect([taken.status, taken.body.code]).toEqual([409, 'store_product_taken']);
    expect(expectOk(await api.put(path, { store_products: [] }, admin.token)).store_products).toEqual([]);
  });

  it('replaces the store products', async () => {
    const product = { provider: 'apple', product_id: 'com.example.other' };
    const id = await api.tariff(admin, { store_products: [product] });
    expectOk(await api.put(`/tariffs/${id}`, { store_products: [{ ...product, kind: 'lifetime' }] }, admin.token));
    expect((await api.get(`/tariffs/${id}`)).body.store_products).toEqual([
      { ...product, base_plan_id: null, kind: 'lifetime' },
    ]);
  });

  it('refuses a taken name, an unknown tariff, and anybody but an administrator', async () => {
    const id = await api.tariff(admin);
    expect((await api.put(`/tariffs/${id}`, { name: 'Full' }, admin.token)).body.detail).toBe('Tariff already exists');
    expect((await api.put('/tariffs/999999', { name: 'X' }, admin.token)).status).toBe(404);
    expect((await api.put(`/tariffs/${id}`, { name: 'X' }, user.token)).status).toBe(403);
  });
});

describe('DELETE /tariffs/{id}', () => {
  it('deletes a tariff that nobody has', async () => {
    const id = await api.tariff(admin);
    expect(await api.delete(`/tariffs/${id}`, admin.token)).toMatchObject({
      status: 200,
      body: { msg: 'tariff deleted', tariff_id: id },
    });
    expect((await api.get(`/tariffs/${id}`)).status).toBe(404);
    expect((await api.delete(`/tariffs/${id}`, admin.token)).status).toBe(404);
  });

  it('keeps one that somebody has or pays for', async () => {
    const [assigned, paid] = [await api.tariff(admin), await api.tariff(admin)];
    await api.assign(admin, user, assigned);
    expectOk(await api.post('/payments/', { amount: 1, tariff_id: paid }, user.token));
    for (const id of [assigned, paid]) {
      expect(await api.delete(`/tariffs/${id}`, admin.token)).toMatchObject({
        status: 400,
        body: { detail: 'Tariff is assigned to users and cannot be deleted' },
      });
    }
  });
});
