import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Account, type Answer, expectOk, TestApi } from '../support/api.js';
import { until } from '../support/until.js';

/** How often each pair meets: most meetings are decided by the check, the few that are not are what this is for. */
const ROUNDS = 25;

let api: TestApi;
let admin: Account;
let user: Account;
let sequence = 0;

beforeAll(async () => {
  api = await TestApi.start();
  admin = await api.admin();
  user = await api.subscriber(admin);
});
afterAll(() => api.stop());

const tariff = (): Promise<number> => api.tariff(admin, { price: '0.00' });
const server = async (): Promise<number> =>
  expectOk(
    await api.post(
      '/admin/servers',
      {
        name: `race-${++sequence}`,
        endpoint: `race-${sequence}.example.com:51820`,
        public_key: Buffer.alloc(32, sequence).toString('base64'),
        subnet: '10.9.0.0/24',
      },
      admin.token,
    ),
  ).id;

/** What refers to something, and what removes it. */
const PAIRS: readonly (readonly [
  string,
  () => Promise<number>,
  (id: number) => Promise<Answer>,
  (id: number) => string,
])[] = [
  [
    'a tariff and its assignment',
    tariff,
    async (id) => api.post(`/auth/assign_tariff?user_id=${(await api.user()).id}`, { tariff_id: id }, admin.token),
    (id) => `/tariffs/${id}`,
  ],
  [
    'a tariff and a subscription',
    tariff,
    async (id) => api.post('/auth/subscribe', { tariff_id: id }, (await api.user()).token),
    (id) => `/tariffs/${id}`,
  ],
  [
    'a tariff and a payment',
    tariff,
    (id) => api.post('/payments/', { amount: 1, tariff_id: id }, user.token),
    (id) => `/tariffs/${id}`,
  ],
  [
    'a tariff and its mapping',
    tariff,
    (id) => {
      const product = { provider: 'apple', product_id: `race.${++sequence}`, kind: 'subscription' };
      return api.put(`/tariffs/${id}`, { store_products: [product] }, admin.token);
    },
    (id) => `/tariffs/${id}`,
  ],
  [
    'a server and a device',
    server,
    (id) => api.post('/vpn_peers/self', { server_id: id }, user.token),
    (id) => `/admin/servers/${id}`,
  ],
];

describe('two requests, one of which removes what the other refers to', () => {
  it.each(PAIRS)('%s: each is done or refused, and neither is a fault (A1)', async (_name, make, refer, pathOf) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const id = await make();
      const [referring, removing] = await Promise.all([refer(id), api.delete(pathOf(id), admin.token)]);
      expect([200, 400, 404, 409, 422]).toContain(referring.status);
      expect([200, 400, 409]).toContain(removing.status);
    }
  });

  it('at the worst moment, between the look and the write, is told that it is gone (A1)', async () => {
    const id = await tariff();
    await api.rows(`
      CREATE FUNCTION remove_first() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN PERFORM pg_sleep(0.2); RETURN NEW; END$$;
      CREATE TRIGGER remove_first BEFORE INSERT ON user_tariffs FOR EACH ROW EXECUTE FUNCTION remove_first()`);
    const referring = api.post(`/auth/assign_tariff?user_id=${user.id}`, { tariff_id: id }, admin.token);
    await until(async () => {
      const rows = await api.rows(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
      );
      return rows.length > 0 ? true : undefined;
    });
    const removing = await api.rows('DELETE FROM tariffs WHERE id = $1 RETURNING id', [id]);
    expect(removing).toHaveLength(1);
    expect(await referring).toMatchObject({ status: 404, body: { code: 'tariff_not_found' } });
    await api.rows('DROP TRIGGER remove_first ON user_tariffs');
  });
});
