import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { Client } from 'pg';
import { acquireEmbeddedPostgres } from '#platform';
import { FakeApple } from '../fakes/fake-apple.js';
import { call, dataFolder, poll, Service } from '../support/service.js';

jest.setTimeout(180_000);

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

let apple: FakeApple;
let dataDirectory: string;
let service: Service;
let base: string;

beforeAll(async () => {
  apple = await FakeApple.start();
  dataDirectory = await dataFolder();
  service = await Service.start({ dataDirectory, environment: { ROLES: 'api', ...apple.settings() } });
  base = await service.url();
});
afterAll(async () => {
  await service.stop();
  await apple.close();
});

/** The command line as an operator runs it, beside the service. */
function cli(...args: string[]): Promise<Outcome> {
  return cliWith({}, ...args);
}

function cliWith(environment: Readonly<Record<string, string>>, ...args: string[]): Promise<Outcome> {
  const env = { PATH: process.env['PATH'], DATA_DIR: dataDirectory, ...apple.settings(), ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, ['scripts/run.mjs', 'cli', ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });
}

async function inDatabase<T extends object>(text: string): Promise<readonly T[]> {
  const directory = join(dataDirectory, 'postgres');
  const database = await acquireEmbeddedPostgres({ directory, database: 'vpn', durable: true });
  const client = new Client({ connectionString: database.url });
  try {
    await client.connect();
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
    await database.release();
  }
}

describe('cli stores', () => {
  it('says when it does not understand', async () => {
    expect((await cli('stores')).code).toBe(2);
    expect((await cli('stores', 'nonsense')).code).toBe(2);
    expect((await cli('stores', 'replay', 'x')).code).toBe(2);
    expect(await cli('stores', 'replay', '4711')).toMatchObject({ code: 1, stdout: '' });
    expect(await cli('stores', 'reconcile', '4711')).toMatchObject({ code: 1, stdout: '' });
  });

  it('lists what nobody has claimed, asks the store about it, and says when the store did not answer', async () => {
    expect((await cli('stores', 'unclaimed', '--json')).stdout).toBe('[]\n');
    const told = apple.subscribe({ productId: 'com.example.vpn.monthly', price: 9990, currency: 'USD' });
    expect(await apple.deliver(told, `${base}/payments/webhook/app_store`)).toBe(200);
    await poll(async () => ((await cli('stores', 'unclaimed', '--json')).stdout === '[]\n' ? undefined : true));
    const { code, stdout } = await cli('stores', 'unclaimed');
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(
        new RegExp(
          `^ID  STORE  REFERENCE +PRODUCT +STATE +SINCE\n1   apple  ${told.originalTransactionId}  com.example.vpn.monthly  active  .*Z\n$`,
        ),
      ),
    ]);
    expect(await cli('stores', 'reconcile')).toMatchObject({
      code: 0,
      stdout: '1 of 1 purchases were asked about\n',
    });
    expect(await cli('stores', 'reconcile', '1')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^active, access until 20/),
    });
    apple.fault('*', { kind: 'drop', times: 1000 });
    expect(await cli('stores', 'reconcile')).toMatchObject({
      code: 1,
      stdout: '0 of 1 purchases were asked about\n',
      stderr: expect.stringContaining('1 were not answered'),
    });
    expect((await cli('stores', 'reconcile', '1')).code).toBe(1);
    apple.clearFaults();
  });

  it('deals once more with what was given up', async () => {
    expect((await cli('stores', 'replay')).stdout).toBe('0 events were dealt with once more\n');
    await inDatabase(`UPDATE store_events SET status = 'failed', next_try_at = NULL, attempts = 6`);
    expect(await cli('stores', 'replay')).toMatchObject({ code: 0, stdout: '1 events were dealt with once more\n' });
    expect(await inDatabase('SELECT status, attempts FROM store_events')).toEqual([{ status: 'done', attempts: 1 }]);
    expect(await cli('stores', 'replay', '1')).toMatchObject({
      code: 0,
      stdout: '1 events were dealt with once more\n',
    });
  });
});

