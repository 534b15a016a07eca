import { DomainError, type FieldIssue } from '#kernel';
import { isResolver, parseEndpoint, parseHost } from '#platform';
import { isInterfaceName } from './host.provider.js';
import { isKey } from './keys.js';
import { parseSubnet, parseSubnet6 } from './networks.js';
import { isSshKey, SSH_KEY } from './ssh-connection.js';
import { type Server, SERVER_PROVIDERS, SERVER_STATUSES } from './server.js';
import { ACCESS_KINDS, type ServerAccess } from './server-access.js';
import { parseTargetUrl } from './target-address.rules.js';

/** A server as an operator describes it. */
export interface ServerDraft extends Omit<Server, 'id' | 'fromSettings' | 'adopted'> {
  /** How it is spoken to; null where an operator applies the export. */
  readonly access: ServerAccess | null;
}

/** What a server may be without again, once it has had it. */
export const CLEARABLE_SERVER_FIELDS = ['country', 'subnet6', 'capacity'] as const;
type Clearable = (typeof CLEARABLE_SERVER_FIELDS)[number];

/** What is undefined stays as it is. */
export type ServerChange = {
  readonly [Field in keyof ServerDraft]?:
    (Field extends Clearable ? ServerDraft[Field] : NonNullable<ServerDraft[Field]>) | undefined;
};

const DEFAULT_DNS = ['1.1.1.1'];
const DEFAULT_MTU = 1420;
const DEFAULT_SSH_PORT = 22;
const DEFAULT_INTERFACE = 'wg0';
const DEFAULT_USERNAME = 'admin';
const MAX_RESOLVERS = 8;
/** Four times an SSH key of 4096 bits; nothing else is nearly as long. */
const MAX_CHARACTERS = 16_384;
const MAX_PORT = 65_535;
/** IPv6 needs 1280; an interface takes no more than 9000. */
const MIN_MTU = 1280;
const MAX_MTU = 9000;
/** More than the widest subnet has for peers, and the most that wireguard-go takes: at one more it stops with half a batch applied. */
const MAX_CAPACITY = 65_535;

/** No control characters (it is printed in lists), and not digits alone: commands take either an id or a name. */
const NAME = /^(?!\d+$)[^\p{C}]{1,64}$/u;
const REGION = /^[a-z0-9-]{1,32}$/;
const COUNTRY = /^[A-Z]{2}$/;
const SSH_USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/;
const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}$/;
const PRINTABLE = /^[\x20-\x7e]+$/;

/**
 * Reads the description of a server as it comes from outside (the body of a request, a file), with the defaults of what it
 * leaves out. With `strict` a field that does not exist is a fault: a person wrote the description, and mistyped one.
 * @throws DomainError validation_error, with every field at fault and no value in it
 */
export function readServerDraft(description: unknown, { strict = false } = {}): ServerDraft {
  const fields = Fields.of(description);
  const { name, endpoint, publicKey, subnet, ...given } = readAll(fields);
  fields.require('name', 'endpoint', 'public_key', 'subnet');
  if (strict) fields.refuseUnread();
  fields.finish();
  if (name === undefined || endpoint === undefined || publicKey === undefined || subnet === undefined)
    throw new Error('A field that was required is not there');
  return {
    name,
    endpoint,
    publicKey,
    subnet,
    status: given.status ?? 'active',
    region: given.region ?? 'default',
    country: given.country ?? null,
    provider: given.provider ?? 'db',
    access: given.access ?? null,
    applies: given.applies ?? (given.access !== undefined || (given.provider ?? 'db') !== 'db'),
    subnet6: given.subnet6 ?? null,
    capacity: given.capacity ?? null,
    presharedKeys: given.presharedKeys ?? false,
    dns: given.dns ?? DEFAULT_DNS,
    mtu: given.mtu ?? DEFAULT_MTU,
  };
}

/**
 * Reads what is to change of a server; what is left out, or null, stays as it is. `clear` names what is to be taken away.
 * @throws DomainError validation_error, with every field at fault and no value in it
 */
