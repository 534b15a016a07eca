import { once } from 'node:events';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { DomainError } from '#kernel';
import { bareHostname, type Resolve, targetAddress } from './target-address.js';
import { parseTargetUrl } from './target-address.rules.js';

/** Where a wg-easy answers, and how far it is trusted to be where it says. */
export interface WgEasyTarget {
  /** `http://10.0.0.5:51821`, `https://vpn.example.com` */
  readonly url: string;
  /** Whether the address may be a private or loopback one. */
  readonly allowPrivateTargets: boolean;
  /** All addresses of a name, the one to use first; the system's resolver, IPv4 first, unless told. */
  readonly resolve?: Resolve;
  /** How long one call may take, from resolving the name to the last byte, in milliseconds; 5 000 unless told. */
  readonly callLimitMs?: number;
}

/** What was answered, whatever the status; a redirect never gets this far. */
export interface WgEasyAnswer {
  readonly status: number;
  readonly text: string;
  /** What was set, as it is to be sent back; null when nothing was. */
  readonly cookie: string | null;
}

interface WgEasyCall {
  readonly body?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long its answer may be; 100 kB unless told. */
  readonly maxBytes?: number;
}

const CALL_LIMIT_MS = 5000;
const MAX_ANSWER_BYTES = 100_000;

/**
 * The wire to one wg-easy: one call, one connection. (A kept one would save a millisecond or, with TLS, some tens, and would be
 * found dead after every restart of the container.) It connects to the very address that was checked, and follows no redirect.
 * @throws DomainError server_unavailable (network | timeout | answer) | server_refused (target | redirect)
 */
export class WgEasyHttp {
  private readonly url: URL;
  private readonly hostname: string;

  constructor(private readonly target: WgEasyTarget) {
    const url = parseTargetUrl(target.url);
    if (url === undefined) throw refused('target');
    this.url = url;
    this.hostname = bareHostname(url);
  }

  async send(method: 'GET' | 'POST' | 'DELETE', path: string, call: WgEasyCall = {}): Promise<WgEasyAnswer> {
    const limit = AbortSignal.timeout(this.target.callLimitMs ?? CALL_LIMIT_MS);
    try {
      const address = await this.checkedAddress(limit);
      return await this.exchange(address, method, path, call, limit);
    } catch (error) {
      if (error instanceof DomainError) throw error;
      throw unavailable(limit.aborted ? 'timeout' : 'network', error);
    }
  }

  private async checkedAddress(limit: AbortSignal): Promise<string> {
    const address = targetAddress(this.hostname, this.target.allowPrivateTargets, this.target.resolve);
    const late = once(limit, 'abort').then((): never => {
      throw limit.reason;
    });
    late.catch(() => undefined); // when it comes after the address did
    return Promise.race([address, late]);
  }

  private exchange(
    address: string,
    method: string,
    path: string,
    { body, headers, maxBytes = MAX_ANSWER_BYTES }: WgEasyCall,
    limit: AbortSignal,
  ): Promise<WgEasyAnswer> {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const request = this.url.protocol === 'https:' ? requestHttps : requestHttp;
    return new Promise((resolve, reject) => {
      const call = request(
        {
          host: address,
          port: this.url.port,
          // The certificate is checked against the name, not against the address; an address is no server name (RFC 6066 3).
          ...(isIP(this.hostname) === 0 ? { servername: this.hostname } : {}),
          method,
          path: `${this.url.pathname.replace(/\/+$/, '')}${path}`,
          headers: {
            ...headers,
            Host: this.url.host,
            ...(sent === undefined
              ? {}
              : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(sent) }),
          },
          agent: false,
          signal: limit,
        },
        (response) => {
          const status = response.statusCode ?? 0;
          if (status >= 300 && status < 400) {
            reject(refused('redirect'));
            call.destroy();
            return;
          }
          const chunks: Buffer[] = [];
          let size = 0;
          response.on('data', (chunk: Buffer) => {
            chunks.push(chunk);
            size += chunk.length;
            if (size <= maxBytes) return;
            reject(unavailable('answer'));
            call.destroy();
          });
          response.on('error', reject);
          response.on('end', () =>
            resolve({
              status,
              text: Buffer.concat(chunks).toString('utf8'),
              cookie: cookieOf(response.headers['set-cookie'] ?? []),
            }),
          );
        },
      );
      call.on('error', reject);
      call.end(sent);
    });
  }
}

/** Worth another try: the server is down, slow, or not itself. Of what it answered nothing is told: keys may be in it. */
export function unavailable(
  kind: 'network' | 'timeout' | 'status' | 'answer' | 'unconfirmed' | 'busy',
  cause?: unknown,
  retryAfterSeconds?: number,
): DomainError {
  const retry = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  return new DomainError('server_unavailable', { params: { kind }, cause, ...retry });
}

/** Not before somebody has changed something. */
export function refused(
  kind: 'target' | 'redirect' | 'authentication' | 'rights' | 'two_factor' | 'pool' | 'gone' | 'amneziawg' | 'request',
  cause?: unknown,
): DomainError {
  return new DomainError('server_refused', { params: { kind }, cause });
}

function cookieOf(setCookies: readonly string[]): string | null {
  const pairs = setCookies.map((cookie) => cookie.split(';', 1).join('').trim());
  return pairs.length === 0 ? null : pairs.join('; ');
}
