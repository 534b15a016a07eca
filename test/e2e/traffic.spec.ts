import { beforeAll, describe, expect, it } from '@jest/globals';
import { Access } from '#peers';
import { type Account, expectOk, TestApi } from '../support/api.js';

let api: TestApi;
let admin: Account;

beforeAll(async () => {
  api = await TestApi.start();
  admin = await api.admin();
});

/** As if a sweep had counted so much in the first period. */
async function use({ id }: Account, bytes: number): Promise<void> {
  await api.rows(
    `INSERT INTO vpn_traffic_periods (subscription_id, started_at, bytes)
     SELECT id, started_at, $2 FROM user_tariffs WHERE user_id = $1`,
    [id, bytes],
  );
  await api.app.get(Access).enforce();
}

/** As if sweeps had counted so much on a day. */
async function count({ id }: Account, day: string, serverId: number, bytes: number): Promise<void> {
  await api.rows(
    'INSERT INTO vpn_traffic_days (day, server_id, user_id, rx_bytes, tx_bytes) VALUES ($1, $2, $3, $4, $5)',
    [day, serverId, id, bytes, 10 * bytes],
  );
}

const limited = (): Promise<Account> => api.subscriber(admin, { traffic_limit_gb: 5 });
const subscriptionOf = async (user: Account) => expectOk(await api.get('/auth/me/subscription', user.token));

describe('whoever has used up his traffic', () => {
  it('is refused by one clear code, and his device says why it is suspended', async () => {
    const user = await limited();
    const { id, suspended_reason: before } = expectOk(await api.post('/vpn_peers/self', {}, user.token));
    expect(before).toBeNull();
    await use(user, 5_000_000_001);
    const refusal = {
      status: 403,
      body: { detail: 'traffic_exhausted', code: 'traffic_exhausted', message: expect.stringContaining('5 GB') },
    };
    expect(await api.post('/vpn_peers/self', {}, user.token)).toMatchObject(refusal);
    expect(await api.post('/vpn_peers/', { user_id: user.id }, admin.token)).toMatchObject(refusal);
    expect(await api.post(`/vpn_peers/${id}/rotate`, {}, user.token)).toMatchObject(refusal);
    expect(await api.post(`/vpn_peers/${id}/move`, { region: 'default' }, user.token)).toMatchObject(refusal);
    expect(await api.get('/vpn_peers/self/config', user.token)).toMatchObject(refusal);
    expect(await api.get(`/vpn_peers/${id}/qr`, user.token)).toMatchObject(refusal);
    const suspended = { id, active: false, status: 'suspended', suspended_reason: 'traffic_exhausted' };
    expect(expectOk(await api.get(`/vpn_peers/${id}`, user.token))).toMatchObject(suspended);
    expect(expectOk(await api.get('/vpn_peers/', user.token))).toMatchObject([suspended]);
  });

  it('is back when the limit is raised', async () => {
    const user = await limited();
    const { id } = expectOk(await api.post('/vpn_peers/self', {}, user.token));
    await use(user, 6_000_000_000);
    const { tariff_id } = await subscriptionOf(user);
    expectOk(await api.put(`/tariffs/${tariff_id}`, { traffic_limit_gb: 7 }, admin.token));
    expectOk(await api.post('/vpn_peers/self', {}, user.token));
    await api.app.get(Access).enforce();
    expect(expectOk(await api.get(`/vpn_peers/${id}`, user.token))).toMatchObject({
      active: true,
      suspended_reason: null,
    });
  });

  it('still has his subscription, which says what is used and when it begins anew', async () => {
    const user = await limited();
    await use(user, 6_000_000_000);
    const subscription = await subscriptionOf(user);
    expect(subscription).toMatchObject({
      status: 'active',
      traffic_used_bytes: 6_000_000_000,
      traffic_limit_gb: 5,
      traffic_resets_at: subscription.ended_at,
    });
  });

  it('whose access is blocked as well is told of that', async () => {
    const user = await limited();
    const { id } = expectOk(await api.post('/vpn_peers/self', {}, user.token));
    await use(user, 6_000_000_000);
    expectOk(await api.put(`/admin/users/${user.id}/status`, { status: 'blocked' }, admin.token));
    expect(expectOk(await api.get(`/vpn_peers/${id}`, admin.token))).toMatchObject({ suspended_reason: 'no_access' });
  });
});

describe('the traffic by day', () => {
  const today = (): string => api.clock.now().toISOString().slice(0, 10);

  it("is one's own for a user, and anybody's for an administrator", async () => {
    const [ann, ben] = [await api.user(), await api.user()];
    await count(ann, '2025-03-01', 1, 5);
    await count(ann, '2025-03-01', 77, 1);
    await count(ann, '2025-03-02', 1, 2);
    await count(ben, '2025-03-02', 1, 100);
    const range = 'from=2025-03-01&to=2025-03-31';
    const day = (date: string, bytes: number) => ({ day: date, rx_bytes: bytes, tx_bytes: 10 * bytes });
    const hers = [day('2025-03-01', 6), day('2025-03-02', 2)];
    const mine = await api.get(`/vpn_peers/traffic?${range}`, ann.token);
    expect(mine.body).toEqual(hers);
    expect(mine.headers.get('x-total-count')).toBe('2');
    const asked = async (query: string) => expectOk(await api.get(`/admin/traffic?${range}&${query}`, admin.token));
    expect(await asked('')).toEqual([day('2025-03-01', 6), day('2025-03-02', 102)]);
    expect(await asked(`user_id=${ann.id}`)).toEqual(hers);
    expect(await asked('server_id=77')).toEqual([day('2025-03-01', 1)]);
    expect(await asked(`user_id=${ann.id}&server_id=1`)).toEqual([day('2025-03-01', 5), day('2025-03-02', 2)]);
    expect(await asked('skip=1&limit=1')).toEqual([day('2025-03-02', 102)]);
    expect(expectOk(await api.get('/vpn_peers/traffic', ann.token))).toEqual([]);
  });

  it('is of the last thirty days, unless others are asked for', async () => {
    const user = await api.user();
    const ago = (days: number): string => new Date(Date.parse(today()) - days * 86_400_000).toISOString().slice(0, 10);
    await count(user, today(), 1, 1);
    await count(user, ago(29), 1, 2);
    await count(user, ago(30), 1, 3);
    const days = expectOk(await api.get('/vpn_peers/traffic/', user.token)) as { day: string }[];
    expect(days.map(({ day }) => day)).toEqual([ago(29), today()]);
  });

  it.each(['from=yesterday', 'to=2026-02-30', 'from=2026-1-1', 'from=0000-01-01', 'from=2026-03-02&to=2026-03-01'])(
    'is refused for ?%s',
    async (query) => {
      expect((await api.get(`/admin/traffic?${query}`, admin.token)).status).toBe(422);
      const { status, body } = await api.get(`/vpn_peers/traffic?${query}`, admin.token);
      expect([status, body.code, body.detail[0].loc[0]]).toEqual([422, 'validation_error', 'query']);
    },
  );
});
