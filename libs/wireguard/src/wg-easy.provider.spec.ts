import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { DomainError, SeededRandomness } from '#kernel';
import {
  FakeWgEasy,
  type Reply,
  WG_EASY_VERSIONS,
  type WgEasyMood,
  type WgEasyVersion,
} from '../../../test/fakes/wg-easy.js';
import { itKeepsTheProviderContract } from '../../../test/support/provider-contract.js';
import { generateKeyPair, publicKeyOf } from './keys.js';
import { type WgEasyOptions, WgEasyProvider } from './wg-easy.provider.js';
import { type PeerRef, type PeerSpec } from './wireguard.provider.js';

const PREFIX = '0a1b2c3d';
const CALL_LIMIT_MS = 200;

let fake: FakeWgEasy;
let provider: WgEasyProvider;

async function open(version: WgEasyVersion, options: Partial<WgEasyOptions> = {}): Promise<void> {
  fake = await FakeWgEasy.start(version);
  provider = providerFor(options);
}

function providerFor(options: Partial<WgEasyOptions> = {}, seed = 'one'): WgEasyProvider {
  const { url, username, password } = fake;
  const base = { url, username, password, apiKey: null, allowPrivateTargets: true, namePrefix: PREFIX };
  return new WgEasyProvider({ ...base, ...options }, new SeededRandomness(seed));
}

async function close(): Promise<void> {
  await provider.close();
  await fake.close();
  expect(fake.unexpected).toEqual([]);
  expect(fake.mostChangesAtOnce).toBeLessThanOrEqual(1);
}

const newPeer = (peerId: number): PeerSpec => ({
  peerId,
  publicKey: null,
  addresses: null,
  presharedKey: null,
  remoteId: null,
});
const knownPeer = (peerId: number, { publicKey, remoteId }: PeerRef): PeerSpec => ({
  ...newPeer(peerId),
  publicKey,
  remoteId,
});
const refTo = ({ publicKey, id }: { publicKey: string; id: string | number }): PeerRef => ({
  publicKey,
  remoteId: String(id),
});
/** The name of a client that was made for a peer here. */
const nameFor = (peerId: number): string => `vpn-${PREFIX}-${peerId}-0123456789abcdef`;
/** Somebody who will not wait long. */
const soon = (): { until: number } => ({ until: performance.now() + 500 });
const failure = (code: 'server_unavailable' | 'server_refused', kind: string): object => ({ code, params: { kind } });
const distortConfig = (rewrite: (text: string) => string): void => {
  fake.distort = (call, reply) =>
    call.endsWith('/configuration') ? { ...reply, text: rewrite(reply.text ?? '') } : reply;
};
const callsLike = (pattern: RegExp): string[] => fake.calls.filter((call) => pattern.test(call));
const LOG_IN = /^POST \/api\/(session|auth\/password)$/;
const LIST = /^GET \/api\/(wireguard\/)?client$/;
const CREATE = /^POST \/api\/(wireguard\/)?client$/;

