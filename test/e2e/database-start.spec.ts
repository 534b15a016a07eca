import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { chown, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { openDatabase, StartError } from '#platform';
import { expectOk, TestApi } from '../support/api.js';
import { OwnPostgres } from '../support/own-postgres.js';
import { hasPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import { testSettings } from '../support/settings.js';
import { until } from '../support/until.js';

const run = promisify(execFile);
const TEST_MS = 120_000;

let server: OwnPostgres;

beforeAll(async () => {
  server = await OwnPostgres.start();
}, TEST_MS);
afterAll(() => server.stop(), TEST_MS);

/** How a start with these settings ends that must not succeed. */
async function failureOf(environment: Record<string, string>, waitMs = 10_000): Promise<StartError> {
  const failure: unknown = await openDatabase(testSettings(environment), { waitMs }).catch((error: unknown) => error);
  if (!(failure instanceof StartError)) throw new Error('It should not have started', { cause: failure });
  return failure;
}

describe('a start without its database', () => {
  it('says so at once and again, names the setting and gives up with a sentence (E12)', async () => {
    const said: string[] = [];
    const settings = testSettings({ DATABASE_URL: 'postgresql://vpn:secret@127.0.0.1:1/vpn' });
    const failing = openDatabase(settings, { waitMs: 6000, tell: (sentence) => said.push(sentence) });
    await until(() => Promise.resolve(said.length > 0 ? true : undefined), 2);
    await expect(failing).rejects.toThrow(/^DATABASE_URL: PostgreSQL at 127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED/);
    expect(said.length).toBeGreaterThan(1);
    expect(said.join()).not.toContain('secret');
  });

  it('does not wait for what waiting does not mend (E12)', async () => {
    const wrong = new URL(server.url);
    wrong.password = 'wrong';
    expect((await failureOf({ DATABASE_URL: wrong.href }, 3_600_000)).message).toContain('password');
    const missing = new URL(server.url);
    missing.pathname = '/nothing';
    expect((await failureOf({ DATABASE_URL: missing.href }, 3_600_000)).message).toContain('Create the database');
  });

  it('says what a certificate of a private authority, or none at all, needs (B4)', async () => {
    const encrypted = `${server.url}?sslmode=require`;
    expect((await failureOf({ DATABASE_URL: encrypted }, 3_600_000)).message).toContain('sslmode');
    const [row] = await server.query<{ directory: string }>("SELECT current_setting('data_directory') AS directory");
    const [key, certificate] = ['server.key', 'server.crt'].map((name) => join(row!.directory, name));
    const subject = ['-subj', '/CN=db.internal', '-days', '2'];
    await run('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key!,
      '-out',
      certificate!,
      ...subject,
    ]);
    const { uid, gid } = await stat(row!.directory);
    await chown(key!, uid, gid);
    await chown(certificate!, uid, gid);
    await server.set('ssl', 'on');
    const failure = await failureOf({ DATABASE_URL: encrypted }, 3_600_000);
    expect(failure.message).toMatch(
      /^DATABASE_URL: .*self-signed certificate.*sslmode=require.*sslrootcert=.*sslmode=no-verify/,
    );
    const opened = await openDatabase(testSettings({ DATABASE_URL: `${server.url}?sslmode=no-verify` }));
    await opened.close();
    await server.set('ssl', null);
  });
});

describe('instances that start together', () => {
  it(
    'wait their turn, say what for, and all come up (A3)',
    async () => {
      await (await openDatabase(testSettings({ DATABASE_URL: server.url }))).close();
      const blocker = new Client({ connectionString: server.url });
      await blocker.connect();
      await blocker.query("SELECT pg_advisory_lock(hashtext('first server'))");
      const logs: string[][] = [[], [], []];
      const starting = logs.map((logLines) => TestApi.start({ databaseUrl: () => server.url, logLines }));
      const isSaid = (lines: string[]): boolean =>
        lines.some((line) => line.includes('Waiting for another instance that writes the server of the WG_* settings'));
      await until(() => Promise.resolve(logs.every(isSaid) ? true : undefined), 60);
      await blocker.query("SELECT pg_advisory_unlock(hashtext('first server'))");
      for (const api of await Promise.all(starting)) {
        expect((await api.get('/health/ready')).status).toBe(200);
        await api.stop();
      }
      await blocker.end();
    },
    TEST_MS,
  );
});

const whereThere = hasPgBouncer ? describe : describe.skip;
if (!hasPgBouncer) console.log('PgBouncer is not installed: what is said of it is not tried here.');

whereThere('behind PgBouncer in transaction mode', () => {
  it(
    'a start says what is missing, one after the other, and then all works with its limits (B3)',
    async () => {
      const pooler = await PgBouncer.before(server.url);
      const start = { DATABASE_URL: pooler.url };
      expect((await failureOf(start)).message).toContain(`ALTER ROLE "postgres" SET statement_timeout = '5s'`);
      for (const [name, value] of [
        ['statement_timeout', '5s'],
        ['lock_timeout', '2s'],
        ['idle_in_transaction_session_timeout', '10s'],
      ] as const) {
        await server.query(`ALTER ROLE postgres SET ${name} = '${value}'`);
      }
      await pooler.stop();
      const again = await PgBouncer.before(server.url);
      expect((await failureOf({ DATABASE_URL: again.url })).message).toContain('DATABASE_DIRECT_URL');
      expect((await failureOf({ DATABASE_URL: again.url, DATABASE_DIRECT_URL: again.url })).message).toContain(
        'pooler too',
      );

      const opened = await openDatabase(testSettings({ DATABASE_URL: again.url, DATABASE_DIRECT_URL: server.url }));
      expect(opened).toMatchObject({ isPooled: true, url: again.url });
      const api = await TestApi.start({ databaseUrl: () => again.url, databaseIsPooled: true });
      const [limit] = await api.app.get(DataSource).query<{ statement_timeout: string }[]>('SHOW statement_timeout');
      expect(limit).toEqual({ statement_timeout: '5s' });
      const user = await api.user();
      const answers = await Promise.all(Array.from({ length: 30 }, () => api.get('/auth/me', user.token)));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      expectOk(await api.post('/payments/', { amount: 1 }, user.token));
      expect((await api.get('/health/ready')).status).toBe(200);
      await api.stop();
      await again.stop();
    },
    TEST_MS,
  );
});
