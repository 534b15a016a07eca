import { FastifyAdapter } from '@nestjs/platform-fastify';
import { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import { type IncomingMessage } from 'node:http';
import { type Socket } from 'node:net';
import { type Logger } from 'pino';
import { DomainError } from '#kernel';
import {
  AccessLog,
  clientAddress,
  forwardedScheme,
  inRequest,
  type Network,
  type RequestContext,
  type Settings,
} from '#platform';
import { errorBody } from './error.filter.js';
import { installBodyParser } from './json-body.parser.js';
import { type ApiRequest } from './request.js';
import { RouteTable } from './route-table.js';

const BODY_LIMIT_BYTES = 100_000;
/** Receipts of StoreKit 1 are long, and so are notifications (contract 1). */
const BODY_LIMITS: readonly (readonly [path: string, bytes: number])[] = [
  ['/payments/iap_verify', 1_048_576],
  ['/payments/webhook/', 262_144],
];
const SANE_REQUEST_ID = /^[\w.:-]{1,128}$/;

const MAX_HEADER_BYTES = 16_384;
const MAX_CONNECTIONS = 2000;
/** How long the headers of a request may take to arrive at most, in milliseconds; a silent connection is cut by it too. */
const HEADERS_TIMEOUT_MS = 10_000;
/** How often connections are looked at for those that take too long, in milliseconds. Node's own 30 s would double the limits. */
const TIMEOUT_CHECK_MS = 1000;
/** How long a caller who is sent away has to read why, in milliseconds; then the connection is gone, whatever they still send. */
const LINGER_MS = 1000;

const API_POLICY = "default-src 'none'; frame-ancestors 'none'";
/** The Swagger page loads its own scripts and images, and styles itself in place. */
const DOCS_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; frame-ancestors 'none'";
/** RFC 6797: a year of https only, once it was https. Browsers heed it only where it came by https. */
const TRANSPORT_SECURITY = 'max-age=31536000';

/** The server under Nest: ids, limits, headers and the access log, before and after any controller. */
export function createHttpAdapter(settings: Settings, log: Logger): FastifyAdapter {
  const requestTimeout = settings.http.requestTimeoutSeconds * 1000;
  const adapter = new FastifyAdapter({
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 200 },
    bodyLimit: BODY_LIMIT_BYTES,
    keepAliveTimeout: settings.http.keepAliveSeconds * 1000,
    requestTimeout,
    http: {
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, requestTimeout),
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    genReqId: requestIdOf,
    requestIdHeader: false,
    logger: false,
    skipMiddie: true,
    multipart: false,
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      const refusal = new DomainError('malformed_request', { cause: error });
      void reply.status(400).send(errorBody(refusal, request.headers['accept-language'], request.id));
    },
    clientErrorHandler: answerBrokenRequest,
  });
  const fastify = adapter.getInstance();
  fastify.server.maxConnections = MAX_CONNECTIONS;
  const routes = new RouteTable();
  fastify.addHook('onRoute', ({ method, url }) => routes.add(method, url));
  fastify.decorateRequest('allowedMethods', function (this: FastifyRequest) {
    return routes.methodsOf(this.url);
  });
  fastify.addHook('onRoute', (route) => {
    route.bodyLimit ??= BODY_LIMITS.find(([path]) => route.url.startsWith(path))?.[1] ?? BODY_LIMIT_BYTES;
  });
  installBodyParser(fastify);
  installHeaders(fastify, settings);
  installAccessLog(fastify, log);
  return adapter;
}

function requestIdOf(request: IncomingMessage): string {
  const inbound = request.headers['x-request-id'];
  return typeof inbound === 'string' && SANE_REQUEST_ID.test(inbound) ? inbound : randomUUID();
}

function installHeaders(fastify: FastifyInstance, settings: Settings): void {
  const always = {
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  };
  const ofCatalogue = { ...always, 'content-security-policy': API_POLICY };
  const ofApi = { ...ofCatalogue, 'cache-control': 'no-store' };
  const ofDocs = { ...always, 'content-security-policy': DOCS_POLICY, 'cache-control': 'no-store' };
  fastify.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done) => {
    const { url } = request;
    const isCatalogue = request.method === 'GET' && url.startsWith('/tariffs');
    void reply.headers(isCatalogue ? ofCatalogue : url.startsWith('/docs') ? ofDocs : ofApi);
    void reply.header('x-request-id', request.id);
    if (isByHttps(request, settings)) void reply.header('strict-transport-security', TRANSPORT_SECURITY);
    inRequest(new Origin(request, settings.http.trustedProxies), done);
  });
}

/** Whether the caller came by https: as the proxy says, where there is one to trust; else production is taken to be behind TLS. */
function isByHttps({ socket, headers }: FastifyRequest, { http, environment }: Settings): boolean {
  const scheme = forwardedScheme(socket.remoteAddress, headers['x-forwarded-proto']?.toString(), http.trustedProxies);
  return scheme === undefined ? environment === 'production' : scheme === 'https';
}

/**
 * Who forwarded a request is only looked at when somebody asks for its address. A class, because an object literal with a getter
 * takes 0.7 µs to make (measured), for every request there is.
 */
class Origin implements RequestContext {
  readonly requestId: string;
  /** Read now: once the caller has hung up, the socket does not know any more. */
  private readonly socketAddress: string | undefined;

  constructor(
    private readonly request: FastifyRequest,
    private readonly trusted: readonly Network[],
  ) {
    this.requestId = request.id;
    this.socketAddress = request.socket.remoteAddress;
  }

  get address(): string | undefined {
    return clientAddress(this.socketAddress, this.request.headers['x-forwarded-for']?.toString(), this.trusted);
  }
}

/** One line a request. */
function installAccessLog(fastify: FastifyInstance, log: Logger): void {
  const accessLog = new AccessLog(log);
  fastify.addHook('onResponse', (request: ApiRequest, reply: FastifyReply, done) => {
    const { method, url, user, id } = request;
    const query = url.indexOf('?');
    accessLog.write({
      requestId: id,
      method,
      path: query === -1 ? url : url.slice(0, query),
      status: reply.statusCode,
      ms: reply.elapsedTime,
      userId: user?.user.id,
    });
    done();
  });
}

/** What never became a request (bad HTTP, too slow, headers too long): answered on the bare socket, which is closed in any case. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  const body = JSON.stringify(errorBody(new DomainError('malformed_request'), undefined, randomUUID()));
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`;
  socket.end(head + body);
  // `end` closes our half: whoever goes on sending would keep the other one, and with it the connection, for as long as they like.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