describe('cli enforce-access', () => {
  /** Users whose time was over a minute ago. */
  const over = (count: number): Promise<unknown> =>
    inDatabase(`
      WITH made AS (
        INSERT INTO users (email, status, created_at)
        SELECT 'over-' || gen_random_uuid() || '@example.com', 'active', now() FROM generate_series(1, ${count}) RETURNING id),
      tariff AS (INSERT INTO tariffs (name, price, created_at) VALUES (gen_random_uuid()::text, 1, now()) RETURNING id)
      INSERT INTO user_tariffs (user_id, tariff_id, started_at, ended_at, access_until, state, source)
      SELECT made.id, tariff.id, now() - interval '1 day', now() - interval '1 minute', now() - interval '1 minute', 'active', 'admin'
      FROM made, tariff`);

  it('ends what is over, and says when it does not understand', async () => {
    expect(await cli('enforce-access', '--frce')).toMatchObject({ code: 2 });
    expect(await cli('enforce-access')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^0 subscriptions ended/),
    });
    await over(2);
    expect(await cli('enforce-access')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^2 subscriptions ended/),
    });
  });

  it('holds back what is too much, fails, and ends it by force', async () => {
    await over(21);
    expect(await cli('enforce-access')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^0 subscriptions ended/),
      stderr: expect.stringContaining('21 are over and were left, because that is too many: --force ends them'),
    });
    expect(await cli('enforce-access', '--force')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^21 subscriptions ended/),
    });
  });

  it('fails while a server cannot be told, and goes on to find what is left', async () => {
    const user = await call(base, 'POST', '/auth/register', {
      body: { email: 'ann@example.com', password: 'correct horse battery' },
    });
    await over(1);
    await inDatabase(`
      UPDATE user_tariffs SET user_id = ${user.id} WHERE id = (SELECT max(id) FROM user_tariffs);
      INSERT INTO vpn_peers (user_id, server_id, wg_public_key, wg_ip, allowed_ips, status, applied_gen, created_at)
      VALUES (${user.id}, 1, 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=', '10.8.0.77', '0.0.0.0/0', 'active', 1, now())`);
    // There is no such interface here, so nobody can be told.
    const applying = { WG_APPLY_ENABLED: '1', WG_INTERFACE: 'vpn-none' };
    expect((await cliWith(applying, 'servers', 'accept-settings')).code).toBe(0);
    expect(await cliWith(applying, 'enforce-access')).toMatchObject({
      code: 1,
      stdout: '1 subscriptions ended\n1 devices of 1 users were suspended\n0 devices of 0 users were let in again\n',
      stderr: expect.stringContaining('1 are left'),
    });
    expect((await cliWith(applying, 'enforce-access')).code).toBe(1); // found again from the row
    expect((await cli('servers', 'accept-settings')).code).toBe(0);
    expect((await cli('enforce-access')).code).toBe(0); // a server that is not ours to tell
  });

  it('fails when it did nothing, because another instance holds the lease (F2)', async () => {
    await inDatabase(`
      INSERT INTO leases VALUES ('enforce-access', 'somebody', 1, clock_timestamp(), clock_timestamp() + interval '1 minute')
      ON CONFLICT (name) DO UPDATE SET holder = 'somebody', expires_at = excluded.expires_at`);
    const met = await cli('enforce-access');
    await inDatabase(`UPDATE leases SET expires_at = clock_timestamp() WHERE holder = 'somebody'`);
    expect(met).toMatchObject({ code: 1, stderr: expect.stringContaining('Nothing was done: another instance') });
    expect((await cli('enforce-access')).code).toBe(0);
  });
});

describe('cli doctor', () => {
  it('is well while jobs do their work, and ends with 1 when one has not for too long (B3)', async () => {
    const found = await cli('doctor');
    expect(found).toMatchObject({ code: 0, stderr: '' });
    for (const about of ['settings', 'database', 'job enforce-access', 'server default'])
      expect(found.stdout).toMatch(new RegExp(`^ok\t${about}\t`, 'm'));
    await inDatabase(
      `UPDATE job_runs SET succeeded_at = succeeded_at - interval '11 minutes', known_since = known_since - interval '1 hour'`,
    );
    const late = await cli('doctor');
    expect(late).toMatchObject({ code: 1, stderr: expect.stringContaining('problem') });
    expect(late.stdout).toMatch(/^problem\tjob enforce-access\tdone 6\d\d s ago.*too long$/m);
    expect(await cli('doctor', '--force')).toMatchObject({ code: 2 });
  });
});
