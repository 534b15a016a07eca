import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { until } from '../../../../test/support/until.js';
import { CONSTRAINTS, refusing } from './constraints.js';
import { isDatabaseUnavailable } from './database-faults.js';
import { inBatches } from './in-batches.js';
import { migrate } from './migrate.js';
import { UnitOfWork } from './unit-of-work.js';

describe('migrations', () => {
  it('run once when three instances start together, and none of them fails', async () => {
    const database = await createEmptyDatabase();
    const ran = await Promise.all([1, 2, 3].map(() => migrate(database.url)));
    expect(ran.filter((names) => names.length > 0)).toHaveLength(1);
    expect(await migrate(database.url)).toEqual([]);
    await database.drop();
  });

  /** Has something of a migration be in use, by a transaction that stays open. */
  const occupy = async (url: string): Promise<Client> => {
    const blocker = new Client({ connectionString: url });
    await blocker.connect();
    await blocker.query('BEGIN; CREATE TABLE vpn_peers (id integer)');
    return blocker;
  };
  const migrating =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vpn-backend migrate' AND datname = current_database()";

  it('wait for what is in use in short tries, say what they wait for, and go on (F7)', async () => {
    const database = await createEmptyDatabase();
    const blocker = await occupy(database.url);
    const said: string[] = [];
    const working = migrate(database.url, { tell: (sentence) => said.push(sentence) });
    await until(() => Promise.resolve(said.length > 0 ? true : undefined), 25);
    expect(said[0]).toMatch(/^Waiting for tables that are in use \(session \d+, .+\), for \d+ s now$/);
    await blocker.query('ROLLBACK');
    expect(await working).not.toEqual([]);
    await blocker.end();
    await database.drop();
  });

  it('give up after their limit, and leave nothing (F7)', async () => {
    const database = await createEmptyDatabase();
    const blocker = await occupy(database.url);
    await expect(migrate(database.url, { waitMs: 100 })).rejects.toThrow('gave up');
    await blocker.query('ROLLBACK');
    expect(await migrate(database.url)).not.toEqual([]);
    await blocker.end();
    await database.drop();
  });

  it('stop when the session of their lock ends, with an error that is caught, and the next start goes on (B8)', async () => {
    const database = await createEmptyDatabase();
    const blocker = await occupy(database.url);
    const [first, second] = [migrate(database.url), migrate(database.url)].map((work) =>
      work.then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    const watch = new Client({ connectionString: database.url });
    await watch.connect();
    await until(async () => {
      const { rowCount } = await watch.query(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'vpn-backend migrate' AND wait_event_type = 'Lock' AND datname = current_database()",
      );
      return rowCount === 1 ? true : undefined;
    }, 20);
    await watch.query(migrating);
    expect([await first, await second].map(isDatabaseUnavailable)).toEqual([true, true]);
    await blocker.query('ROLLBACK');
    const ran = await Promise.all([migrate(database.url), migrate(database.url)]);
    expect(ran.filter((names) => names.length > 0)).toHaveLength(1);
    await Promise.all([blocker.end(), watch.end()]);
    await database.drop();
  });

  it('are all of them applied, or none, when one is cut off in the middle', async () => {
    const database = await createEmptyDatabase();
    const blocker = new Client({ connectionString: database.url });
    await blocker.connect();
    await blocker.query('CREATE TABLE vpn_peers (id integer)'); // makes the first migration fail near its end
    await expect(migrate(database.url)).rejects.toThrow('already exists');
    const { rows } = await blocker.query("SELECT to_regclass('users') AS users");
    expect(rows[0]).toEqual({ users: null });
    await blocker.query('DROP TABLE vpn_peers');
    await blocker.end();
    expect(await migrate(database.url)).not.toEqual([]);
    await database.drop();
  });

  it('stay what they were when they were released', () => {
    const frozen = JSON.parse(readFileSync('migrations/frozen.json', 'utf8')) as Record<string, string>;
    const files = readdirSync('migrations').filter((name) => name.endsWith('.migration.ts'));
    const now = files.map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(`migrations/${name}`))
        .digest('hex'),
    ]);
    expect(Object.fromEntries(now)).toEqual(frozen);
  });
});

