import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { createEmptyDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { until } from '../../../../test/support/until.js';
import {
  isConnectionLost,
  isDatabaseUnavailable,
  isOutcomeUnknown,
  isStalePlan,
  unavailableStates,
} from './database-faults.js';
import { GuardedPool, poolOf, withStatementLimit } from './guarded-pool.js';
import { PreparedQueries } from './prepared-queries.js';
import { UnitOfWork } from './unit-of-work.js';
import { WriteSlots } from './write-slots.js';

let database: TestDatabase;
let proxy: TcpProxy;
let dataSource: DataSource;
let uow: UnitOfWork;
/** A way past the proxy. */
let aside: pg.Client;

beforeAll(async () => {
  database = await createEmptyDatabase();
  aside = new pg.Client({ connectionString: database.url });
  await aside.connect();
  await aside.query('CREATE TABLE notes (text varchar PRIMARY KEY)');
  const url = new URL(database.url);
  proxy = await TcpProxy.to(url.hostname, Number(url.port || 5432));
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  const driver = { ...pg, Pool: GuardedPool };
  const options = { type: 'postgres' as const, url: url.href, poolSize: 4, driver, applicationName: 'guarded' };
  dataSource = await new DataSource({ ...options, extra: { connectionTimeoutMillis: 5000 } }).initialize();
  uow = new UnitOfWork(dataSource);
});
afterAll(async () => {
  await dataSource.destroy();
  await aside.end();
  proxy.close();
  await database.drop();
});
beforeEach(() => aside.query('DELETE FROM notes'));

const write = (text: string): Promise<unknown> => uow.manager.query('INSERT INTO notes VALUES ($1)', [text]);
const read = (): Promise<unknown> => uow.manager.query('SELECT text FROM notes');
const isThere = async (text: string): Promise<boolean> =>
  (await aside.query('SELECT 1 FROM notes WHERE text = $1', [text])).rowCount === 1;
const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

/** Ways for a connection to end. */
const ENDS: Readonly<Record<string, () => Promise<void>>> = {
  'cut on its way': () => {
    proxy.cut();
    proxy.mend();
    return Promise.resolve();
  },
  'ended by the server': async () => {
    await aside.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'guarded'`);
  },
};
/** How long the driver has to notice, before the next statement. */
const DELAYS: Readonly<Record<string, () => Promise<unknown>>> = {
  'noticed later': () => Promise.resolve(),
  'noticed before': () => until(() => Promise.resolve(poolOf(dataSource).totalCount === 0 ? true : undefined)),
};

describe('a connection that ends', () => {
  const points = ['before the first statement', 'between two statements', 'before the commit'] as const;
  const cases = points.flatMap((point) =>
    Object.keys(ENDS).flatMap((way) => Object.keys(DELAYS).map((notice) => [point, way, notice] as const)),
  );
  it.each(cases)('%s, %s, %s: is no fault of ours, nothing is kept, and the next request works (B7)', async (...at) => {
    const [point, way, notice] = at;
    const cutAt = async (here: (typeof points)[number]): Promise<void> => {
      if (here !== point) return;
      await ENDS[way]!();
      await DELAYS[notice]!();
    };
    const failure = await failureOf(
      uow.run(async () => {
        await cutAt('before the first statement');
        await write('one');
        await cutAt('between two statements');
        await write('two');
        await cutAt('before the commit');
      }),
    );
    expect([isDatabaseUnavailable(failure), isOutcomeUnknown(failure)]).toContain(true);
    if (point !== 'before the commit') expect(isOutcomeUnknown(failure)).toBe(false);
    expect([await isThere('one'), await isThere('two')]).toEqual([false, false]);
    await uow.run(() => write('next'));
    expect(await isThere('next')).toBe(true);
  });

  /** Whether the server is in the middle of a sleep of ours. */
  const sleeping = async (expected: boolean): Promise<true> =>
    until(async () => {
      const { rowCount } = await aside.query(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'guarded' AND wait_event = 'PgSleep'",
      );
      return (rowCount ?? 0) > 0 === expected ? true : undefined;
    }, 20);

  it('while a statement runs: is no fault of ours (B7)', async () => {
    for (const way of Object.values(ENDS)) {
      const failing = failureOf(uow.run(() => uow.manager.query('SELECT pg_sleep(20)')));
      await sleeping(true);
      await way();
      const failure = await failing;
      expect([isDatabaseUnavailable(failure), isOutcomeUnknown(failure)]).toEqual([true, false]);
      await ENDS['ended by the server']!();
      await sleeping(false);
    }
    expect(await read()).toEqual([]);
  });

  it('while a commit, or a write that commits by itself, waits for its answer: the outcome is unknown (B6)', async () => {
    await aside.query(`
      CREATE TABLE slow (id integer);
      CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION dawdle()`);
    const insert = (): Promise<unknown> => uow.manager.query('INSERT INTO slow VALUES (1)');
    for (const work of [() => uow.run(insert), insert]) {
      const failing = failureOf(work());
      await sleeping(true);
      await ENDS['cut on its way']!();
      expect(isOutcomeUnknown(await failing)).toBe(true);
      await ENDS['ended by the server']!();
      await sleeping(false);
    }
    expect(await read()).toEqual([]);
  });

  it('while a commit is late and its caller answered ends nothing but itself (B5, B8)', async () => {
    const insert = (): Promise<unknown> => uow.manager.query('INSERT INTO slow VALUES (1)');
    expect(isOutcomeUnknown(await failureOf(withStatementLimit(1, insert)))).toBe(true);
    const pool = poolOf(dataSource);
    expect(pool instanceof GuardedPool && pool.waitingCommits).toBe(1);
    expect(await Promise.all([read(), read(), read()])).toEqual([[], [], []]);
    await ENDS['ended by the server']!();
    await until(() => Promise.resolve(pool instanceof GuardedPool && pool.waitingCommits === 0 ? true : undefined));
    // The idle ones were ended too, and the pool may not have heard of it yet.
    await until(async () => ((await failureOf(uow.run(() => write('next')))) === undefined ? true : undefined));
    expect(await isThere('next')).toBe(true);
  });

  it('without a word has its statement answered in bounded time, and all others made anew (B1)', async () => {
    await Promise.all([read(), read(), read()]);
    proxy.swallow();
    const failure = await failureOf(withStatementLimit(100, read));
    expect([isDatabaseUnavailable(failure), isOutcomeUnknown(failure)]).toEqual([true, false]);
    expect(await Promise.all([read(), read(), read(), read()])).toEqual([[], [], [], []]);
  });

  it('without a word inside a transaction takes the transaction with it (B1)', async () => {
    const failure = await failureOf(
      withStatementLimit(100, () =>
        uow.run(async () => {
          await write('one');
          proxy.swallow();
          await write('two');
        }),
      ),
    );
    expect([isDatabaseUnavailable(failure), isOutcomeUnknown(failure)]).toEqual([true, false]);
    await ENDS['ended by the server']!();
    await uow.run(() => write('next'));
    expect([await isThere('one'), await isThere('next')]).toEqual([false, true]);
  });
});

describe('a connection to a server that takes no writes', () => {
  it('is thrown away, and so is every other of its time (B2)', async () => {
    const name = new URL(database.url).pathname.slice(1);
    await aside.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    await ENDS['ended by the server']!();
    await Promise.allSettled([read(), read(), read()]); // none still connects when the next ones are judged
    const failures = [await failureOf(uow.run(() => write('one'))), await failureOf(write('one'))];
    expect(failures.map(isDatabaseUnavailable)).toEqual([true, true]);
    await aside.query('SET default_transaction_read_only = off');
    await aside.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
    const again = [await failureOf(uow.run(() => write('one'))), await failureOf(write('two'))];
    expect(again).toEqual([undefined, undefined]);
  });
});

describe('a named statement', () => {
  it('is planned anew after a migration changed what it answers (F7)', async () => {
    await aside.query('CREATE TABLE changing (id integer); INSERT INTO changing VALUES (1)');
    const queries = new PreparedQueries(dataSource);
    const everything = { name: 'changing', text: 'SELECT * FROM changing' };
    await Promise.all([1, 2, 3].map(() => queries.rows(everything, [])));
    await aside.query('ALTER TABLE changing ADD COLUMN more integer DEFAULT 7');
    const rows = await Promise.all([1, 2, 3, 4].map(() => queries.rows(everything, [])));
    expect(rows).toEqual([1, 2, 3, 4].map(() => [{ id: 1, more: 7 }]));
  });
});

describe('the table of faults', () => {
  const stateError = (code: string): Error => Object.assign(new Error('x'), { code });

  it('knows every state in which the database cannot answer now (B2, B7)', () => {
    const members = [
      ...['08000', '08001', '08003', '08004', '08006', '08007', '08P01', '53000', '53100', '53200', '53300', '53400'],
      ...['57P01', '57P02', '57P03', '57P04', '57P05', '57014', '25006', '25P02', '25P03', '25P04', '55P03'],
      ...['40001', '40003', '40P01', '28000', '28P01', '3D000', '58030', '58P01'],
      ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENETUNREACH', 'ENOTFOUND', 'SELF_SIGNED_CERT_IN_CHAIN'],
    ];
    expect(members.filter((code) => !isDatabaseUnavailable(stateError(code)))).toEqual([]);
    const ours = ['42601', '42P01', '23505', '22P02', '0A000', 'XX000', '25000', 'ENOENT', '08', '5', ''];
    expect(ours.filter((code) => isDatabaseUnavailable(stateError(code)))).toEqual([]);
    expect(Object.values(unavailableStates).every((text) => text.length > 0)).toBe(true);
    expect(isStalePlan(stateError('0A000'))).toBe(false);
    expect(isConnectionLost(stateError('40001'))).toBe(false);
  });
});

describe('the right to write', () => {
  it('is given in order, and refused to who waited long enough (B5)', async () => {
    const slots = new WriteSlots(1);
    const first = await slots.acquire(1000);
    await expect(slots.acquire(10)).rejects.toMatchObject({ name: 'WritesBusyError' });
    const second = slots.acquire(10_000);
    first.release();
    first.release();
    const last = await second;
    const held = slots.acquireWhileMoving(10_000, 10_000);
    last.release();
    await expect(slots.acquireWhileMoving(0, 10_000)).rejects.toMatchObject({ name: 'WritesBusyError' });
    (await held).release();
    expect(slots.taken).toBe(0);
  });

  it('is waited for as long as others are given it, however many those are (B5)', async () => {
    const slots = new WriteSlots(1);
    let current = await slots.acquire(1000);
    const before = Array.from({ length: 6 }, () => slots.acquire(20_000));
    const last = slots.acquireWhileMoving(400, 20_000);
    for (const next of before) {
      await delay(100); // together longer than it may stand still
      current.release();
      current = await next;
    }
    current.release();
    (await last).release();
    expect(slots.taken).toBe(0);
  });
});
