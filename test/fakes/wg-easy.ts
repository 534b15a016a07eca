import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { generateKeyPair } from '#wireguard';

/** The generations whose wire differs: 14; 15.0 and 15.1 (no id on create); 15.4 and later (another log-in, `clientId`). */
export type WgEasyFamily = '14' | '15.0' | '15.4';

/** How it answers what it is asked: as it does, not at all, with a proxy's error page, or by hanging up. */
export type WgEasyMood = 'well' | 'hanging' | 'html' | 'reset' | 'redirect' | 'flood';

export interface FakeClient {
  readonly id: string | number;
  readonly name: string;
  readonly privateKey: string;
  readonly publicKey: string;
  readonly presharedKey: string;
  readonly ipv4Address: string;
  readonly ipv6Address: string;
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
/** What 14 says to strangers, and to anything that went wrong. */
const FAULT_14: Reply = { status: 500, json: { statusCode: 500, stack: [] } };
const FAULT_15: Reply = { status: 500, json: { error: true, statusCode: 500, message: 'Server Error' } };
const STRANGER_15: Reply = { status: 401, json: { error: true, statusCode: 401, message: 'Session failed' } };
const DONE: Reply = { status: 200, json: { success: true } };

/**
 * wg-easy as real servers of version 14 and 15.4.0 were seen to behave, oddities included, on a loopback port of its own.
 * It is strict: a call that this service has no business to make is answered 404 and noted in `unexpected`.
 */
export class FakeWgEasy {
  readonly username = 'admin';
  readonly password = 'correct horse battery';
  readonly serverKey = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';
  readonly clients: FakeClient[] = [];
  /** Every call so far, as `METHOD /path`. */
  readonly calls: string[] = [];
  readonly unexpected: string[] = [];
  /** Every `Authorization` header so far. */
  readonly authorizations: string[] = [];
  mood: WgEasyMood = 'well';
  twoFactor = false;
  /** Version 14 without `PASSWORD_HASH`. */
  requiresPassword = true;
  /** Creates, and answers 500. */
  failsAfterCreating = false;
  /** Answers 200 to `enable`, `disable` and `delete`, and does nothing. */
  onlyPretends = false;
  /** Answers this to the next change, and does nothing. */
  nextChange: Reply | undefined;
  /** Called before each answer: what happens on the server just then. */
  onCall: (call: string) => void = () => undefined;
  /** Called with each answer: what is sent in its place. */
  distort: (call: string, reply: Reply) => Reply = (_call, reply) => reply;
  /** How many changes were ever under way at once. */
  mostChangesAtOnce = 0;
  private changesAtOnce = 0;
  private readonly sessions = new Set<string>();
  private nextId = 1;

  private constructor(
    private readonly server: Server,
    readonly url: string,
    public family: WgEasyFamily,
  ) {}

  static async start(family: WgEasyFamily): Promise<FakeWgEasy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The fake has no port');
    const fake = new FakeWgEasy(server, `http://127.0.0.1:${address.port}`, family);
    server.on('request', (request, response) => void fake.serve(request, response));
    return fake;
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** Starts anew, as the same version or another one: sessions are lost, clients and keys are not. */
  restart(family: WgEasyFamily = this.family): void {
    this.sessions.clear();
    if (family === this.family) return;
    this.family = family;
    const clients = this.clients.map((client) => ({ ...client, id: this.newId() }));
    this.clients.splice(0, Infinity, ...clients);
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
    return client;
  }

  private newId(): string | number {
    return this.family === '14' ? randomUUID() : this.nextId++;
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
    if (isChange) this.mostChangesAtOnce = Math.max(this.mostChangesAtOnce, ++this.changesAtOnce);
    if (isChange) await new Promise((resolve) => setImmediate(resolve)); // so that a second one could arrive
    if (isChange) this.changesAtOnce--;
    if (this.mood === 'hanging') return;
    if (this.mood === 'reset') request.socket.resetAndDestroy();
    else if (this.mood === 'html') response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!DOCTYPE html>');
    else if (this.mood === 'redirect') response.writeHead(302, { Location: `${this.url}${call.path}` }).end();
    else this.send(response, this.distort(`${call.method} ${call.path}`, this.answer(call)));
  }

  private send(response: ServerResponse, { status, json, text, cookie }: Reply): void {
    response.statusCode = status;
    if (cookie !== undefined) response.setHeader('Set-Cookie', `${cookie}; Path=/; HttpOnly; SameSite=Lax`);
    response.setHeader('Content-Type', text === undefined ? 'application/json' : 'text/plain');
    // White space is no part of JSON: a reader without a limit would take it.
    response.end((text ?? JSON.stringify(json)) + ' '.repeat(this.mood === 'flood' ? 1_000_000 : 0));
  }

  private get clientsPath(): string {
    return this.family === '14' ? '/api/wireguard/client' : '/api/client';
  }

  private get fault(): Reply {
    return this.family === '14' ? FAULT_14 : FAULT_15;
  }

