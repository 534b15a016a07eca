import { expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { type Principal, type User } from '#auth';
import { Metrics, SYSTEM } from '#platform';
import { Applying, Peers, PeersModule } from '#peers';
import { Subscriptions } from '#subscriptions';
import { generateKeyPair, HostProvider, Providers } from '#wireguard';
import { FakeProviders } from '../fakes/providers.js';
import { openRooms, tariffIn, userIn } from '../support/rooms.js';

const SMALL = 1000;
const LARGE = 100_000;
const CREATIONS = 300;
const LIVE = 60_000;

/** The 95th of a hundred, in milliseconds. */
function p95(milliseconds: readonly number[]): number {
  const sorted = milliseconds.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length * 0.95)] ?? Number.NaN;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function say(what: string, milliseconds: number): void {
  process.stdout.write(`${what.padEnd(60)} ${milliseconds.toFixed(1)} ms\n`);
}

/** What one process costs with a fleet of a size; answers the 95th percentile of a creation. */
async function measure(size: number): Promise<number> {
  const providers = new FakeProviders();
  const open = await openRooms([PeersModule], { WG_APPLY_ENABLED: '1', WG_SUBNET: '10.8.0.0/16' }, [
    { provider: Providers, by: providers },
  ]);
  try {
    const data = open.rooms.get(DataSource);
    await data.query(
      `INSERT INTO users (email, status, created_at)
       SELECT 'bench-' || n || '@example.com', 'active', now() FROM generate_series(1, ${size}) AS n;
       INSERT INTO vpn_servers (name, region, capacity, endpoint, public_key, subnet, dns, created_at)
       SELECT 'second', 'second', 60000, endpoint, public_key, '10.9.0.0/16', dns, created_at FROM vpn_servers;
       INSERT INTO vpn_server_addresses (server_id, address, free_at)
       SELECT 2, '10.9.0.2'::inet + step, '-infinity' FROM generate_series(0, 65530) AS step;
       INSERT INTO vpn_peers (user_id, server_id, wg_public_key, wg_ip, allowed_ips, status, applied_gen, created_at)
       SELECT 1 + n % ${size}, 1 + n % 2, lpad(n::text, 43, 'A') || '=',
         (CASE n % 2 WHEN 0 THEN '10.8.0.0' ELSE '10.9.0.0' END)::inet + 2 + n / 2, '0.0.0.0/0', 'active', 1, now()
       FROM generate_series(1, ${size}) AS n;
       UPDATE vpn_server_addresses a SET free_at = NULL FROM vpn_peers p
       WHERE p.server_id = a.server_id AND p.wg_ip = a.address`,
    );
    await data.query('ANALYZE');
    const tariff = await tariffIn(open, { durationDays: 0 });
    const { id } = await userIn(open);
    await open.rooms.get(Subscriptions).assign(SYSTEM, id, tariff.id);
    const by: Principal = { user: { id, isAdmin: false } as User, sessionId: '' };
    const create = (): Promise<unknown> =>
      open.rooms.get(Peers).create(by, id, {
        deviceName: null,
        publicKey: generateKeyPair().publicKey,
        address: undefined,
        allowedIps: undefined,
        serverId: undefined,
        region: 'second',
      });
    say(`${size} peers: first /metrics`, await timed(() => open.rooms.get(Metrics).render()));
    await delay(5000); // its counts go on
    say(`${size} peers: next /metrics`, await timed(() => open.rooms.get(Metrics).render()));
    for (let warm = 0; warm < 50; warm++) await create();
    const creations: number[] = [];
    for (let round = 0; round < CREATIONS; round++) creations.push(await timed(create));
    say(`${size} peers: creation, p95 of ${CREATIONS}`, p95(creations));
    const idle: number[] = [];
    for (let round = 0; round < 50; round++) idle.push(await timed(() => open.rooms.get(Applying).applyAll()));
    say(`${size} peers: nothing to apply (every second), p95`, p95(idle));
    return p95(creations);
  } finally {
    await open.close();
  }
}

it('costs no more with a large fleet than with a small one', async () => {
  const small = await measure(SMALL);
  const large = await measure(LARGE);
  process.stdout.write(`creation: ${(large / small).toFixed(2)} times\n`);
  expect(large).toBeGreaterThan(0);
}, 600_000);

it('keeps the event loop free while a large host is read', async () => {
  const lines = Array.from(
    { length: LIVE },
    (_, index) =>
      `${randomBytes(32).toString('base64')}\t(none)\t(none)\t10.${8 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}/32\t0\t0\t0\toff`,
  );
  const { privateKey, publicKey } = generateKeyPair();
  const dump = `${[[privateKey, publicKey, '51820', 'off'].join('\t'), ...lines].join('\n')}\n`;
  const shell = { run: () => Promise.resolve(dump), close: () => Promise.resolve() };
  const provider = new HostProvider(shell, { interface: 'wg0', keysFrom: 'service', sudo: false });
  await provider.list();
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  await delay(20);
  const took = await timed(() => provider.list());
  await delay(20);
  loop.disable();
  say(`a dump of ${LIVE} peers: read in`, took);
  say(`a dump of ${LIVE} peers: event loop blocked at most`, loop.max / 1e6);
  expect(took).toBeGreaterThan(0);
}, 600_000);
