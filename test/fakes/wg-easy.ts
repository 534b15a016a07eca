import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { generateKeyPair } from '#wireguard';

/** The versions whose behaviour differs. What is said of one holds for all later ones that say nothing else. */
export const WG_EASY_VERSIONS = ['14', '15.0.0', '15.1.0', '15.2.0', '15.2.1', '15.3.0', '15.4.0'] as const;
export type WgEasyVersion = (typeof WG_EASY_VERSIONS)[number];

/**
 * What differs within 15, each with the first version that has it. "run" was seen on a running server of that version, "read" in the
 * source of that version's tag.
 */
const SINCE = {
  /** `DISABLE_IPV6` exists: configurations without IPv6, lists with it. (read) */
  ipv6Switch: '15.1.0',
  /** A create answers `clientId`. (read, run in 15.3.0) */
  clientId: '15.2.0',
  /** The list holds no private and preshared keys. (read) */
  publicList: '15.2.0',
  /** `Address` in a configuration is the client's own (/32, /128), no longer the network's (/24, /112). (read) */
  ownPrefix: '15.2.0',
  /** It can be built for AmneziaWG. (read) */
  amnezia: '15.2.0',
  /** `GET /api/session` of a stranger is 401; before, 204 and nothing. (run in 15.0.0 and 15.3.0) */
  session401: '15.2.1',
  /** Enabling an expired client is 422; before, it is enabled until the next minute's job. (run in 15.0.0 and 15.3.0) */
  expired422: '15.3.0',
  /** Log-in moved to `/api/auth/password`, with a list of ways to log in. (run) */
  authPaths: '15.4.0',
  /** A log-in that lacks the second factor sets a cookie all the same, which opens nothing. (run) */
  pendingCookie: '15.4.0',
  /** HTTP Basic is refused to an account with a second factor. (run) */
  basicRefusedWithFactor: '15.4.0',
  /** A call without the right to it is 403; before, 500. (read) */
  forbidden403: '15.4.0',
  /** Names with control characters are refused. (run) */
  safeNames: '15.4.0',
  /** The list is sorted by name. (read) */
  sorted: '15.4.0',
} as const satisfies Record<string, WgEasyVersion>;

/** How it answers what it is asked: as it does, not at all, with a proxy's error page, or by hanging up. */
export type WgEasyMood = 'well' | 'hanging' | 'html' | 'reset' | 'redirect' | 'flood';

export interface FakeClient {
  readonly id: string | number;
  name: string;
  readonly privateKey: string;
  readonly publicKey: string;
  readonly presharedKey: string;
  ipv4Address: string;
  ipv6Address: string;
  enabled: boolean;
  expiresAt: string | null;
  latestHandshakeAt: Date | null;
  transferRx: number;
  transferTx: number;
}

interface Call {
  readonly route: string;
  readonly method: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
}

export interface Reply {
  readonly status: number;
  readonly json?: unknown;
  readonly text?: string | undefined;
  readonly cookie?: string | undefined;
}

const POOL_SIZE = 253;
/** More than this service reads of any answer. */
const FLOOD_BYTES = 17_000_000;
/** What 14 says to strangers, and to anything that went wrong. */
const FAULT_14: Reply = { status: 500, json: { statusCode: 500, stack: [] } };
const FAULT_15: Reply = { status: 500, json: { error: true, statusCode: 500, message: 'Server Error' } };
const STRANGER_15: Reply = { status: 401, json: { error: true, statusCode: 401, message: 'Session failed' } };
const MALFORMED_15: Reply = { status: 400, json: { error: true, statusCode: 400, message: 'Validation Error' } };
const DONE: Reply = { status: 200, json: { success: true } };
/** The fields that an update of 15 must have; all others are left out without a word. */
const UPDATED = ['name', 'enabled', 'expiresAt', 'ipv4Address', 'ipv6Address', 'allowedIps', 'mtu', 'dns'] as const;

