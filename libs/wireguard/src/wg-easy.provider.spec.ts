import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { DomainError, SeededRandomness } from '#kernel';
import { FakeWgEasy, type Reply, type WgEasyFamily, type WgEasyMood } from '../../../test/fakes/wg-easy.js';
import { itKeepsTheProviderContract } from '../../../test/support/provider-contract.js';
import { generateKeyPair, publicKeyOf } from './keys.js';
import { type WgEasyOptions, WgEasyProvider } from './wg-easy.provider.js';
import { type PeerRef, type PeerSpec } from './wireguard.provider.js';

const FAMILIES = ['14', '15.0', '15.4'] as const;
const CALL_LIMIT_MS = 200;

let fake: FakeWgEasy;
let provider: WgEasyProvider;

async function open(family: WgEasyFamily, options: Partial<WgEasyOptions> = {}): Promise<void> {
  fake = await FakeWgEasy.start(family);
  provider = providerFor(options);
}

function providerFor(options: Partial<WgEasyOptions> = {}, seed = 'one'): WgEasyProvider {
  const { url, username, password } = fake;
  const base = { url, username, password, apiKey: null, allowPrivateTargets: true };
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
const failure = (code: 'server_unavailable' | 'server_refused', kind: string): object => ({ code, params: { kind } });
const distortConfig = (rewrite: (text: string) => string): void => {
  fake.distort = (call, reply) =>
    call.endsWith('/configuration') ? { ...reply, text: rewrite(reply.text ?? '') } : reply;
};
const callsLike = (pattern: RegExp): string[] => fake.calls.filter((call) => pattern.test(call));
const LOG_IN = /^POST \/api\/(session|auth\/password)$/;
const LIST = /^GET \/api\/(wireguard\/)?client$/;
const CREATE = /^POST \/api\/(wireguard\/)?client$/;

describe.each(FAMILIES)('wg-easy %s', (family) => {
  describe('as any provider', () => {
    itKeepsTheProviderContract(async () => {
      await open(family);
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
      await open(family);
      const [made] = await provider.put([newPeer(7)]);
      const [client] = fake.clients;
      expect(made).toEqual({
        peerId: 7,
        publicKey: client!.publicKey,
        privateKey: client!.privateKey,
        presharedKey: client!.presharedKey,
        addresses: family === '14' ? ['10.8.0.2/32'] : ['10.8.0.2/32', 'fdcc:ad94:bacf:61a4::cafe:2/128'],
        remoteId: String(client!.id),
      });
      expect(publicKeyOf(made!.privateKey!)).toBe(made!.publicKey);
      expect((await provider.put([knownPeer(7, made!)]))[0]).toMatchObject({
        privateKey: null,
        publicKey: made!.publicKey,
      });
    });

    it('tells its own key in the config of a client of ours, and of nobody else', async () => {
      await open(family);
      fake.add('the laptop of somebody');
      expect(await provider.serverKey()).toBeNull();
      await provider.put([newPeer(7)]);
      expect(await provider.serverKey()).toBe(fake.serverKey);
    });

    it('is given names of ours only, that no user had a hand in', async () => {
      await open(family);
      await provider.put([newPeer(7), newPeer(2_147_483_647)]);
      for (const { name } of fake.clients) expect(name).toMatch(/^vpn-(7|2147483647)-[0-9a-f]{16}$/);
      for (const bad of [0, -1, 1.5, Number.NaN, Infinity])
        await expect(provider.put([newPeer(bad)])).rejects.toThrow();
      expect(fake.clients).toHaveLength(2);
    });

    it('is logged in to once for many calls', async () => {
      await open(family);
      await provider.put([newPeer(1), newPeer(2)]);
      await provider.list();
      expect(callsLike(LOG_IN)).toHaveLength(1);
      await provider.close();
      await provider.list();
      expect(callsLike(LOG_IN)).toHaveLength(2);
    });

    it('is logged in to again when it has restarted', async () => {
      await open(family);
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
      await open(family);
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
      await open(family);
      fake.failsAfterCreating = true;
      const made = await provider.put([newPeer(1), newPeer(2)]);
      expect(made.map(({ publicKey }) => publicKey)).toEqual(fake.clients.map(({ publicKey }) => publicKey));
      expect(callsLike(CREATE)).toHaveLength(2);
    });

    it('has no client when it says so and the list agrees', async () => {
      await open(family);
      fake.nextChange = { status: 500, json: {} };
      await expect(provider.put([newPeer(1)])).rejects.toMatchObject(failure('server_unavailable', 'status'));
      expect(fake.clients).toEqual([]);
      expect(await provider.put([newPeer(1)])).toHaveLength(1);
    });

    it('gives a peer the client that an earlier call made for it', async () => {
      await open(family);
      const [first] = await provider.put([newPeer(1)]);
      const again = await providerFor({}, 'another process').put([newPeer(1), newPeer(1)]);
      expect(again).toEqual([first, first]);
      expect(fake.clients).toHaveLength(1);
    });

    it('enables the client that it gives to a peer', async () => {
      await open(family);
      fake.add('vpn-1-abandoned', { enabled: false });
      await provider.put([newPeer(1)]);
      expect(fake.clients).toMatchObject([{ enabled: true }]);
      expect(callsLike(CREATE)).toEqual([]);
    });

    it('refuses a peer that is gone from it, and serves the others', async () => {
      await open(family);
      const away = knownPeer(1, { publicKey: generateKeyPair().publicKey, remoteId: '1' });
      await expect(provider.put([away, newPeer(2)])).rejects.toMatchObject(failure('server_refused', 'gone'));
      expect(fake.clients.map(({ name }) => name)).toEqual([expect.stringMatching(/^vpn-2-/)]);
    });

    it.each([
      'the laptop of somebody',
      'vpn-1',
      'vpn-x-1',
      'vpn-01-a',
      'vpn-1-a b',
      'old vpn-1-a',
      'vpn-1-a\nPostUp = x',
    ])('keeps a stranger called %p as it is', async (name) => {
      await open(family);
      const stranger = fake.add(name);
      const disabled = fake.add(`${name}, disabled`, { enabled: false });
      const ours = fake.add('vpn-2-a');
      const before = [{ ...stranger }, { ...disabled }];
      const notOurs = failure('server_refused', 'not_ours');
      await expect(provider.suspend([refTo(stranger), refTo(ours)])).rejects.toMatchObject(notOurs);
      expect(ours.enabled).toBe(false);
      for (const client of [stranger, disabled]) {
        await expect(provider.put([knownPeer(1, refTo(client))])).rejects.toMatchObject(notOurs);
      }
      await expect(provider.remove([refTo(stranger), refTo(ours)])).rejects.toMatchObject(notOurs);
      expect(fake.clients).toEqual(before);
      expect(await provider.list()).toMatchObject([
        { isOurs: false, peerId: null, publicKey: stranger.publicKey, isEnabled: true },
        { isOurs: false, peerId: null, publicKey: disabled.publicKey, isEnabled: false },
      ]);
    });

    it('tells what the interface has counted, and nothing for a disabled client', async () => {
      await open(family);
      const latestHandshakeAt = new Date('2026-01-02T03:04:05Z');
      const client = fake.add('vpn-1-a', { latestHandshakeAt, transferRx: 12_345_678_901, transferTx: 7 });
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
      await open(family);
      const client = fake.add('vpn-1-a');
      fake.onlyPretends = true;
      const unconfirmed = failure('server_unavailable', 'unconfirmed');
      await expect(provider.suspend([refTo(client)])).rejects.toMatchObject(unconfirmed);
      await expect(provider.remove([refTo(client)])).rejects.toMatchObject(unconfirmed);
      client.enabled = false;
      await expect(provider.put([newPeer(1)])).rejects.toMatchObject(unconfirmed);
    });

    it('takes a client that somebody deletes at the same moment as suspended and as removed', async () => {
      await open(family);
      const clients = [fake.add('vpn-1-a'), fake.add('vpn-2-a')];
      fake.onCall = (call) => {
        if (/disable$|^DELETE/.test(call)) fake.clients.splice(0, 1);
      };
      await provider.suspend([refTo(clients[0]!)]);
      await provider.remove([refTo(clients[1]!)]);
      expect(fake.clients).toEqual([]);
    });

    it('has room for 253 clients, and says so', async () => {
      await open(family);
      for (let count = 0; count < 252; count++) fake.add(`stranger ${count}`);
      await provider.put([newPeer(1)]);
      await expect(provider.put([newPeer(2)])).rejects.toMatchObject(failure('server_refused', 'pool'));
      await provider.suspend([refTo(fake.clients[252]!)]);
      expect(await provider.put([newPeer(1)])).toHaveLength(1);
    });

    it('is called full only for lack of room', async () => {
      await open(family);
      for (let count = 0; count < 253; count++)
        fake.add(`stranger ${count}`, count > 250 ? { ipv4Address: '10.8.1.1' } : {});
      await expect(provider.put([newPeer(1)])).rejects.toMatchObject(failure('server_unavailable', 'status'));
      for (const [number, client] of fake.clients.entries())
        Object.assign(client, { ipv4Address: `10.8.0.${number + 2}` });
      fake.nextChange = { status: 400, json: {} };
      await expect(provider.put([newPeer(1)])).rejects.toMatchObject(failure('server_refused', 'request'));
    });

    it('is given up on when it loses the session with every change', async () => {
      await open(family);
      fake.onCall = (call) => {
        if (CREATE.test(call)) fake.restart();
      };
      await expect(provider.put([newPeer(1)])).rejects.toBeInstanceOf(DomainError);
      expect(callsLike(CREATE)).toHaveLength(2);
    });

    it('must open a session when it is logged in to', async () => {
      await open(family);
      fake.distort = (_call, reply) => ({ ...reply, cookie: undefined });
      await expect(provider.list()).rejects.toMatchObject(failure('server_unavailable', 'answer'));
      expect(callsLike(LIST)).toEqual([]);
    });

    it('is changed by one call at a time, however many are asked for', async () => {
      await open(family);
      const made = await Promise.all([1, 2, 3, 4, 3].map((peerId) => provider.put([newPeer(peerId)])));
      await Promise.all(made.flat().map((material) => provider.suspend([material])));
      expect(fake.mostChangesAtOnce).toBe(1);
      expect(fake.clients.map(({ enabled }) => enabled)).toEqual([false, false, false, false]);
    });

    it('goes on with the next change after one has failed', async () => {
      await open(family);
      fake.nextChange = { status: 503, json: {} };
      const [first, second] = await Promise.allSettled([provider.put([newPeer(1)]), provider.put([newPeer(2)])]);
      expect([first.status, second.status]).toEqual(['rejected', 'fulfilled']);
    });

    it('refuses a wrong password', async () => {
      await open(family, { password: 'wrong, but long enough' });
      await expect(provider.list()).rejects.toMatchObject(failure('server_refused', 'authentication'));
      expect(callsLike(LOG_IN)).toHaveLength(1);
      await expect(providerFor({ password: 'short' }).list()).rejects.toMatchObject(
        failure('server_refused', 'authentication'),
      );
    });

    it('is given the API key as it is, and no password', async () => {
      await open(family);
      const basic = `Basic ${Buffer.from(`${fake.username}:${fake.password}`).toString('base64')}`;
      const apiKey = family === '14' ? fake.password : basic;
      expect(await providerFor({ apiKey, password: '' }).put([newPeer(1)])).toHaveLength(1);
      expect(new Set(fake.authorizations)).toEqual(new Set([apiKey]));
      expect(callsLike(LOG_IN)).toEqual([]);
    });

    it('refuses a wrong API key', async () => {
      await open(family, { apiKey: 'wrong' });
      await expect(provider.list()).rejects.toMatchObject(failure('server_refused', 'authentication'));
    });

    it.each<[WgEasyMood, object]>([
      ['hanging', failure('server_unavailable', 'timeout')],
      ['reset', failure('server_unavailable', 'network')],
      ['html', failure('server_unavailable', 'answer')],
      ['flood', failure('server_unavailable', 'answer')],
      ['redirect', failure('server_refused', 'redirect')],
    ])('is %s: the first call says so, later ones recover', async (mood, expected) => {
      await open(family, { callLimitMs: CALL_LIMIT_MS });
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
      await open(family, { callLimitMs: CALL_LIMIT_MS });
      await provider.list();
      fake.calls.length = 0;
      fake.mood = 'hanging';
      await expect(provider.list()).rejects.toMatchObject(failure('server_unavailable', 'timeout'));
      expect(fake.calls).toHaveLength(1);
    });

    it('falls silent in the middle of a change: the client is there, and is taken the next time', async () => {
      await open(family, { callLimitMs: CALL_LIMIT_MS });
      fake.onCall = (call) => {
        if (!CREATE.test(call)) return;
        fake.add('vpn-1-made-while-nobody-listened');
        fake.mood = 'hanging';
      };
      const asked = provider.put([newPeer(1), newPeer(2)]);
      await expect(asked).rejects.toMatchObject(failure('server_unavailable', 'timeout'));
      expect(callsLike(CREATE)).toHaveLength(1);
      fake.mood = 'well';
      expect(await provider.put([newPeer(1)])).toMatchObject([{ publicKey: fake.clients[0]!.publicKey }]);
      expect(fake.clients).toHaveLength(1);
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
      await open(family);
      distortConfig(rewrite);
      const error: unknown = await provider.put([newPeer(1)]).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject(failure('server_unavailable', 'answer'));
      expect(inspect(error, { depth: 9 })).not.toContain(fake.clients[0]!.privateKey);
    });

    it('need not use preshared keys', async () => {
      await open(family);
      distortConfig((text) => text.replace(/PresharedKey = .*\n/, ''));
      expect(await provider.put([newPeer(1)])).toMatchObject([{ presharedKey: null }]);
    });

    it.each<[string, (list: readonly object[]) => unknown]>([
      ['no list', () => ({})],
      ['a list of nothing known', () => [null]],
      ['a client without a name', ([client]) => [{ ...client, name: undefined }]],
      ['a client that may be enabled', ([client]) => [{ ...client, enabled: 'yes' }]],
      ['an id that leads elsewhere', ([client]) => [{ ...client, id: '../../session' }]],
      ['a key that is none', ([client]) => [{ ...client, publicKey: 'x' }]],
      ['an address that is none', ([client]) => [{ ...client, address: '10.8.0.0/24', ipv4Address: '10.8.0.0/24' }]],
      ['a moment that is none', ([client]) => [{ ...client, latestHandshakeAt: 'yesterday' }]],
      ['a count that is none', ([client]) => [{ ...client, transferRx: -1 }]],
    ])('answers with %s: that is no answer', async (_what, rewrite) => {
      await open(family);
      fake.add('vpn-1-a');
      fake.distort = (call, reply) => {
        if (!LIST.test(call) || !Array.isArray(reply.json)) return reply;
        return { ...reply, json: rewrite(reply.json) };
      };
      await expect(provider.list()).rejects.toMatchObject(failure('server_unavailable', 'answer'));
    });

    it('lets out no secret through any error', async () => {
      await open(family, { callLimitMs: CALL_LIMIT_MS });
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
      await open(family);
      await expect(provider.generateKeyPair()).rejects.toThrow('wg-easy makes its own keys');
    });
  });
});

describe('wg-easy', () => {
  afterEach(close);

  it('is recognised again after an upgrade, with other ids for the same keys', async () => {
    await open('14');
    const [made] = await provider.put([newPeer(1)]);
    for (const family of ['15.0', '15.4'] as const) {
      fake.restart(family);
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
      if (call.endsWith('disable') && fake.family === '14') fake.restart('15.4');
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

  it.each(['14', '15.0'] as const)(
    '%s fails at every change once a person has typed a name of two lines, and is judged by its list',
    async (family) => {
      await open(family);
      fake.add('laptop\nPostUp = id');
      const [made] = await provider.put([newPeer(1)]);
      await provider.suspend([made!]);
      expect(fake.clients).toMatchObject([{}, { publicKey: made!.publicKey, enabled: false }]);
      await provider.remove([made!]);
      expect(fake.clients).toHaveLength(1);
    },
  );

  it.each(['15.0', '15.4'] as const)('%s that demands a second factor is refused, not retried', async (family) => {
    await open(family);
    fake.twoFactor = true;
    await expect(provider.list()).rejects.toMatchObject(failure('server_refused', 'two_factor'));
  });

  it.each(['15.0', '15.4'] as const)(
    '%s does not enable a client that a person gave an end, and serves the others',
    async (family) => {
      await open(family);
      const expired = fake.add('vpn-1-a', { enabled: false, expiresAt: '2026-01-01T00:00:00.000Z' });
      fake.add('vpn-2-a', { enabled: false });
      const asked = provider.put([knownPeer(1, refTo(expired)), newPeer(2), newPeer(3)]);
      await expect(asked).rejects.toMatchObject(failure('server_refused', 'request'));
      expect(fake.clients.map(({ enabled }) => enabled)).toEqual([false, true, true]);
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
    await open('15.4');
    fake.nextChange = { status, json: {} };
    await expect(provider.put([newPeer(1)])).rejects.toMatchObject(failure(code, kind));
  });
});

describe('what is no wg-easy', () => {
  afterEach(close);

  it.each<[string, string, Reply, string]>([
    ['fails', '/api/session', { status: 502, text: 'Bad Gateway' }, 'status'],
    ['knows no session', '/api/session', { status: 404, json: {} }, 'answer'],
    ['says nothing of a password', '/api/session', { status: 200, json: { user: 1 } }, 'answer'],
    ['says nothing at all', '/api/session', { status: 204, text: '' }, 'answer'],
    ['fails at the ways to log in', '/api/auth/methods', { status: 503, text: '' }, 'status'],
  ])('is told nothing secret when it %s', async (_what, path, reply, kind) => {
    await open('15.4');
    fake.distort = (call, honest) => (call === `GET ${path}` ? reply : honest);
    await expect(providerFor({ apiKey: 'the-api-key' }).list()).rejects.toMatchObject(
      failure('server_unavailable', kind),
    );
    expect([callsLike(LOG_IN), fake.authorizations]).toEqual([[], []]);
  });

  it('may answer a page to any path, and is then taken for an early 15', async () => {
    await open('15.0');
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
