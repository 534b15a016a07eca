import { isIPv6 } from 'node:net';
import { isFernetKey } from '../crypto/fernet.js';
import {
  isResolver,
  isSampleHost,
  isUnreachable,
  parseEndpoint,
  parseHost,
  parseHostAndPort,
} from '../network/endpoint.js';
import { parseSubnet } from '../network/subnet.js';
import { isSampleKey, isWireGuardKey } from '../network/wireguard-key.js';
import { type Network, parseNetwork } from '../telemetry/client-address.js';
import { secretWeakness } from './secret-strength.rules.js';
import { type Environment, SettingsReader } from './settings-reader.js';
import {
  type AppleSettings,
  type GoogleSettings,
  type PurchaseSettings,
  readApple,
  readGoogle,
  readPurchases,
} from './store-settings.js';
import { readWebhookSecrets } from './webhook-settings.js';

/** A key that signs or checks access tokens; `kid` names it in the token's header. */
export interface SigningKey {
  readonly kid: string;
  readonly secret: string;
}

export const ROLES = ['api', 'jobs'] as const;
export type Role = (typeof ROLES)[number];

/** A host that `wg` is run on, over SSH. */
export interface HostTarget {
  readonly user: string;
  readonly host: string;
  readonly port: number;
  /** The private key itself, or the file it is in. */
  readonly key: { readonly text: string } | { readonly file: string };
  /** `SHA256:...`; undefined trusts the first key that is seen (development). */
  readonly fingerprint: string | undefined;
}

/** A wg-easy server, over HTTP. */
export interface EasyTarget {
  readonly url: string;
  readonly username: string;
  readonly password: string | undefined;
  /** Sent instead of the password, where set. */
  readonly apiKey: string | undefined;
}

/** A mail server, over SMTP. */
export interface MailServer {
  readonly host: string;
  readonly port: number;
  /** Whether the connection begins with TLS; otherwise it is taken up by STARTTLS. */
  readonly isImplicitTls: boolean;
  readonly login: { readonly name: string; readonly password: string } | undefined;
}

/** RFC 7518 3.2: an HS256 key has at least 256 bits. */
const SECRET_KEY_LENGTH = 32;
const PROMOTE_SECRET_LENGTH = 24;
const METRICS_TOKEN_LENGTH = 24;
const SSH_PORT = 22;
const PER_MINUTE = { min: 1, max: 1_000_000 };

/**
 * Every setting of the service, read once at start-up. All faults are reported together, in one message.
 * This class is the list: `.env.example` explains each variable, and a test keeps the two equal.
 */
export class Settings {
  /** The variables that were looked for. */
  readonly names: readonly string[];

  readonly environment: 'development' | 'production' | 'test';
  /** Where development keeps its database and its secrets. */
  readonly dataDirectory: string;
  /** A file that says how far the time is ahead, in milliseconds; undefined (always outside development): not at all. */
  readonly clockFile: string | undefined;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

  /** For how long the event loop may stand still before the process ends itself, in seconds; 0: for ever. */
  readonly watchdogSeconds: number;

  readonly http: {
    readonly host: string;
    readonly port: number;
    /** Whether /docs and /openapi.json are served. */
    readonly docs: boolean;
    /** Origins that browsers may call from; none by default, the app needs none (in development: any of this machine). */
    readonly corsOrigins: readonly string[];
    /** How long a connection may wait for its next request. */
    readonly keepAliveSeconds: number;
    /** How long a request may take to arrive, body included. */
    readonly requestTimeoutSeconds: number;
    /** How long the service keeps answering after SIGTERM while a balancer takes it out, in seconds. */
    readonly shutdownDelaySeconds: number;
    /** Whose `X-Forwarded-For` is believed; nobody's by default. */
    readonly trustedProxies: readonly Network[];
  };

  /** Requests a minute, counted by each process for itself. */
  readonly rateLimits: {
    readonly iapVerify: number;
    readonly webhook: number;
  };