/**
 * wg-easy as real servers were seen to behave, version by version, oddities included, on a loopback port of its own. Servers of the
 * head of the 14 branch, 15.0.0, 15.3.0 and 15.4.0 were run; what changed between them was read from the source of the tags.
 * It is strict: a call that this service has no business to make is answered 404 and noted in `unexpected`.
 */
export class FakeWgEasy {
  readonly username = 'admin';
  readonly password = 'correct horse battery';
  serverKey = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';
  readonly clients: FakeClient[] = [];
  /** Every call so far, as `METHOD /path`. */
  readonly calls: string[] = [];
  readonly unexpected: string[] = [];
  /** Every `Authorization` header so far. */
  readonly authorizations: string[] = [];
  mood: WgEasyMood = 'well';
  twoFactor = false;
  /** The account is an administrator's. Others see and change nothing of what an administrator made. */
  isAdministrator = true;
  /** Version 14 without `PASSWORD_HASH`. */
  requiresPassword = true;
  /** `DISABLE_IPV6`, from 15.1.0. */
  disablesIpv6 = false;
  /** The build for AmneziaWG, from 15.2.0. */
  isAmnezia = false;
  /** What its configurations tell devices to use. */
  readonly told = { endpoint: 'vpn.example.com:51820', dns: ['1.1.1.1'], mtu: 1420 };
  /** Creates, and answers 500. */
  failsAfterCreating = false;
  /** Answers 200 to `enable`, `disable` and `delete`, and does nothing. */
  onlyPretends = false;
  /**
   * How long a change takes: it writes all clients into one file and has it read again. 100 ms with none to 2 s with a thousand were
   * seen (14 and 15.4.0, 2 cores); nothing unless a test is about it.
   */
  cost = { changeMs: 0, perClientMs: 0 };
  /** How long after a start everything is 500, in milliseconds: about 200 in 14, where the interface comes up after the first call. */
  startsForMs = 0;
  /** Answers this to the next change, and does nothing. */
  nextChange: Reply | undefined;
  /** Called before each answer: what happens on the server just then. */
  onCall: (call: string) => void = () => undefined;
  /** Called with each answer: what is sent in its place. */
  distort: (call: string, reply: Reply) => Reply = (_call, reply) => reply;
  /** How many changes were ever under way at once. */
  mostChangesAtOnce = 0;
  /** How many changes were refused because another one held the database. */
  lockedOut = 0;
  /** The keys that the interface has: what is written, as far as `wg` could read it. */
  readonly interface = new Set<string>();
  private changesAtOnce = 0;
  private startedAt = Number.NEGATIVE_INFINITY;
  private readonly sessions = new Set<string>();
  private nextId = 1;

  private constructor(
    private readonly server: Server,
    readonly url: string,
    public version: WgEasyVersion,
  ) {}

  static async start(version: WgEasyVersion): Promise<FakeWgEasy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The fake has no port');
    const fake = new FakeWgEasy(server, `http://127.0.0.1:${address.port}`, version);
    server.on('request', (request, response) => void fake.serve(request, response));
    return fake;
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /**
   * Starts anew, as the same version or another one: sessions are lost, clients and keys are not. From 14 to 15 they get other ids,
   * and an IPv6 address each.
   */
  restart(version: WgEasyVersion = this.version): void {
    this.sessions.clear();
    this.startedAt = performance.now();
    this.sync();
    if (this.is14 === (version === '14')) {
      this.version = version;
      return;
    }
    this.version = version;
    const clients = this.clients.map((client) => ({ ...client, id: this.newId() }));
    this.clients.splice(0, Infinity, ...clients);
  }

  /** Starts anew on an empty volume: nothing is known, and the interface has another key. */
  empty(): void {
    this.clients.splice(0, Infinity);
    this.serverKey = generateKeyPair().publicKey;
    this.restart();
  }

