import { afterAll } from '@jest/globals';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const running = new Set<PgBouncer>();

afterAll(async () => {
  for (const pooler of running) await pooler.stop();
});

/** Whether the real one is on this machine. */
export const hasPgBouncer = spawnSync('pgbouncer', ['--version']).status === 0;

/** The real PgBouncer, in transaction mode, before a PostgreSQL. */
export class PgBouncer {
  private constructor(
    private readonly child: ChildProcess,
    private readonly directory: string,
    readonly url: string,
  ) {}

  /** `more` are further lines of its section [pgbouncer]. */
  static async before(target: string, more: readonly string[] = []): Promise<PgBouncer> {
    const { hostname, port, username, password, pathname } = new URL(target);
    const directory = await mkdtemp(join(tmpdir(), 'vpn-pgbouncer-'));
    const ownPort = await freePort();
    const lines = [
      '[databases]',
      `vpn = host=${hostname} port=${port || '5432'} dbname=${pathname.slice(1)} user=${username} password=${password}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${ownPort}`,
      'unix_socket_dir =',
      'auth_type = any',
      'pool_mode = transaction',
      'server_login_retry = 1',
      ...more,
    ];
    await writeFile(join(directory, 'pgbouncer.ini'), `${lines.join('\n')}\n`);
    await chmod(directory, 0o755); // it refuses to run as root, and reads this as nobody
    const runner = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const child = spawn('pgbouncer', ['-q', join(directory, 'pgbouncer.ini')], { ...runner, stdio: 'ignore' });
    const pooler = new PgBouncer(child, directory, `postgresql://${username}:any@127.0.0.1:${ownPort}/vpn`);
    running.add(pooler);
    return pooler;
  }

  async stop(): Promise<void> {
    if (!running.delete(this)) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
    await rm(this.directory, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