  readonly database: {
    /** Undefined in development: the embedded PostgreSQL is used. */
    readonly url: string | undefined;
    /** PostgreSQL itself, where `url` leads to a pooler: for what needs a session of its own. */
    readonly directUrl: string | undefined;
    readonly poolSize: number;
  };

  readonly auth: {
    /** The first signs, all verify. */
    readonly signingKeys: readonly SigningKey[];
    readonly accessTokenSeconds: number;
    /** log2 of bcrypt's rounds. 10 = 57 ms on a 2-core machine. */
    readonly bcryptCost: number;
    /** How many passwords are hashed at once; the rest wait. */
    readonly bcryptConcurrency: number;
    /** Undefined: nobody is promoted by secret. */
    readonly promoteSecret: string | undefined;
    readonly promoteMode: 'once' | 'always';
  };

  /** Fernet keys: the first seals, all open. */
  readonly encryptionKeys: readonly string[];

  /** The first server, which needs no registration, and how peers are made on it. */
  readonly wireguard: {
    readonly clientKeys: 'honour' | 'ignore';
    readonly serverPublicKey: string | undefined;
    readonly endpoint: string | undefined;
    readonly subnet: string;
    readonly dns: readonly string[];
    readonly mtu: number;
    readonly keyPolicy: 'db' | 'host' | 'wg-easy';
    /** Whether peers are put onto the server by us. */
    readonly applies: boolean;
    /** Whether new peers get a preshared key. */
    readonly presharedKeys: boolean;
    readonly interface: string;
    /** Undefined: `wg` is run on this machine. */
    readonly host: HostTarget | undefined;
    /** Given with the policy `wg-easy`. */
    readonly easy: EasyTarget | undefined;
  };

  readonly fleet: {
    /** Whether servers that are added through the API may be at loopback, private or link-local addresses. */
    readonly allowPrivateTargets: boolean;
    /** How long a suspended peer keeps its key and address, in days. Stores go on trying to charge for up to 60. */
    readonly peerRetentionDays: number;
  };

  /** Undefined: no mail is sent. */
  readonly mail:
    { readonly server: MailServer; readonly from: { readonly name: string; readonly address: string } } | undefined;

  readonly metrics: {
    readonly host: string;
    /** Undefined: figures are not served on a port of their own. */
    readonly port: number | undefined;
    /** With it, and only with it, `GET /metrics` is served beside the API too. */
    readonly token: string | undefined;
  };

  /** Undefined: the App Store is off, and says so to whoever comes from there. */
  readonly apple: AppleSettings | undefined;

  /** Undefined: Google Play is off, and says so to whoever comes from there. */
  readonly google: GoogleSettings | undefined;

  readonly purchases: PurchaseSettings;

  /** What each other provider of payments signs its webhooks with; a provider that is not here is unknown. */
  readonly paymentWebhookSecrets: ReadonlyMap<string, readonly string[]>;

  /** What this process does: answer requests, run the jobs, or both. */
  readonly roles: readonly Role[];

  /** @throws SettingsError with every fault found. */
  constructor(environment: Environment, machine: { readonly cores: number }) {
    const read = new SettingsReader(environment);

    this.environment = read.choice('NODE_ENV', ['development', 'production', 'test'], 'development');
    const production = this.environment === 'production';
    this.dataDirectory = read.text('DATA_DIR') ?? 'data';
    this.clockFile = read.text('DEV_CLOCK_FILE');
    if (this.clockFile !== undefined && this.environment !== 'development') {
      read.fault('DEV_CLOCK_FILE is for development only: elsewhere the time is not for anybody to move');
    }
    this.logLevel = read.choice(
      'LOG_LEVEL',
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      this.environment === 'test' ? 'silent' : 'info',
    );

    this.watchdogSeconds = readWatchdog(read);

    this.http = {
      host: read.text('HOST') ?? '0.0.0.0',
      port: read.integer('PORT', { min: 0, max: 65535 }, 8000),
      docs: read.flag('DOCS', !production),
      corsOrigins: read.list('CORS_ORIGINS'),
      keepAliveSeconds: read.integer('KEEP_ALIVE_SECONDS', { min: 1, max: 3600 }, 65),
      requestTimeoutSeconds: read.integer('REQUEST_TIMEOUT_SECONDS', { min: 1, max: 300 }, 30),
      shutdownDelaySeconds: read.integer('SHUTDOWN_DELAY_SECONDS', { min: 0, max: 300 }, 0),
      trustedProxies: readNetworks(read, 'TRUST_PROXY'),
    };
    for (const origin of this.http.corsOrigins) {
      if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
        read.fault('CORS_ORIGINS must list origins such as https://admin.example.com, without a path');
      }
    }

