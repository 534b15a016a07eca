import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { type URLSearchParams } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import {
  APIError,
  APIException,
  AppStoreServerAPIClient,
  Environment,
  GetTransactionHistoryVersion,
  type HistoryResponse,
  type NotificationHistoryResponse,
  Order,
} from '@apple/app-store-server-library';
import { type Response as LibraryResponse } from 'node-fetch';
import { type Logger } from 'pino';
import { type Clock, DomainError, isError, type Randomness } from '#kernel';
import { AppleRefusal } from './apple-refusal.js';
import { type StoreEnvironment } from './store.js';
import { type StoreMetrics } from './store.metrics.js';

/** How the App Store Server API is reached, and as whom. */
export interface AppleAccess {
  readonly bundleId: string;
  readonly issuerId: string;
  readonly keyId: string;
  /** PEM. */
  readonly privateKey: string;
  /** Bare origins, or with a path, without a slash at the end. */
  readonly urls: Readonly<Record<StoreEnvironment, string>>;
}

export interface AppleApiTools {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly metrics: StoreMetrics;
  readonly log: Logger;
}

/** One thing to ask of Apple. */
export interface AppleQuestion {
  readonly environment: StoreEnvironment;
  /** The name it has in metrics and in the log. */
  readonly op: string;
  /** When whoever waits for the answer has no more time, by `performance.now()`; unless told, each try may take its 4 s. */
  readonly endsAt?: number;
  /** Whoever asks deals with a refusal of the whole app, and tells of it. */
  readonly hasOtherwise?: boolean;
}

/** What came of a question: an answer, nothing that Apple knows, or a no that stays one. */
type Outcome<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'unknown'; readonly reason: number }
  | { readonly kind: 'refused'; readonly refusal: AppleRefusal };

const TRY_LIMIT_MS = 4000;
const MAX_TRIES = 4;
/** Doubled after each try, and spread by half of it either way. */
const FIRST_PAUSE_MS = 100;
/** When Apple does not say when to come back, in seconds. */
const USUAL_PAUSE_SECONDS = 30;
const RATE_LIMIT_PAUSE_SECONDS = 60;
const LONGEST_BLOCK_MS = 3_600_000;
/** A `Retry-After` below this is a number of seconds, as everybody else writes it; Apple writes an instant in milliseconds. */
const FIRST_INSTANT_MS = 1e12;

/** Tokens are dated so far back, in seconds: a clock that is ahead by less does no harm. Apple's own tolerance is not documented. */
const TOKEN_DATED_BACK = 60;
/** How long a token is good, in seconds; Apple takes up to an hour. */
const TOKEN_LIFE = 900;

/** Apple's words for "not found, but ask again". */
const WORTH_ANOTHER_TRY: ReadonlySet<number> = new Set([
  APIError.ACCOUNT_NOT_FOUND_RETRYABLE,
  APIError.APP_NOT_FOUND_RETRYABLE,
  APIError.ORIGINAL_TRANSACTION_ID_NOT_FOUND_RETRYABLE,
  APIError.GENERAL_INTERNAL_RETRYABLE,
]);
/** Apple's words for "I know no such thing". */
const UNKNOWN: ReadonlySet<number> = new Set([
  APIError.INVALID_TRANSACTION_ID,
  APIError.INVALID_ORIGINAL_TRANSACTION_ID,
  APIError.ACCOUNT_NOT_FOUND,
  APIError.ORIGINAL_TRANSACTION_ID_NOT_FOUND,
  APIError.TRANSACTION_ID_NOT_FOUND,
]);

/**
 * The App Store Server API, with what Apple's library lacks: a limit of 4 s for a try, tries again where Apple says that it helps,
 * and silence while Apple asks for it.
 * @throws DomainError store_unavailable
 */
export class AppleApi {
  /** Until when an environment is not to be asked, in milliseconds since 1970. */
  private readonly blockedUntil: Record<StoreEnvironment, number> = { production: 0, sandbox: 0 };
  /** How far this machine's clock was ahead of Apple's at the last answer, in seconds; null before the first. */
  private clockAhead: number | null = null;
  private readonly key: KeyObject;

  constructor(
    private readonly access: AppleAccess,
    private readonly tools: AppleApiTools,
  ) {
    this.key = createPrivateKey(access.privateKey);
  }

  /** How far this machine's clock was ahead of Apple's at the last answer, in seconds; null before the first. */
  get clockAheadSeconds(): number | null {
    return this.clockAhead;
  }

  /** The answer to a question; null when Apple knows no such thing. */
  async ask<T>(question: AppleQuestion, put: (client: AppStoreServerAPIClient) => Promise<T>): Promise<T | null> {
    const outcome = await this.outcomeOf(question, put);
    if (outcome.kind === 'refused') throw unavailable(USUAL_PAUSE_SECONDS, outcome.refusal);
    return outcome.kind === 'answer' ? outcome.value : null;
  }