  private answer(call: Call): Reply {
    const opened = this.family === '14' ? this.door14(call) : this.door15(call);
    if (opened !== undefined) return opened;
    if (!this.isKnown(call)) return this.family === '14' ? FAULT_14 : STRANGER_15;
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
    if (call.route === 'GET /api/session') return this.isKnown(call) ? { status: 200, json: { id: 1 } } : STRANGER_15;
    const isNewer = this.family === '15.4';
    if (call.route === 'GET /api/auth/methods') {
      return isNewer ? { status: 200, json: { oauthEnabled: false } } : { status: 404, json: { statusCode: 404 } };
    }
    if (call.route !== (isNewer ? 'POST /api/auth/password' : 'POST /api/session')) return undefined;
    const { username, password, remember } = call.body;
    if (typeof username !== 'string' || typeof password !== 'string' || typeof remember !== 'boolean') {
      return { status: 400, json: { statusCode: 400 } };
    }
    if (isNewer && password.length < 12) return { status: 400, json: { statusCode: 400 } };
    if (username !== this.username || password !== this.password) return STRANGER_15;
    // The session is there all the same, and opens nothing yet.
    if (this.twoFactor) return { status: 200, json: { status: 'TOTP_REQUIRED' }, cookie: 'wg-easy=pending' };
    return { status: 200, json: { status: 'success' }, cookie: this.newSession('wg-easy') };
  }

  private newSession(name: string): string {
    const session = `${name}=s%3A${randomUUID()}`;
    this.sessions.add(session);
    return session;
  }

  private isKnown({ cookie, authorization }: Call): boolean {
    if (this.family === '14' && !this.requiresPassword) return true;
    if (cookie !== undefined && this.sessions.has(cookie)) return true;
    const basic = `Basic ${Buffer.from(`${this.username}:${this.password}`).toString('base64')}`;
    return this.family === '14' ? authorization === this.password : authorization === basic && !this.twoFactor;
  }

  private clientCall(call: Call): Reply | undefined {
    if (!call.path.startsWith(this.clientsPath)) return undefined;
    const rest = call.path.slice(this.clientsPath.length);
    const [, id = '', verb = ''] = rest.split('/');
    if (call.method !== 'GET' && this.nextChange !== undefined) {
      const reply = this.nextChange;
      this.nextChange = undefined;
      return reply;
    }
    if (rest === '' && call.method === 'GET') return { status: 200, json: this.listed() };
    if (rest === '' && call.method === 'POST') return this.create(call.body);
    const client = this.clients.find((one) => String(one.id) === id);
    if (this.family !== '14' && !/^\d+$/.test(id)) return { status: 400, json: { statusCode: 400 } };
    switch (`${call.method} ${verb}`) {
      case 'GET configuration':
        return client === undefined ? { status: 404, json: {} } : { status: 200, text: this.config(client) };
      case 'POST enable':
      case 'POST disable':
        return this.toggle(client, verb === 'enable');
      case 'DELETE ':
        if (client !== undefined && !this.onlyPretends) this.clients.splice(this.clients.indexOf(client), 1);
        return client === undefined ? DONE : this.saved();
      default:
        return undefined;
    }
  }

  private create({ name, expiresAt }: Call['body']): Reply {
    if (typeof name !== 'string' || name === '') return { status: this.family === '14' ? 500 : 400, json: {} };
    if (this.family !== '14' && expiresAt !== null) return { status: 400, json: { statusCode: 400 } };
    if (this.family === '15.4' && /[\r\n]/.test(name)) return { status: 400, json: { statusCode: 400 } };
    if (this.clients.length >= POOL_SIZE) return this.fault;
    const { id } = this.add(name);
    if (this.failsAfterCreating) return this.fault;
    const saved = this.saved();
    return saved === DONE && this.family === '15.4' ? { status: 200, json: { success: true, clientId: id } } : saved;
  }

  private toggle(client: FakeClient | undefined, enabled: boolean): Reply {
    if (client === undefined) return this.family === '14' ? { status: 404, json: { statusCode: 404 } } : DONE;
    if (enabled && client.expiresAt !== null && new Date(client.expiresAt) < new Date())
      return { status: 422, json: {} };
    if (this.onlyPretends) return DONE;
    if (enabled && !client.enabled) Object.assign(client, { latestHandshakeAt: null, transferRx: 0, transferTx: 0 });
    client.enabled = enabled;
    return this.saved();
  }

  /** A name of two lines is written into the configuration as it is, which `wg` then cannot read. */
  private saved(): Reply {
    return this.clients.some(({ name }) => name.includes('\n')) ? this.fault : DONE;
  }

  /** What the interface counts is only there for those it has. */
  private listed(): readonly object[] {
    return this.clients.map(({ privateKey: _privateKey, presharedKey: _presharedKey, ...client }) => {
      const { ipv4Address, ipv6Address, expiresAt, ...common } = client;
      const counted = client.enabled
        ? common
        : { ...common, latestHandshakeAt: null, transferRx: null, transferTx: null };
      return this.family === '14'
        ? { ...counted, address: ipv4Address, downloadableConfig: true, persistentKeepalive: 'off' }
        : { ...counted, ipv4Address, ipv6Address, expiresAt, userId: 1 };
    });
  }

  private config(client: FakeClient): string {
    const peer = [
      '[Peer]',
      `PublicKey = ${this.serverKey}`,
      `PresharedKey = ${client.presharedKey}`,
      'AllowedIPs = 0.0.0.0/0, ::/0',
      'PersistentKeepalive = 0',
      'Endpoint = vpn.example.com:51820',
    ];
    const head = ['[Interface]', `PrivateKey = ${client.privateKey}`];
    const lines =
      this.family === '14'
        ? ['', ...head, `Address = ${client.ipv4Address}/24`, 'DNS = 1.1.1.1', '', '', ...peer]
        : [
            ...head,
            `Address = ${client.ipv4Address}/32, ${client.ipv6Address}/128`,
            'DNS = 1.1.1.1, 2606:4700:4700::1111',
            'MTU = 1420',
            '',
            ...peer,
          ];
    return lines.join('\n');
  }

  private refuse({ method, path }: Call): Reply {
    this.unexpected.push(`${method} ${path}`);
    return { status: 404, json: { statusCode: 404 } };
  }
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