    this.rateLimits = {
      iapVerify: read.integer('RATE_LIMIT_IAP_VERIFY', PER_MINUTE, 10),
      webhook: read.integer('RATE_LIMIT_WEBHOOK', PER_MINUTE, 600),
    };

    this.database = {
      url: readDatabaseUrl(read, 'DATABASE_URL', production),
      directUrl: readDatabaseUrl(read, 'DATABASE_DIRECT_URL', false),
      poolSize: read.integer('DATABASE_POOL_SIZE', { min: 2, max: 200 }, 10),
    };

    const threads = read.integer('UV_THREADPOOL_SIZE', { min: 1, max: 1024 }, 4);
    this.auth = {
      signingKeys: readSigningKeys(read),
      accessTokenSeconds: 60 * read.integer('ACCESS_TOKEN_EXPIRE_MINUTES', { min: 1, max: 60 }, 60),
      bcryptCost: read.integer('BCRYPT_COST', { min: this.environment === 'test' ? 4 : 10, max: 15 }, 10),
      // bcrypt runs in libuv's pool: two threads stay free, or files and name look-ups would wait for passwords.
      bcryptConcurrency: Math.max(1, Math.min(machine.cores, threads - 2)),
      promoteSecret: readPromoteSecret(read, production),
      promoteMode: read.choice('PROMOTE_MODE', ['once', 'always'], 'once'),
    };
    if (read.text('ALGORITHM') !== undefined) read.choice('ALGORITHM', ['HS256'], 'HS256');

    this.encryptionKeys = readEncryptionKeys(read);

    this.wireguard = readWireGuard(read, production);
    this.fleet = {
      allowPrivateTargets: read.flag('ALLOW_PRIVATE_TARGETS', false),
      peerRetentionDays: read.integer('PEER_RETENTION_DAYS', { min: 1, max: 3650 }, 60),
    };
    this.mail = readMail(read);
    this.metrics = {
      host: read.text('METRICS_HOST') ?? '127.0.0.1',
      port:
        read.text('METRICS_PORT') === undefined
          ? undefined
          : read.integer('METRICS_PORT', { min: 0, max: 65535 }, 9464),
      token: readMetricsToken(read, production),
    };
    this.apple = readApple(read);
    this.google = readGoogle(read);
    this.purchases = readPurchases(read);
    this.paymentWebhookSecrets = readWebhookSecrets(read, production);
    this.roles = readRoles(read);

    read.finish();
    this.names = read.names;
  }
}

/** Below 5 s a long garbage collection on a busy machine would be taken for a stop. */
function readWatchdog(read: SettingsReader): number {
  const seconds = read.integer('WATCHDOG_SECONDS', { min: 0, max: 600 }, 30);
  if (seconds > 0 && seconds < 5) read.fault('WATCHDOG_SECONDS must be 0 (off) or a whole number from 5 to 600');
  return seconds;
}