  /** Tells Apple something; why, in a word, when it does not take it and would not another time. */
  async tell(
    question: AppleQuestion,
    put: (client: AppStoreServerAPIClient) => Promise<unknown>,
  ): Promise<string | null> {
    const outcome = await this.outcomeOf(question, put);
    if (outcome.kind === 'answer') return null;
    return outcome.kind === 'unknown' ? `apple_${outcome.reason}` : outcome.refusal.code;
  }

  /** A page of 20 transactions of a customer, the newest first; `revision` is that of the page before. */
  history(
    environment: StoreEnvironment,
    transactionId: string,
    revision: string | null,
  ): Promise<HistoryResponse | null> {
    const newestFirst = { sort: Order.DESCENDING };
    return this.ask({ environment, op: 'history' }, (client) =>
      client.getTransactionHistory(transactionId, revision, newestFirst, GetTransactionHistoryVersion.V2),
    );
  }

  /** A page of 20 notifications that did not arrive; `token` is that of the page before. */
  failedNotifications(
    environment: StoreEnvironment,
    span: { readonly startDate: number; readonly endDate: number },
    token: string | null,
  ): Promise<NotificationHistoryResponse | null> {
    return this.ask({ environment, op: 'notification_history' }, (client) =>
      client.getNotificationHistory(token, { ...span, onlyFailures: true }),
    );
  }

  private async outcomeOf<T>(
    question: AppleQuestion,
    put: (client: AppStoreServerAPIClient) => Promise<T>,
  ): Promise<Outcome<T>> {
    for (let tries = 1; ; tries += 1) {
      this.refuseWhileBlocked(question.environment);
      try {
        return { kind: 'answer', value: await this.tryOnce(question, put) };
      } catch (error) {
        const pause = FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + this.tools.randomness.bytes(1).readUInt8() / 256);
        const isInTime = performance.now() + pause < (question.endsAt ?? Infinity);
        if (!isWorthAnotherTry(error) || tries === MAX_TRIES || !isInTime) return this.judge(question, error);
        await delay(pause);
      }
    }
  }

  private async tryOnce<T>(
    { environment, op, endsAt = Infinity }: AppleQuestion,
    put: (client: AppStoreServerAPIClient) => Promise<T>,
  ): Promise<T> {
    const began = performance.now();
    const limit = AbortSignal.timeout(Math.ceil(Math.min(TRY_LIMIT_MS, Math.max(endsAt - began, 1))));
    const client = new BoundedClient(this.access, this.key, environment, limit);
    let status = 'network';
    try {
      const answer = await put(client);
      status = '200';
      return answer;
    } catch (error) {
      if (limit.aborted) status = 'timeout';
      else if (error instanceof NoAnswer) status = 'no_answer';
      else if (client.status !== undefined) status = String(client.status);
      if (client.retryAfter !== undefined) this.block(environment, client.retryAfter);
      throw error;
    } finally {
      this.clockAhead = client.clockAhead ?? this.clockAhead;
      this.tools.metrics.asked('apple', op, status, (performance.now() - began) / 1000);
    }
  }

  private refuseWhileBlocked(environment: StoreEnvironment): void {
    const wait = this.blockedUntil[environment] - this.tools.clock.now().getTime();
    if (wait > 0) throw unavailable(Math.ceil(wait / 1000));
  }

  private block(environment: StoreEnvironment, retryAfter: string): void {
    const now = this.tools.clock.now().getTime();
    const said = Number(retryAfter);
    const until = said >= FIRST_INSTANT_MS ? said : now + said * 1000;
    const usual = now + RATE_LIMIT_PAUSE_SECONDS * 1000;
    this.blockedUntil[environment] = until > now ? Math.min(until, now + LONGEST_BLOCK_MS) : usual;
  }

  /** What the last try comes to. What the operator has to mend is logged. */
  private judge({ environment, op, hasOtherwise }: AppleQuestion, error: unknown): Outcome<never> {
    const status = error instanceof APIException ? error.httpStatusCode : null;
    const reason = reasonOf(error);
    if (reason !== null && UNKNOWN.has(reason)) return { kind: 'unknown', reason };
    if (status === 429) this.refuseWhileBlocked(environment);
    if (status === null || status >= 500 || isWorthAnotherTry(error)) {
      const cause = seenIn(error);
      this.tools.log.warn({ op, environment, status, reason, seen: cause.message }, 'Apple did not answer');
      throw unavailable(USUAL_PAUSE_SECONDS, cause);
    }
    const reasonName = reason === null ? null : (APIError[reason] ?? null);
    const refusal = new AppleRefusal({
      op,
      environment,
      status,
      reason,
      reasonName,
      clockAheadSeconds: this.clockAhead,
    });
    if (hasOtherwise !== true || !refusal.isOfApp) this.tools.log.error(refusal.question, refusal.message);
    // Without a word of Apple's own it may be anybody's no: a proxy's, a firewall's.
    if (status === 401 || reason === null) throw unavailable(USUAL_PAUSE_SECONDS, refusal);
    return { kind: 'refused', refusal };
  }
}