describe('the unit of work', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let uow: UnitOfWork;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource({ type: 'postgres', url: database.url, poolSize: 4 }).initialize();
    uow = new UnitOfWork(dataSource);
    await dataSource.query('CREATE TABLE notes (text varchar PRIMARY KEY)');
  });
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const write = (text: string): Promise<unknown> => uow.manager.query('INSERT INTO notes VALUES ($1)', [text]);
  const notes = async (): Promise<string[]> =>
    (await dataSource.query<{ text: string }[]>('SELECT text FROM notes ORDER BY text')).map(({ text }) => text);

  it('keeps everything or nothing, nested pieces included', async () => {
    const failing = uow.run(async () => {
      await write('outer');
      await uow.run(() => write('inner'));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await notes()).toEqual([]);
    await uow.run(async () => {
      await write('outer');
      await uow.run(() => write('inner'));
    });
    expect(await notes()).toEqual(['inner', 'outer']);
  });

  it('keeps what was written outside of it even if it fails itself', async () => {
    const failing = uow.run(async () => {
      await uow.outside(() => write('audit'));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await notes()).toContain('audit');
  });

  it('calls what waits for the commit after it, and not at all when there is none', async () => {
    const order: string[] = [];
    await uow.run(async () => {
      uow.afterCommit(() => order.push('after'));
      await write('committed');
      order.push('inside');
    });
    await expect(
      uow.run(() => {
        uow.afterCommit(() => order.push('never'));
        return Promise.reject(new Error('no'));
      }),
    ).rejects.toThrow('no');
    expect(order).toEqual(['inside', 'after']);
  });

  it('refuses a wire inside a transaction, and a row lock outside of one', async () => {
    expect(() => uow.assertClosed()).not.toThrow();
    expect(() => uow.assertOpen()).toThrow('outside a transaction');
    await uow.run(() => {
      expect(() => uow.assertClosed()).toThrow('inside a transaction');
      expect(() => uow.assertOpen()).not.toThrow();
      return Promise.resolve();
    });
  });

  it('looks again when what a row refers to was removed meanwhile, once (A1)', async () => {
    await dataSource.query('CREATE TABLE remarks (note varchar CONSTRAINT remarks_note_fkey REFERENCES notes)');
    await write('noted');
    let looked = 0;
    const remark = (): Promise<unknown> =>
      uow.run(async () => {
        looked += 1;
        const rows: unknown[] = await uow.manager.query("SELECT 1 FROM notes WHERE text = 'noted'");
        if (rows.length === 0) return 'gone';
        if (looked === 1) await uow.outside(() => uow.manager.query("DELETE FROM notes WHERE text = 'noted'"));
        return uow.manager.query("INSERT INTO remarks VALUES ('noted')");
      });
    expect([await remark(), looked]).toEqual(['gone', 2]);
    await expect(uow.run(() => uow.manager.query("INSERT INTO remarks VALUES ('never')"))).rejects.toThrow(
      'foreign key',
    );
  });

  it('turns the violation of a constraint into its refusal, and leaves others as they are', async () => {
    await dataSource.query("INSERT INTO tariffs (name, price, duration_days, created_at) VALUES ('One', 1, 30, now())");
    const again = (): Promise<unknown> =>
      uow.manager.query("INSERT INTO tariffs (name, price, duration_days, created_at) VALUES ('One', 1, 30, now())");
    await expect(refusing(again)).rejects.toMatchObject({ code: 'tariff_already_exists' });
    await write('twice');
    await expect(refusing(() => write('twice'))).rejects.toThrow('duplicate key');
  });

  it('deletes what has piled up some rows at a time, down to the last (F10)', async () => {
    let left = 25;
    const sizes: number[] = [];
    const deleted = await inBatches((limit) => {
      const some = Math.min(limit, left);
      left -= some;
      sizes.push(some);
      return Promise.resolve(some);
    }, 10);
    expect([deleted, sizes]).toEqual([25, [10, 10, 5]]);
  });

  it('knows what each constraint of the schema means (A1)', async () => {
    const rows = await dataSource.query<{ name: string; isKey: boolean }[]>(
      `SELECT conname AS name, contype = 'f' AS "isKey" FROM pg_constraint c JOIN pg_class t ON t.oid = conrelid
        WHERE connamespace = 'public'::regnamespace AND contype IN ('f', 'u', 'c', 'x') AND relname NOT IN ('notes', 'remarks')
       UNION SELECT indexrelid::regclass::text, false FROM pg_index JOIN pg_class i ON i.oid = indexrelid
        WHERE indisunique AND NOT indisprimary AND i.relnamespace = 'public'::regnamespace`,
    );
    expect(Object.keys(CONSTRAINTS).sort()).toEqual(rows.map(({ name }) => name).sort());
    const wrong = rows.filter(({ name, isKey }) => {
      const meaning = CONSTRAINTS[name];
      return meaning !== 'fault' && meaning !== undefined && 'missing' in meaning !== isKey;
    });
    expect(wrong).toEqual([]);
  });
});

describe('a database that cannot answer', () => {
  it('is told from a statement that is wrong', async () => {
    const nobody = new DataSource({ type: 'postgres', url: 'postgresql://x:y@127.0.0.1:1/none' });
    const refused = await nobody.initialize().catch((error: unknown) => error);
    expect(isDatabaseUnavailable(refused)).toBe(true);
    expect(isDatabaseUnavailable(new Error('Connection terminated unexpectedly'))).toBe(true);
    expect(isDatabaseUnavailable(Object.assign(new Error('x'), { code: '57P01' }))).toBe(true);
    expect(isDatabaseUnavailable(Object.assign(new Error('x'), { code: '42601' }))).toBe(false);
    expect(isDatabaseUnavailable(new TypeError('x'))).toBe(false);
    expect(isDatabaseUnavailable('x')).toBe(false);
  });
});
