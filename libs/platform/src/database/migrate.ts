import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { MIGRATIONS } from '#migrations';

/** Two numbers that name the migration lock among PostgreSQL's advisory locks; ours alone, so any constant will do. */
const LOCK = [0x76706e, 1] as const;
const LOCK_POLL_MS = 200;

/**
 * Brings the schema up to date and returns the names of the migrations that ran, none when it was.
 *
 * Any number of instances may call it together: one migrates, the others wait. The lock is tried in a loop on a connection of
 * its own, since a waiter inside `pg_advisory_lock` would be chosen as the victim of a deadlock with CREATE INDEX CONCURRENTLY,
 * and lock_timeout would end its wait (measured).
 */
export async function migrate(url: string): Promise<readonly string[]> {
  const lock = new Client({ connectionString: url, statement_timeout: 0, application_name: 'vpn-backend migrate' });
  await lock.connect();
  try {
    while (!(await tryLock(lock))) await delay(LOCK_POLL_MS);
    return await runMigrations(url);
  } finally {
    await lock.end(); // ending the session gives the lock back
  }
}

async function tryLock(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1, $2) AS locked', [...LOCK]);
  return rows[0]?.locked === true;
}

async function runMigrations(url: string): Promise<readonly string[]> {
  const dataSource = await new DataSource({
    type: 'postgres',
    url,
    migrations: [...MIGRATIONS],
    migrationsTransactionMode: 'each',
    applicationName: 'vpn-backend migrate',
    logger: 'debug', // a failure is thrown, and reported once, by whoever asked for the migration
  }).initialize();
  try {
    return (await dataSource.runMigrations()).map((migration) => migration.name);
  } finally {
    await dataSource.destroy();
  }
}
