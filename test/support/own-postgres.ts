import { afterAll } from '@jest/globals';
import { readFile, rm, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { acquireEmbeddedPostgres, type EmbeddedPostgres } from '#platform';

const running = new Set<OwnPostgres>();

afterAll(async () => {
  for (const server of running) await server.stop();
});

/** A PostgreSQL cluster of a test's own, for what would disturb all others: its settings, or that it stands still. */
export class OwnPostgres {
  private frozen: number[] = [];

  private constructor(
    private readonly server: EmbeddedPostgres,
    private readonly directory: string,
  ) {}

  static async start(): Promise<OwnPostgres> {
    const directory = await mkdtemp(join(tmpdir(), 'vpn-own-postgres-'));
    const own = new OwnPostgres(
      await acquireEmbeddedPostgres({ directory, database: 'vpn_test', durable: true }),
      directory,
    );
    running.add(own);
    return own;
  }

  get url(): string {
    return this.server.url;
  }

  get port(): number {
    return this.server.port;
  }

  async query<Row extends QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: this.url });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** Changes a setting of the cluster; null is its default. */
  async set(name: string, value: string | null): Promise<void> {
    await this.query(value === null ? `ALTER SYSTEM RESET ${name}` : `ALTER SYSTEM SET ${name} = '${value}'`);
    await this.query('SELECT pg_reload_conf()');
  }

  /** Has every process of the cluster stand still, as when its machine does. */
  async freeze(): Promise<void> {
    const [postmaster] = (await readFile(join(this.server.directory, 'cluster', 'postmaster.pid'), 'utf8')).split('\n');
    const parent = Number(postmaster);
    process.kill(parent, 'SIGSTOP');
    this.frozen = [parent, ...(await childrenOf(parent))];
    for (const pid of this.frozen) process.kill(pid, 'SIGSTOP');
  }

  thaw(): void {
    for (const pid of this.frozen) process.kill(pid, 'SIGCONT');
    this.frozen = [];
  }

  async stop(): Promise<void> {
    if (!running.delete(this)) return;
    this.thaw();
    await this.server.release();
    await rm(this.server.directory, { recursive: true, force: true });
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** The fourth field of /proc/<pid>/stat, after the name in brackets, is the parent. */
async function childrenOf(parent: number): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(join('/proc', name, 'stat'), 'utf8').catch(() => '');
    if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent) found.push(Number(name));
  }
  return found;
}
