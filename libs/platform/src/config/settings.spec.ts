import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { SystemRandomness } from '#kernel';
import { developmentSecrets } from './development-secrets.js';
import { Settings } from './settings.js';
import { type Environment, SettingsError } from './settings-reader.js';

const KEY = '3Rtik7crK3_YE6pfTa8waKgJ-IjxJnvHRQsbKtcAB94=';
const DEVELOPMENT: Environment = { SECRET_KEY: 'WkBz4mLqT8vXc2Rn6YpJ0sHfUe3GdA7i', CONFIG_ENCRYPTION_KEY: KEY };
const PRODUCTION: Environment = {
  ...DEVELOPMENT,
  NODE_ENV: 'production',
  DATABASE_URL: 'postgresql://vpn:x@db.internal:5432/vpn',
  WG_SERVER_PUBLIC_KEY: 'kx2TW8Ogn5HVzNsTq2kVbY7mHi8vFfXkXbNwFJp1Q3U=',
  WG_ENDPOINT: 'vpn.example.net:51820',
};

function read(environment: Environment): Settings {
  return new Settings(environment, { cores: 4 });
}

function faults(environment: Environment): readonly string[] {
  try {
    read(environment);
  } catch (error) {
    if (error instanceof SettingsError) return error.faults;
    throw error;
  }
  return [];
}

