import 'reflect-metadata'; // what @peculiar/x509 needs
import { X509CertificateGenerator } from '@peculiar/x509';
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  KeyObject,
  randomBytes,
  sign,
  verify,
  webcrypto,
} from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Environment } from '#platform';
import { newKeyPair, newPrivateKey } from './new-keys.js';
import { PlayLedger, type Rtdn } from './play-ledger.js';

export { ONE_TIME, PlayLedger, type Rtdn, SUBSCRIPTION } from './play-ledger.js';

/** What the service can be asked; `*` is all of the developer API, not the tokens and certificates. */
export type GoogleOp =
  | 'token'
  | 'certificates'
  | 'subscription'
  | 'product'
  | 'acknowledge'
  | 'cancel'
  | 'revoke'
  | 'defer'
  | 'order'
  | 'refund'
  | 'voided';

/** How it fails. `times`: for that many answers; for ever unless told. `about`: only where the path names it (a token, an order). */
export type GoogleFault = { readonly times?: number; readonly about?: string } & (
  | { readonly kind: 'status'; readonly status: number; readonly reason?: string }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'drop' }
  | { readonly kind: 'html'; readonly status?: number }
  /** 429, with `Retry-After` in seconds where given. */
  | { readonly kind: 'rate_limit'; readonly retryAfter?: number }
  /** What is answered in place of what would be. */
  | { readonly kind: 'body'; readonly body: string }
  /** The same with a status of its own, as a proxy on the way would answer. */
  | { readonly kind: 'reply'; readonly status: number; readonly body: string }
);

export interface PushOptions {
  readonly aud?: string;
  readonly email?: string;
  readonly emailVerified?: boolean;
  readonly iss?: string;
  readonly kid?: string;
  readonly alg?: 'RS256' | 'none' | 'HS256';
  readonly badSignature?: boolean;
  /** Seconds ago; tokens are good for an hour. */
  readonly issuedAgo?: number;
  /** The same one again is a redelivery. */
  readonly messageId?: string;
  readonly subscription?: string;
}

/** A push as Pub/Sub would send it: for the caller to deliver. */
export interface Push {
  readonly headers: { readonly authorization: string; readonly 'content-type': 'application/json' };
  readonly body: {
    readonly message: {
      readonly data: string;
      readonly messageId: string;
      readonly message_id: string;
      readonly publishTime: string;
      readonly publish_time: string;
      readonly attributes: object;
    };
    readonly subscription: string;
  };
}

interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly certificate: string;
}

/** What of a Google must be the same when it is started again. */
export interface GoogleKept {
  readonly keyId: string;
  /** The key of the service account, in PEM. */
  readonly accountKey: string;
  /** What pushes are signed with: key and certificate in PEM. */
  readonly push: { readonly kid: string; readonly key: string; readonly certificate: string };
}

export interface FakeGoogleOptions {
  readonly now?: () => Date;
  /** A free one unless told. */
  readonly port?: number;
  readonly kept?: GoogleKept | undefined;
  /** Where its numbers begin: another series never gives out a number of this one. */
  readonly series?: number;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string;
  readonly text: string;
}

interface Reply {
  readonly status: number;
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength: 2048,
} as const;
const TOKEN_SECONDS = 3600;
const PAGE = 1000;
const MAX_BATCH = 1000;
const NOT_FOUND: Reply = refusal(404, 'purchaseTokenNotFound', 'The purchase token was not found.');
const WRONG_KIND: Reply = refusal(400, 'invalid', 'Invalid Value');
const FORGOTTEN: Reply = refusal(410, 'purchaseTokenNoLongerValid', 'The purchase token is no longer valid.');

/**
 * Google as this service meets it, on a loopback port of its own: the developer API of one app, the endpoint of access tokens, the
 * certificates of push tokens, and the pushes. It is strict: a call that this service has no business to make is answered
 * 404 and noted in `unexpected`.
 */
export class FakeGoogle extends PlayLedger {
  readonly unexpected: string[] = [];
  readonly pushEmail = 'pubsub@example-project.iam.gserviceaccount.com';
  readonly pushAudience = 'https://vpn.example.com/payments/webhook/google';
  readonly pushSubscription = 'projects/example-project/subscriptions/play';
  /** Whether the account may see amounts ("View financial data"); without it orders are answered 403. */
  seesOrders = true;
  /** How long certificates may be kept, in seconds. */
  certificatesMaxAge = 21_600;
  /** At most this many entries on a page of voided purchases, whatever is asked for. */
  pageSize = PAGE;
  private readonly email = 'backend@example-project.iam.gserviceaccount.com';
  /** The access tokens in use, and until when, in milliseconds since 1970. */
  private readonly accessTokens = new Map<string, number>();
  private readonly faults: { readonly op: GoogleOp | '*'; readonly fault: GoogleFault; left: number }[] = [];
  private keys: readonly SigningKey[];
  private nextMessage: number;