function readWireGuard(read: SettingsReader, production: boolean): Settings['wireguard'] {
  const dns = read.list('WG_DNS');
  const wireguard = {
    clientKeys: read.choice('WG_CLIENT_KEYS', ['honour', 'ignore'], 'honour'),
    serverPublicKey: read.text('WG_SERVER_PUBLIC_KEY'),
    endpoint: read.text('WG_ENDPOINT'),
    subnet: read.text('WG_SUBNET') ?? '10.8.0.0/16',
    dns: dns.length > 0 ? dns : ['1.1.1.1'],
    mtu: read.integer('WG_MTU', { min: 1280, max: 9000 }, 1420),
    keyPolicy: read.choice('WG_KEY_POLICY', ['db', 'host', 'wg-easy'], 'db'),
    presharedKeys: read.flag('WG_PRESHARED_KEYS', false),
    interface: read.text('WG_INTERFACE') ?? 'wg0',
    host: readHost(read, production),
    easy: readEasy(read),
    applies: read.flag('WG_APPLY_ENABLED', false),
  };
  if (!/^[\w=+.][\w=+.-]{0,14}$/.test(wireguard.interface)) read.fault('WG_INTERFACE must be the name of an interface');
  if (wireguard.keyPolicy === 'wg-easy' && wireguard.easy === undefined) {
    const why = 'when WG_KEY_POLICY is wg-easy';
    read.require(['WG_EASY_URL'], why);
    const hasPassword = read.text('WG_EASY_PASSWORD') !== undefined || read.text('WG_API_KEY') !== undefined;
    if (!hasPassword) read.fault(`WG_EASY_PASSWORD or WG_API_KEY is required ${why}`);
  }
  const { serverPublicKey, endpoint, subnet } = wireguard;
  if (production) {
    read.require(['WG_SERVER_PUBLIC_KEY', 'WG_ENDPOINT'], 'in production: a config without connects to nothing');
  }
  if (serverPublicKey !== undefined) checkServerKey(read, serverPublicKey, production);
  if (endpoint !== undefined) checkEndpoint(read, endpoint, production);
  checkSubnet(read, subnet);
  if (!wireguard.dns.every(isResolver)) {
    read.fault('WG_DNS must list addresses of resolvers, such as 1.1.1.1,2606:4700:4700::1111');
  }
  return { ...wireguard, applies: wireguard.applies || wireguard.keyPolicy !== 'db' };
}

function checkServerKey(read: SettingsReader, key: string, production: boolean): void {
  if (!isWireGuardKey(key)) {
    read.fault('WG_SERVER_PUBLIC_KEY must be a WireGuard public key, as "wg show wg0 public-key" prints it');
  } else if (production && isSampleKey(key)) {
    read.fault('WG_SERVER_PUBLIC_KEY is the key of an example: put that of your server in its place');
  }
}

function checkEndpoint(read: SettingsReader, text: string, production: boolean): void {
  const endpoint = parseEndpoint(text);
  if (endpoint === undefined) {
    read.fault('WG_ENDPOINT must be a host name or an address, with a port from 1 to 65535: vpn.example.com:51820');
  } else if (production && isUnreachable(endpoint.host)) {
    read.fault('WG_ENDPOINT leads a device to itself, or nowhere: it must be where the server is reached from outside');
  } else if (production && isSampleHost(endpoint.host)) {
    read.fault('WG_ENDPOINT is that of an example: put the address of your server in its place');
  }
}

function checkSubnet(read: SettingsReader, text: string): void {
  const subnet = parseSubnet(text);
  if (subnet === undefined) read.fault('WG_SUBNET must be an IPv4 network from /16 to /30, such as 10.8.0.0/16');
  else if (subnet.cidr !== text)
    read.fault(`WG_SUBNET must be a network, without an address in it: ${subnet.cidr} is the one it is in`);
}