describe.each(WG_EASY_VERSIONS)('wg-easy %s', (version) => {
  describe('as any provider', () => {
    itKeepsTheProviderContract(async () => {
      await open(version);
      return {
        provider,
        addStranger: (publicKey, address) => {
          fake.add('the laptop of somebody', { publicKey, ipv4Address: address });
          return Promise.resolve();
        },
        close,
      };
    });
  });

  describe('as itself', () => {
    afterEach(close);

    it('makes the keys and the address, which are told once', async () => {
      await open(version);
      const [made] = await provider.put([newPeer(7)]);
      const [client] = fake.clients;
      expect(made).toEqual({
        peerId: 7,
        publicKey: client!.publicKey,
        privateKey: client!.privateKey,
        presharedKey: client!.presharedKey,
        addresses: version === '14' ? ['10.8.0.2/32'] : ['10.8.0.2/32', 'fdcc:ad94:bacf:61a4::cafe:2/128'],
        remoteId: String(client!.id),
      });
      expect(publicKeyOf(made!.privateKey!)).toBe(made!.publicKey);
      expect((await provider.put([knownPeer(7, made!)]))[0]).toMatchObject({
        privateKey: null,
        publicKey: made!.publicKey,
      });
    });

    it('tells its own key: 15 to administrators, 14 in the config of a client of ours and of nobody else (D5)', async () => {
      await open(version);
      fake.add('the laptop of somebody');
      expect(await provider.serverKey()).toBe(version === '14' ? null : fake.serverKey);
      await provider.put([newPeer(7)]);
      expect(await provider.serverKey()).toBe(fake.serverKey);
    });

    it('is given names of ours only, that no user had a hand in', async () => {
      await open(version);
      await provider.put([newPeer(7), newPeer(2_147_483_647)]);
      for (const { name } of fake.clients)
        expect(name).toMatch(new RegExp(`^vpn-${PREFIX}-(7|2147483647)-[0-9a-f]{16}$`));
      for (const bad of [0, -1, 1.5, Number.NaN, Infinity])
        await expect(provider.put([newPeer(bad)])).rejects.toThrow();
      expect(fake.clients).toHaveLength(2);
    });

    it('is logged in to once for many calls', async () => {
      await open(version);
      await provider.put([newPeer(1), newPeer(2)]);
      await provider.list();
      expect(callsLike(LOG_IN)).toHaveLength(1);
      await provider.close();
      await provider.list();
      expect(callsLike(LOG_IN)).toHaveLength(2);
    });

    it('is logged in to again when it has restarted', async () => {
      await open(version);
      await provider.put([newPeer(1)]);
      fake.restart();
      expect(await provider.list()).toHaveLength(1);
      expect(callsLike(LOG_IN)).toHaveLength(2);
    });

    it.each([
      ['a client is made', CREATE],
      ['its config is read', /configuration$/],
      ['a client is disabled', /disable$/],
      ['a client is deleted', /^DELETE/],
    ])('may restart just when %s', async (_when, pattern) => {
      await open(version);
      let isDue = true;
      fake.onCall = (call) => {
        if (!isDue || !pattern.test(call)) return;
        isDue = false;
        fake.restart();
      };
      const [made] = await provider.put([newPeer(1)]);
      await provider.suspend([made!]);
      expect(fake.clients).toMatchObject([{ publicKey: made!.publicKey, enabled: false }]);
      await provider.remove([made!]);
      expect(fake.clients).toEqual([]);
      expect(isDue).toBe(false);
    });

    it('has a client although it said that making it failed', async () => {
      await open(version);
      fake.failsAfterCreating = true;
      const made = await provider.put([newPeer(1), newPeer(2)]);
      expect(made.map(({ publicKey }) => publicKey)).toEqual(fake.clients.map(({ publicKey }) => publicKey));
      expect(callsLike(CREATE)).toHaveLength(2);
    });

    it('has no client when it says so and the list agrees', async () => {
      await open(version);
      fake.onCall = () => (fake.nextChange = { status: 500, json: {} });
      await expect(provider.put([newPeer(1)], soon())).rejects.toMatchObject(failure('server_unavailable', 'status'));
      expect(fake.clients).toEqual([]);
      fake.onCall = () => undefined;
      fake.nextChange = undefined;
      expect(await provider.put([newPeer(1)])).toHaveLength(1);
    });

    it('is asked again for what was refused for a reason that passes (D11)', async () => {
      await open(version);
      fake.nextChange = { status: 500, json: {} };
      const [made] = await provider.put([newPeer(1)]);
      fake.nextChange = { status: 500, json: {} };
      await provider.suspend([made!]);
      fake.nextChange = { status: 500, json: {} };
      await provider.put([knownPeer(1, made!)]);
      expect(fake.clients).toMatchObject([{ publicKey: made!.publicKey, enabled: true }]);
      fake.nextChange = { status: 500, json: {} };
      await provider.remove([made!]);
      expect(fake.clients).toEqual([]);
    });

    it('takes one writer at a time, and serves two processes that know nothing of each other (D11)', async () => {
      await open(version);
      fake.cost = { changeMs: 15, perClientMs: 0 };
      const other = providerFor({}, 'another process');
      const asked = [1, 2, 3, 4, 5, 6].map((peerId) => (peerId % 2 === 0 ? provider : other).put([newPeer(peerId)]));
      const keys = (await Promise.all(asked)).flat().map(({ publicKey }) => publicKey);
      const live = fake.clients.map(({ publicKey }) => publicKey);
      expect(live).toEqual(expect.arrayContaining(keys));
      expect(new Set(keys).size).toBe(6);
      if (version !== '14') expect(fake.lockedOut).toBeGreaterThan(0);
      fake.mostChangesAtOnce = 1; // each process made one at a time
    });

    it('never gives a peer a client that it did not make in this very call, whatever it is called (D6)', async () => {
      await open(version);
      const [first] = await provider.put([newPeer(1)]);
      for (const name of ['vpn-1-0123456789abcdef', nameFor(1), `vpn-ffffffff-1-0123456789abcdef`]) fake.add(name);
      const taken = new Set(fake.clients.map(({ publicKey }) => publicKey));
      const again = await providerFor({}, 'another process').put([newPeer(1), newPeer(1)]);
      for (const { publicKey, privateKey } of again) {
        expect(taken.has(publicKey)).toBe(false);
        expect(fake.clients.filter((client) => client.privateKey === privateKey)).toHaveLength(1);
      }
      expect(new Set([first, ...again].map((made) => made!.publicKey)).size).toBe(3);
    });

    it('refuses a peer that is gone from it, and serves the others', async () => {
      await open(version);
      const away = knownPeer(1, { publicKey: generateKeyPair().publicKey, remoteId: '1' });
      await expect(provider.put([away, newPeer(2)])).rejects.toMatchObject(failure('server_refused', 'gone'));
      expect(fake.clients.map(({ name }) => name)).toEqual([expect.stringMatching(/^vpn-0a1b2c3d-2-/)]);
    });

    it.each([
      'the laptop of somebody',
      'vpn-1',
      'vpn-1-0123456789abcdef',
      'vpn-ffffffff-1-0123456789abcdef',
      `vpn-${PREFIX}-01-0123456789abcdef`,
      `vpn-${PREFIX}-1-0123`,
      `old vpn-${PREFIX}-1-0123456789abcdef`,
      `vpn-${PREFIX}-1-0123456789abcdef 2`,
    ])('knows a stranger called %p, also one of another installation (D6)', async (name) => {
      await open(version);
      fake.add(name);
      fake.add(nameFor(2));
      const known = (await provider.list()).map(({ peerId, isOurs }) => `${peerId} ${isOurs}`);
      expect(known.toSorted()).toEqual(['2 true', 'null false']);
    });

    it('has a client of ours by its key, whatever a person has called it since (D8)', async () => {
      await open(version);
      const [made] = await provider.put([newPeer(1), newPeer(2)]);
      fake.clients[0]!.name = 'Bob, do not touch';
      await provider.suspend([made!]);
      expect(fake.clients[0]).toMatchObject({ enabled: false });
      await provider.put([knownPeer(1, made!)]);
      expect(fake.clients[0]).toMatchObject({ enabled: true });
      await provider.remove([made!]);
      expect(fake.clients.map(({ publicKey }) => publicKey)).not.toContain(made!.publicKey);
    });

    it('tells what the interface has counted, and nothing for a disabled client', async () => {
      await open(version);
      const latestHandshakeAt = new Date('2026-01-02T03:04:05Z');
      const client = fake.add(nameFor(1), { latestHandshakeAt, transferRx: 12_345_678_901, transferTx: 7 });
      const counted = { lastHandshakeAt: latestHandshakeAt, receivedBytes: 12_345_678_901, sentBytes: 7 };
      expect(await provider.list()).toMatchObject([
        { peerId: 1, remoteId: String(client.id), isOurs: true, ...counted },
      ]);
      await provider.suspend([refTo(client)]);
      const nothing = { lastHandshakeAt: null, receivedBytes: 0, sentBytes: 0 };
      expect(await provider.list()).toMatchObject([{ isEnabled: false, ...nothing }]);
      await provider.put([knownPeer(1, refTo(client))]);
      expect(await provider.list()).toMatchObject([{ isEnabled: true, ...nothing }]);
    });

    it('is not believed when it says that it did what it did not', async () => {
      await open(version);
      const client = fake.add(nameFor(1));
      fake.onlyPretends = true;
      const unconfirmed = failure('server_unavailable', 'unconfirmed');
      await expect(provider.suspend([refTo(client)])).rejects.toMatchObject(unconfirmed);
      await expect(provider.remove([refTo(client)])).rejects.toMatchObject(unconfirmed);
      client.enabled = false;
      await expect(provider.put([knownPeer(1, refTo(client))])).rejects.toMatchObject(unconfirmed);
    });

    it('takes a client that somebody deletes at the same moment as suspended and as removed', async () => {
      await open(version);
      const clients = [fake.add(nameFor(1)), fake.add(nameFor(2))];
      fake.onCall = (call) => {
        if (/disable$|^DELETE/.test(call)) fake.clients.splice(0, 1);
      };
      await provider.suspend([refTo(clients[0]!)]);
      await provider.remove([refTo(clients[1]!)]);
      expect(fake.clients).toEqual([]);
    });

    it('has room for 253 clients, and says so', async () => {
      await open(version);
      for (let count = 0; count < 252; count++) fake.add(`stranger ${count}`);
      const [last] = await provider.put([newPeer(1)]);
      await expect(provider.put([newPeer(2)])).rejects.toMatchObject(failure('server_refused', 'pool'));
      await provider.suspend([last!]);
      expect(await provider.put([knownPeer(1, last!)])).toHaveLength(1);
    });

    it('is called full only for lack of room', async () => {
      await open(version);
      for (let count = 0; count < 253; count++)
        fake.add(`stranger ${count}`, count > 250 ? { ipv4Address: '10.8.1.1' } : {});
      await expect(provider.put([newPeer(1)], soon())).rejects.toMatchObject(failure('server_unavailable', 'status'));
      for (const [number, client] of fake.clients.entries())
        Object.assign(client, { ipv4Address: `10.8.0.${number + 2}` });
      fake.nextChange = { status: 400, json: {} };
      await expect(provider.put([newPeer(1)])).rejects.toMatchObject(failure('server_refused', 'request'));
    });

    it('is given up on when it loses the session with every change', async () => {
      await open(version);
      fake.onCall = (call) => {
        if (CREATE.test(call)) fake.restart();
      };
      // 14 calls it a fault like any other, which may pass: it is given up on when nobody waits any more.
      const options = version === '14' ? soon() : {};
      await expect(provider.put([newPeer(1)], options)).rejects.toBeInstanceOf(DomainError);
      expect(callsLike(CREATE).length).toBeGreaterThanOrEqual(version === '14' ? 1 : 2);
    });

    it('must open a session when it is logged in to', async () => {
      await open(version);
      fake.distort = (_call, reply) => ({ ...reply, cookie: undefined });
      await expect(provider.list()).rejects.toMatchObject(failure('server_unavailable', 'answer'));
      // Before 15.2.1 it is told from a stranger's list which version this is.
      const isAsked = ['15.0.0', '15.1.0', '15.2.0'].includes(version);
      expect(callsLike(LIST)).toHaveLength(isAsked ? 1 : 0);
    });

    it('is changed by one call at a time, however many are asked for', async () => {
      await open(version);
      const made = await Promise.all([1, 2, 3, 4].map((peerId) => provider.put([newPeer(peerId)])));
      await Promise.all(made.flat().map((material) => provider.suspend([material])));
      expect(fake.mostChangesAtOnce).toBe(1);
      expect(fake.clients.map(({ enabled }) => enabled)).toEqual([false, false, false, false]);
    });

    it('goes on with the next change after one has failed', async () => {
      await open(version);
      fake.nextChange = { status: 400, json: {} };
      const [first, second] = await Promise.allSettled([provider.put([newPeer(1)]), provider.put([newPeer(2)])]);
      expect([first.status, second.status]).toEqual(['rejected', 'fulfilled']);
    });

    it('refuses a wrong password', async () => {
      await open(version, { password: 'wrong, but long enough' });
      await expect(provider.list()).rejects.toMatchObject(failure('server_refused', 'authentication'));
      expect(callsLike(LOG_IN)).toHaveLength(1);
      await expect(providerFor({ password: 'short' }).list()).rejects.toMatchObject(
        failure('server_refused', 'authentication'),
      );
    });

    it('is given the API key as it is, and no password', async () => {
      await open(version);
      const basic = `Basic ${Buffer.from(`${fake.username}:${fake.password}`).toString('base64')}`;
      const apiKey = version === '14' ? fake.password : basic;
      expect(await providerFor({ apiKey, password: '' }).put([newPeer(1)])).toHaveLength(1);
      expect(new Set(fake.authorizations)).toEqual(new Set([apiKey]));
      expect(callsLike(LOG_IN)).toEqual([]);
    });

    it('refuses a wrong API key', async () => {
      await open(version, { apiKey: 'wrong' });
      await expect(provider.list()).rejects.toMatchObject(failure('server_refused', 'authentication'));
    });

    it.each<[WgEasyMood, object]>([
      ['hanging', failure('server_unavailable', 'timeout')],
      ['reset', failure('server_unavailable', 'network')],
      ['html', failure('server_unavailable', 'answer')],
      ['flood', failure('server_unavailable', 'answer')],
      ['redirect', failure('server_refused', 'redirect')],
    ])('is %s: the first call says so, later ones recover', async (mood, expected) => {
      await open(version, mood === 'hanging' ? { callLimitMs: CALL_LIMIT_MS } : {});
      fake.mood = mood;
      await expect(provider.put([newPeer(1)])).rejects.toMatchObject(expected);
      fake.mood = 'well';
      expect(await provider.put([newPeer(1)])).toHaveLength(1);
      fake.mood = mood;
      await expect(provider.list()).rejects.toMatchObject(expected);
      await expect(provider.suspend([])).rejects.toMatchObject(expected);
      fake.mood = 'well';
      expect(await provider.list()).toHaveLength(1);
    });

    it('is asked once, not twice, while it is silent', async () => {
      await open(version, { callLimitMs: CALL_LIMIT_MS });
      await provider.list();
      fake.calls.length = 0;
      fake.mood = 'hanging';
      await expect(provider.list()).rejects.toMatchObject(failure('server_unavailable', 'timeout'));
      expect(fake.calls).toHaveLength(1);
    });

    it('falls silent in the middle of a change: what appears later, for nobody, is deleted (D2)', async () => {
      await open(version, { callLimitMs: CALL_LIMIT_MS });
      fake.cost = { changeMs: 2 * CALL_LIMIT_MS, perClientMs: 0 };
      await expect(provider.put([newPeer(1)])).rejects.toMatchObject(failure('server_unavailable', 'timeout'));
      expect(callsLike(CREATE)).toHaveLength(1);
      await until(() => fake.clients.length === 1);
      fake.cost.changeMs = 0;
      await provider.list();
      await until(() => fake.clients.length === 0);
      expect(await provider.put([newPeer(1)])).toMatchObject([{ publicKey: fake.clients[0]!.publicKey }]);
    });

    it.each<[string, (text: string) => string]>([
      ['of another client', (text) => text.replace(/PrivateKey = .*/, `PrivateKey = ${generateKeyPair().privateKey}`)],
      ['with another address', (text) => text.replace('10.8.0.2/', '10.8.0.3/')],
      ['without a private key', (text) => text.replace(/PrivateKey = .*/, '')],
      ['with two private keys', (text) => text.replace(/(PrivateKey = .*)/, '$1\n$1')],
      ['with a preshared key that is none', (text) => text.replace(/PresharedKey = .*/, 'PresharedKey = undefined')],
      ['of an error page', () => '<!DOCTYPE html><p>502 Bad Gateway'],
      ['without end', (text) => text + '# more\n'.repeat(10_000)],
    ])('sends a config %s: nothing of it is used, nor told', async (_what, rewrite) => {
      await open(version);
      distortConfig(rewrite);
      const error: unknown = await provider.put([newPeer(1)]).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject(failure('server_unavailable', 'answer'));
      expect(inspect(error, { depth: 9 })).not.toContain(fake.clients[0]!.privateKey);
    });

    it('need not use preshared keys', async () => {
      await open(version);
      distortConfig((text) => text.replace(/PresharedKey = .*\n/, ''));
      expect(await provider.put([newPeer(1)])).toMatchObject([{ presharedKey: null }]);
    });

    it.each<[string, (list: readonly object[]) => unknown]>([
      ['no list', () => ({})],
      ['a list of nothing known', () => [null]],
      ['a list of other things', () => [{ id: 1, name: 'vpn' }]],
    ])('answers with %s: that is no answer', async (_what, rewrite) => {
      await open(version);
      fake.add(nameFor(1));
      fake.distort = (call, reply) => {
        if (!LIST.test(call) || !Array.isArray(reply.json)) return reply;
        return { ...reply, json: rewrite(reply.json) };
      };
      await expect(provider.list()).rejects.toMatchObject(failure('server_unavailable', 'answer'));
    });

    it.each<[string, object]>([
      ['without an address', { address: null, ipv4Address: null }],
      ['with an address that is none', { address: '10.8.0.0/24', ipv4Address: '10.8.0.0/24' }],
      ['with an empty key', { publicKey: '' }],
      ['without a name', { name: null }],
      ['last seen yesterday', { latestHandshakeAt: 'yesterday' }],
      ['with less than nothing received', { transferRx: -1 }],
      ['with an id that leads elsewhere', { id: '../../session' }],
    ])('has a stranger %s: all others are served (D8)', async (_what, oddity) => {
      await open(version);
      fake.add('zz odd one');
      fake.distort = (call, reply) => {
        if (!LIST.test(call) || !Array.isArray(reply.json)) return reply;
        const listed = reply.json as { name: string }[];
        return {
          ...reply,
          json: listed.map((client) => (client.name === 'zz odd one' ? { ...client, ...oddity } : client)),
        };
      };
      const [made] = await provider.put([newPeer(1)]);
      await provider.suspend([made!]);
      expect((await provider.list()).find(({ publicKey }) => publicKey === made!.publicKey)).toMatchObject({
        isOurs: true,
        isEnabled: false,
      });
      await provider.remove([made!]);
      expect(fake.clients).toMatchObject([{ name: 'zz odd one' }]);
    });

    it('has one client that cannot be changed: the others are, and it is told of (D8)', async () => {
      await open(version);
      const made = await provider.put([newPeer(1), newPeer(2), newPeer(3)]);
      await provider.suspend(made);
      const [, stubborn] = made;
      const stubbornId = fake.clients.find(({ publicKey }) => publicKey === stubborn!.publicKey)!.id;
      fake.onCall = (call) => {
        fake.nextChange = call.includes(`/${stubbornId}`) ? { status: 400, json: {} } : undefined;
      };
      const refused: number[] = [];
      const specs = made.map((material) => knownPeer(material.peerId, material));
      const onRefused = ({ peerId }: PeerSpec): void => void refused.push(peerId);
      const served = await provider.put(specs, { onRefused });
      expect(served.map(({ peerId }) => peerId)).toEqual([1, 3]);
      expect(refused).toEqual([2]);
      fake.onCall = () => undefined;
      fake.nextChange = undefined;
    });

    it('has a file that cannot be read: nothing counts as done that its interface does not show (D7)', async () => {
      await open(version);
      const [made, other] = await provider.put([newPeer(1), newPeer(2)]);
      const odd = fake.add('laptop\nPostUp = id');
      fake.interface.delete(odd.publicKey);
      await expect(provider.suspend([made!])).rejects.toMatchObject(failure('server_unavailable', 'status'));
      expect(fake.interface.has(made!.publicKey)).toBe(true);
      const listed = (await provider.list()).find(({ publicKey }) => publicKey === made!.publicKey);
      expect(listed).toMatchObject({ isEnabled: true, isUnsettled: true });
      await expect(provider.put([newPeer(3)])).rejects.toMatchObject(failure('server_unavailable', 'status'));
      await expect(provider.remove([other!])).rejects.toMatchObject(failure('server_unavailable', 'status'));
      expect(fake.clients.map(({ publicKey }) => publicKey)).not.toContain(other!.publicKey);
      expect(fake.interface.has(other!.publicKey)).toBe(true);
      await expect(provider.remove([other!])).rejects.toMatchObject(failure('server_unavailable', 'status'));
      fake.clients.splice(fake.clients.indexOf(odd), 1);
      await provider.suspend([made!]);
      expect(fake.interface.has(made!.publicKey)).toBe(false);
      await provider.put([knownPeer(1, made!)]);
      await provider.remove([other!]);
      await provider.list();
      await until(() => fake.clients.length === 1);
      expect([...fake.interface]).toEqual([made!.publicKey]);
    });

    it('shows what its interface has, whatever it has stored (D7)', async () => {
      await open(version);
      const [shut, open_] = [fake.add(nameFor(1)), fake.add(nameFor(2), { enabled: false })];
      fake.interface.delete(shut.publicKey);
      fake.interface.add(open_.publicKey);
      expect(await provider.list()).toMatchObject([
        { publicKey: shut.publicKey, isEnabled: false, isUnsettled: true },
        { publicKey: open_.publicKey, isEnabled: true, isUnsettled: true },
      ]);
      await provider.suspend([refTo(open_)]);
      await provider.put([knownPeer(1, refTo(shut))]);
      expect([...fake.interface]).toEqual([shut.publicKey]);
      expect((await provider.list()).map(({ isUnsettled }) => isUnsettled)).toEqual([false, false]);
    });

    it('is not certain of what has gone while it shows nothing at all (D5)', async () => {
      await open(version);
      const [made, other] = await provider.put([newPeer(1), newPeer(2)]);
      const uncertain: string[] = [];
      const onUncertain = ({ publicKey }: PeerRef): void => void uncertain.push(publicKey);
      const stored = fake.clients.splice(0, Infinity);
      await provider.remove([made!], { onUncertain });
      expect(uncertain).toEqual([made!.publicKey]);
      fake.clients.push(...stored);
      await provider.remove([made!], { onUncertain });
      fake.drop(fake.clients[0]!);
      fake.add('the laptop of somebody');
      await provider.remove([other!], { onUncertain });
      expect(uncertain).toHaveLength(1);
    });

    describe('under load', () => {
      it('refuses at once whom it could not serve in time, and makes nothing for them (D2)', async () => {
        await open(version);
        fake.cost = { changeMs: 60, perClientMs: 0 };
        await provider.put([newPeer(1)]);
        const before = callsLike(CREATE).length;
        const began = performance.now();
        const took: number[] = [];
        const asked = Array.from({ length: 60 }, async (_, index) => {
          try {
            return await provider.put([newPeer(index + 2)], { until: began + 1500 });
          } finally {
            took.push(performance.now() - began);
          }
        });
        const outcomes = await Promise.allSettled(asked);
        const served = outcomes.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
        const refusals = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as DomainError] : []));
        expect(served.length).toBeGreaterThan(5);
        expect(refusals.length).toBeGreaterThan(20);
        for (const refusal of refusals) {
          expect(refusal).toMatchObject(failure('server_unavailable', 'busy'));
          expect(refusal.retryAfterSeconds).toBeGreaterThanOrEqual(1);
        }
        expect(callsLike(CREATE).length - before).toBe(served.length);
        expect(fake.clients).toHaveLength(served.length + 1);
      });

      it('makes a new client between two of many changes, not after them (D2)', async () => {
        await open(version);
        const made = await provider.put(Array.from({ length: 30 }, (_, index) => newPeer(index + 1)));
        const suspending = provider.suspend(made);
        await until(() => callsLike(/disable$/).length > 0);
        await provider.put([newPeer(99)]);
        expect(callsLike(/disable$/).length).toBeLessThan(30);
        await suspending;
        expect(fake.clients.filter(({ enabled }) => enabled)).toHaveLength(1);
      });

      it('is listed once for many who wait together, and at most twice for one (D2, D12)', async () => {
        await open(version);
        await provider.put([newPeer(1)]);
        fake.calls.length = 0;
        await provider.put([newPeer(2)]);
        expect(callsLike(LIST).length).toBeLessThanOrEqual(2);
        fake.calls.length = 0;
        await Promise.all(Array.from({ length: 20 }, (_, index) => provider.put([newPeer(index + 3)])));
        expect(callsLike(CREATE)).toHaveLength(20);
        expect(callsLike(LIST).length).toBeLessThanOrEqual(4);
      });
    });

    it('lets out no secret through any error', async () => {
      await open(version, { callLimitMs: CALL_LIMIT_MS });
      const errors: unknown[] = [];
      const note = (thrown: unknown): void => void errors.push(thrown);
      await provider.put([newPeer(1)]);
      for (const mood of ['hanging', 'reset', 'html', 'flood', 'redirect'] as const) {
        fake.mood = mood;
        for (const apiKey of [null, 'the-api-key'])
          await providerFor({ apiKey, callLimitMs: CALL_LIMIT_MS }).list().catch(note);
        await provider.list().catch(note);
        fake.mood = 'well';
        await provider.list();
      }
      for (const apiKey of ['wrong', 'with\nnewline']) await providerFor({ apiKey }).list().catch(note);
      expect(errors).toHaveLength(17);
      const told = errors.map((error) => inspect(error, { depth: 9 })).join('\n');
      const [client] = fake.clients;
      const secrets = [fake.password, 'the-api-key', 'with\nnewline', 's%3A', client!.privateKey, client!.presharedKey];
      for (const secret of secrets) expect(told).not.toContain(secret);
    });

    it('is not made keys for', async () => {
      await open(version);
      await expect(provider.generateKeyPair()).rejects.toThrow('wg-easy makes its own keys');
    });
  });
});