  /** A client that somebody made in the browser. */
  add(name: string, chosen: Partial<FakeClient> = {}): FakeClient {
    const number = this.freeNumber();
    const client: FakeClient = {
      id: this.newId(),
      name,
      ...generateKeyPair(),
      presharedKey: randomBytes(32).toString('base64'),
      ipv4Address: `10.8.0.${number}`,
      ipv6Address: `fdcc:ad94:bacf:61a4::cafe:${number.toString(16)}`,
      enabled: true,
      expiresAt: null,
      latestHandshakeAt: null,
      transferRx: 0,
      transferTx: 0,
      ...chosen,
    };
    this.clients.push(client);
    if (client.enabled) this.interface.add(client.publicKey);
    return client;
  }

  /** Someone deletes a client in the browser. */
  drop(client: FakeClient): void {
    this.clients.splice(this.clients.indexOf(client), 1);
    this.interface.delete(client.publicKey);
  }

  /** The job that runs every minute in 15: what has expired is disabled. */
  runExpiryJob(): void {
    for (const client of this.clients) if (isExpired(client)) client.enabled = false;
    this.sync();
  }

  private has(feature: keyof typeof SINCE): boolean {
    return WG_EASY_VERSIONS.indexOf(this.version) >= WG_EASY_VERSIONS.indexOf(SINCE[feature]);
  }

  private get is14(): boolean {
    return this.version === '14';
  }

  private newId(): string | number {
    return this.is14 ? randomUUID() : this.nextId++;
  }

  private freeNumber(): number {
    const taken = new Set(this.clients.map(({ ipv4Address }) => ipv4Address));
    for (let number = 2; number < 2 + POOL_SIZE; number++) if (!taken.has(`10.8.0.${number}`)) return number;
    throw new Error('Maximum number of clients reached.');
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await readCall(request);
    const isChange = call.method !== 'GET' && call.path.startsWith(this.clientsPath);
    this.calls.push(`${call.method} ${call.path}`);
    if (call.authorization !== undefined) this.authorizations.push(call.authorization);
    this.onCall(`${call.method} ${call.path}`);
    let isLocked = false;
    if (isChange) {
      // Its database is one file, which one writer at a time may have; 14 keeps all in memory. (run in 15.4.0)
      isLocked = !this.is14 && this.changesAtOnce > 0;
      if (isLocked) this.lockedOut++;
      this.mostChangesAtOnce = Math.max(this.mostChangesAtOnce, ++this.changesAtOnce);
      await this.takeTime(isLocked);
      this.changesAtOnce--;
    }
    if (this.mood === 'hanging') return;
    if (this.mood === 'reset') request.socket.resetAndDestroy();
    else if (this.mood === 'html') response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!DOCTYPE html>');
    else if (this.mood === 'redirect') response.writeHead(302, { Location: `${this.url}${call.path}` }).end();
    else this.send(response, this.distort(`${call.method} ${call.path}`, isLocked ? this.fault : this.answer(call)));
  }

  private takeTime(isLocked: boolean): Promise<void> {
    const ms = isLocked ? 0 : this.cost.changeMs + this.cost.perClientMs * this.clients.length;
    // At least so long that a second one could arrive.
    return new Promise((resolve) => (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));
  }

  private send(response: ServerResponse, { status, json, text, cookie }: Reply): void {
    response.statusCode = status;
    if (cookie !== undefined) response.setHeader('Set-Cookie', `${cookie}; Path=/; HttpOnly; SameSite=Lax`);
    response.setHeader('Content-Type', text === undefined ? 'application/json' : 'text/plain');
    // White space is no part of JSON: a reader without a limit would take it.
    response.end((text ?? JSON.stringify(json)) + ' '.repeat(this.mood === 'flood' ? FLOOD_BYTES : 0));
  }

  private get clientsPath(): string {
    return this.is14 ? '/api/wireguard/client' : '/api/client';
  }

  private get fault(): Reply {
    return this.is14 ? FAULT_14 : FAULT_15;
  }

  private answer(call: Call): Reply {
    const opened = this.is14 ? this.door14(call) : this.door15(call);
    if (opened !== undefined) return opened;
    if (!this.is14 && this.isMalformed(call)) return MALFORMED_15;
    if (!this.isKnown(call)) return this.is14 ? FAULT_14 : STRANGER_15;
    if (performance.now() - this.startedAt < this.startsForMs) return this.fault;
    if (!this.is14 && call.route === 'GET /api/admin/interface') return this.interfaceSettings();
    return this.clientCall(call) ?? this.refuse(call);
  }