function readHost(read: SettingsReader, production: boolean): HostTarget | undefined {
  const target = read.text('WG_HOST_SSH');
  const text = read.text('WG_HOST_SSH_KEY')?.replaceAll(String.raw`\n`, '\n');
  const file = read.text('WG_HOST_SSH_KEY_FILE');
  const fingerprint = read.text('WG_HOST_FINGERPRINT');
  if (target === undefined) return undefined;
  const { user = '', rest = '' } = /^(?<user>\w[\w.-]*)@(?<rest>.+)$/.exec(target)?.groups ?? {};
  const bracketed = /^\[(.*)\]$/.exec(rest)?.[1];
  const host = parseHost(bracketed ?? rest);
  const at =
    parseHostAndPort(rest) ??
    (host !== undefined && isIPv6(host) === (bracketed !== undefined) ? { host, port: SSH_PORT } : undefined);
  if (at === undefined) {
    read.fault('WG_HOST_SSH must look like wgctl@vpn.example.com or wgctl@vpn.example.com:22 (1 to 65535)');
    return undefined;
  }
  if (text === undefined && file === undefined) {
    read.fault('WG_HOST_SSH_KEY or WG_HOST_SSH_KEY_FILE is required with WG_HOST_SSH');
  }
  if (fingerprint === undefined && production) {
    read.fault('WG_HOST_FINGERPRINT is required in production with WG_HOST_SSH (ssh-keygen -lf prints it)');
  }
  if (fingerprint !== undefined && !/^SHA256:[A-Za-z0-9+/]{43}$/.test(fingerprint)) {
    read.fault('WG_HOST_FINGERPRINT must look like SHA256:... as ssh-keygen -lf prints it');
  }
  const key = text === undefined ? { file: file ?? '' } : { text };
  return { user, ...at, key, fingerprint };
}

function readEasy(read: SettingsReader): EasyTarget | undefined {
  const url = read.text('WG_EASY_URL');
  const username = read.text('WG_EASY_USERNAME') ?? 'admin';
  const password = read.text('WG_EASY_PASSWORD');
  const apiKey = read.text('WG_API_KEY');
  if (url === undefined || (password === undefined && apiKey === undefined)) return undefined;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    read.fault('WG_EASY_URL must look like https://wg-easy.example.com');
  }
  return { url, username, password, apiKey };
}

function readMail(read: SettingsReader): Settings['mail'] {
  const url = read.text('SMTP_URL');
  const sender = read.text('MAIL_FROM');
  if (url === undefined && sender === undefined) return undefined;
  read.require(['SMTP_URL', 'MAIL_FROM'], 'where the other is set (set both, or neither to send no mail)');
  const server = url === undefined ? undefined : parseMailServer(url);
  const from = sender === undefined ? undefined : parseSender(sender);
  if (url !== undefined && server === undefined) {
    read.fault('SMTP_URL must look like smtps://user:password@mail.example.com:465 or smtp://mail.example.com:587');
  }
  if (sender !== undefined && from === undefined) {
    read.fault('MAIL_FROM must look like no-reply@example.com or Example VPN <no-reply@example.com>');
  }
  return server === undefined || from === undefined ? undefined : { server, from };
}

function parseMailServer(text: string): MailServer | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, port, username, password, pathname, search } = new URL(text);
  const isImplicitTls = protocol === 'smtps:';
  if ((!isImplicitTls && protocol !== 'smtp:') || hostname === '' || !/^\/?$/.test(pathname) || search !== '') {
    return undefined;
  }
  if ((username === '') !== (password === '')) return undefined;
  try {
    return {
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? (isImplicitTls ? 465 : 587) : Number(port),
      isImplicitTls,
      login:
        username === '' ? undefined : { name: decodeURIComponent(username), password: decodeURIComponent(password) },
    };
  } catch {
    return undefined; // a stray % in name or password
  }
}