describe('wg-easy', () => {
  afterEach(close);

  it('is recognised again after an upgrade, with other ids for the same keys', async () => {
    await open('14');
    const [made] = await provider.put([newPeer(1)]);
    for (const version of ['15.0.0', '15.4.0'] as const) {
      fake.restart(version);
      const [live] = await provider.list();
      expect(live).toMatchObject({ publicKey: made!.publicKey, remoteId: String(fake.clients[0]!.id) });
      await provider.suspend([made!]);
      await provider.put([knownPeer(1, made!)]);
      expect(fake.clients).toMatchObject([{ enabled: true }]);
    }
  });

  it('may be upgraded just when a client is disabled', async () => {
    await open('14');
    const [made] = await provider.put([newPeer(1)]);
    fake.onCall = (call) => {
      if (call.endsWith('disable') && fake.version === '14') fake.restart('15.4.0');
    };
    await provider.suspend([made!]);
    expect(fake.clients).toMatchObject([{ enabled: false }]);
  });

  it('14 may have no password', async () => {
    await open('14', { password: '' });
    fake.requiresPassword = false;
    expect(await provider.put([newPeer(1)])).toHaveLength(1);
    expect(callsLike(LOG_IN)).toEqual([]);
  });

  it('14 that fails with the right API key is not blamed on the key', async () => {
    await open('14', { apiKey: 'correct horse battery' });
    fake.distort = (call, reply) => (LIST.test(call) ? { status: 500, json: { statusCode: 500, stack: [] } } : reply);
    await expect(provider.list()).rejects.toMatchObject(failure('server_unavailable', 'status'));
  });

  it('is recognised before 15.2.1 too, where a stranger is told nothing (D1)', async () => {
    await open('15.2.0');
    const [made] = await provider.put([newPeer(1)]);
    await provider.suspend([made!]);
    expect(fake.clients).toMatchObject([{ enabled: false }]);
    expect(callsLike(/session$/)).toEqual(['GET /api/session', 'POST /api/session']);
  });

  it('14 answers 500 for a moment after its start (D14)', async () => {
    await open('14');
    fake.startsForMs = 100;
    fake.restart();
    await expect(provider.list()).rejects.toMatchObject(failure('server_unavailable', 'status'));
    await until(async () => (await provider.list().catch(() => null)) !== null);
  });

  it('14 has given every client an IPv6 address when it is 15 (D9, D14)', async () => {
    await open('14');
    const [made] = await provider.put([newPeer(1)]);
    fake.restart('15.4.0');
    expect(made!.addresses).toEqual(['10.8.0.2/32']);
    expect(await provider.list()).toMatchObject([{ addresses: ['10.8.0.2/32', 'fdcc:ad94:bacf:61a4::cafe:2/128'] }]);
  });

  it.each(['15.1.0', '15.4.0'] as const)(
    '%s without IPv6 gives none, whatever its list says (D13)',
    async (version) => {
      await open(version);
      fake.disablesIpv6 = true;
      const [made] = await provider.put([newPeer(1)]);
      expect(made!.addresses).toEqual(['10.8.0.2/32']);
      const another = providerFor({}, 'another process');
      expect(await another.list()).toMatchObject([{ addresses: ['10.8.0.2/32'] }]);
      fake.disablesIpv6 = false;
      expect((await another.list())[0]!.addresses).toHaveLength(2);
    },
  );

  it('for AmneziaWG is refused: its devices would not connect (D13)', async () => {
    await open('15.4.0');
    fake.isAmnezia = true;
    await expect(provider.put([newPeer(1)])).rejects.toMatchObject(failure('server_refused', 'amneziawg'));
    await provider.list();
    await until(() => fake.clients.length === 0);
  });

  it.each(WG_EASY_VERSIONS.filter((version) => version !== '14'))(
    '%s calls a key that it cannot read malformed, which is a matter of the key (D13)',
    async (version) => {
      await open(version, { apiKey: 'not base64 of anything' });
      await expect(provider.list()).rejects.toMatchObject(failure('server_refused', 'authentication'));
    },
  );

  it.each(WG_EASY_VERSIONS.filter((version) => version !== '14'))(
    '%s shows an account that lost its rights an empty list, from which nothing follows (D5)',
    async (version) => {
      await open(version);
      const [made] = await provider.put([newPeer(1)]);
      fake.isAdministrator = false;
      const noRights = failure('server_refused', 'rights');
      expect(await provider.list()).toEqual([]);
      await expect(provider.serverKey()).rejects.toMatchObject(noRights);
      await expect(provider.put([knownPeer(1, made!)])).rejects.toMatchObject(noRights);
      await expect(provider.suspend([made!])).rejects.toMatchObject(noRights);
      await expect(provider.remove([made!])).rejects.toMatchObject(noRights);
      fake.isAdministrator = true;
      await provider.remove([made!]);
      expect(fake.clients).toEqual([]);
    },
  );

  it('may have a thousand clients: their list is read, whatever its length (D12)', async () => {
    await open('15.4.0');
    const made = await provider.put([newPeer(1)]);
    const strangers = Array.from({ length: 3000 }, (_, index) => ({
      ...{ id: 10_000 + index, name: `stranger ${index}`, enabled: false, publicKey: generateKeyPair().publicKey },
      ...{
        ipv4Address: `10.9.${index >> 8}.${index & 255}`,
        ipv6Address: null,
        transferRx: null,
        notes: 'x'.repeat(400),
      },
    }));
    fake.distort = (call, reply) => {
      if (!LIST.test(call) || !Array.isArray(reply.json)) return reply;
      return { ...reply, json: [...(reply.json as object[]), ...strangers] };
    };
    expect(await provider.list()).toHaveLength(3001);
    await provider.suspend(made);
    expect(fake.clients).toMatchObject([{ enabled: false }]);
  });

  it.each(['15.0.0', '15.4.0'] as const)('%s that demands a second factor is refused, not retried', async (version) => {
    await open(version);
    fake.twoFactor = true;
    await expect(provider.list()).rejects.toMatchObject(failure('server_refused', 'two_factor'));
  });

  it.each(WG_EASY_VERSIONS.filter((version) => version !== '14'))(
    '%s has clients that a person gave an end: it is taken off (D8)',
    async (version) => {
      await open(version);
      const expired = fake.add(nameFor(1), { expiresAt: '2026-01-01T00:00:00.000Z' });
      const ending = fake.add(nameFor(2), {
        expiresAt: '2999-01-01T00:00:00.000Z',
        ipv4Address: '10.8.0.77',
        ipv6Address: 'fdcc::77',
      });
      fake.add(nameFor(3), { enabled: false });
      fake.runExpiryJob();
      expect((await provider.list()).map(({ isEnabled, isUnsettled }) => [isEnabled, isUnsettled])).toEqual([
        [false, false],
        [true, true],
        [false, false],
      ]);
      await provider.put(fake.clients.map((client, index) => knownPeer(index + 1, refTo(client))));
      fake.runExpiryJob();
      expect(fake.clients.map(({ enabled, expiresAt }) => [enabled, expiresAt])).toEqual([
        [true, null],
        [true, null],
        [true, null],
      ]);
      expect(expired.name).toBe(nameFor(1));
      expect(ending.ipv4Address).toBe('10.8.0.77');
      expect((await provider.list()).map(({ isUnsettled }) => isUnsettled)).toEqual([false, false, false]);
    },
  );

  it.each([
    [401, 'server_refused', 'authentication'],
    [403, 'server_refused', 'authentication'],
    [400, 'server_refused', 'request'],
    [404, 'server_unavailable', 'answer'],
    [429, 'server_unavailable', 'status'],
    [502, 'server_unavailable', 'status'],
  ] as const)('that answers %d to a change has its reason told', async (status, code, kind) => {
    await open('15.4.0');
    fake.onCall = () => (fake.nextChange = { status, json: {} });
    await expect(provider.put([newPeer(1)], soon())).rejects.toMatchObject(failure(code, kind));
  });
});

