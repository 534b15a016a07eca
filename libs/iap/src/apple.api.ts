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
}

/** What came of a question: an answer, nothing that Apple knows, or a no that stays one. */
type Outcome<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'refused'; readonly error: unknown };

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

const KEY_REFUSED =
  'Apple refuses the key: look at APPLE_KEY_ID, APPLE_ISSUER_ID, APPLE_PRIVATE_KEY and at the clock of this machine';

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

  constructor(
    private readonly access: AppleAccess,
    private readonly tools: AppleApiTools,
  ) {}

  /** The answer to a question; null when Apple knows no such thing. */
  async ask<T>(question: AppleQuestion, put: (client: AppStoreServerAPIClient) => Promise<T>): Promise<T | null> {
    const outcome = await this.outcomeOf(question, put);
    if (outcome.kind === 'refused') throw unavailable(USUAL_PAUSE_SECONDS, outcome.error);
    return outcome.kind === 'answer' ? outcome.value : null;
  }

  /** Tells Apple something; false when it does not take it, and would not another time. */
  async tell(question: AppleQuestion, put: (client: AppStoreServerAPIClient) => Promise<unknown>): Promise<boolean> {
    return (await this.outcomeOf(question, put)).kind === 'answer';
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
    const client = new BoundedClient(this.access, environment, limit);
    let status = 'network';
    try {
      const answer = await put(client);
      status = '200';
      return answer;
    } catch (error) {
      if (limit.aborted) status = 'timeout';
      else if (client.status !== undefined) status = String(client.status);
      if (client.retryAfter !== undefined) this.block(environment, client.retryAfter);
      throw error;
    } finally {
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
  private judge({ environment, op }: AppleQuestion, error: unknown): Outcome<never> {
    const status = error instanceof APIException ? error.httpStatusCode : null;
    const reason = reasonOf(error);
    if (reason !== null && UNKNOWN.has(reason)) return { kind: 'unknown' };
    if (status === 429) this.refuseWhileBlocked(environment);
    if (status === null || status >= 500 || isWorthAnotherTry(error)) throw unavailable(USUAL_PAUSE_SECONDS, error);
    const told = status === 401 ? KEY_REFUSED : 'Apple refuses what it is asked';
    this.tools.log.error({ op, environment, status, reason }, told);
    if (status === 401 || reason === null) throw unavailable(USUAL_PAUSE_SECONDS, error);
    return { kind: 'refused', error };
  }
}

/** Apple's client for a single try: it keeps the limit, and what of the answer the library does not pass on. */
class BoundedClient extends AppStoreServerAPIClient {
  status: number | undefined;
  /** The header of a 429, as it came. */
  retryAfter: string | undefined;
  private readonly url: string;

  constructor(
    { privateKey, keyId, issuerId, bundleId, urls }: AppleAccess,
    environment: StoreEnvironment,
    private readonly limit: AbortSignal,
  ) {
    const named = environment === 'production' ? Environment.PRODUCTION : Environment.SANDBOX;
    super(privateKey, keyId, issuerId, bundleId, named);
    this.url = urls[environment];
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
      headers,
      redirect: 'error',
      signal: this.limit,
      ...(body === undefined ? {} : { body }),
    });
    this.status = response.status;
    if (response.status === 429) this.retryAfter = response.headers.get('retry-after') ?? '';
    // The library wants node-fetch's class, of which it uses what every Response has: ok, status, json().
    return response as unknown as LibraryResponse;
  }
}

function reasonOf(error: unknown): number | null {
  return error instanceof APIException ? error.apiError : null;
}

function isWorthAnotherTry(error: unknown): boolean {
  if (!(error instanceof APIException)) return false;
  return error.httpStatusCode >= 500 || (error.apiError !== null && WORTH_ANOTHER_TRY.has(error.apiError));
}

function unavailable(retryAfterSeconds: number, cause?: unknown): DomainError {
  // What could not be parsed is quoted by its error, and may be signed.
  const isQuoting = isError(cause) && cause.name === 'SyntaxError';
  return new DomainError('store_unavailable', {
    retryAfterSeconds,
    ...(cause === undefined || isQuoting ? {} : { cause }),
  });
}