export function readServerChange(description: unknown): ServerChange {
  const fields = Fields.of(description);
  const change = readAll(fields);
  const clear = fields.read('clear', readClear, `a list of some of ${CLEARABLE_SERVER_FIELDS.join(', ')}`) ?? [];
  for (const name of clear) fields.requireAbsent(name);
  fields.finish();
  return { ...change, ...Object.fromEntries(clear.map((name) => [name, null])) };
}

function readAll(fields: Fields): ServerChange {
  return {
    name: fields.text('name', (text) => matched(NAME, text.trim()), 'a name of 1 to 64 characters, not only digits'),
    status: fields.choice('status', SERVER_STATUSES),
    region: fields.text('region', (text) => matched(REGION, text), 'a region: 1 to 32 of a-z, 0-9 and -'),
    country: fields.text('country', (text) => matched(COUNTRY, text), 'an ISO 3166-1 alpha-2 country code'),
    provider: fields.choice('provider', SERVER_PROVIDERS),
    applies: fields.flag('applies'),
    access: fields.object('access', readAccess),
    endpoint: fields.text(
      'endpoint',
      (text) => (parseEndpoint(text) === undefined ? undefined : text),
      'an endpoint such as vpn.example.com:51820',
    ),
    publicKey: fields.text('public_key', (text) => (isKey(text) ? text : undefined), 'a WireGuard public key'),
    subnet: fields.text('subnet', (text) => parseSubnet(text)?.cidr, 'an IPv4 network from /16 to /30'),
    subnet6: fields.text('subnet6', parseSubnet6, 'a unique local (fd..) IPv6 network from /64 to /112'),
    capacity: fields.integer('capacity', 1, MAX_CAPACITY),
    presharedKeys: fields.flag('preshared_keys'),
    dns: fields.read('dns', readResolvers, `a list of 1 to ${MAX_RESOLVERS} addresses of resolvers`),
    mtu: fields.integer('mtu', MIN_MTU, MAX_MTU),
  };
}

function readClear(value: unknown): readonly Clearable[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const names = CLEARABLE_SERVER_FIELDS.filter((name) => value.includes(name));
  return names.length === new Set(value).size ? names : undefined;
}

function readResolvers(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_RESOLVERS) return undefined;
  const addresses = value.filter((item): item is string => typeof item === 'string' && isResolver(item));
  return addresses.length === value.length ? addresses : undefined;
}

/** Undefined when a field that its kind needs is missing or at fault. */
function readAccess(fields: Fields): ServerAccess | undefined {
  const kind = fields.choice('kind', ACCESS_KINDS);
  const interfaceName =
    fields.text('interface', (text) => (isInterfaceName(text) ? text : undefined), 'the name of an interface') ??
    DEFAULT_INTERFACE;
  switch (kind) {
    case 'local':
      return { kind, interface: interfaceName };
    case 'ssh':
      return readSsh(fields, interfaceName);
    case 'wg-easy':
      return readEasy(fields);
    case undefined:
      fields.require('kind');
      return undefined;
  }
}

function readSsh(fields: Fields, interfaceName: string): ServerAccess | undefined {
  const host = fields.text('host', parseHost, 'the name or address of a host');
  const user = fields.text('user', (text) => matched(SSH_USER, text), 'the name of a user');
  const text = fields.text('private_key', (key) => (isSshKey(key) ? key : undefined), SSH_KEY);
  const port = fields.integer('port', 1, MAX_PORT) ?? DEFAULT_SSH_PORT;
  const fingerprint =
    fields.text('fingerprint', (print) => matched(FINGERPRINT, print), 'a fingerprint as ssh-keygen -lf prints it') ??
    null;
  fields.require('host', 'user', 'private_key');
  if (host === undefined || user === undefined || text === undefined) return undefined;
  return { kind: 'ssh', interface: interfaceName, host, port, user, key: { text }, fingerprint };
}