function parseSender(text: string): { name: string; address: string } | undefined {
  const match = /^(?:([^<>"\p{Cc}]*)<)?([\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)(>)?$/u.exec(text);
  if (match === null || (match[1] === undefined) !== (match[3] === undefined)) return undefined;
  return { name: (match[1] ?? '').trim(), address: match[2] ?? '' };
}

function readMetricsToken(read: SettingsReader, production: boolean): string | undefined {
  const token = read.text('METRICS_TOKEN');
  const weakness = token === undefined || !production ? undefined : secretWeakness(token, METRICS_TOKEN_LENGTH);
  if (weakness !== undefined) read.fault(`METRICS_TOKEN ${weakness}`);
  return token;
}

function readNetworks(read: SettingsReader, name: string): readonly Network[] {
  return read.list(name).flatMap((text) => {
    const network = parseNetwork(text);
    if (network === undefined) read.fault(`${name} must list networks, such as 10.0.0.0/8,2001:db8::/32`);
    return network === undefined ? [] : [network];
  });
}

function readRoles(read: SettingsReader): readonly Role[] {
  const given = read.list('ROLES');
  const roles = ROLES.filter((role) => given.length === 0 || given.includes(role));
  if (given.some((role) => !(ROLES as readonly string[]).includes(role))) {
    read.fault(`ROLES must list some of ${ROLES.join(', ')}, separated by commas`);
  }
  return roles;
}

function readDatabaseUrl(read: SettingsReader, name: string, isRequired: boolean): string | undefined {
  const url = read.text(name);
  if (url === undefined) {
    if (isRequired) read.fault(`${name} is required in production (postgresql://user:password@host:5432/database)`);
    return undefined;
  }
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  if (protocol !== 'postgresql:' && protocol !== 'postgres:') {
    read.fault(`${name} must look like postgresql://user:password@host:5432/database`);
  }
  return url;
}

function readSigningKeys(read: SettingsReader): readonly SigningKey[] {
  const keys: SigningKey[] = [];
  const extra = read.text('JWT_KEYS');
  if (extra !== undefined) {
    const parsed = parseSigningKeys(extra);
    if (parsed === undefined) read.fault('JWT_KEYS must be JSON such as [{"kid":"2026-02","k":"..."}], each kid once');
    keys.push(...(parsed ?? []));
  }
  const secret = read.text('SECRET_KEY');
  if (secret === undefined) read.fault(`SECRET_KEY is required (${SECRET_KEY_LENGTH} random characters or more)`);
  else keys.push({ kid: 'k0', secret });
  for (const key of keys) {
    const weakness = secretWeakness(key.secret, SECRET_KEY_LENGTH);
    const name = key.kid === 'k0' ? 'SECRET_KEY' : `JWT_KEYS, key ${key.kid},`;
    if (weakness !== undefined) read.fault(`${name} ${weakness}`);
  }
  return keys;
}

function parseSigningKeys(text: string): SigningKey[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  const keys: SigningKey[] = [];
  for (const entry of parsed as unknown[]) {
    if (typeof entry !== 'object' || entry === null || !('kid' in entry) || !('k' in entry)) return undefined;
    const { kid, k } = entry;
    if (typeof kid !== 'string' || !/^[\w.-]{1,32}$/.test(kid) || kid === 'k0' || typeof k !== 'string')
      return undefined;
    keys.push({ kid, secret: k });
  }
  return new Set(keys.map((key) => key.kid)).size === keys.length ? keys : undefined;
}

function readPromoteSecret(read: SettingsReader, production: boolean): string | undefined {
  const secret = read.text('PROMOTE_SECRET');
  if (secret === undefined || !production) return secret;
  const weakness = secretWeakness(secret, PROMOTE_SECRET_LENGTH);
  if (weakness !== undefined) read.fault(`PROMOTE_SECRET ${weakness}`);
  return secret;
}

function readEncryptionKeys(read: SettingsReader): readonly string[] {
  const keys = read.list('CONFIG_ENCRYPTION_KEY');
  if (keys.length === 0) read.fault('CONFIG_ENCRYPTION_KEY is required (a Fernet key; several separated by commas)');
  for (const key of keys) {
    if (!isFernetKey(key)) {
      read.fault('CONFIG_ENCRYPTION_KEY must hold Fernet keys: 44 characters of base64 each');
    } else if (new Set(key).size < 8) {
      read.fault('CONFIG_ENCRYPTION_KEY must be a random value, not a repeated pattern');
    }
  }
  return keys;
}
