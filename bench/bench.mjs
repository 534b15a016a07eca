// npm run bench: what a request costs here, and what the same work costs a bare Fastify with pg, measured in the same run on the
// same embedded PostgreSQL. CPU per request is the figure to trust; wall times depend on what else the machine does.
import { fork } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import autocannon from 'autocannon';
import { buildIfNeeded } from '../scripts/build.mjs';

/** Short turns, one after the other, so that both meet the same moods of the machine. */
const TURNS = Number(process.env.BENCH_TURNS ?? 12);
const TURN_SECONDS = 1;
const WARM_SECONDS = 4;
const CONNECTIONS = 32;
/** Limits of the product page: an authenticated read of one row, and a public list. */
const LIMITS = { 'GET /auth/me': 1.7, 'GET /tariffs/': 1.2 };
const MAX_RSS_MB = 250;
/** Clock ticks of /proc/<pid>/stat a second: 100 on every Linux. */
const TICKS_PER_SECOND = 100;

const ENVIRONMENT = {
  NODE_ENV: 'production',
  SECRET_KEY: 'WkBz4mLqT8vXc2Rn6YpJ0sHfUe3GdA7i',
  CONFIG_ENCRYPTION_KEY: '3Rtik7crK3_YE6pfTa8waKgJ-IjxJnvHRQsbKtcAB94=',
  LOG_LEVEL: process.env.LOG_LEVEL ?? 'info',
  PROMOTE_SECRET: 'b7Qm2xVt9LzR4kPw8NcY5hJd',
  WG_SERVER_PUBLIC_KEY: 'kx2TW8Ogn5HVzNsTq2kVbY7mHi8vFfXkXbNwFJp1Q3U=',
  WG_ENDPOINT: 'vpn.example.net:51820',
  HOST: '127.0.0.1',
};

if (process.platform !== 'linux') throw new Error('The benchmark reads CPU time from /proc: it runs on Linux.');
await buildIfNeeded();
const { acquireEmbeddedPostgres } = await import('../dist/libs/platform/src/index.js');

const directory = await mkdtemp(join(tmpdir(), 'vpn-bench-'));
const database = await acquireEmbeddedPostgres({ directory, database: 'vpn_bench', durable: true });
const children = [];
try {
  const service = await startService(database.url);
  const token = await prepare(service.url);
  const bare = await startBare(database.url);

  const authorization = { authorization: `Bearer ${token}` };
  const payment = {
    method: 'POST',
    body: '{"amount":"9.99"}',
    headers: { ...authorization, 'content-type': 'application/json' },
  };
  const routes = {
    'GET /auth/me': { path: '/auth/me', headers: authorization },
    'GET /tariffs/': { path: '/tariffs/' },
    'GET /vpn_peers/': { path: '/vpn_peers/', headers: authorization },
    'POST /payments/': { path: '/payments/', ...payment },
  };

  console.log(
    `\n${new Date().toISOString().slice(0, 10)}, ${cpus().length} x ${cpus()[0].model.trim()}, Node ${process.version}, PostgreSQL embedded,`,
  );
  console.log(
    `${CONNECTIONS} connections, ${TURNS} turns of ${TURN_SECONDS} s for each, in alternation, after ${WARM_SECONDS} s of warming.\n`,
  );
  console.log('| route | req/s | bare | CPU µs a request | bare | ratio | p50 ms | bare | p99 ms | bare |');
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  let passed = true;
  for (const [name, { path, ...options }] of Object.entries(routes)) {
    if (!name.includes(process.env.BENCH_ONLY ?? '')) continue;
    await load(service, path, options, WARM_SECONDS);
    await load(bare, path, options, WARM_SECONDS);
    const turns = { ours: [], theirs: [] };
    for (let turn = 0; turn < TURNS; turn++) {
      turns.ours.push(await load(service, path, options, TURN_SECONDS));
      turns.theirs.push(await load(bare, path, options, TURN_SECONDS));
    }
    const [ours, theirs] = [summary(turns.ours), summary(turns.theirs)];
    const ratio = ours.cpu / theirs.cpu;
    const limit = LIMITS[name];
    if (limit !== undefined && ratio > limit) passed = false;
    const verdict =
      limit === undefined ? ratio.toFixed(2) : `${ratio.toFixed(2)} (limit ${limit}${ratio > limit ? ', MISSED' : ''})`;
    console.log(
      `| ${name} | ${ours.rate} | ${theirs.rate} | ${ours.cpu.toFixed(0)} | ${theirs.cpu.toFixed(0)} | ${verdict} | ${ours.p50} | ${theirs.p50} | ${ours.p99} | ${theirs.p99} |`,
    );
  }
  const rss = await residentMegabytes(service.pid);
  if (rss > MAX_RSS_MB) passed = false;
  console.log(
    `\nResident memory after the load: ${rss} MB (limit ${MAX_RSS_MB}${rss > MAX_RSS_MB ? ', MISSED' : ''}); bare: ${await residentMegabytes(bare.pid)} MB.`,
  );
  process.exitCode = passed ? 0 : 1;
} finally {
  for (const child of children) child.kill('SIGTERM');
  await delay(1500);
  await database.release();
  await rm(directory, { recursive: true, force: true });
}

