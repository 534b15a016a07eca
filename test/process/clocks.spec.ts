import { describe, expect, it, jest } from '@jest/globals';
import { existsSync } from 'node:fs';
import { OwnPostgres } from '../support/own-postgres.js';
import { call, dataFolder, poll, Service } from '../support/service.js';
import { TEST_ENVIRONMENT } from '../support/settings.js';

jest.setTimeout(120_000);

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
const hasFaketime = existsSync(FAKETIME);
if (!hasFaketime)
  console.warn('THE TEST OF PROCESSES WITH OTHER CLOCKS IS SKIPPED: it needs libfaketime (Debian: faketime).');

const CREDENTIALS = { email: 'ann@example.com', password: 'correct horse battery' };

(hasFaketime ? describe : describe.skip)('processes whose machines are an hour ahead and an hour behind', () => {
  it('agree about who is signed in, who has paid, and which device is let in (F4)', async () => {
    const postgres = await OwnPostgres.start();
    const start = async (clock: string): Promise<Service> =>
      Service.start({
        dataDirectory: await dataFolder(),
        environment: {
          ...TEST_ENVIRONMENT,
          NODE_ENV: 'development',
          BCRYPT_COST: '10',
          ROLES: 'api,jobs',
          DATABASE_URL: postgres.url,
          LD_PRELOAD: FAKETIME,
          FAKETIME: clock,
          DONT_FAKE_MONOTONIC: '1',
        },
      });
    const services = [await start('+1h'), await start('-1h')];
    const [ahead, behind] = await Promise.all(services.map((service) => service.url()));
    for (const [one, other] of [
      [ahead, behind],
      [behind, ahead],
    ] as const) {
      const email = `${one === ahead ? 'ahead' : 'behind'}@example.com`;
      const { id } = await call(one!, 'POST', '/auth/register', { body: { ...CREDENTIALS, email } });
      const { access_token: token } = await call(one!, 'POST', '/auth/login', { body: { ...CREDENTIALS, email } });
      const secret = TEST_ENVIRONMENT.PROMOTE_SECRET;
      await call(other!, 'POST', `/auth/admin/promote?user_id=${id}&secret=${secret}`);
      const month = { name: email, price: 1, duration_days: 30 };
      const { id: tariff_id } = await call(one!, 'POST', '/tariffs/', { token, body: month });
      await call(one!, 'POST', `/auth/assign_tariff?user_id=${id}`, { token, body: { tariff_id } });
      const device = await call(other!, 'POST', '/vpn_peers/self', { token, body: {} });
      expect(device.status).toBe('active');
      expect(await call(other!, 'GET', '/auth/me/subscription', { token })).toMatchObject({
        status: 'active',
        days_remaining: 30,
      });
      const [row] = await postgres.query<{ apart: number }>(
        `SELECT abs(extract(epoch FROM clock_timestamp() - max(started_at)))::int AS apart FROM user_tariffs WHERE user_id = $1`,
        [id],
      );
      expect(row?.apart).toBeLessThan(60);
    }
    // Both run the job that ends access: nobody's is ended, and nobody's device suspended.
    await poll(async () => {
      const rows = await postgres.query(`SELECT 1 FROM leases WHERE name = 'enforce-access'`);
      return rows.length > 0 ? true : undefined;
    }, 90_000);
    const rows = await postgres.query<{ status: string }>('SELECT status FROM vpn_peers');
    expect(rows.map(({ status }) => status)).toEqual(['active', 'active']);
    await Promise.all(services.map((service) => service.stop()));
    await postgres.stop();
  });
});
