import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { codeOf, isError } from '#kernel';
import { type Settings } from '../config/settings.js';
import { isDatabaseUnavailable, isRefusedConnection } from './database-faults.js';
import { acquireEmbeddedPostgres } from './embedded-postgres.js';
import { migrate } from './migrate.js';
import { GaveUpWaitingError } from './patience.js';
import { StartError } from './start-error.js';

/** A database that is reachable and migrated. */
export interface OpenDatabase {
  readonly url: string;
  /** Whether a pooler stands between: then nothing may depend on a session. */
  readonly isPooled: boolean;
  /** For a person: which database it is, without its password. */
  readonly description: string;
  /** The migrations that this start applied. */
  readonly migrated: readonly string[];
  close(): Promise<void>;
}

export interface OpenDatabaseOptions {
  /** Told, in a sentence, what is waited for. */
  readonly tell?: (sentence: string) => void;
  /** How long a server that does not answer yet is waited for, in milliseconds: it may be starting beside us. */
  readonly waitMs?: number;
}

const WAIT_MS = 30_000;
const POLL_MS = 500;
/** How often it is said that the server does not answer. */
const WORD_MS = 5000;

/** Opens the database of the settings, or the embedded one in development, and brings it up to date. @throws StartError */
export async function openDatabase(settings: Settings, options: OpenDatabaseOptions = {}): Promise<OpenDatabase> {
  const { url, directUrl } = settings.database;
  if (url !== undefined) return openServer(url, directUrl, options);
  const directory = join(settings.dataDirectory, 'postgres');
  const embedded = await acquireEmbeddedPostgres({ directory, database: 'vpn', durable: true });
  return {
    url: embedded.url,
    isPooled: false,
    description: `embedded PostgreSQL, kept in ${embedded.directory}`,
    migrated: await migrate(embedded.url, { tell: options.tell }),
    close: () => embedded.release(),
  };
}

async function openServer(
  url: string,
  directUrl: string | undefined,
  options: OpenDatabaseOptions,
): Promise<OpenDatabase> {
  const { host, pathname } = new URL(url);
  const session = await whenReachable('DATABASE_URL', url, options, () => askSession(url));
  if (session.isPooled) {
    assertLimits(session);
    if (directUrl === undefined) throw new StartError(POOLED);
    const direct = await whenReachable('DATABASE_DIRECT_URL', directUrl, options, () => askSession(directUrl));
    if (direct.isPooled)
      throw new StartError('DATABASE_DIRECT_URL leads to a pooler too; it must lead to PostgreSQL itself');
  }
  const [name, way] = directUrl === undefined ? ['DATABASE_URL', url] : ['DATABASE_DIRECT_URL', directUrl];
  const migrated = await whenReachable(name, way, options, () => migrate(way, { tell: options.tell }));
  const description = `PostgreSQL at ${host}${pathname}${session.isPooled ? ', behind a pooler' : ''}`;
  return { url, isPooled: session.isPooled, description, migrated, close: () => Promise.resolve() };
}

/** Says at once, and every few seconds, why it waits; gives up with a sentence that names the setting. */
async function whenReachable<T>(
  setting: string,
  url: string,
  { tell, waitMs = WAIT_MS }: OpenDatabaseOptions,
  work: () => Promise<T>,
): Promise<T> {
  const startedAt = performance.now();
  let toldAt = -Infinity;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof GaveUpWaitingError) throw new StartError(error.message, { cause: error });
      if (!isDatabaseUnavailable(error)) throw error;
      const { host } = new URL(url);
      const reason = `${setting}: PostgreSQL at ${host} cannot be used: ${reasonOf(error)}`;
      const waited = performance.now() - startedAt;
      if (isRefusedConnection(error) || waited > waitMs) {
        throw new StartError(`${reason}. ${hintFor(error)}`, { cause: error });
      }
      if (waited - toldAt >= WORD_MS) {
        toldAt = waited;
        tell?.(`${reason}. Trying again for ${Math.ceil((waitMs - waited) / 1000)} s more`);
      }
      await delay(POLL_MS);
    }
  }
}

interface Session {
  readonly isPooled: boolean;
  readonly user: string;
  /** The limits that hold, in milliseconds; 0 is none. */
  readonly limits: Readonly<Record<string, number>>;
}

const LIMIT_NAMES = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];

/** What kind of session a plain connection gets. A pooler gives every client a process number of its own making. */
async function askSession(url: string): Promise<Session> {
  const client = new Client({
    connectionString: url,
    application_name: 'vpn-backend start',
    connectionTimeoutMillis: 5000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ pid: number; user: string }>(
      'SELECT pg_backend_pid() AS pid, current_user AS user',
    );
    const limits = await client.query<{ name: string; setting: string }>(
      'SELECT name, setting FROM pg_settings WHERE name = ANY($1)',
      [LIMIT_NAMES],
    );
    return {
      isPooled: rows[0]?.pid !== client.processID,
      user: rows[0]?.user ?? '',
      limits: Object.fromEntries(limits.rows.map(({ name, setting }) => [name, Number(setting)])),
    };
  } finally {
    await client.end();
  }
}

/** A pooler drops or refuses what a connection asks for at its start, so the role has to bring the limits. */
function assertLimits({ user, limits }: Session): void {
  const missing = LIMIT_NAMES.filter((name) => (limits[name] ?? 0) === 0);
  if (missing.length === 0) return;
  const values: Readonly<Record<string, string>> = { statement_timeout: '5s', lock_timeout: '2s' };
  const statements = missing.map((name) => `ALTER ROLE "${user}" SET ${name} = '${values[name] ?? '10s'}';`);
  throw new StartError(
    `DATABASE_URL leads to a pooler, and there is no ${missing.join(', no ')} for what goes through it. Run: ${statements.join(' ')}` +
      ' Then reconnect the pooler (docs/database.md)',
  );
}

const POOLED =
  'DATABASE_URL leads to a pooler (such as PgBouncer), and migrations need a session of their own: set DATABASE_DIRECT_URL ' +
  'to PostgreSQL itself, past the pooler (docs/database.md)';

function reasonOf(error: unknown): string {
  if (!isError(error)) return String(error);
  const inner = 'errors' in error && Array.isArray(error.errors) ? error.errors.find(isError) : undefined;
  const source = inner ?? ('driverError' in error && isError(error.driverError) ? error.driverError : error);
  return source.message === '' ? (codeOf(source) ?? source.name) : source.message;
}

function hintFor(error: unknown): string {
  const code = isError(error) ? (codeOf(error) ?? '') : '';
  if (code === '28P01' || code === '28000') return 'Check the user and the password in the setting';
  if (code === '3D000') return 'Create the database, or name another one in the setting';
  if (isError(error) && error.message.includes('SSL'))
    return 'Take sslmode out of the setting, or switch TLS on in PostgreSQL';
  if (isRefusedConnection(error)) {
    return (
      'sslmode=require checks the certificate: name the authority that signed it (sslrootcert=/path/ca.pem in the setting, or ' +
      'NODE_EXTRA_CA_CERTS), or encrypt without checking (sslmode=no-verify). docs/database.md'
    );
  }
  return 'Start it, or correct the address';
}
