import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { type Account, expectOk, TestApi } from '../support/api.js';
import { type ApiDocument, resolveSchema, type Schema } from '../support/api-document.js';

const document = JSON.parse(readFileSync('openapi.json', 'utf8')) as ApiDocument;
const puts = Object.entries(document.paths).flatMap(([path, { put }]) => (put === undefined ? [] : [{ path, put }]));

let api: TestApi;
let admin: Account;

beforeAll(async () => {
  api = await TestApi.start();
  admin = await api.admin();
});

/** A thing that a PUT changes: where it is, how it is read, and the one field that the caller of a generated client means to change. */
interface Subject {
  readonly path: string;
  readonly token: string;
  readonly read: string;
  readonly change: Readonly<Record<string, unknown>>;
}

const PRODUCT = { provider: 'google', product_id: 'monthly', base_plan_id: 'p1m', kind: 'subscription' };

/** One for each PUT of the document, with every field set that can be. */
const SUBJECTS: Readonly<Record<string, () => Promise<Subject>>> = {
  '/auth/me': async () => {
    const { token } = await api.user();
    expectOk(await api.put('/auth/me', { locale: 'ru', refund_data_consent: true }, token));
    return { path: '/auth/me', token, read: '/auth/me', change: { locale: 'en' } };
  },
  '/vpn_peers/{id}': async () => {
    const { token } = await api.subscriber(admin);
    const body = { device_name: 'phone', allowed_ips: '10.0.0.0/8' };
    const path = `/vpn_peers/${expectOk(await api.post('/vpn_peers/self', body, token)).id}`;
    return { path, token, read: path, change: { device_name: 'tablet' } };
  },
  '/tariffs/{id}': async () => {
    const full = { description: 'All', device_limit: 5, traffic_limit_gb: 100, rank: 3, store_products: [PRODUCT] };
    const path = `/tariffs/${await api.tariff(admin, full)}`;
    return { path, token: admin.token, read: path, change: { price: '6.00' } };
  },
  '/tariffs/{id}/store_products': async () => {
    const read = `/tariffs/${await api.tariff(admin, { description: 'All', device_limit: 5 })}`;
    const store_products = [{ ...PRODUCT, product_id: 'yearly' }];
    return { path: `${read}/store_products`, token: admin.token, read, change: { store_products } };
  },
  '/payments/{id}': async () => {
    const body = { amount: '5.00', currency: 'EUR', provider: 'bank', provider_payment_id: 'INV-1' };
    const path = `/payments/${expectOk(await api.post('/payments/', body, admin.token)).id}`;
    return { path, token: admin.token, read: path, change: { amount: '6.00' } };
  },
  '/admin/users/{id}/status': async () => {
    const { id, token } = await api.user();
    expectOk(await api.put('/auth/me', { locale: 'ru' }, token));
    return { path: `/admin/users/${id}/status`, token: admin.token, read: '', change: { status: 'blocked' } };
  },
  '/admin/servers/{id}': async () => {
    const body = {
      name: 'Frankfurt 9',
      region: 'eu-central',
      country: 'DE',
      capacity: 5,
      endpoint: 'de9.vpn.example.com:51820',
      public_key: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=',
      subnet: '10.77.0.0/24',
      subnet6: 'fd00:77::/64',
      dns: ['9.9.9.9'],
      preshared_keys: true,
    };
    const path = `/admin/servers/${expectOk(await api.post('/admin/servers', body, admin.token)).id}`;
    return { path, token: admin.token, read: path, change: { mtu: 1400 } };
  },
};

/** A body as the generators for Dart write it: every field of the class, null or an empty list where its caller gave nothing. */
function generatedBody(schema: Schema, change: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields = Object.entries(resolveSchema(document, schema).properties ?? {});
  const left = fields.map(([name, property]) => [name, resolveSchema(document, property).type === 'array' ? [] : null]);
  return { ...Object.fromEntries(left), ...change };
}

describe('a client that cannot leave a field out', () => {
  it.each(puts.map(({ path, put }) => ({ path, schema: put.requestBody?.content['application/json']?.schema ?? {} })))(
    'changes what it means to, and clears nothing: PUT $path (I2)',
    async ({ path, schema }) => {
      const prepare = SUBJECTS[path];
      if (prepare === undefined) throw new Error(`Say in SUBJECTS what PUT ${path} changes`);
      const { path: where, token, read, change } = await prepare();
      const before = read === '' ? {} : expectOk(await api.get(read, token));
      const after = expectOk(await api.put(where, generatedBody(schema, change), token));
      if (read === '') expect(after).toMatchObject({ ...change, locale: 'ru' });
      else expect(after).toEqual({ ...before, ...change });
    },
  );

  it('is given no default that it would send for what its caller left out of a PUT (I2)', () => {
    for (const { path, put } of puts) {
      const { properties = {} } = resolveSchema(document, put.requestBody?.content['application/json']?.schema ?? {});
      for (const [name, property] of Object.entries(properties)) {
        expect([path, name, 'default' in property]).toEqual([path, name, false]);
      }
    }
  });
});
