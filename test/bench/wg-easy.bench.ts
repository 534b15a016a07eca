import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { type User } from '#auth';
import { generateKeyPair, Servers, WgEasyProvider } from '#wireguard';
import { SYSTEM } from '#platform';
import { DomainError, SeededRandomness } from '#kernel';
import { Peers, PeersModule } from '#peers';
import { Subscriptions } from '#subscriptions';
import { FakeWgEasy } from '../fakes/wg-easy.js';
import { type OpenRooms, openRooms, tariffIn, userIn } from '../support/rooms.js';

/** What a change costs on a wg-easy with some dozens of clients, in milliseconds (15.4.0 on 2 cores). */
const CHANGE_MS = 100;
const SECONDS = 10;
const OWNERS = 300;
const NOTHING = {
  deviceName: null,
  publicKey: undefined,
  address: undefined,
  allowedIps: undefined,
  serverId: undefined,
  region: 'easy',
};

let open: OpenRooms;
let easy: FakeWgEasy;
const owners: User[] = [];

beforeAll(async () => {
  easy = await FakeWgEasy.start('15.4.0');
  open = await openRooms([PeersModule], { ALLOW_PRIVATE_TARGETS: '1' });
  const { url, username, password, serverKey } = easy;
  await open.rooms.get(Servers).add(SYSTEM, {
    ...{ name: 'easy', status: 'active', region: 'easy', country: null, provider: 'wg-easy', applies: true },
    ...{
      endpoint: 'vpn.example.com:51820',
      publicKey: serverKey,
      subnet: '10.8.0.0/24',
      subnet6: null,
      capacity: null,
    },
    ...{ presharedKeys: false, dns: ['1.1.1.1'], mtu: 1420 },
    access: { kind: 'wg-easy', url, username, password, apiKey: null },
  });
  const tariff = await tariffIn(open);
  for (let count = 0; count < OWNERS; count++) {
    const owner = await userIn(open);
    await open.rooms.get(Subscriptions).assign(SYSTEM, owner.id, tariff.id);
    owners.push(owner);
  }
}, 300_000);
afterAll(async () => {
  await open.close();
  await easy.close();
});

describe('npm run bench:wg-easy', () => {
  it('measures how many new devices a second are served when more and more are asked for', async () => {
    easy.cost = { changeMs: CHANGE_MS, perClientMs: 0 };
    await load(2, 2); // so that it is known what a change costs
    let peak = 0;
    for (const rate of [4, 6, 8, 10, 12]) peak = Math.max(peak, await load(rate, SECONDS));
    const goodput = await load(10 * peak, SECONDS);
    print(`at ten times the peak: ${Math.round((100 * goodput) / peak)} % of it`);
    expect(goodput).toBeGreaterThanOrEqual(0.8 * peak);
  }, 600_000);

  it('measures what one new client costs beside its thousand neighbours', async () => {
    const { url, username, password } = easy;
    const others = Array.from({ length: 1000 }, (_, index) => ({
      ...{ id: 10_000 + index, name: `vpn-0123abcd-${index}-0123456789abcdef`, enabled: true, userId: 1 },
      ...{ publicKey: generateKeyPair().publicKey, transferRx: 1, transferTx: 1, latestHandshakeAt: new Date() },
      ...{ ipv4Address: `10.9.${index >> 8}.${index & 255}`, ipv6Address: `fd00::${index.toString(16)}` },
      padding: 'x'.repeat(300), // 667 bytes in all, as 15.4.0 has it
    }));
    easy.cost.changeMs = 0;
    easy.distort = (call, reply) =>
      call === 'GET /api/client' && Array.isArray(reply.json)
        ? { ...reply, json: [...(reply.json as object[]), ...others] }
        : reply;
    const target = { url, username, password, apiKey: null, allowPrivateTargets: true, namePrefix: 'bench' };
    const provider = new WgEasyProvider(target, new SeededRandomness('bench'));
    await provider.list();
    const listMs = await median(() => provider.list());
    easy.calls.length = 0;
    const createMs = await median(async () => {
      await provider.put([{ peerId: 1, publicKey: null, addresses: null, presharedKey: null, remoteId: null }]);
    });
    const lists = easy.calls.filter((call) => call === 'GET /api/client').length / RUNS;
    print(`1 000 clients: a list ${listMs.toFixed(1)} ms, a create ${createMs.toFixed(1)} ms with ${lists} lists`);
    expect(lists).toBeLessThanOrEqual(2);
  }, 60_000);
});

const RUNS = 15;

async function median(work: () => Promise<unknown>): Promise<number> {
  const took: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const began = performance.now();
    await work();
    took.push(performance.now() - began);
  }
  return took.sort((a, b) => a - b)[Math.floor(RUNS / 2)] ?? 0;
}

/** Asks for so many devices a second, whatever comes of it; answers how many were served a second. */
async function load(rate: number, seconds: number): Promise<number> {
  const peers = open.rooms.get(Peers);
  const outcomes = new Map<string, number>();
  const count = (what: string): unknown => outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
  const asked: Promise<unknown>[] = [];
  const took: number[] = [];
  const began = performance.now();
  let next = 0;
  while (performance.now() - began < seconds * 1000) {
    const due = Math.floor(((performance.now() - began) / 1000) * rate);
    for (; next <= due; next++) {
      const owner = owners[next % owners.length];
      if (owner === undefined) continue;
      const by = { user: { id: owner.id, isAdmin: false } as User, sessionId: '' };
      const at = performance.now();
      const asking = peers.create(by, owner.id, NOTHING).then(
        () => took.push(performance.now() - at) && count('served'),
        (error: unknown) => count(error instanceof DomainError ? error.code : 'failed'),
      );
      asked.push(asking);
    }
    await delay(5);
  }
  await Promise.all(asked);
  const spent = (performance.now() - began) / 1000;
  const goodput = (outcomes.get('served') ?? 0) / spent;
  const told = [...outcomes].map(([what, times]) => `${what} ${times}`).join(', ');
  const longest = Math.max(0, ...took);
  print(
    `${rate.toFixed(0)} a second: ${goodput.toFixed(2)} served a second (${told}; longest ${Math.round(longest)} ms)`,
  );
  await open.rooms.get(DataSource).query('DELETE FROM vpn_peers; DELETE FROM vpn_peer_leftovers');
  for (const client of [...easy.clients]) easy.drop(client);
  return goodput;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