  private constructor(
    private readonly server: Server,
    readonly url: string,
    key: SigningKey,
    private readonly keyId: string,
    private readonly accountKey: KeyObject,
    { now = () => new Date(), series = 0 }: FakeGoogleOptions,
  ) {
    super(now, series);
    this.nextMessage = series * 1000 + 1;
    this.keys = [key];
  }

  static async start(options: FakeGoogleOptions = {}): Promise<FakeGoogle> {
    const { port = 0, kept } = options;
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The fake has no port');
    const key =
      kept === undefined ? await newSigningKey() : { ...kept.push, privateKey: createPrivateKey(kept.push.key) };
    const keyId = kept?.keyId ?? randomBytes(20).toString('hex');
    const account = kept === undefined ? newPrivateKey('rsa') : createPrivateKey(kept.accountKey);
    const fake = new FakeGoogle(server, `http://127.0.0.1:${address.port}`, key, keyId, account, options);
    server.on('request', (request, response) => void fake.serve(request, response));
    return fake;
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** What must be given to `start` for the same Google on another day. */
  get kept(): GoogleKept {
    const pem = (key: KeyObject): string => String(key.export({ type: 'pkcs8', format: 'pem' }));
    const [push] = this.keys;
    if (push === undefined) throw new Error('There is no key');
    const { kid, privateKey, certificate } = push;
    return { keyId: this.keyId, accountKey: pem(this.accountKey), push: { kid, key: pem(privateKey), certificate } };
  }

  /** The settings that make the service speak with this Google. */
  settings(): Environment {
    return {
      GOOGLE_PLAY_PACKAGE: this.packageName,
      GOOGLE_SERVICE_ACCOUNT_JSON: JSON.stringify({
        type: 'service_account',
        project_id: 'example-project',
        private_key_id: this.keyId,
        private_key: this.kept.accountKey,
        client_email: this.email,
        client_id: '100000000000000000001',
        token_uri: `${this.url}/token`,
      }),
      GOOGLE_API_ROOT_URL: this.url,
      GOOGLE_OIDC_CERTS_URL: `${this.url}/oauth2/v1/certs`,
      GOOGLE_PUBSUB_AUDIENCE: this.pushAudience,
      GOOGLE_PUBSUB_EMAIL: this.pushEmail,
    };
  }

  fault(op: GoogleOp | '*', fault: GoogleFault): void {
    this.faults.push({ op, fault, left: fault.times ?? Infinity });
  }

  heal(): void {
    this.faults.length = 0;
  }

  /** Access tokens given out so far are good no more. */
  withdrawAccessTokens(): void {
    this.accessTokens.clear();
  }

  /** Pushes are signed by a new key from now on; the older ones are published too. */
  async rotateKeys(): Promise<void> {
    this.keys = [await newSigningKey(), ...this.keys];
  }

  /** Only the newest key is published. */
  dropOldKeys(): void {
    this.keys = this.keys.slice(0, 1);
  }

  /** A notification, or anything else (a text is taken as the data itself), as Pub/Sub pushes it. */
  push(notification: Rtdn | string, options: PushOptions = {}): Push {
    const data = typeof notification === 'string' ? notification : JSON.stringify(notification.data);
    const messageId = options.messageId ?? String(10_000_000_000_000 + this.nextMessage++);
    const publishTime = this.now().toISOString();
    return {
      headers: { authorization: `Bearer ${this.pushToken(options)}`, 'content-type': 'application/json' },
      body: {
        message: {
          data: Buffer.from(data).toString('base64'),
          messageId,
          message_id: messageId,
          publishTime,
          publish_time: publishTime,
          attributes: {},
        },
        subscription: options.subscription ?? this.pushSubscription,
      },
    };
  }

  private pushToken(options: PushOptions): string {
    const [key] = this.keys;
    if (key === undefined) throw new Error('There is no key');
    const { aud = this.pushAudience, email = this.pushEmail, emailVerified = true, alg = 'RS256' } = options;
    const issuedAt = this.seconds() - (options.issuedAgo ?? 0);
    const input = `${encode({ alg, kid: options.kid ?? key.kid, typ: 'JWT' })}.${encode({
      aud,
      azp: '113774264463038321964',
      email,
      email_verified: emailVerified,
      exp: issuedAt + TOKEN_SECONDS,
      iat: issuedAt,
      iss: options.iss ?? 'https://accounts.google.com',
      sub: '113774264463038321964',
    })}`;
    if (alg === 'none') return `${input}.`;
    const signature =
      alg === 'HS256'
        ? createHmac('sha256', key.certificate).update(input).digest()
        : sign('sha256', Buffer.from(input), key.privateKey);
    if (options.badSignature === true) signature[0] = (signature[0] ?? 0) ^ 1;
    return `${input}.${signature.toString('base64url')}`;
  }

  private seconds(): number {
    return Math.floor(this.now().getTime() / 1000);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await readCall(request);
    const route = this.route(call);
    const fault = route === undefined ? undefined : this.nextFault(route.op, call.path);
    switch (fault?.kind) {
      case undefined:
        send(response, this.answer(call, route));
        break;
      case 'delay': {
        const timer = setTimeout(() => send(response, this.answer(call, route)), fault.ms);
        response.on('close', () => clearTimeout(timer));
        break;
      }
      case 'drop':
        request.socket.destroy();
        break;
      case 'html':
        response.writeHead(fault.status ?? 200, { 'Content-Type': 'text/html; charset=utf-8' });
        response.end('<!DOCTYPE html><title>Error</title>');
        break;
      case 'body':
        response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' }).end(fault.body);
        break;
      case 'reply':
        response.writeHead(fault.status, { 'Content-Type': 'application/json; charset=utf-8' }).end(fault.body);
        break;
      case 'status':
        send(response, refusal(fault.status, fault.reason ?? 'backendError', 'Fault'));
        break;
      case 'rate_limit':
        send(response, {
          ...refusal(429, 'rateLimitExceeded', 'Quota exceeded'),
          headers: fault.retryAfter === undefined ? {} : { 'Retry-After': String(fault.retryAfter) },
        });
    }
  }

  private nextFault(op: GoogleOp, path: string): GoogleFault | undefined {
    const isApi = op !== 'token' && op !== 'certificates';
    const next = this.faults.find(
      (one) => one.left > 0 && (one.op === op || (one.op === '*' && isApi)) && path.includes(one.fault.about ?? ''),
    );
    if (next !== undefined) next.left--;
    return next?.fault;
  }

  private answer(call: Call, route: Route | undefined): Reply {
    if (route === undefined) {
      this.unexpected.push(`${call.method} ${call.path}`);
      return refusal(404, 'notFound', 'Not Found');
    }
    const isApi = route.op !== 'token' && route.op !== 'certificates';
    if (isApi && !this.isKnown(call)) return refusal(401, 'authError', 'Invalid Credentials');
    return route.answer();
  }

  private isKnown({ authorization }: Call): boolean {
    const until = this.accessTokens.get(authorization.replace(/^Bearer /, ''));
    return until !== undefined && until > this.now().getTime();
  }

  private route(call: Call): Route | undefined {
    if (call.method === 'POST' && call.path === '/token') return { op: 'token', answer: () => this.issueToken(call) };
    if (call.method === 'GET' && call.path === '/oauth2/v1/certs') {
      return { op: 'certificates', answer: () => this.certificates() };
    }
    const app = `/androidpublisher/v3/applications/${this.packageName}/`;
    if (!call.path.startsWith(app)) return undefined;
    return this.apiRoute(call, call.path.slice(app.length));
  }

  private apiRoute(call: Call, path: string): Route | undefined {
    const { method, query } = call;
    const match = (expected: string, pattern: RegExp): readonly string[] | undefined => {
      const found = method === expected ? pattern.exec(path) : null;
      return found?.slice(1).map(decodeURIComponent);
    };
    let found = match('GET', /^purchases\/subscriptionsv2\/tokens\/([^/:]+)$/);
    if (found)
      return this.onToken('subscription', 'subscription', found[0], (token) => ok(this.subscriptionView(token)));
    found = match('GET', /^purchases\/productsv2\/tokens\/([^/:]+)$/);
    if (found) return this.onToken('product', 'product', found[0], (token) => ok(this.productView(token)));
    found = match('GET', /^purchases\/products\/[^/]+\/tokens\/([^/:]+)$/);
    if (found) return this.onToken('product', 'product', found[0], (token) => ok(this.oldProductView(token)));
    found = match('POST', /^purchases\/(?:subscriptions|products)\/([^/]*)\/tokens\/([^/:]+):acknowledge$/);
    if (found) {
      const kind = path.startsWith('purchases/subscriptions/') ? 'subscription' : 'product';
      const [productId = '', purchaseToken] = found;
      return this.onToken('acknowledge', kind, purchaseToken, (token) =>
        this.acknowledge(token, productId, accountIn(call.text))
          ? ok({})
          : refusal(400, 'invalid', 'The purchase cannot be acknowledged.'),
      );
    }
    found = match('POST', /^purchases\/subscriptions(?:v2|\/[^/]+)\/tokens\/([^/:]+):(?:cancel|defer|revoke)$/);
    const verb = path.slice(path.lastIndexOf(':') + 1);
    if (found && (verb === 'cancel' || verb === 'defer' || verb === 'revoke')) {
      return this.onToken(verb, 'subscription', found[0], (token) => this.change(verb, token, call.text));
    }
    found = match('GET', /^orders\/([^/:]+)$/);
    if (found) return { op: 'order', answer: () => this.orderReply([found?.[0] ?? '']) };
    if (method === 'GET' && path === 'orders:batchGet') {
      return { op: 'order', answer: () => this.ordersReply(query.getAll('orderIds')) };
    }
    found = match('POST', /^orders\/([^/:]+):refund$/);
    if (found) {
      const [orderId = ''] = found;
      return { op: 'refund', answer: () => this.refundReply(orderId, query.get('revoke') === 'true') };
    }
    if (method === 'GET' && path === 'purchases/voidedpurchases') {
      return { op: 'voided', answer: () => this.voidedReply(query) };
    }
    return undefined;
  }

  private onToken(op: GoogleOp, kind: 'subscription' | 'product', token = '', answer: (token: string) => Reply): Route {
    return {
      op,
      answer: () => {
        const found = this.kindOf(token);
        if (found === undefined) return NOT_FOUND;
        if (found !== kind) return WRONG_KIND;
        return this.isForgotten(token) ? FORGOTTEN : answer(token);
      },
    };
  }

  private change(verb: 'cancel' | 'defer' | 'revoke', token: string, text: string): Reply {
    if (this.isOver(token)) return refusal(400, 'subscriptionExpired', 'The subscription is over.');
    if (verb === 'cancel') this.cancel(token, 'developer');
    else if (verb === 'revoke') this.revoke(token, { source: 1 });
    else {
      const until = /"(?:desiredExpiryTimeMillis|deferDuration)":"?(\d+)/.exec(text)?.[1];
      if (until === undefined) return WRONG_KIND;
      const isDuration = text.includes('deferDuration');
      this.defer(token, new Date(isDuration ? this.now().getTime() + Number(until) * 1000 : Number(until)));
    }
    return ok({});
  }

  private orderReply([orderId = '']: readonly string[]): Reply {
    if (!this.seesOrders) return refusal(403, 'permissionDenied', 'The current user has insufficient permissions.');
    const order = this.orderView(orderId);
    return order === undefined ? refusal(404, 'orderNotFound', 'The order was not found.') : ok(order);
  }

  /** One unknown id fails all of them. */
  private ordersReply(orderIds: readonly string[]): Reply {
    if (!this.seesOrders) return refusal(403, 'permissionDenied', 'The current user has insufficient permissions.');
    const orders = orderIds.map((orderId) => this.orderView(orderId));
    if (orders.length === 0 || orders.length > MAX_BATCH) return WRONG_KIND;
    return orders.includes(undefined) ? refusal(404, 'orderNotFound', 'The order was not found.') : ok({ orders });
  }

  private refundReply(orderId: string, revoke: boolean): Reply {
    if (this.orderView(orderId) === undefined) return refusal(404, 'orderNotFound', 'The order was not found.');
    if (this.isRefunded(orderId)) return refusal(400, 'orderAlreadyRefunded', 'The order was refunded already.');
    this.refund(orderId, { revoke });
    return { status: 204 };
  }

  private voidedReply(query: URLSearchParams): Reply {
    const time = this.now().getTime();
    const [from, to, type, partial, index] = pageOf(query) ?? [
      Number(query.get('startTime') ?? 0),
      Number(query.get('endTime') ?? time),
      Number(query.get('type') ?? 0),
      Number(query.get('includeQuantityBasedPartialRefund') === 'true'),
      0,
    ];
    if (from !== 0 && from < time - 30 * 24 * 3_600_000) return refusal(400, 'invalid', 'startTime is too old');
    const size = Math.min(Number(query.get('maxResults') ?? PAGE), this.pageSize);
    const views = this.voidedViews({ from, to, type, partial: partial === 1 });
    const next = index + size;
    return ok({
      ...(views.length === 0 ? {} : { voidedPurchases: views.slice(index, next) }),
      ...(next < views.length ? { tokenPagination: { nextPageToken: [from, to, type, partial, next].join('-') } } : {}),
    });
  }

  private issueToken({ text }: Call): Reply {
    const form = new URLSearchParams(text);
    const fault = this.assertionFault(form);
    if (fault !== undefined) return { status: 400, json: { error: 'invalid_grant', error_description: fault } };
    const token = `ya29.${randomBytes(24).toString('base64url')}`;
    this.accessTokens.set(token, this.now().getTime() + TOKEN_SECONDS * 1000);
    return ok({ access_token: token, expires_in: TOKEN_SECONDS, token_type: 'Bearer' });
  }

  /** As strict as Google: signed by the account's key, for this endpoint, for an hour at most, and by a clock that is right. */
  private assertionFault(form: URLSearchParams): string | undefined {
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') return 'Unknown grant';
    const [head = '', body = '', signature = ''] = (form.get('assertion') ?? '').split('.');
    const { alg, kid } = decode(head);
    if (alg !== 'RS256' || kid !== this.keyId) return 'Invalid key';
    const isSigned = verify(
      'sha256',
      Buffer.from(`${head}.${body}`),
      createPublicKey(this.accountKey),
      Buffer.from(signature, 'base64url'),
    );
    if (!isSigned) return 'Invalid signature';
    const { iss, scope, aud, iat, exp } = decode(body);
    if (iss !== this.email || aud !== `${this.url}/token`) return 'Invalid issuer or audience';
    if (scope !== 'https://www.googleapis.com/auth/androidpublisher') return 'Invalid scope';
    if (typeof iat !== 'number' || typeof exp !== 'number' || exp - iat > 3600) return 'Invalid times';
    const isNow = Math.abs(iat - this.seconds()) <= 300 && exp > this.seconds();
    return isNow ? undefined : 'Token must be a short-lived token and in a reasonable timeframe';
  }

  private certificates(): Reply {
    return {
      status: 200,
      json: Object.fromEntries(this.keys.map(({ kid, certificate }) => [kid, certificate])),
      headers: { 'Cache-Control': `public, max-age=${this.certificatesMaxAge}, must-revalidate, no-transform` },
    };
  }
}

interface Route {
  readonly op: GoogleOp;
  readonly answer: () => Reply;
}

async function newSigningKey(): Promise<SigningKey> {
  const pair = newKeyPair('rsa');
  const keys = {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pair.privateKey, RSA, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', pair.publicKey, RSA, true, ['verify']),
  };
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(8).toString('hex'),
    name: 'CN=federated-signon.system.gserviceaccount.com',
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: new Date('2045-01-01T00:00:00Z'),
    signingAlgorithm: RSA,
    keys,
  });
  return {
    kid: randomBytes(20).toString('hex'),
    privateKey: KeyObject.from(keys.privateKey),
    certificate: certificate.toString('pem'),
  };
}

async function readCall(request: IncomingMessage): Promise<Call> {
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) text += String(chunk);
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const { authorization = '' } = request.headers;
  return { method: request.method ?? '', path: pathname, query: searchParams, authorization, text };
}

function send(response: ServerResponse, { status, json, headers = {} }: Reply): void {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=UTF-8', ...headers });
  response.end(json === undefined ? undefined : JSON.stringify(json));
}

function ok(json: object): Reply {
  return { status: 200, json };
}

/** A refusal in the form that Google gives all of them. */
function refusal(status: number, reason: string, message: string): Reply {
  return {
    status,
    json: { error: { code: status, message, errors: [{ message, domain: 'androidpublisher', reason }] } },
  };
}

function accountIn(text: string): string | undefined {
  return /"obfuscatedAccountId":"([^"]{1,64})"/.exec(text)?.[1];
}

function pageOf(query: URLSearchParams): [number, number, number, number, number] | undefined {
  const parts = query.get('token')?.split('-').map(Number) ?? [];
  const [from, to, type, partial, index] = parts;
  if (from === undefined || to === undefined || type === undefined || partial === undefined || index === undefined) {
    return undefined;
  }
  return [from, to, type, partial, index];
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function decode(part: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
