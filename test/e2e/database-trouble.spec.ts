import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createHmac } from 'node:crypto';
import { migrate } from '#platform';
import { type Account, type Answer, expectOk, TestApi } from '../support/api.js';
import { MONTHLY, TestStores } from '../support/stores.js';
import { OwnPostgres } from '../support/own-postgres.js';
import { until } from '../support/until.js';

/** More than an answer may take: the wait for a connection and the limit of a statement. */
const BOUNDED_MS = 25_000;
const TEST_MS = 120_000;

let server: OwnPostgres;
let api: TestApi;
let stores: TestStores | undefined;
let user: Account;

beforeAll(async () => {
  server = await OwnPostgres.start();
  await migrate(server.url);
  api = await TestApi.start({ databaseUrl: () => server.url, logLines: [], environment: { DATABASE_POOL_SIZE: '5' } });
  user = await api.user();
}, TEST_MS);
afterEach(() => server.thaw());
afterAll(async () => {
  await stores?.stop();
  await api.stop();
}, TEST_MS);

let sequence = 0;
const register = (): Promise<Answer> =>
  api.post('/auth/register', { email: `trouble-${++sequence}@example.com`, password: 'correct horse battery' });
const pay = (key: string): Promise<Answer> =>
  api.call('POST', '/payments/', { body: { amount: 5 }, token: user.token, headers: { 'idempotency-key': key } });

/** Fails instead of waiting for ever. */
async function bounded<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('No answer in bounded time')), BOUNDED_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

const commitsWaiting = (): Promise<number> =>
  server
    .query<{ n: number }>("SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    .then(([row]) => row?.n ?? 0);
const whole = (): Promise<true> =>
  until(async () => ((await register()).status === 200 && (await commitsWaiting()) === 0 ? true : undefined), 20);

function expectUnavailable(answer: Answer, codes = ['database_unavailable', 'outcome_unknown']): void {
  expect([answer.status, codes.includes(answer.body.code), answer.headers.get('retry-after')]).toEqual([
    503,
    true,
    '5',
  ]);
}

describe('a synchronous standby that is away', () => {
  it(
    'leaves no writer without an answer and no reader without a connection; repeating makes nothing twice (B5)',
    async () => {
      await server.set('synchronous_standby_names', 'nobody');
      const paying = pay('waits');
      await until(async () => ((await commitsWaiting()) > 0 ? true : undefined));
      const writes = [paying, ...Array.from({ length: 12 }, register)];
      const reads = await bounded(
        Promise.all(
          [1, 2, 3, 4, 5, 6].flatMap(() => [
            api.get('/auth/me', user.token),
            api.get('/tariffs'),
            api.get('/health/ready'),
          ]),
        ),
      );
      expect(reads.map(({ status }) => status)).toEqual(reads.map(() => 200));
      const answers = await bounded(Promise.all(writes));
      for (const answer of answers) expectUnavailable(answer);
      expect(answers[0]!.body.code).toBe('outcome_unknown');
      expect((await api.get('/auth/me/subscription', user.token)).status).toBe(200);
      expectUnavailable(await bounded(pay('waits')));
      expect(await commitsWaiting()).toBeLessThanOrEqual(4);

      await server.set('synchronous_standby_names', null);
      await whole();
      const repeated = await until(async () => {
        const answer = await pay('waits');
        return answer.status === 200 ? answer : undefined;
      });
      expect(repeated.body.amount).toBe('5.00');
      expect(await server.query('SELECT 1 AS one FROM payments WHERE amount = 5')).toHaveLength(1);
    },
    TEST_MS,
  );

  it.each(['pg_cancel_backend', 'pg_terminate_backend'])(
    'whose wait is ended by %s is not a success (B6)',
    async (end) => {
      await server.set('synchronous_standby_names', 'nobody');
      const writing = pay(end);
      await until(async () => ((await commitsWaiting()) > 0 ? true : undefined));
      await server.query(`SELECT ${end}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);
      expectUnavailable(await bounded(writing), ['outcome_unknown']);
      await server.set('synchronous_standby_names', null);
      await whole();
      const again = expectOk(await pay(end));
      const ids = await server.query('SELECT resource_id AS id FROM idempotency_keys WHERE key = $1', [end]);
      expect(ids).toEqual([{ id: again.id }]);
    },
    TEST_MS,
  );
});

describe('a server that stands still', () => {
  it(
    'has every request answered, and is used again when it goes on (B1, E6)',
    async () => {
      await Promise.all([1, 2, 3].map(() => api.get('/auth/me', user.token)));
      await server.freeze();
      const answers = await bounded(
        Promise.all([
          api.get('/auth/me', user.token),
          api.get('/payments', user.token),
          register(),
          pay('frozen'),
          api.get('/health/ready'),
        ]),
      );
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503));
      expect((await api.get('/health/live')).status).toBe(200);
      server.thaw();
      await whole();
      expect((await api.get('/health/ready')).status).toBe(200);
    },
    TEST_MS,
  );
});

describe('a server that takes no writes', () => {
  it(
    'is said to be unavailable by every write, iap_verify and both kinds of webhook, and by ready; all is well afterwards (B2)',
    async () => {
      const secret = 'the secret of a provider that reports here';
      const environment = { PAYMENT_WEBHOOK_SECRETS: JSON.stringify({ acme: secret }) };
      stores = await TestStores.start(environment, [], { databaseUrl: () => server.url });
      const own = stores.api;
      const sale = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD' });
      const [buyer, other] = [await own.user(), await own.user()];
      const invoice = { user_id: buyer.id, amount: '1.00', provider: 'acme', provider_payment_id: 'INV-1' };
      expectOk(await own.post('/payments/', invoice, stores.admin.token));
      await server.set('default_transaction_read_only', 'on');
      await server.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vpn-backend'",
      );
      expectUnavailable(await own.post('/payments/', { amount: 1 }, buyer.token));
      expect(await own.get('/health/ready')).toMatchObject({ status: 503, body: { failing: ['database'] } });

      const event = JSON.stringify({ event_id: 'e1', provider_payment_id: 'INV-1', status: 'completed' });
      const time = Math.floor(own.clock.now().getTime() / 1000);
      const signature = createHmac('sha256', secret).update(`${time}.${event}`).digest('hex');
      const receipt = stores.apple.transactionJws(sale.originalTransactionId);
      const writes = {
        register: await own.post('/auth/register', { email: 'nobody@example.com', password: 'correct horse battery' }),
        login: await own.post('/auth/login', { email: other.email, password: other.password }),
        pay: await own.post('/payments/', { amount: 1 }, buyer.token),
        tariff: await own.post('/tariffs/', { name: 'No', price: 1 }, stores.admin.token),
        verify: await own.post('/payments/iap_verify', { receipt, provider: 'apple' }, buyer.token),
        appStore: await stores.deliverApple(stores.apple.test('Production')),
        google: await stores.deliverGoogle(stores.google.testNotification()),
        webhook: await own.call('POST', '/payments/webhook/acme', {
          body: event,
          headers: { 'x-signature': `t=${time},v1=${signature}` },
        }),
      };
      for (const answer of Object.values(writes)) expectUnavailable(answer);
      expect((await own.get('/tariffs')).status).toBe(200);

      await server.set('default_transaction_read_only', null);
      await until(async () => ((await own.get('/health/ready')).status === 200 ? true : undefined));
      expectOk(await own.post('/payments/', { amount: 1 }, buyer.token));
      expect(expectOk(await own.post('/payments/iap_verify', { receipt, provider: 'apple' }, buyer.token)).valid).toBe(
        true,
      );
    },
    TEST_MS,
  );
});