  private door14({ route, body }: Call): Reply | undefined {
    if (route === 'GET /api/session') {
      return { status: 200, json: { requiresPassword: this.requiresPassword, authenticated: !this.requiresPassword } };
    }
    if (route !== 'POST /api/session') return undefined;
    if (body['password'] !== this.password) return { status: 401, json: { statusCode: 401, stack: [] } };
    return { ...DONE, cookie: this.newSession('connect.sid') };
  }

  private door15(call: Call): Reply | undefined {
    if (call.route === 'GET /api/session') {
      // Of a session only: Basic does not count here.
      if (call.cookie !== undefined && this.sessions.has(call.cookie))
        return { status: 200, json: { id: 1, role: this.isAdministrator ? 1 : 2, username: this.username } };
      return this.has('session401') ? STRANGER_15 : { status: 204, text: '' };
    }
    if (call.route === 'GET /api/auth/methods') {
      return this.has('authPaths')
        ? { status: 200, json: { oauthEnabled: false } }
        : { status: 404, json: { statusCode: 404 } };
    }
    if (call.route !== (this.has('authPaths') ? 'POST /api/auth/password' : 'POST /api/session')) return undefined;
    const { username, password, remember } = call.body;
    if (typeof username !== 'string' || typeof password !== 'string' || typeof remember !== 'boolean')
      return MALFORMED_15;
    // All of 15 takes a shorter one for malformed. (run in 15.0.0)
    if (password.length < 12) return MALFORMED_15;
    if (username !== this.username || password !== this.password) return STRANGER_15;
    if (this.twoFactor) {
      const json = { status: 'TOTP_REQUIRED' };
      return { status: 200, json, cookie: this.has('pendingCookie') ? 'wg-easy=pending' : undefined };
    }
    return { status: 200, json: { status: 'success' }, cookie: this.newSession('wg-easy') };
  }

  private newSession(name: string): string {
    const session = `${name}=s%3A${randomUUID()}`;
    this.sessions.add(session);
    return session;
  }

  /** Whether there is an `Authorization` that 15 cannot read, which it says before it looks at what is asked. */
  private isMalformed({ cookie, authorization }: Call): boolean {
    if (authorization === undefined || (cookie !== undefined && this.sessions.has(cookie))) return false;
    const [method, value = ''] = authorization.split(' ');
    return method !== 'Basic' || !/^[^:]+:./.test(Buffer.from(value, 'base64').toString());
  }

  private isKnown({ cookie, authorization }: Call): boolean {
    if (this.is14 && !this.requiresPassword) return true;
    if (cookie !== undefined && this.sessions.has(cookie)) return true;
    if (this.is14) return authorization === this.password;
    const basic = `Basic ${Buffer.from(`${this.username}:${this.password}`).toString('base64')}`;
    return authorization === basic && !(this.twoFactor && this.has('basicRefusedWithFactor'));
  }

  private get forbidden(): Reply {
    return this.has('forbidden403') ? { status: 403, json: { statusCode: 403 } } : FAULT_15;
  }

  private interfaceSettings(): Reply {
    if (!this.isAdministrator) return this.forbidden;
    return { status: 200, json: { name: 'wg0', publicKey: this.serverKey, ipv4Cidr: '10.8.0.0/24', port: 51820 } };
  }

  private clientCall(call: Call): Reply | undefined {
    if (!call.path.startsWith(this.clientsPath)) return undefined;
    const rest = call.path.slice(this.clientsPath.length);
    const [, id = '', verb = ''] = rest.split('/');
    if (!this.is14 && !this.isAdministrator) {
      // What it made itself it may see, and an administrator made everything.
      return call.route === `GET ${this.clientsPath}` ? { status: 200, json: [] } : this.forbidden;
    }
    if (call.method !== 'GET' && this.nextChange !== undefined) {
      const reply = this.nextChange;
      this.nextChange = undefined;
      return reply;
    }
    if (rest === '' && call.method === 'GET') return { status: 200, json: this.listed() };
    if (rest === '' && call.method === 'POST') return this.create(call.body);
    if (!this.is14 && !/^\d+$/.test(id)) return MALFORMED_15;
    return this.callOf(call, id, verb);
  }

