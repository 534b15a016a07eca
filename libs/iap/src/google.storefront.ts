import { type androidpublisher_v3, type MethodOptions } from '@googleapis/androidpublisher';
import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { addDays, addSeconds, Clock, DomainError } from '#kernel';
import { type GoogleSettings, LOG, Settings, UnitOfWork } from '#platform';
import { GoogleAccess } from './google-access.api.js';
import {
  type GoogleOrderAnswer,
  type GooglePurchase,
  type GoogleVoided,
  readOrder,
  readProduct,
  readSubscription,
  readVoided,
} from './google-answer.rules.js';
import { CALL_LIMIT_MS, exchanged, RETRY_SECONDS, retryAfterOf, unavailable } from './google-exchange.js';
import { at, isObject, items, text } from './google-json.rules.js';
import { tokenKey } from './store.js';
import { StoreMetrics } from './store.metrics.js';

/** `unknown`: no such token, or not of this app. `gone`: it ended 60 days ago or more, and Play forgot it. */
export type GooglePurchaseAnswer =
  ({ readonly state: 'found' } & GooglePurchase) | { readonly state: 'unknown' } | { readonly state: 'gone' };

type PurchaseKind = 'subscription' | 'product';

/** What is to be acknowledged, or Play takes it back after three days. */
export interface GoogleAcknowledgement {
  readonly kind: PurchaseKind;
  /** What was bought, the base item of a subscription with add-ons first. */
  readonly productIds: readonly string[];
  readonly purchaseToken: string;
  /** Names the account to Play; only for a subscription that was bought in Play itself and names none. */
  readonly accountToken: string | null;
}

/** One way of saying it. */
interface AcknowledgeTry {
  readonly productId: string;
  readonly accountToken: string | null;
}

type Play = androidpublisher_v3.Androidpublisher;
type Call = (api: Play, packageName: string, options: MethodOptions) => Promise<Exchange>;

/** What Google's library makes of an answer; its types say what should be in it, which is not taken for granted. */
interface Exchange {
  readonly status: number;
  readonly data: unknown;
  readonly headers: unknown;
}

/** An answer of Google's own: of success, or of a refusal that concerns what was asked for. */
interface Answer {
  readonly status: number;
  readonly data: unknown;
}

/** Purchase tokens have about 150 characters; what is longer than this is none. */
const MAX_TOKEN = 2048;
/** voidedpurchases.list knows this many days, and answers this many entries at most. */
const VOIDED_DAYS = 30;
const VOIDED_PAGE = 1000;
/** A longer wait than this is not believed, in seconds. */
const MAX_RETRY_SECONDS = 3600;
/** How often a refusal of the same kind is told of, in seconds. */
const REFUSAL_SECONDS = 600;
/** The rights of the service account, by their names in the Play Console. */
const FINANCIAL_DATA = 'View financial data, orders, and cancellation survey responses';
const MANAGE_ORDERS = 'Manage orders and subscriptions';
/** What is asked to find out whether a right is given; of what there is not, so that nothing happens. */
const PROBE_ORDER = 'GPA.0000-0000-0000-00000';
const PROBE_TOKEN = 'no-such-purchase';
/** How long nothing is asked after a 429 that does not say, in seconds. */
const RATE_LIMIT_SECONDS = 60;
/** Google says some of its quotas are used up by a 403. */
const QUOTA: ReadonlySet<unknown> = new Set([
  'rateLimitExceeded',
  'userRateLimitExceeded',
  'quotaExceeded',
  'dailyLimitExceeded',
  'RATE_LIMIT_EXCEEDED',
]);
/** It does not know the package: then no purchase would be known, which must not look as if the buyers had made them up. */
const WRONG_APP: ReadonlySet<unknown> = new Set(['applicationNotFound']);

/**
 * Google Play's developer API, for one app. A question is asked once, within four seconds; what concerns the purchase is the answer,
 * and everything else is `store_unavailable`.
 */
@Injectable()
export class GoogleStorefront {
  private readonly google: GoogleSettings | undefined;
  private readonly access: GoogleAccess | undefined;
  private api: Promise<Play> | undefined;
  /** Until then Google does not want to be asked. */
  private silentUntil = new Date(0);
  /** When a refusal was last told of, by what was asked. */
  private readonly refusalsTold = new Map<string, Date>();

  constructor(
    settings: Settings,
    private readonly clock: Clock,
    private readonly uow: UnitOfWork,
    private readonly metrics: StoreMetrics,
    @Inject(LOG) private readonly log: Logger,
  ) {
    this.google = settings.google;
    if (this.google !== undefined) this.access = new GoogleAccess(this.google, clock, metrics, log);
  }

  get isConfigured(): boolean {
    return this.google !== undefined;
  }