async function startService(url) {
  const port = 20_000 + (process.pid % 20_000);
  const env = {
    PATH: process.env.PATH,
    ...ENVIRONMENT,
    DATABASE_URL: url,
    PORT: String(port),
    UV_THREADPOOL_SIZE: '8',
  };
  const child = fork('dist/apps/api/src/main.js', { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  children.push(child);
  const base = `http://127.0.0.1:${port}`;
  for (let attempt = 0; ; attempt++) {
    const ready = await fetch(`${base}/health/ready`).catch(() => undefined);
    if (ready?.ok) return { url: base, pid: child.pid };
    if (attempt > 300) throw new Error('The service did not start');
    await delay(100);
  }
}

async function startBare(url) {
  const env = { PATH: process.env.PATH, NODE_ENV: 'production', DATABASE_URL: url, SECRET_KEY: ENVIRONMENT.SECRET_KEY };
  const child = fork('bench/bare-server.mjs', { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  const message = await new Promise((resolve) => child.once('message', resolve));
  return { url: message.url, pid: child.pid };
}

/** A user with one device, ten tariffs; returns his token. */
async function prepare(base) {
  const post = async (path, body, token) => {
    const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const response = await fetch(base + path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const credentials = { email: 'bench@example.com', password: 'correct horse battery' };
  const user = await post('/auth/register', credentials);
  await post(`/auth/admin/promote?user_id=${user.id}&secret=${ENVIRONMENT.PROMOTE_SECRET}`, {});
  const { access_token: token } = await post('/auth/login', credentials);
  const tariffs = [];
  for (let number = 1; number <= 10; number++) {
    tariffs.push(
      await post('/tariffs/', { name: `Tariff ${number}`, price: '9.99', description: 'All servers' }, token),
    );
  }
  await post(`/auth/assign_tariff?user_id=${user.id}`, { tariff_id: tariffs[0].id }, token);
  await post('/vpn_peers/self', { device_name: 'bench' }, token);
  return token;
}

async function load({ url, pid }, path, options, duration) {
  const before = await cpuSeconds(pid);
  const result = await autocannon({ url: url + path, connections: CONNECTIONS, duration, ...options });
  const spent = (await cpuSeconds(pid)) - before;
  const failures = result.non2xx + result.errors;
  if (failures > 0)
    throw new Error(`${url}${path}: ${failures} requests failed: ${JSON.stringify(result.statusCodeStats)}`);
  const { requests, latency } = result;
  return { spent, requests: requests.total, p50: latency.p50, p99: latency.p99 };
}

async function cpuSeconds(pid) {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND; // utime + stime, fields 14 and 15 of proc(5)
}

async function residentMegabytes(pid) {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))[1]) / 1024);
}

/** Requests a second and CPU microseconds a request over all turns; the medians of their percentiles. */
function summary(turns) {
  const requests = turns.reduce((sum, turn) => sum + turn.requests, 0);
  const spent = turns.reduce((sum, turn) => sum + turn.spent, 0);
  const median = (values) => values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)];
  return {
    rate: Math.round(requests / (turns.length * TURN_SECONDS)),
    cpu: (spent / requests) * 1e6,
    p50: median(turns.map((turn) => turn.p50)),
    p99: median(turns.map((turn) => turn.p99)),
  };
}