  private callOf({ method, body }: Call, id: string, verb: string): Reply | undefined {
    const client = this.clients.find((one) => String(one.id) === id);
    switch (`${method} ${verb}`) {
      case 'GET configuration':
        if (client === undefined) return { status: 404, json: {} };
        return { status: 200, text: this.is14 ? this.config14(client) : this.config15(client) };
      case 'POST enable':
      case 'POST disable':
        return this.toggle(client, verb === 'enable');
      case 'DELETE ':
        if (client !== undefined && !this.onlyPretends) this.clients.splice(this.clients.indexOf(client), 1);
        return client === undefined && this.is14 ? DONE : this.saved();
      case 'GET ':
        return this.is14 ? undefined : this.single(client);
      case 'POST ':
        return this.is14 ? undefined : this.update(client, body);
      default:
        return undefined;
    }
  }

  private create({ name, expiresAt }: Call['body']): Reply {
    if (typeof name !== 'string' || name === '') return this.is14 ? FAULT_14 : MALFORMED_15;
    if (!this.is14 && expiresAt !== null && typeof expiresAt !== 'string') return MALFORMED_15;
    if (this.has('safeNames') && /[\r\n]/.test(name)) return MALFORMED_15;
    if (this.clients.length >= POOL_SIZE) return this.fault;
    const { id, publicKey } = this.add(name);
    this.interface.delete(publicKey); // until it is read from the file
    const saved = this.saved();
    if (this.failsAfterCreating) return this.fault;
    return saved === DONE && this.has('clientId') ? { status: 200, json: { success: true, clientId: id } } : saved;
  }

  private toggle(client: FakeClient | undefined, enabled: boolean): Reply {
    if (client === undefined) return this.is14 ? { status: 404, json: { statusCode: 404 } } : this.saved();
    if (enabled && isExpired({ ...client, enabled }) && this.has('expired422')) return { status: 422, json: {} };
    if (this.onlyPretends) return DONE;
    client.enabled = enabled;
    return this.saved();
  }

  /** One client of 15, with all it has. */
  private single(client: FakeClient | undefined): Reply {
    if (client === undefined) return { status: 404, json: {} };
    const { presharedKey: preSharedKey, ...fields } = client;
    return { status: 200, json: { ...fields, preSharedKey, allowedIps: null, mtu: 1420, dns: null, userId: 1 } };
  }

  private update(client: FakeClient | undefined, body: Call['body']): Reply {
    if (!UPDATED.every((field) => field in body)) return MALFORMED_15;
    const { name, enabled, expiresAt, ipv4Address, ipv6Address } = body;
    if (typeof name !== 'string' || typeof enabled !== 'boolean') return MALFORMED_15;
    if (typeof ipv4Address !== 'string' || typeof ipv6Address !== 'string') return MALFORMED_15;
    if (expiresAt !== null && typeof expiresAt !== 'string') return MALFORMED_15;
    if (client === undefined) return this.saved();
    const others = this.clients.filter((other) => other !== client);
    if (others.some((other) => other.ipv4Address === ipv4Address || other.ipv6Address === ipv6Address)) return FAULT_15;
    Object.assign(client, { name, enabled, expiresAt, ipv4Address, ipv6Address });
    return this.saved();
  }

  /**
   * What is stored is written into one file, and the file is read by `wg`. A name of two lines is written as it is, which `wg` cannot
   * read: the change is stored, the interface stays as it was, and the answer is 500. (run in 14 and 15.3.0)
   */
  private saved(): Reply {
    return this.sync() ? DONE : this.fault;
  }