  /**
   * What Play knows of a purchase token. `seq` is drawn before this is called. A token does not tell what it is of: the hint only
   * saves a question.
   * @throws DomainError store_not_configured | store_unavailable
   */
  async purchase(
    purchaseToken: string,
    seq: number,
    hint: { readonly kind?: PurchaseKind } = {},
  ): Promise<GooglePurchaseAnswer> {
    this.open();
    if (purchaseToken === '' || purchaseToken.length > MAX_TOKEN) return { state: 'unknown' };
    const kinds =
      hint.kind === 'product' ? (['product', 'subscription'] as const) : (['subscription', 'product'] as const);
    for (const kind of kinds) {
      const { status, data } = await this.ask(kind, QUESTIONS[kind](purchaseToken));
      if (status === 410) return { state: 'gone' };
      if (status < 300) {
        const found = READERS[kind](data, { seq, keyOf: tokenKey });
        if (found === null) throw this.noAnswer(kind, { status, data });
        return { state: 'found', ...found };
      }
    }
    return { state: 'unknown' };
  }

  /**
   * What was paid for an order; `seq` is drawn before this is called. `forbidden`: the service account lacks the right "View financial data", so amounts have to be
   * estimated.
   * @throws DomainError store_not_configured | store_unavailable
   */
  async order(orderId: string, seq: number): Promise<GoogleOrderAnswer | 'forbidden' | 'unknown'> {
    this.open();
    const { status, data } = await this.ask('order', (api, packageName, options) =>
      api.orders.get({ packageName, orderId }, options),
    );
    if (status === 401 || status === 403) return 'forbidden';
    if (status >= 300) return 'unknown';
    const order = readOrder(data, seq);
    if (order === null) throw this.noAnswer('order', { status, data });
    return order;
  }

  /**
   * Tells Play that the purchase was delivered; one that is acknowledged already is fine. `isNamed`: Play took the account's name.
   * @throws DomainError purchase_not_found when Play knows it no more, or not as one that can be acknowledged |
   *   store_not_configured | store_unavailable
   */
  async acknowledge(acknowledgement: GoogleAcknowledgement): Promise<{ readonly isNamed: boolean }> {
    this.open();
    const { kind, purchaseToken } = acknowledgement;
    for (const one of triesOf(acknowledgement)) {
      const { status } = await this.ask('acknowledge', ACKNOWLEDGEMENTS[kind](purchaseToken, one));
      if (status < 300) return { isNamed: one.accountToken !== null };
    }
    // Which refusal means "already" is documented nowhere: the purchase itself says whether it is.
    const purchase = await this.purchase(purchaseToken, 0, { kind });
    // No trouble of Play's: it ended, or is not paid, and whoever waits behind it need not wait for that.
    if (purchase.state !== 'found' || !purchase.snapshot.isAcknowledged) throw new DomainError('purchase_not_found');
    return { isNamed: false };
  }

  /**
   * What was taken back since then, subscriptions and products, page by page. Play looks back 30 days only.
   * @throws DomainError store_not_configured | store_unavailable
   */
  async *voided(since: Date): AsyncGenerator<GoogleVoided, void, undefined> {
    this.open();
    const earliest = addSeconds(addDays(this.clock.now(), -VOIDED_DAYS), 60);
    const startTime = String(Math.max(since.getTime(), earliest.getTime()));
    const seen = new Set<string>();
    let page: string | null = null;
    do {
      const token: { token?: string } = page === null ? {} : { token: page };
      const { status, data } = await this.ask('voided', (api, packageName, options) =>
        api.purchases.voidedpurchases.list(
          // Type 0, the usual one, leaves subscriptions out.
          {
            packageName,
            startTime,
            type: 1,
            includeQuantityBasedPartialRefund: true,
            maxResults: VOIDED_PAGE,
            ...token,
          },
          options,
        ),
      );
      if (status >= 300 || !isObject(data)) throw unavailable('status');
      for (const entry of items(at(data, 'voidedPurchases'))) {
        const voided = readVoided(entry);
        if (voided !== null) yield voided;
      }
      page = text(at(data, 'tokenPagination', 'nextPageToken'));
      if (page !== null && seen.has(page)) throw unavailable('answer');
      if (page !== null) seen.add(page);
    } while (page !== null);
  }

  /**
   * Gives an order's money back; with `revoke` the access ends too. One that was given back already is fine.
   * @throws DomainError purchase_not_found | store_not_configured | store_unavailable
   */
  async refund(orderId: string, { revoke }: { readonly revoke: boolean }): Promise<void> {
    this.open();
    const { status } = await this.ask('refund', (api, packageName, options) =>
      api.orders.refund({ packageName, orderId, revoke }, options),
    );
    if (status < 300) return;
    if (status === 404) throw new DomainError('purchase_not_found');
    const order = await this.order(orderId, 0);
    if (typeof order === 'string' || !REFUNDED.has(order.state)) throw unavailable('status');
  }