describe('what is no wg-easy', () => {
  afterEach(close);

  it.each<[string, string, Reply, string]>([
    ['fails', '/api/session', { status: 502, text: 'Bad Gateway' }, 'status'],
    ['knows no session', '/api/session', { status: 404, json: {} }, 'answer'],
    ['says nothing of a password', '/api/session', { status: 200, json: { user: 1 } }, 'answer'],
    ['fails at the ways to log in', '/api/auth/methods', { status: 503, text: '' }, 'status'],
  ])('is told nothing secret when it %s', async (_what, path, reply, kind) => {
    await open('15.4.0');
    fake.distort = (call, honest) => (call === `GET ${path}` ? reply : honest);
    await expect(providerFor({ apiKey: 'the-api-key' }).list()).rejects.toMatchObject(
      failure('server_unavailable', kind),
    );
    expect([callsLike(LOG_IN), fake.authorizations]).toEqual([[], []]);
  });

  it('is told nothing secret when it says nothing to whatever it is asked', async () => {
    await open('15.4.0');
    fake.distort = () => ({ status: 204, text: '' });
    const asked = providerFor({ apiKey: 'the-api-key' }).list();
    await expect(asked).rejects.toMatchObject(failure('server_unavailable', 'answer'));
    expect([callsLike(LOG_IN), fake.authorizations]).toEqual([[], []]);
  });

  it('may answer a page to any path, and is then taken for an early 15', async () => {
    await open('15.0.0');
    fake.distort = (call, honest) => (call.endsWith('/methods') ? { status: 200, text: '<!DOCTYPE html>' } : honest);
    expect(await provider.list()).toEqual([]);
  });
});

