import { DataSource, MigrationExecutor, type QueryRunner } from 'typeorm';
import { MIGRATIONS } from '#migrations';
import { codeOf, isError } from '#kernel';
import { Patience } from './patience.js';

/** Two numbers that name the migration lock among PostgreSQL's advisory locks; ours alone, so any constant will do. */
const LOCK = [0x76706e, 1] as const;
const LOCK_POLL_MS = 200;
/** How long a migration may wait for a table, in milliseconds: whatever asks for that table next waits behind it. */
const TABLE_WAIT_MS = 1000;
const TABLE_PAUSE_MS = 2000;

export interface MigrateOptions {
  /** Told, in a sentence, what is waited for. */
  readonly tell?: ((sentence: string) => void) | undefined;
  /** How long the lock, and the tables, are waited for at most, in milliseconds. */
  readonly waitMs?: number;
}

/** As long as the migration of another instance, or a dump of a large database, may well take. */
const LONGEST_WAIT_MS = 600_000;

/**
 * Brings the schema up to date and returns the names of the migrations that ran, none when it was.
 *
 * Any number of instances may call it together: one migrates, the others wait. The session that migrates is the one that holds the
 * lock, so that nobody migrates without it: whatever ends one ends the other. The lock is tried in a loop, since a waiter inside
 * `pg_advisory_lock` would be chosen as the victim of a deadlock with CREATE INDEX CONCURRENTLY, and lock_timeout would end its
 * wait (measured).
 */
export async function migrate(url: string, options: MigrateOptions = {}): Promise<readonly string[]> {
  const { tell, waitMs = LONGEST_WAIT_MS } = options;
  const dataSource = await new DataSource({
    type: 'postgres',
    url,
    poolSize: 1,
    migrations: [...MIGRATIONS],
    applicationName: 'vpn-backend migrate',
    logger: 'debug', // a failure is thrown, and reported once, by whoever asked for the migration
    poolErrorHandler: () => undefined, // what ends the session fails its next statement
    extra: { connectionTimeoutMillis: 10_000, keepAlive: true, keepAliveInitialDelayMillis: 10_000 },
  }).initialize();
  const session = dataSource.createQueryRunner();
  try {
    await session.connect();
    // Limits of the role are meant for requests.
    for (const name of ['statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout']) {
      await session.query(`SET ${name} = 0`);
    }
    await session.query(`SET lock_timeout = ${TABLE_WAIT_MS}`);
    const turn = new Patience({ limitMs: waitMs, tell });
    while (!(await tryLock(session))) await turn.wait('the migration of another instance', LOCK_POLL_MS);
    return await runMigrations(dataSource, session, new Patience({ limitMs: waitMs, tell }));
  } finally {
    await session.release();
    await dataSource.destroy(); // ending the session gives the lock back
  }
}

async function tryLock(session: QueryRunner): Promise<boolean> {
  const [row] = (await session.query('SELECT pg_try_advisory_lock($1, $2) AS locked', [...LOCK])) as {
    locked: boolean;
  }[];
  return row?.locked === true;
}

/** Runs what is pending, each in a transaction of its own, and tries one again whose tables are in use. */
async function runMigrations(
  dataSource: DataSource,
  session: QueryRunner,
  patience: Patience,
): Promise<readonly string[]> {
  const done: string[] = [];
  for (;;) {
    const executor = new MigrationExecutor(dataSource, session);
    executor.transaction = 'each';
    const before = new Set((await executor.getExecutedMigrations()).map(({ name }) => name));
    try {
      await executor.executePendingMigrations();
      return [...done, ...(await namesSince(executor, before))];
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      done.push(...(await namesSince(executor, before)));
      await patience.wait(`tables that are in use (${await openTransactions(session)})`, TABLE_PAUSE_MS);
    }
  }
}

async function namesSince(executor: MigrationExecutor, before: ReadonlySet<string>): Promise<readonly string[]> {
  const now = await executor.getExecutedMigrations();
  return now
    .map(({ name }) => name)
    .filter((name) => !before.has(name))
    .reverse();
}

function isLockTimeout(error: unknown): boolean {
  return isError(error) && codeOf('driverError' in error ? error.driverError : error) === '55P03';
}

/** Whose transactions are open for longer than a request's, as an operator finds them in `pg_stat_activity`. */
async function openTransactions(session: QueryRunner): Promise<string> {
  const rows = (await session.query(
    `SELECT pid, coalesce(nullif(application_name, ''), usename, '?') AS name FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - interval '1 second'
      ORDER BY xact_start LIMIT 3`,
  )) as { pid: number; name: string }[];
  return rows.map(({ pid, name }) => `session ${pid}, ${name}`).join('; ') || 'by short transactions';
}
