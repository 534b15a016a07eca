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
import { CALL_LIMIT_MS, exchanged, unavailable } from './google-exchange.js';
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
        if (found === null) throw unavailable('answer');
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
    return readOrder(data, seq) ?? fail('answer');
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

  private async exchange(op: string, call: Call, api: Play, packageName: string, token: string): Promise<Answer> {
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
      if (response.status === 429 || (response.status === 403 && says(response, QUOTA)))
        throw this.silenced(response.headers);
      return response;
    });
  }

  /** What is no answer to the question is thrown. */
  private judged(op: string, answer: Answer): Answer {
    const { status, data } = answer;
    if (status >= 500 || status < 200 || (status >= 300 && status < 400)) throw unavailable('status');
    // A page of a proxy, whatever its status; Google's own answers are objects, or empty.
    const isEmpty = data === undefined || data === '';
    if (!isObject(data) && !(isEmpty && status < 300)) throw unavailable('answer');
    const isRefused = (status === 401 || status === 403) && op !== 'order';
    if (isRefused || says(answer, WRONG_APP)) {
      this.log.error(
        { provider: 'google', op, status },
        'Google Play refuses the service account: is GOOGLE_PLAY_PACKAGE right, is it invited in the Play Console, may it manage orders?',
      );
      throw unavailable('refused');
    }
    return answer;
  }

  private silenced(headers: unknown): DomainError {
    const said = Number(text(at(headers, 'retry-after')) ?? Number.NaN);
    const seconds = said > 0 ? Math.min(Math.ceil(said), MAX_RETRY_SECONDS) : RATE_LIMIT_SECONDS;
    this.silentUntil = addSeconds(this.clock.now(), seconds);
    return unavailable('rate_limit', seconds);
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

function fail(kind: 'answer'): never {
  throw unavailable(kind);
}