  /**
   * Ends a subscription at once and gives the last charge back. One that ended already is fine.
   * @throws DomainError purchase_not_found | store_not_configured | store_unavailable
   */
  async revoke(purchaseToken: string): Promise<void> {
    this.open();
    const { status } = await this.ask('revoke', (api, packageName, options) =>
      api.purchases.subscriptionsv2.revoke(
        { packageName, token: purchaseToken, requestBody: { revocationContext: { fullRefund: {} } } },
        options,
      ),
    );
    if (status < 300) return;
    const purchase = await this.purchase(purchaseToken, 0, { kind: 'subscription' });
    if (purchase.state !== 'found') throw new DomainError('purchase_not_found');
    if (purchase.snapshot.state !== 'EXPIRED') throw unavailable('status');
  }

  /**
   * The rights that Play says the service account lacks, by their names in the Play Console; none when all is well.
   * @throws DomainError store_not_configured | store_unavailable
   */
  async missingRights(): Promise<readonly string[]> {
    this.open();
    const missing: string[] = [];
    const manage = ACKNOWLEDGEMENTS.subscription(PROBE_TOKEN, { productId: 'none', accountToken: null });
    for (const [op, call] of [
      ['order', (api, packageName, options) => api.orders.get({ packageName, orderId: PROBE_ORDER }, options)],
      ['acknowledge', manage],
    ] as const satisfies readonly (readonly [string, Call])[]) {
      if (await this.isRefused(op, call)) missing.push(rightFor(op));
    }
    return missing;
  }

  private async isRefused(op: string, call: Call): Promise<boolean> {
    try {
      const { status } = await this.ask(op, call);
      return status === 401 || status === 403;
    } catch (error) {
      if (error instanceof DomainError && error.params['kind'] === 'refused') return true;
      throw error;
    }
  }

  private open(): void {
    this.uow.assertClosed();
    if (this.google === undefined) throw new DomainError('store_not_configured');
  }

  /** Asks; once more with a new access token when that one was refused. */
  private async ask(op: string, call: Call): Promise<Answer> {
    this.refuseWhileSilent();
    const { google, access } = this;
    if (google === undefined || access === undefined) throw new DomainError('store_not_configured');
    const api = await this.opened(google);
    const token = await access.token();
    const answer = await this.exchange(op, call, api, google.packageName, token);
    if (answer.status !== 401) return this.judged(op, answer);
    access.forget(token);
    return this.judged(op, await this.exchange(op, call, api, google.packageName, await access.token()));
  }

  private async exchange(op: string, call: Call, api: Play, packageName: string, token: string): Promise<Exchange> {
    return exchanged(op, this.metrics, async (tell) => {
      const response = await call(api, packageName, {
        headers: { Authorization: `Bearer ${token}` },
        timeout: CALL_LIMIT_MS,
        retry: false,
        redirect: 'error',
        fetchImplementation: fetch,
        // A thrown status would carry the whole request, tokens and all.
        validateStatus: () => true,
      });
      tell(response.status);
      if (response.status === 429 || (response.status === 403 && says(response, QUOTA))) throw this.silenced(response);
      return response;
    });
  }

  /** What is no answer to the question is thrown. */
  private judged(op: string, answer: Exchange): Answer {
    const { status, data, headers } = answer;
    if (status >= 500 || status < 200 || (status >= 300 && status < 400)) {
      throw unavailable('status', this.believed(retryAfterOf(headers, data, this.clock.now())) ?? RETRY_SECONDS);
    }
    // Google's own answers are objects, or empty, and a refusal says why; anything else is the page of a proxy, or half of one.
    const isGoogles = isObject(data) && (status < 300 || isObject(data['error']));
    const isDone = isEmpty(data) && status < 300 && DEEDS.has(op);
    if (!isGoogles && !isDone) throw this.noAnswer(op, answer);
    const isRefused = status === 401 || status === 403;
    if (isRefused || says(answer, WRONG_APP)) this.tellOfRefusal(op, answer);
    if ((isRefused && op !== 'order') || says(answer, WRONG_APP)) throw unavailable('refused');
    return answer;
  }

  private noAnswer(op: string, { status, data }: Answer): DomainError {
    const seen = isEmpty(data) ? 'nothing' : typeof data === 'string' ? kindOfText(data) : 'something else';
    this.log.warn({ provider: 'google', op, status, seen }, 'what came from Google Play is no answer');
    return unavailable('answer');
  }

