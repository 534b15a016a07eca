import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Settings } from '../config/settings.js';
import { isDatabaseUnavailable } from './database-faults.js';
import { acquireEmbeddedPostgres } from './embedded-postgres.js';
import { migrate } from './migrate.js';

/** A database that is reachable and migrated. */
export interface OpenDatabase {
  readonly url: string;
  /** For a person: which database it is, without its password. */
  readonly description: string;
  /** The migrations that this start applied. */
  readonly migrated: readonly string[];
  close(): Promise<void>;
}

/** How long a server that does not answer yet is waited for, in milliseconds: it may be starting beside us. */
const WAIT_MS = 30_000;
const POLL_MS = 500;

/** Opens the database of the settings, or the embedded one in development, and brings it up to date. */
export async function openDatabase(settings: Settings): Promise<OpenDatabase> {
  const { url } = settings.database;
  if (url !== undefined) {
    const { host, pathname } = new URL(url);
    const migrated = await migrateWhenReachable(url);
    return { url, description: `PostgreSQL at ${host}${pathname}`, migrated, close: () => Promise.resolve() };
  }
  const directory = join(settings.dataDirectory, 'postgres');
  const embedded = await acquireEmbeddedPostgres({ directory, database: 'vpn', durable: true });
  return {
    url: embedded.url,
    description: `embedded PostgreSQL, kept in ${embedded.directory}`,
    migrated: await migrate(embedded.url),
    close: () => embedded.release(),
  };
}

async function migrateWhenReachable(url: string): Promise<readonly string[]> {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    try {
      return await migrate(url);
    } catch (error) {
      if (!isDatabaseUnavailable(error) || Date.now() > deadline) throw error;
      await delay(POLL_MS);
    }
  }
}