describe('settings', () => {
  it('have sensible values when nothing but the generated secrets is set', () => {
    const settings = read(DEVELOPMENT);
    expect(settings.environment).toBe('development');
    expect(settings.http).toEqual({
      host: '0.0.0.0',
      port: 8000,
      docs: true,
      corsOrigins: [],
      keepAliveSeconds: 65,
      requestTimeoutSeconds: 30,
      shutdownDelaySeconds: 0,
      trustedProxies: [],
    });
    expect(settings.rateLimits).toEqual({ iapVerify: 10, webhook: 600 });
    expect(settings.database).toEqual({ url: undefined, directUrl: undefined, poolSize: 10 });
    expect(settings.auth.accessTokenSeconds).toBe(3600);
    expect(settings.auth.promoteMode).toBe('once');
    expect(settings.wireguard).toMatchObject({
      clientKeys: 'honour',
      subnet: '10.8.0.0/16',
      dns: ['1.1.1.1'],
      mtu: 1420,
    });
  });

  it('start in production with what production needs', () => {
    expect(faults(PRODUCTION)).toEqual([]);
    expect(read(PRODUCTION).http.docs).toBe(false);
  });

  it('name everything that is missing in production in one message', () => {
    const message = faults({ NODE_ENV: 'production' }).join('\n');
    for (const name of ['SECRET_KEY', 'DATABASE_URL', 'CONFIG_ENCRYPTION_KEY', 'WG_ENDPOINT', 'WG_SERVER_PUBLIC_KEY']) {
      expect(message).toContain(name);
    }
  });

  it.each<[string, Environment]>([
    ['SECRET_KEY', { SECRET_KEY: 'short' }],
    ['SECRET_KEY', { SECRET_KEY: 'change_me_change_me_change_me_change_me' }],
    ['SECRET_KEY', { SECRET_KEY: 'abababababababababababababababababab' }],
    ['JWT_KEYS', { JWT_KEYS: '{"kid":"a"}' }],
    ['JWT_KEYS', { JWT_KEYS: 'not json' }],
    ['JWT_KEYS, key new,', { JWT_KEYS: '[{"kid":"new","k":"short"}]' }],
    ['CONFIG_ENCRYPTION_KEY', { CONFIG_ENCRYPTION_KEY: 'x'.repeat(44) }],
    ['CONFIG_ENCRYPTION_KEY', { CONFIG_ENCRYPTION_KEY: `${KEY},tooshort` }],
    ['CONFIG_ENCRYPTION_KEY', { CONFIG_ENCRYPTION_KEY: `${'A'.repeat(43)}=` }],
    ['PROMOTE_SECRET', { PROMOTE_SECRET: 'tooshort' }],
    ['DATABASE_URL', { DATABASE_URL: 'mysql://localhost/vpn' }],
    ['DATABASE_DIRECT_URL', { DATABASE_DIRECT_URL: 'localhost:5432' }],
    ['DATABASE_URL', { DATABASE_URL: 'postgresql+asyncpg://localhost/vpn' }],
    ['PORT', { PORT: '80a' }],
    ['DEV_CLOCK_FILE is for development only', { DEV_CLOCK_FILE: 'data/clock' }],
    ['ALGORITHM', { ALGORITHM: 'none' }],
    ['BCRYPT_COST', { BCRYPT_COST: '4' }],
    ['ACCESS_TOKEN_EXPIRE_MINUTES', { ACCESS_TOKEN_EXPIRE_MINUTES: '61' }],
    ['TRUST_PROXY', { TRUST_PROXY: '10.0.0.0/8,proxy.internal' }],
    ['RATE_LIMIT_WEBHOOK', { RATE_LIMIT_WEBHOOK: '0' }],
    ['CORS_ORIGINS', { CORS_ORIGINS: 'https://a.example.com/path' }],
    ['WG_SERVER_PUBLIC_KEY', { WG_SERVER_PUBLIC_KEY: 'nope' }],
    ['WG_ENDPOINT', { WG_ENDPOINT: 'vpn.example.com' }],
    ['WG_SUBNET', { WG_SUBNET: '10.8.0.0/8' }],
    ['WG_DNS', { WG_DNS: '1.1.1.1,resolver' }],
    ['MAIL_FROM', { SMTP_URL: 'smtp://mail.example.com' }],
    ['SMTP_URL', { MAIL_FROM: 'no-reply@example.com' }],
    ...[
      'http://mail.example.com',
      'smtp://',
      'smtp://user@mail.example.com',
      'smtp://mail.example.com/?x=1',
      'mail',
    ].map((url): [string, Environment] => ['SMTP_URL', { SMTP_URL: url, MAIL_FROM: 'no-reply@example.com' }]),
    ...['nobody', 'a@b', 'A <a@example.com', 'a@example.com>', 'a@example.com, b@example.com'].map(
      (from): [string, Environment] => ['MAIL_FROM', { SMTP_URL: 'smtp://mail.example.com', MAIL_FROM: from }],
    ),
    ['WG_CLIENT_KEYS', { WG_CLIENT_KEYS: 'maybe' }],
    ['WATCHDOG_SECONDS', { WATCHDOG_SECONDS: '4' }],
    ['WATCHDOG_SECONDS', { WATCHDOG_SECONDS: '601' }],
  ])('refuse a bad %s', (name, change) => {
    expect(faults({ ...PRODUCTION, ...change })).toEqual([expect.stringContaining(name)]);
  });

  it.each<[string, string, Environment]>([
    ['WG_ENDPOINT', 'WG_SERVER_PUBLIC_KEY', { WG_ENDPOINT: undefined }],
    ['WG_SERVER_PUBLIC_KEY', 'WG_ENDPOINT', { WG_SERVER_PUBLIC_KEY: undefined }],
    ['MAIL_FROM', 'SMTP_URL', { SMTP_URL: 'smtp://mail.example.com' }],
    ['SMTP_URL', 'MAIL_FROM', { MAIL_FROM: 'no-reply@example.com' }],
    ['WG_EASY_URL', 'WG_EASY_PASSWORD', { WG_KEY_POLICY: 'wg-easy', WG_EASY_PASSWORD: 'secret' }],
    ['WG_EASY_PASSWORD', 'WG_EASY_URL', { WG_KEY_POLICY: 'wg-easy', WG_EASY_URL: 'https://wg-easy.example.com' }],
  ])('report %s where it alone is missing, and not %s beside it (E15)', (missing, given, change) => {
    const found = faults({ ...PRODUCTION, ...change });
    expect(found).toEqual([expect.stringContaining(missing)]);
    expect(found.join('')).not.toContain(given);
  });

  it('take mail servers as URLs, with the usual ports and encoded passwords', () => {
    const mail = (url: string, from: string): Settings['mail'] =>
      read({ ...PRODUCTION, SMTP_URL: url, MAIL_FROM: from }).mail;
    expect(mail('smtps://vpn%40example.com:p%40ss@mail.example.com', 'Example VPN <no-reply@example.com>')).toEqual({
      server: {
        host: 'mail.example.com',
        port: 465,
        isImplicitTls: true,
        login: { name: 'vpn@example.com', password: 'p@ss' },
      },
      from: { name: 'Example VPN', address: 'no-reply@example.com' },
    });
    expect(mail('smtp://[::1]:1025', 'no-reply@example.com')).toEqual({
      server: { host: '::1', port: 1025, isImplicitTls: false, login: undefined },
      from: { name: '', address: 'no-reply@example.com' },
    });
    expect(mail('smtp://mail.example.com', 'a@example.com')).toMatchObject({ server: { port: 587 } });
    expect(read(PRODUCTION).mail).toBeUndefined();
  });

  it('never repeat a value: it may be a secret in the wrong place', () => {
    const secret = 'hunter2hunter2';
    const all = Object.keys(PRODUCTION).map((name) => faults({ ...PRODUCTION, [name]: secret }).join('\n'));
    expect(all.join('\n')).not.toContain(secret);
  });

  it('take no issuer and no key of Apple that has not the form of one (H29)', () => {
    const apple = {
      APPLE_BUNDLE_ID: 'com.example.vpn',
      APPLE_APP_APPLE_ID: '1234567890',
      APPLE_ISSUER_ID: '57246542-96fe-1a63-e053-0824d011072a',
      APPLE_KEY_ID: '2X9R4HXF34',
      APPLE_PRIVATE_KEY_PATH: '/run/secrets/key.p8',
    };
    expect(read({ ...DEVELOPMENT, ...apple }).apple).toBeDefined();
    for (const [name, value] of [
      ['APPLE_ISSUER_ID', 'Example Ltd'],
      ['APPLE_ISSUER_ID', '57246542-96fe-1a63-e053-0824d011072'],
      ['APPLE_KEY_ID', '2X9R 4HXF34'],
      ['APPLE_KEY_ID', 'AuthKey_2X9R4HXF34.p8'],
    ] as const) {
      expect(() => read({ ...DEVELOPMENT, ...apple, [name]: value })).toThrow(name);
    }
  });

  it('sign with the first of several keys and keep the old one for checking', () => {
    const settings = read({ ...DEVELOPMENT, JWT_KEYS: '[{"kid":"2026-02","k":"Vm3kT9xQ2wLp7RzN5cYb8HsJ4dGf6AeU"}]' });
    expect(settings.auth.signingKeys.map(({ kid }) => kid)).toEqual(['2026-02', 'k0']);
  });

  it('leave threads free when passwords are hashed', () => {
    const concurrency = (cores: number, threads: string): number =>
      new Settings({ ...DEVELOPMENT, UV_THREADPOOL_SIZE: threads }, { cores }).auth.bcryptConcurrency;
    expect([concurrency(2, '8'), concurrency(16, '8'), concurrency(1, '1')]).toEqual([2, 6, 1]);
  });

  it('are all explained in .env.example, and nothing else is', () => {
    const example = readFileSync('.env.example', 'utf8');
    const explained = [...example.matchAll(/^#? ?([A-Z][A-Z0-9_]+)=/gm)].map((match) => match[1]);
    expect(explained.toSorted()).toEqual([...read(DEVELOPMENT).names]);
  });
});

describe('PAYMENT_WEBHOOK_SECRETS', () => {
  const LONG = ['tQ8rZ2mXv5KpL9wNc4YhJd7B', 'Hs3Gf6Tk1VbRz8QyWx5Mn2Pd'];
  const given = (secrets: unknown): Environment => ({ PAYMENT_WEBHOOK_SECRETS: JSON.stringify(secrets) });

  it('are none when unset, and one or several for each provider', () => {
    expect(read(DEVELOPMENT).paymentWebhookSecrets.size).toBe(0);
    const { paymentWebhookSecrets } = read({ ...PRODUCTION, ...given({ acme: LONG, bank_2: LONG[0] }) });
    expect([...paymentWebhookSecrets]).toEqual([
      ['acme', LONG],
      ['bank_2', [LONG[0]]],
    ]);
  });

  it.each([
    ['"acme"', 'PAYMENT_WEBHOOK_SECRETS must be JSON such as'],
    ['[]', 'PAYMENT_WEBHOOK_SECRETS must be JSON such as'],
    ['{"acme":', 'PAYMENT_WEBHOOK_SECRETS must be JSON such as'],
    [given({ Acme: LONG }), 'name of a provider, must be 2 to 32 of a-z'],
    [given({ a: LONG }), 'name of a provider, must be 2 to 32 of a-z'],
    [given({ google_play: LONG }), 'provider google_play, must not be a store'],
    [given({ acme: [] }), 'provider acme, must have a secret'],
    [given({ acme: ['', LONG[0]] }), 'provider acme, must have a secret'],
    [given({ acme: { key: LONG[0] } }), 'provider acme, must have a secret'],
    [given({ acme: [LONG[0], 'tQ8rZ2mXv5KpL9wNc4YhJd7'] }), 'provider acme, must be at least 24 characters long'],
    [given({ acme: 'change-me-change-me-change-me' }), 'provider acme, must be a random value'],
  ])('are refused as %p, in words that do not repeat them', (setting, fault) => {
    const environment = typeof setting === 'string' ? { PAYMENT_WEBHOOK_SECRETS: setting } : setting;
    const [found, ...others] = faults({ ...PRODUCTION, ...environment });
    expect(found).toContain(fault);
    expect(others).toEqual([]);
    for (const secret of [...LONG, 'change-me']) expect(found).not.toContain(secret);
  });

  it('may be short while nothing is at stake', () => {
    expect(read({ ...DEVELOPMENT, ...given({ acme: 'short' }) }).paymentWebhookSecrets.get('acme')).toEqual(['short']);
  });
});

describe('the secrets of development', () => {
  it('are made once, are good enough to start with, and are for the owner of the folder only', async () => {
    const directory = join(await mkdtemp(join(tmpdir(), 'vpn-secrets-')), 'data');
    const first = await developmentSecrets(directory, new SystemRandomness());
    const second = await developmentSecrets(directory, new SystemRandomness());
    expect(second).toEqual(first);
    expect(faults(first)).toEqual([]);
    const path = join(directory, 'secrets.env');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(parseEnv(await readFile(path, 'utf8'))).toEqual(first);
  });

  it('are the same for processes that start together', async () => {
    const directory = join(await mkdtemp(join(tmpdir(), 'vpn-secrets-')), 'data');
    const all = await Promise.all([1, 2, 3].map(() => developmentSecrets(directory, new SystemRandomness())));
    expect(new Set(all.map((secrets) => secrets['SECRET_KEY'])).size).toBe(1);
  });
});

describe('the settings of the first server', () => {
  const SSH = { WG_HOST_SSH_KEY: 'k', WG_HOST_FINGERPRINT: `SHA256:${'a'.repeat(43)}` };

  it.each<[string, Environment]>([
    ...[
      'vpn.example.net:99999',
      'vpn.example.net:65536',
      'vpn.example.net:0',
      'vpn.example.net:051820',
      'vpn.example.net',
      'a..b:51820',
      'vpn-.net:51820',
      '-vpn.net:51820',
      'vpn_1.example.net:51820',
      'vpn.123:51820',
      '256.0.0.1:51820',
      '[1:2:3]:51820',
      '[fd00:::1]:51820',
      '[fe80::1%eth0]:51820',
      '[::ffff:192.0.2.1]:51820',
      '2001:db8::1:51820',
      '[vpn.example.net]:51820',
      '[192.0.2.1]:51820',
      `${'a'.repeat(64)}.net:51820`,
      `${'a.'.repeat(126)}net:51820`,
    ].map((endpoint): [string, Environment] => ['WG_ENDPOINT', { WG_ENDPOINT: endpoint }]),
    ...[`${'A'.repeat(43)}=`, 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dh=', `${'z'.repeat(43)}=`].map(
      (key): [string, Environment] => ['WG_SERVER_PUBLIC_KEY', { WG_SERVER_PUBLIC_KEY: key }],
    ),
    ...['10.8.0.5/24', '10.8.0.0/24/24', '10.8.0.0', '10.8.0.0/31', 'fd00::/64'].map(
      (subnet): [string, Environment] => ['WG_SUBNET', { WG_SUBNET: subnet }],
    ),
    ...['127.0.0.53', '0.0.0.0', '::1', '::ffff:1.1.1.1', 'fe80::1%eth0', '224.0.0.1'].map(
      (dns): [string, Environment] => ['WG_DNS', { WG_DNS: dns }],
    ),
    ...['a@b:99999', 'a@b:0', 'a@b..c', 'a@[1:2:3]:22', 'a@2001:db8::1', 'a@[b]:22', '@b', 'b'].map(
      (target): [string, Environment] => ['WG_HOST_SSH', { ...SSH, WG_HOST_SSH: target }],
    ),
  ])('name %s where it is none that every client takes, %j (C3, G3, G4, E4)', (name, change) => {
    const found = faults({ ...PRODUCTION, ...change });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(new RegExp(`^${name} `));
    expect(faults({ ...DEVELOPMENT, ...change })).toEqual(found);
  });

  it.each<[Environment, object]>([
    [{ WG_ENDPOINT: '[2001:db8::1]:51820' }, { endpoint: '[2001:db8::1]:51820' }],
    [{ WG_ENDPOINT: '192.0.2.1:1' }, { endpoint: '192.0.2.1:1' }],
    [{ WG_ENDPOINT: 'xn--bcher-kva.example.net:65535' }, { endpoint: 'xn--bcher-kva.example.net:65535' }],
    [{ ...SSH, WG_HOST_SSH: 'wgctl@host1' }, { host: { user: 'wgctl', host: 'host1', port: 22 } }],
    [{ ...SSH, WG_HOST_SSH: 'wgctl@[2001:db8::1]:2222' }, { host: { user: 'wgctl', host: '2001:db8::1', port: 2222 } }],
    [{ ...SSH, WG_HOST_SSH: 'wgctl@[2001:db8::1]' }, { host: { host: '2001:db8::1', port: 22 } }],
  ])('take %j', (change, wireguard) => {
    expect(read({ ...PRODUCTION, ...change }).wireguard).toMatchObject(wireguard);
  });

  it.each<[string, Environment]>([
    ...[
      '127.0.0.1:51820',
      '127.8.8.8:51820',
      '0.0.0.0:51820',
      '[::1]:51820',
      '[::]:51820',
      '[fe80::1]:51820',
      '169.254.1.1:51820',
      '224.0.0.1:51820',
      'localhost:51820',
      'vpn.localhost:51820',
      'vpn.example.com:51820',
    ].map((endpoint): [string, Environment] => ['WG_ENDPOINT', { WG_ENDPOINT: endpoint }]),
    ['WG_SERVER_PUBLIC_KEY', { WG_SERVER_PUBLIC_KEY: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=' }],
  ])('do not let production start with %s of %j, which connects nobody (E4)', (name, change) => {
    expect(faults({ ...PRODUCTION, ...change })).toEqual([expect.stringMatching(new RegExp(`^${name} `))]);
    expect(faults({ ...DEVELOPMENT, ...change })).toEqual([]);
  });
});