  /** Says which right is missing, once in a while: many purchases meet the same refusal. */
  private tellOfRefusal(op: string, answer: Answer): void {
    const now = this.clock.now();
    const told = this.refusalsTold.get(op);
    if (told !== undefined && now < addSeconds(told, REFUSAL_SECONDS)) return;
    this.refusalsTold.set(op, now);
    const about = { provider: 'google', op, status: answer.status };
    if (says(answer, WRONG_APP))
      this.log.error(about, 'Google Play does not know the app: is GOOGLE_PLAY_PACKAGE right?');
    else
      this.log.error(
        { ...about, right: rightFor(op) },
        'Google Play refuses the service account: is it invited in the Play Console for this app, with this right? A right may take a day to count',
      );
  }

  private silenced({ headers, data }: Exchange): DomainError {
    const seconds = this.believed(retryAfterOf(headers, data, this.clock.now())) ?? RATE_LIMIT_SECONDS;
    this.silentUntil = addSeconds(this.clock.now(), seconds);
    return unavailable('rate_limit', seconds);
  }

  private believed(seconds: number | null): number | null {
    return seconds === null ? null : Math.min(seconds, MAX_RETRY_SECONDS);
  }

  private refuseWhileSilent(): void {
    const left = this.silentUntil.getTime() - this.clock.now().getTime();
    if (left > 0) throw unavailable('rate_limit', Math.ceil(left / 1000));
  }

  /** Google's library takes 160 ms and 17 MB: only who uses it pays. */
  private opened({ apiUrl }: GoogleSettings): Promise<Play> {
    this.api ??= import('@googleapis/androidpublisher').then(({ androidpublisher }) =>
      androidpublisher({ version: 'v3', rootUrl: apiUrl }),
    );
    return this.api;
  }
}

/** What is done there and not asked: the answer may be empty. */
const DEEDS: ReadonlySet<string> = new Set(['acknowledge', 'refund', 'revoke']);
const REFUNDED: ReadonlySet<string> = new Set(['REFUNDED', 'PENDING_REFUND']);

const READERS = { subscription: readSubscription, product: readProduct } as const;

const QUESTIONS: Readonly<Record<PurchaseKind, (token: string) => Call>> = {
  subscription: (token) => (api, packageName, options) =>
    api.purchases.subscriptionsv2.get({ packageName, token }, options),
  product: (token) => (api, packageName, options) =>
    api.purchases.productsv2.getproductpurchasev2({ packageName, token }, options),
};

const ACKNOWLEDGEMENTS: Readonly<Record<PurchaseKind, (token: string, one: AcknowledgeTry) => Call>> = {
  subscription:
    (token, { productId: subscriptionId, accountToken }) =>
    (api, packageName, options) =>
      api.purchases.subscriptions.acknowledge(
        {
          packageName,
          subscriptionId,
          token,
          requestBody: accountToken === null ? {} : { externalAccountIds: { obfuscatedAccountId: accountToken } },
        },
        options,
      ),
  product:
    (token, { productId }) =>
    (api, packageName, options) =>
      api.purchases.products.acknowledge({ packageName, productId, token, requestBody: {} }, options),
};

/** How many lines of a subscription with add-ons are tried, after its base item and none. */
const MOST_ADD_ONS = 3;

/**
 * In which ways it is said, each after the one before was refused: with the account's name, then without; a subscription with add-ons
 * as its base item, then without any id (Google: "not required, and not recommended for subscription with add-ons" since
 * May 2025, though it is a part of the path), then as one of the others.
 */
function triesOf({ productIds, accountToken }: GoogleAcknowledgement): readonly AcknowledgeTry[] {
  const [base = '', ...addOns] = productIds;
  const ids = addOns.length === 0 ? [base] : [base, '', ...addOns.slice(0, MOST_ADD_ONS)];
  return [
    ...(accountToken === null ? [] : [{ productId: base, accountToken }]),
    ...ids.map((productId) => ({ productId, accountToken: null })),
  ];
}

/** Whether an answer gives one of these reasons, which Google has two places for. */
function says({ data }: Answer, reasons: ReadonlySet<unknown>): boolean {
  const given = [...items(at(data, 'error', 'errors')), ...items(at(data, 'error', 'details'))];
  return given.some((entry) => reasons.has(at(entry, 'reason')));
}

/** Which right it takes to do something, by its name in the Play Console. */
function rightFor(op: string): string {
  return op === 'order' || op === 'voided'
    ? FINANCIAL_DATA
    : op === 'subscription' || op === 'product'
      ? `${FINANCIAL_DATA}; ${MANAGE_ORDERS}`
      : MANAGE_ORDERS;
}

function isEmpty(data: unknown): boolean {
  return data === undefined || data === '';
}

/** What a text is that should have been an object, in a word that quotes nothing of it. */
function kindOfText(data: string): string {
  const start = data.trimStart();
  return start.startsWith('<') ? 'a web page' : start.startsWith('{') || start.startsWith('[') ? 'cut JSON' : 'a text';
}