  private sync(): boolean {
    if (this.clients.some(({ name, enabled }) => enabled && name.includes('\n'))) return false;
    const wanted = new Set(this.clients.filter(({ enabled }) => enabled).map(({ publicKey }) => publicKey));
    for (const key of this.interface) if (!wanted.has(key)) this.interface.delete(key);
    for (const client of this.clients) {
      if (!wanted.has(client.publicKey) || this.interface.has(client.publicKey)) continue;
      this.interface.add(client.publicKey);
      Object.assign(client, { latestHandshakeAt: null, transferRx: 0, transferTx: 0 });
    }
    return true;
  }

  /** What the interface counts is only there for those it has, whatever is stored. */
  private listed(): readonly object[] {
    const clients = this.has('sorted') ? this.clients.toSorted((a, b) => a.name.localeCompare(b.name)) : this.clients;
    return clients.map(({ privateKey, presharedKey, ...client }) => {
      const { ipv4Address, ipv6Address, expiresAt, ...common } = client;
      const counted = this.interface.has(client.publicKey)
        ? common
        : { ...common, latestHandshakeAt: null, transferRx: null, transferTx: null };
      if (this.is14) return { ...counted, address: ipv4Address, downloadableConfig: true, persistentKeepalive: 'off' };
      const keys = this.has('publicList') ? {} : { privateKey, preSharedKey: presharedKey };
      return { ...counted, ...keys, ipv4Address, ipv6Address, expiresAt, userId: 1, oneTimeLink: null };
    });
  }

  private config14(client: FakeClient): string {
    const { dns, mtu } = this.told;
    const settings = [`Address = ${client.ipv4Address}/24`, `DNS = ${dns.join(', ')}`, `MTU = ${mtu}`];
    return ['', '[Interface]', `PrivateKey = ${client.privateKey}`, ...settings, '', ...this.peer(client)].join('\n');
  }

  private config15(client: FakeClient): string {
    const [prefix4, prefix6] = this.has('ownPrefix') ? [32, 128] : [24, 112];
    const isWithout6 = this.disablesIpv6 && this.has('ipv6Switch');
    const addresses = [`${client.ipv4Address}/${prefix4}`, ...(isWithout6 ? [] : [`${client.ipv6Address}/${prefix6}`])];
    const obfuscation = [
      'Jc = 7',
      'Jmin = 10',
      'Jmax = 1000',
      'S1 = 128',
      'S2 = 56',
      'H1 = 1136437142',
      'I1 = <b 0x1>',
    ];
    const settings = [
      `Address = ${addresses.join(', ')}`,
      `DNS = ${this.told.dns.join(', ')}`,
      `MTU = ${this.told.mtu}`,
      ...(this.isAmnezia && this.has('amnezia') ? obfuscation : []),
    ];
    return ['[Interface]', `PrivateKey = ${client.privateKey}`, ...settings, '', ...this.peer(client)].join('\n');
  }

  private peer(client: FakeClient): readonly string[] {
    return [
      '[Peer]',
      `PublicKey = ${this.serverKey}`,
      `PresharedKey = ${client.presharedKey}`,
      'AllowedIPs = 0.0.0.0/0, ::/0',
      'PersistentKeepalive = 0',
      `Endpoint = ${this.told.endpoint}`,
    ];
  }

  private refuse({ method, path }: Call): Reply {
    this.unexpected.push(`${method} ${path}`);
    return { status: 404, json: { statusCode: 404 } };
  }
}

function isExpired({ enabled, expiresAt }: Pick<FakeClient, 'enabled' | 'expiresAt'>): boolean {
  return enabled && expiresAt !== null && new Date(expiresAt) < new Date();
}

async function readCall(request: IncomingMessage): Promise<Call> {
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) text += String(chunk);
  const { method = '', url: path = '', headers } = request;
  const body: unknown = text === '' ? {} : JSON.parse(text);
  return {
    route: `${method} ${path}`,
    method,
    path,
    body: typeof body === 'object' && body !== null ? { ...body } : {},
    authorization: headers.authorization,
    cookie: headers.cookie,
  };
}
