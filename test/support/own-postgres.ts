import { afterAll } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readFile, readlink, rm, mkdtemp, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { codeOf } from '#kernel';
import { acquireEmbeddedPostgres, type EmbeddedPostgres } from '#platform';
import { until } from './until.js';

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

  private async postmaster(): Promise<number> {
    const [pid] = (await readFile(join(this.server.directory, 'cluster', 'postmaster.pid'), 'utf8')).split('\n');
    return Number(pid);
  }

  /** Changes a setting of the cluster; null is its default. */
  async set(name: string, value: string | null): Promise<void> {
    await this.query(value === null ? `ALTER SYSTEM RESET ${name}` : `ALTER SYSTEM SET ${name} = '${value}'`);
    await this.query('SELECT pg_reload_conf()');
  }

  /** Has every process of the cluster stand still, as when its machine does. */
  async freeze(): Promise<void> {
    const parent = await this.postmaster();
    signal(parent, 'SIGSTOP');
    this.frozen = [parent, ...(await childrenOf(parent))];
    for (const pid of this.frozen) signal(pid, 'SIGSTOP');
  }

  thaw(): void {
    for (const pid of this.frozen) signal(pid, 'SIGCONT');
    this.frozen = [];
  }

  /** Ends it as a power cut does, and starts it again with the same words. */
  async restart(): Promise<void> {
    const parent = await this.postmaster();
    const [program, words] = [await readlink(`/proc/${parent}/exe`), await readFile(`/proc/${parent}/cmdline`, 'utf8')];
    const { uid, gid } = await stat(`/proc/${parent}`);
    process.kill(parent, 'SIGQUIT');
    await until(() => Promise.resolve(isAlive(parent) ? undefined : true), 30);
    const again = { uid, gid, cwd: '/', detached: true, stdio: 'ignore' } as const;
    spawn(program, words.split('\0').slice(1, -1), again).unref();
    await until(() => this.query('SELECT 1').catch(() => undefined), 60);
  }

  async stop(): Promise<void> {
    if (!running.delete(this)) return;
    this.thaw();
    await this.server.release();
    await rm(this.server.directory, { recursive: true, force: true });
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** A process of the cluster's that has ended meanwhile needs none. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
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