/** Apple's client for a single try: it keeps the limit, and what of the answer the library does not pass on. */
class BoundedClient extends AppStoreServerAPIClient {
  status: number | undefined;
  /** The header of a 429, as it came. */
  retryAfter: string | undefined;
  /** How far this machine's clock is ahead of the answer's `Date`, in whole seconds. */
  clockAhead: number | undefined;
  private readonly url: string;

  constructor(
    private readonly access: AppleAccess,
    private readonly key: KeyObject,
    environment: StoreEnvironment,
    private readonly limit: AbortSignal,
  ) {
    const named = environment === 'production' ? Environment.PRODUCTION : Environment.SANDBOX;
    super(access.privateKey, access.keyId, access.issuerId, access.bundleId, named);
    this.url = access.urls[environment];
  }

  protected override async makeFetchRequest(
    path: string,
    query: URLSearchParams,
    method: string,
    body: string | Buffer | undefined,
    headers: Record<string, string>,
  ): Promise<LibraryResponse> {
    const search = query.toString();
    const response = await fetch(`${this.url}${path}${search === '' ? '' : `?${search}`}`, {
      method,
      headers: { ...headers, Authorization: `Bearer ${bearerToken(this.access, this.key)}` },
      redirect: 'error',
      signal: this.limit,
      ...(body === undefined ? {} : { body }),
    });
    this.status = response.status;
    if (response.status === 429) this.retryAfter = response.headers.get('retry-after') ?? '';
    const date = Date.parse(response.headers.get('date') ?? '');
    if (!Number.isNaN(date)) this.clockAhead = Math.floor((Date.now() - date) / 1000);
    const json = await jsonOf(response, method === 'GET' || method === 'POST');
    // The library wants node-fetch's class, of which it uses what is here.
    const read = { ok: response.ok, status: response.status, json: () => Promise.resolve(json) };
    return read as unknown as LibraryResponse;
  }
}

/** Something came with a status of success that Apple would not say. It is described, and not quoted: it may be signed. */
class NoAnswer extends Error {
  constructor(status: number, contentType: string | null, length: number) {
    super(
      `What came with status ${status} is no answer of Apple's: ${length} characters of ${contentType ?? 'no type'}`,
    );
    this.name = 'NoAnswer';
  }
}

/** The JSON of an answer; nothing where there is none and need not be. Of a refusal the status says enough. @throws NoAnswer */
async function jsonOf(response: Response, isNeeded: boolean): Promise<unknown> {
  const text = await response.text();
  if (text === '' && !(isNeeded && response.ok)) return null;
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json;
  } catch {
    // told of below
  }
  if (!response.ok) return null;
  throw new NoAnswer(response.status, response.headers.get('content-type'), text.length);
}

/** Who asks, as Apple wants it (ES256). By the clock of this machine, whose difference from Apple's is measured against the same. */
function bearerToken({ keyId, issuerId, bundleId }: AppleAccess, key: KeyObject): string {
  const issuedAt = Math.floor(Date.now() / 1000) - TOKEN_DATED_BACK;
  const header = { alg: 'ES256', kid: keyId, typ: 'JWT' };
  const claims = { iss: issuerId, iat: issuedAt, exp: issuedAt + TOKEN_LIFE, aud: 'appstoreconnect-v1', bid: bundleId };
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

/** What was seen instead of an answer, in words: the library's own exception has none. */
function seenIn(error: unknown): Error {
  if (error instanceof APIException) {
    const { httpStatusCode, apiError } = error;
    const name = apiError === null ? 'no code' : `${apiError} ${APIError[apiError] ?? ''}`.trim();
    return new Error(`Apple answered ${httpStatusCode}, ${name}`);
  }
  if (!isError(error)) return new Error('Apple did not answer');
  // A failed fetch says why only in its cause.
  const { name, message, cause } = error;
  return new Error(`${name}: ${message}${isError(cause) ? ` (${cause.message})` : ''}`);
}

function reasonOf(error: unknown): number | null {
  return error instanceof APIException ? error.apiError : null;
}

function isWorthAnotherTry(error: unknown): boolean {
  if (!(error instanceof APIException)) return false;
  return error.httpStatusCode >= 500 || (error.apiError !== null && WORTH_ANOTHER_TRY.has(error.apiError));
}

function unavailable(retryAfterSeconds: number, cause?: unknown): DomainError {
  return new DomainError('store_unavailable', { retryAfterSeconds, ...(cause === undefined ? {} : { cause }) });
}