describe('the address of a wg-easy', () => {
  afterEach(close);

  it.each(['ftp://127.0.0.1', 'http://admin:secret@127.0.0.1', 'nonsense', 'http://127.0.0.1/?x'])(
    'is refused before anything is sent: %s',
    async (url) => {
      await open('14');
      expect(() => providerFor({ url })).toThrow(expect.objectContaining(failure('server_refused', 'target')));
    },
  );

  it.each([
    'http://127.0.0.1:PORT',
    'http://0x7f000001:PORT',
    'http://[::ffff:127.0.0.1]:PORT',
    'http://localhost:PORT',
  ])('is not connected to when it is a private one and those are not allowed: %s', async (url) => {
    await open('14');
    const refusing = providerFor({ url: url.replace('PORT', new URL(fake.url).port), allowPrivateTargets: false });
    await expect(refusing.list()).rejects.toMatchObject(failure('server_refused', 'target'));
    expect(fake.calls).toEqual([]);
  });

  it('is resolved once for a call, and what was checked is what is connected to', async () => {
    await open('14');
    const url = `http://vpn.example.test:${new URL(fake.url).port}`;
    const asked: string[] = [];
    const resolve = (hostname: string): Promise<readonly string[]> => {
      asked.push(hostname);
      return Promise.resolve(['127.0.0.1']);
    };
    expect(await providerFor({ url, resolve }).list()).toEqual([]);
    expect(asked).toEqual(fake.calls.map(() => 'vpn.example.test'));
  });

  it.each<[string, readonly string[]]>([
    ['inward', ['127.0.0.1']],
    ['outward and inward', ['93.184.216.34', '169.254.169.254']],
    ['to no address at all', ['a name']],
  ])('is refused when its name leads %s', async (_where, addresses) => {
    await open('14');
    const resolve = (): Promise<readonly string[]> => Promise.resolve(addresses);
    const url = `http://vpn.example.test:${new URL(fake.url).port}`;
    const misled = providerFor({ url, resolve, allowPrivateTargets: false });
    await expect(misled.list()).rejects.toMatchObject(failure('server_refused', 'target'));
    expect(fake.calls).toEqual([]);
  });

  it('may have a name that nobody knows just now, or a resolver that does not answer', async () => {
    await open('14');
    const url = 'http://vpn.example.test';
    const unknown = providerFor({ url, resolve: () => Promise.reject(new Error('ENOTFOUND')) });
    await expect(unknown.list()).rejects.toMatchObject(failure('server_unavailable', 'network'));
    await expect(providerFor({ url, resolve: () => Promise.resolve([]) }).list()).rejects.toMatchObject(
      failure('server_unavailable', 'network'),
    );
    const silent = providerFor({ url, callLimitMs: CALL_LIMIT_MS, resolve: () => new Promise(() => undefined) });
    await expect(silent.list()).rejects.toMatchObject(failure('server_unavailable', 'timeout'));
  });

  it('may have nobody there', async () => {
    await open('14');
    const port = await freePort();
    await expect(providerFor({ url: `http://127.0.0.1:${port}` }).list()).rejects.toMatchObject(
      failure('server_unavailable', 'network'),
    );
    await expect(providerFor({ url: `https://127.0.0.1:${new URL(fake.url).port}` }).list()).rejects.toMatchObject(
      failure('server_unavailable', 'network'),
    );
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('There is no free port');
  return address.port;
}

/** Waits for something that happens by itself. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await isSo()); tries++) {
    if (tries === 500) throw new Error('It never happened');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