function readEasy(fields: Fields): ServerAccess | undefined {
  const printable = (text: string): string | undefined => matched(PRINTABLE, text);
  const url = fields.text('url', (text) => parseTargetUrl(text)?.href, 'a plain http or https address');
  const username = fields.text('username', printable, 'a name of printable ASCII') ?? DEFAULT_USERNAME;
  const password = fields.text('password', (text) => text, 'a password') ?? null;
  const apiKey = fields.text('api_key', printable, 'a key of printable ASCII') ?? null;
  fields.require('url');
  if (password === null && apiKey === null) fields.require('password');
  return url === undefined ? undefined : { kind: 'wg-easy', url, username, password, apiKey };
}

function matched(pattern: RegExp, text: string): string | undefined {
  return pattern.test(text) ? text : undefined;
}

/** Takes a description apart field by field, and remembers every fault instead of stopping at the first. */
class Fields {
  private readonly names = new Set<string>();
  private readonly within: Fields[] = [];

  private constructor(
    private readonly given: Readonly<Record<string, unknown>>,
    private readonly place: FieldIssue['loc'],
    private readonly issues: FieldIssue[],
  ) {}

  static of(description: unknown): Fields {
    if (isRecord(description)) return new Fields(description, ['body'], []);
    throw new DomainError('validation_error', { issues: [notAnObject(['body'])] });
  }

  /** What `parse` makes of a field; undefined when it is not there, null, an empty list, or at fault. */
  read<T>(name: string, parse: (value: unknown) => T | undefined, what: string): T | undefined {
    const value = this.valueOf(name);
    const read = value === undefined ? undefined : parse(value);
    if (value !== undefined && read === undefined) this.fault(name, `value is not ${what}`, `value_error.${name}`);
    return read;
  }

  text(name: string, parse: (text: string) => string | undefined, what: string): string | undefined {
    const isText = (value: unknown): value is string =>
      typeof value === 'string' && value !== '' && value.length <= MAX_CHARACTERS;
    return this.read(name, (value) => (isText(value) ? parse(value) : undefined), what);
  }

  flag(name: string): boolean | undefined {
    return this.read(name, (value) => (typeof value === 'boolean' ? value : undefined), 'true or false');
  }

  integer(name: string, min: number, max: number): number | undefined {
    const isOne = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= min;
    const parse = (value: unknown): number | undefined => (isOne(value) && value <= max ? value : undefined);
    return this.read(name, parse, `a whole number from ${min} to ${max}`);
  }

  choice<const T extends string>(name: string, choices: readonly T[]): T | undefined {
    return this.read(name, (value) => choices.find((choice) => choice === value), `one of ${choices.join(', ')}`);
  }

  /** An object within this one; its faults are told by itself. */
  object<T>(name: string, parse: (fields: Fields) => T | undefined): T | undefined {
    this.names.add(name);
    const value = this.given[name] ?? undefined;
    if (isRecord(value)) {
      const fields = new Fields(value, [...this.place, name], this.issues);
      this.within.push(fields);
      return parse(fields);
    }
    if (value !== undefined) this.issues.push(notAnObject([...this.place, name]));
    return undefined;
  }

  require(...names: readonly string[]): void {
    for (const name of names) {
      if (this.valueOf(name) === undefined) this.fault(name, 'field required', 'value_error.missing');
    }
  }

  requireAbsent(name: string): void {
    if (this.valueOf(name) !== undefined) {
      this.fault(name, 'a field is either given or cleared, not both', 'value_error');
    }
  }

  /** Each field that nobody asked for is a fault, here and within. */
  refuseUnread(): void {
    for (const name of Object.keys(this.given)) {
      if (!this.names.has(name)) this.fault(name, 'there is no such field', 'value_error.extra');
    }
    for (const fields of this.within) fields.refuseUnread();
  }

  finish(): void {
    if (this.issues.length > 0) throw new DomainError('validation_error', { issues: this.issues });
  }

  /** Null and an empty list are what generated clients send for what their caller left out. */
  private valueOf(name: string): unknown {
    this.names.add(name);
    const value = this.given[name] ?? undefined;
    return Array.isArray(value) && value.length === 0 ? undefined : value;
  }

  private fault(name: string, msg: string, type: string): void {
    this.issues.push({ loc: [...this.place, name], msg, type });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function notAnObject(loc: FieldIssue['loc']): FieldIssue {
  return { loc, msg: 'value is not a valid dict', type: 'type_error.dict' };
}
