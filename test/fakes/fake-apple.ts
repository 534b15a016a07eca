import { createPrivateKey, createPublicKey, type KeyObject, randomUUID, verify } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppleCertificates, type CertificateStatus, type KeptRoot, type OcspForm } from './apple-certificates.js';
import { explicit, integer, NULL, objectId, octets, sequence, set, utf8 } from './der.js';
import { newPrivateKey } from './new-keys.js';

export type FakeAppleEnvironment = 'Production' | 'Sandbox';

/** What the API can be asked, by the names that faults are given for. */
export type FakeAppleOp =
  | 'transaction'
  | 'statuses'
  | 'history'
  | 'notification_history'
  | 'test_notification'
  | 'refund_history'
  | 'consumption'
  | 'set_account_token'
  | 'ocsp';

/** How it answers instead; once, unless told how often. */
export type FakeAppleFault = {
  readonly times?: number;
  /** In one environment only. */
  readonly environment?: 'production' | 'sandbox' | undefined;
} & (
  | { readonly kind: 'status'; readonly status: number; readonly errorCode?: number }
  /** Late; then as it would. */
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'drop' }
  | { readonly kind: 'html' }
  /** With status 200, as it is. */
  | { readonly kind: 'body'; readonly body: string }
  /** Until when, by the store's clock; in a minute unless told. */
  | { readonly kind: 'rate_limit'; readonly until?: Date }
);

export interface FakeAppleSale {
  readonly productId: string;
  /** Thousandths of the currency's unit; left out of what is signed when undefined, as in old transactions. */
  readonly price?: number | undefined;
  readonly currency?: string | undefined;
  readonly accountToken?: string | undefined;
  readonly environment?: FakeAppleEnvironment | undefined;
  /** Who bought it: statuses and history are told of all that one customer has. A new customer unless told. */
  readonly customer?: string | undefined;
  /** The number of its first transaction; the next one unless told. The sandbox may have one that production has as well. */
  readonly transactionId?: string | undefined;
}

export interface FakeAppleSubscription extends FakeAppleSale {
  /** Days (fractions too); 30 unless told. */
  readonly period?: number | undefined;
  /** The first period is a free trial. */
  readonly trial?: boolean | undefined;
  readonly familyShared?: boolean | undefined;
}

/** What of a store must be the same when it is started again. */
export interface AppleKept {
  readonly root: KeptRoot;
  /** The key of the server API, in PEM. */
  readonly apiKey: string;
}

export interface FakeAppleOptions {
  /** A free one unless told. */
  readonly port?: number;
  readonly kept?: AppleKept | undefined;
  /** Where its numbers begin: another series never gives out a number of this one. */
  readonly series?: number;
}

interface Transaction {
  transactionId: string;
  /** The same for one paid period, whatever it is called. */
  webOrderLineItemId: string;
  previousOriginalTransactionId?: string;
  productId: string;
  purchaseDate: number;
  expiresDate?: number;
  price?: number | undefined;
  currency?: string | undefined;
  type: string;
  transactionReason: 'PURCHASE' | 'RENEWAL';
  offerType?: number;
  offerDiscountType?: string;
  isUpgraded?: true;
  revocationDate?: number;
  revocationReason?: number;
  revocationType?: string;
  revocationPercentage?: number;
}

interface Purchase {
  readonly environment: FakeAppleEnvironment;
  readonly customer: string;
  readonly originalTransactionId: string;
  readonly originalPurchaseDate: number;
  readonly ownership: 'PURCHASED' | 'FAMILY_SHARED';
  readonly transactions: Transaction[];
  accountToken: string | undefined;
  /** Undefined for what does not renew. */
  renewal: Renewal | undefined;
}

interface Renewal {
  productId: string;
  autoRenewProductId: string;
  autoRenewStatus: 0 | 1;
  renewalPrice: number | undefined;
  currency: string | undefined;
  periodMs: number;
  isInBillingRetryPeriod: boolean;
  gracePeriodExpiresDate: number | undefined;
  expirationIntent: number | undefined;
  priceIncreaseStatus: 0 | 1 | undefined;
}

interface Sent {
  readonly notification: FakeAppleNotification;
  readonly environment: FakeAppleEnvironment;
  readonly at: number;
  readonly about: Purchase | undefined;
  isDelivered: boolean;
}

interface Call {
  readonly op: FakeAppleOp;
  readonly environment: FakeAppleEnvironment;
  readonly id: string;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Reply {
  readonly status: number;
  readonly json?: object;
}

interface Route {
  readonly op: FakeAppleOp;
  readonly method: string;
  readonly path: RegExp;
}

const ROUTES: readonly Route[] = [
  { op: 'transaction', method: 'GET', path: /^\/inApps\/v1\/transactions\/([^/]+)$/ },
  { op: 'statuses', method: 'GET', path: /^\/inApps\/v1\/subscriptions\/([^/]+)$/ },
  { op: 'history', method: 'GET', path: /^\/inApps\/v2\/history\/([^/]+)$/ },
  { op: 'refund_history', method: 'GET', path: /^\/inApps\/v2\/refund\/lookup\/([^/]+)$/ },
  { op: 'notification_history', method: 'POST', path: /^\/inApps\/v1\/notifications\/history$/ },
  { op: 'test_notification', method: 'POST', path: /^\/inApps\/v1\/notifications\/test$/ },
  { op: 'consumption', method: 'PUT', path: /^\/inApps\/v2\/transactions\/consumption\/([^/]+)$/ },
  { op: 'set_account_token', method: 'PUT', path: /^\/inApps\/v1\/transactions\/([^/]+)\/appAccountToken$/ },
];
const PAGE = 20;
const DAY_MS = 24 * 3_600_000;
/** The longest life of a token that Apple takes, in seconds. */
const TOKEN_LIFE = 3600;
const MINUTE_MS = 60_000;
const SUBSCRIPTION = 'Auto-Renewable Subscription';
const EXPIRATION_INTENTS = { VOLUNTARY: 1, BILLING_RETRY: 2, PRICE_INCREASE: 3, PRODUCT_NOT_FOR_SALE: 4 } as const;
const HTML = '<!DOCTYPE html><title>Service Unavailable</title>';

/** What Apple posts: as JSON it is `{"signedPayload": "..."}` and nothing else. */
export class FakeAppleNotification {
  readonly #id: string;
  readonly #transactionId: string;
  readonly #originalTransactionId: string;

  constructor(
    readonly signedPayload: string,
    known: { id: string; transactionId?: string | undefined; originalTransactionId?: string | undefined },
  ) {
    this.#id = known.id;
    this.#transactionId = known.transactionId ?? '';
    this.#originalTransactionId = known.originalTransactionId ?? '';
  }

  /** `notificationUUID` */
  get id(): string {
    return this.#id;
  }

  /** The transaction that it is about; empty when it is about none. */
  get transactionId(): string {
    return this.#transactionId;
  }

  /** What the methods of the store know the purchase by; empty when it is about none. */
  get originalTransactionId(): string {
    return this.#originalTransactionId;
  }
}

/**
 * The App Store as its documents tell it, with certificates of its own: a store with memory, the App Store Server API on a loopback
 * port, and a responder for its certificates. What happens in it is answered as the notification that Apple would send; whoever
 * made it happen delivers it, late, twice or not at all.
 */
export class FakeApple {
  readonly bundleId = 'com.example.vpn';
  readonly appAppleId = 1_234_567_890;
  readonly issuerId = '57246542-96fe-1a63-e053-0824d011072a';
  readonly keyId = '2X9R4HXF34';
  /** Every call that no server of ours has any business to make. */
  readonly unexpected: string[] = [];
  /** What was told of purchases whose buyers want their money back, by transaction. */
  readonly consumption = new Map<string, Readonly<Record<string, unknown>>>();
  /** Every report that was taken, by transaction. */
  readonly consumptionReports: string[] = [];
  /** What its responder says of any certificate. */
  certificateStatus: CertificateStatus = 'good';
  /** How it says so. */
  ocspForm: OcspForm = {};
  /** How far Apple's clock is ahead of this machine's, in milliseconds: tokens are made with the machine's. */
  clockSkewMs = 0;
  /** Where test notifications are posted that were asked for through the API; nowhere unless told. */
  webhookUrl: string | undefined;

  private readonly chains: AppleCertificates[] = [];
  private readonly purchases: Purchase[] = [];
  private readonly sent: Sent[] = [];
  private readonly faults: { op: FakeAppleOp | '*'; fault: FakeAppleFault; left: number }[] = [];
  private readonly directory = mkdtempSync(join(tmpdir(), 'fake-apple-'));
  private nextId: bigint;
  private lastSigned = 0;
  private nextItem = 600_000_000;

  private constructor(
    private readonly now: () => Date,
    private readonly server: Server,
    readonly url: string,
    readonly certificates: AppleCertificates,
    private readonly apiKey: KeyObject,
    series: number,
  ) {
    this.nextId = 2_000_000_000_000_001n + BigInt(series) * 1_000_000n;
    this.chains.push(certificates);
    writeFileSync(join(this.directory, 'root.cer'), certificates.root);
    server.on('request', (request, response) => {
      this.serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(
    now: () => Date = () => new Date(),
    { port = 0, kept, series = 100 }: FakeAppleOptions = {},
  ): Promise<FakeApple> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The fake has no port');
    const url = `http://127.0.0.1:${address.port}`;
    const root = kept === undefined ? {} : { underKept: kept.root };
    const certificates = await AppleCertificates.make({ ocspUrl: `${url}/ocsp/0`, ...root });
    const apiKey = kept === undefined ? newPrivateKey('ec') : createPrivateKey(kept.apiKey);
    return new FakeApple(now, server, url, certificates, apiKey, series);
  }

  close(): Promise<void> {
    rmSync(this.directory, { recursive: true, force: true });
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** Other certificates below the same root, whose responder is here too. */
  async anotherChain(): Promise<AppleCertificates> {
    const ocspUrl = `${this.url}/ocsp/${this.chains.length}`;
    const chain = await AppleCertificates.make({ under: this.certificates, ocspUrl });
    this.chains.push(chain);
    return chain;
  }

  /** What must be given to `start` for the same store on another day. */
  get kept(): AppleKept {
    return { root: this.certificates.keptRoot, apiKey: String(this.apiKey.export({ type: 'pkcs8', format: 'pem' })) };
  }

  /** What a server needs to take this for the App Store. */
  settings(): Record<string, string> {
    return {
      APPLE_BUNDLE_ID: this.bundleId,
      APPLE_APP_APPLE_ID: String(this.appAppleId),
      APPLE_ISSUER_ID: this.issuerId,
      APPLE_KEY_ID: this.keyId,
      APPLE_PRIVATE_KEY: this.kept.apiKey,
      APPLE_ROOT_CA_PATHS: join(this.directory, 'root.cer'),
      APPLE_API_BASE_URL: `${this.url}/production`,
      APPLE_SANDBOX_API_BASE_URL: `${this.url}/sandbox`,
    };
  }

  /** The next answers to this kind of question are faults; `*` is any kind. Those given first come first. */
  fault(op: FakeAppleOp | '*', fault: FakeAppleFault): void {
    this.faults.push({ op, fault, left: fault.times ?? 1 });
  }

  clearFaults(): void {
    this.faults.length = 0;
  }

  // What customers, banks and Apple do. Purchases are named by their original transaction.

  subscribe(sale: FakeAppleSubscription): FakeAppleNotification {
    const purchase = this.newPurchase(sale, sale.familyShared === true ? 'FAMILY_SHARED' : 'PURCHASED');
    purchase.renewal = {
      productId: sale.productId,
      autoRenewProductId: sale.productId,
      autoRenewStatus: 1,
      renewalPrice: sale.price,
      currency: sale.currency,
      periodMs: (sale.period ?? 30) * DAY_MS,
      isInBillingRetryPeriod: false,
      gracePeriodExpiresDate: undefined,
      expirationIntent: undefined,
      priceIncreaseStatus: undefined,
    };
    const trial =
      sale.trial === true ? { price: 0, offerType: 1, offerDiscountType: 'FREE_TRIAL' } : { price: sale.price };
    this.charge(purchase, { transactionReason: 'PURCHASE', ...trial });
    return this.notify(purchase, 'SUBSCRIBED', 'INITIAL_BUY');
  }

  /** Buys it again after it ended: the same purchase goes on. */
  resubscribe(
    id: string,
    changed: { readonly productId?: string; readonly price?: number } = {},
  ): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    this.change(renewal, changed);
    this.charge(purchase, { transactionReason: 'PURCHASE', price: renewal.renewalPrice });
    return this.notify(purchase, 'SUBSCRIBED', 'RESUBSCRIBE');
  }

  /** An offer code, redeemed while the subscription runs. */
  redeemOffer(id: string, { price = 0 }: { readonly price?: number } = {}): FakeAppleNotification {
    const { purchase } = this.subscription(id);
    this.charge(purchase, { transactionReason: 'PURCHASE', price, offerType: 3 });
    return this.notify(purchase, 'OFFER_REDEEMED');
  }

  /** The next period begins where the last one ends; a downgrade that waited takes place. */
  renew(id: string): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    renewal.productId = renewal.autoRenewProductId;
    this.charge(purchase, {
      transactionReason: 'RENEWAL',
      price: renewal.renewalPrice,
      purchaseDate: this.latest(purchase).expiresDate ?? this.time(),
    });
    return this.notify(purchase, 'DID_RENEW');
  }

  /** The bank refuses. With a grace period (in days, from the end that was paid) access goes on for so long. */
  failToRenew(id: string, { grace }: { readonly grace?: number } = {}): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    renewal.isInBillingRetryPeriod = true;
    if (grace === undefined) return this.notify(purchase, 'DID_FAIL_TO_RENEW');
    renewal.gracePeriodExpiresDate = (this.latest(purchase).expiresDate ?? this.time()) + grace * DAY_MS;
    return this.notify(purchase, 'DID_FAIL_TO_RENEW', 'GRACE_PERIOD');
  }

  expireGrace(id: string): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    renewal.gracePeriodExpiresDate = Math.min(renewal.gracePeriodExpiresDate ?? this.time(), this.time());
    return this.notify(purchase, 'GRACE_PERIOD_EXPIRED');
  }

  /** The bank pays after all: a period from now on. */
  recover(id: string): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    this.charge(purchase, { transactionReason: 'RENEWAL', price: renewal.renewalPrice });
    return this.notify(purchase, 'DID_RENEW', 'BILLING_RECOVERY');
  }

  expire(id: string, reason: keyof typeof EXPIRATION_INTENTS = 'VOLUNTARY'): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    const latest = this.latest(purchase);
    latest.expiresDate = Math.min(latest.expiresDate ?? this.time(), this.time());
    Object.assign(renewal, {
      autoRenewStatus: 0,
      isInBillingRetryPeriod: false,
      gracePeriodExpiresDate: undefined,
      expirationIntent: EXPIRATION_INTENTS[reason],
    } satisfies Partial<Renewal>);
    return this.notify(purchase, 'EXPIRED', reason);
  }

  setAutoRenew(id: string, isOn: boolean): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    renewal.autoRenewStatus = isOn ? 1 : 0;
    return this.notify(purchase, 'DID_CHANGE_RENEWAL_STATUS', isOn ? 'AUTO_RENEW_ENABLED' : 'AUTO_RENEW_DISABLED');
  }

  /** At once; the running period is given up for it. */
  upgrade(
    id: string,
    changed: {
      readonly productId: string;
      readonly price?: number;
      readonly period?: number;
      /** The transaction that it takes the place of does not say so. */
      readonly isUnmarked?: boolean;
    },
  ): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    if (changed.isUnmarked !== true) this.latest(purchase).isUpgraded = true;
    this.change(renewal, changed);
    this.charge(purchase, { transactionReason: 'PURCHASE', price: renewal.renewalPrice });
    return this.notify(purchase, 'DID_CHANGE_RENEWAL_PREF', 'UPGRADE');
  }

  /** The last period under another transaction id as well, as after a restore or on a second device. */
  duplicate(id: string): FakeAppleNotification {
    const { purchase } = this.subscription(id);
    purchase.transactions.push({ ...this.latest(purchase), transactionId: this.takeId() });
    return this.notify(purchase, 'SUBSCRIBED', 'RESUBSCRIBE');
  }

  /** Into a bundle, or out of one: another original transaction carries it on. */
  move(id: string, sale: Omit<FakeAppleSubscription, 'customer' | 'environment'>): FakeAppleNotification {
    const { purchase: old, renewal: oldRenewal } = this.subscription(id);
    oldRenewal.autoRenewStatus = 0;
    const { customer, environment } = old;
    const told = this.subscribe({ ...sale, customer, environment });
    for (const one of this.find(told.originalTransactionId).transactions) one.previousOriginalTransactionId = id;
    return this.notify(this.find(told.originalTransactionId), 'SUBSCRIBED', 'INITIAL_BUY');
  }

  /** From the next renewal on. */
  downgrade(
    id: string,
    { productId, price }: { readonly productId: string; readonly price?: number },
  ): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    renewal.autoRenewProductId = productId;
    renewal.renewalPrice = price ?? renewal.renewalPrice;
    return this.notify(purchase, 'DID_CHANGE_RENEWAL_PREF', 'DOWNGRADE');
  }

  cancelDowngrade(id: string): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    renewal.autoRenewProductId = renewal.productId;
    renewal.renewalPrice = this.latest(purchase).price;
    return this.notify(purchase, 'DID_CHANGE_RENEWAL_PREF');
  }

  /** Money back for a transaction; for the last one of all unless told. `percentage`: of its price, all of it unless told. */
  refund(transactionId?: string, { percentage }: { readonly percentage?: number } = {}): FakeAppleNotification {
    const { purchase, transaction } = this.sold(transactionId);
    Object.assign(transaction, {
      revocationDate: this.time(),
      revocationReason: 0,
      revocationType: percentage === undefined ? 'REFUND_FULL' : 'REFUND_PRORATED',
      revocationPercentage: (percentage ?? 100) * 1000,
    } satisfies Partial<Transaction>);
    return this.notify(purchase, 'REFUND', undefined, transaction);
  }

  declineRefund(transactionId?: string): FakeAppleNotification {
    const { purchase, transaction } = this.sold(transactionId);
    return this.notify(purchase, 'REFUND_DECLINED', undefined, transaction);
  }

  reverseRefund(transactionId?: string): FakeAppleNotification {
    const { purchase, transaction } = this.sold(transactionId);
    delete transaction.revocationDate;
    delete transaction.revocationReason;
    delete transaction.revocationType;
    delete transaction.revocationPercentage;
    return this.notify(purchase, 'REFUND_REVERSED', undefined, transaction);
  }

  /** The customer asks for his money: Apple asks what he has had of it. */
  requestRefund(transactionId?: string): FakeAppleNotification {
    const { purchase, transaction } = this.sold(transactionId);
    return this.notify(purchase, 'CONSUMPTION_REQUEST', undefined, transaction, {
      consumptionRequestReason: 'UNINTENDED_PURCHASE',
    });
  }

  /** Who shared it shares it no more. */
  revokeFamily(id: string): FakeAppleNotification {
    const { purchase } = this.subscription(id);
    const latest = this.latest(purchase);
    Object.assign(latest, {
      revocationDate: this.time(),
      revocationReason: 0,
      revocationType: 'FAMILY_REVOKE',
    } satisfies Partial<Transaction>);
    return this.notify(purchase, 'REVOKE');
  }

  /** We gave days away. */
  extend(id: string, days: number): FakeAppleNotification {
    const { purchase } = this.subscription(id);
    const latest = this.latest(purchase);
    latest.expiresDate = (latest.expiresDate ?? this.time()) + days * DAY_MS;
    return this.notify(purchase, 'RENEWAL_EXTENDED');
  }

  oneTime(
    sale: FakeAppleSale & { readonly type?: 'Non-Consumable' | 'Consumable' | 'Non-Renewing Subscription' },
  ): FakeAppleNotification {
    const purchase = this.newPurchase(sale, 'PURCHASED');
    this.charge(purchase, {
      transactionReason: 'PURCHASE',
      price: sale.price,
      currency: sale.currency,
      productId: sale.productId,
      type: sale.type ?? 'Non-Consumable',
    });
    return this.notify(purchase, 'ONE_TIME_CHARGE');
  }

  /** Asked unless accepted. */
  priceIncrease(
    id: string,
    { price, isAccepted = false }: { readonly price: number; readonly isAccepted?: boolean },
  ): FakeAppleNotification {
    const { purchase, renewal } = this.subscription(id);
    renewal.renewalPrice = price;
    renewal.priceIncreaseStatus = isAccepted ? 1 : 0;
    return this.notify(purchase, 'PRICE_INCREASE', isAccepted ? 'ACCEPTED' : 'PENDING');
  }

  test(environment: FakeAppleEnvironment = 'Sandbox'): FakeAppleNotification {
    return this.raw('TEST', undefined, { environment });
  }

  /**
   * A notification of any kind: about a purchase as it stands (`id`), or about none. `about` takes the place of `data`, or is
   * beside it as `summary`, `externalPurchaseToken`, `appData`; `payload` overrides what is outside of it, and `data` what is inside.
   */
  raw(
    type: string,
    subtype?: string,
    more: {
      readonly id?: string;
      readonly environment?: FakeAppleEnvironment;
      readonly data?: object;
      readonly payload?: object;
      readonly instead?: 'summary' | 'externalPurchaseToken' | 'appData';
    } = {},
  ): FakeAppleNotification {
    const purchase = more.id === undefined ? undefined : this.find(more.id);
    const environment = purchase?.environment ?? more.environment ?? 'Production';
    const data = { ...(purchase === undefined ? this.app(environment) : this.dataOf(purchase)), ...more.data };
    const payload = { [more.instead ?? 'data']: data, ...more.payload };
    return this.keep(type, subtype, payload, environment, purchase, undefined);
  }

  // What a device has, and what came of what was sent.

  /** A transaction as StoreKit 2 hands it over: signed now. */
  transactionJws(transactionId: string): string {
    const { purchase, transaction } = this.sold(transactionId);
    return this.signTransaction(purchase, transaction);
  }

  /** `jsonRepresentation` of StoreKit 2: the same, unsigned. */
  transactionJson(transactionId: string): string {
    const { purchase, transaction } = this.sold(transactionId);
    return JSON.stringify(this.transactionPayload(purchase, transaction));
  }

  /** The app receipt of StoreKit 1 with the transactions of purchases, in base64. */
  receiptOf(...ids: readonly string[]): string {
    const sold = ids.flatMap((id) => this.find(id).transactions.map(({ transactionId }) => transactionId));
    return this.receiptWith(sold);
  }

  /** The same with any transaction ids. */
  receiptWith(transactionIds: readonly string[]): string {
    const attribute = (type: number, value: Buffer): Buffer => sequence(integer(type), integer(1), octets(value));
    const sold = transactionIds.map((id) => {
      const purchase = this.purchases.find(({ transactions }) => transactions.some((one) => one.transactionId === id));
      const transaction = purchase?.transactions.find(({ transactionId }) => transactionId === id);
      return attribute(
        17,
        set(
          attribute(1702, utf8(transaction?.productId ?? '')),
          attribute(1703, utf8(id)),
          attribute(1705, utf8(purchase?.originalTransactionId ?? id)),
        ),
      );
    });
    const content = set(attribute(2, utf8(this.bundleId)), ...sold);
    const data = sequence(objectId('1.2.840.113549.1.7.1'), explicit(0, octets(content)));
    const algorithms = set(sequence(objectId('2.16.840.1.101.3.4.2.1'), NULL));
    const signed = sequence(integer(1), algorithms, data, set());
    return sequence(objectId('1.2.840.113549.1.7.2'), explicit(0, signed)).toString('base64');
  }

  /** Posts a notification as Apple does, and answers the status; below 207 it counts as delivered. */
  async deliver(notification: FakeAppleNotification, url: string): Promise<number> {
    const { status } = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(notification),
    });
    if (status >= 200 && status <= 206) this.markDelivered(notification);
    return status;
  }

  /** The history of notifications tells it no more among those that failed. */
  markDelivered(notification: FakeAppleNotification): void {
    for (const one of this.sent) if (one.notification.id === notification.id) one.isDelivered = true;
  }

  // How it remembers.

  private newPurchase(sale: FakeAppleSale, ownership: Purchase['ownership']): Purchase {
    const originalTransactionId = sale.transactionId ?? this.takeId();
    const purchase: Purchase = {
      environment: sale.environment ?? 'Production',
      customer: sale.customer ?? originalTransactionId,
      originalTransactionId,
      originalPurchaseDate: this.time(),
      ownership,
      transactions: [],
      accountToken: sale.accountToken,
      renewal: undefined,
    };
    this.purchases.push(purchase);
    return purchase;
  }

  /** A new transaction, which is the first if there is none yet; whatever was wrong with the subscription is over. */
  private charge(
    purchase: Purchase,
    given: Partial<Transaction> & { readonly transactionReason: Transaction['transactionReason'] },
  ): void {
    const { renewal, transactions } = purchase;
    const purchaseDate = given.purchaseDate ?? this.time();
    const bought: Transaction = {
      transactionId: transactions.length === 0 ? purchase.originalTransactionId : this.takeId(),
      webOrderLineItemId: this.takeItem(),
      productId: renewal?.productId ?? '',
      type: SUBSCRIPTION,
      currency: renewal?.currency,
      ...(renewal === undefined ? {} : { expiresDate: purchaseDate + renewal.periodMs }),
      ...given,
      purchaseDate,
    };
    transactions.push(bought);
    if (renewal === undefined) return;
    Object.assign(renewal, {
      autoRenewStatus: 1,
      isInBillingRetryPeriod: false,
      gracePeriodExpiresDate: undefined,
      expirationIntent: undefined,
    } satisfies Partial<Renewal>);
  }

  private change(
    renewal: Renewal,
    changed: { readonly productId?: string; readonly price?: number; readonly period?: number },
  ): void {
    renewal.productId = changed.productId ?? renewal.productId;
    renewal.autoRenewProductId = renewal.productId;
    renewal.renewalPrice = changed.price ?? renewal.renewalPrice;
    if (changed.period !== undefined) renewal.periodMs = changed.period * DAY_MS;
  }

  private find(id: string): Purchase {
    const found = this.purchases.find(
      ({ originalTransactionId, transactions }) =>
        originalTransactionId === id || transactions.some(({ transactionId }) => transactionId === id),
    );
    if (found === undefined) throw new Error(`Nothing was sold as ${id}`);
    return found;
  }

  private subscription(id: string): { readonly purchase: Purchase; readonly renewal: Renewal } {
    const purchase = this.find(id);
    if (purchase.renewal === undefined) throw new Error(`${id} is no subscription`);
    return { purchase, renewal: purchase.renewal };
  }

  private sold(transactionId?: string): { readonly purchase: Purchase; readonly transaction: Transaction } {
    const all = this.purchases.flatMap((purchase) =>
      purchase.transactions.map((transaction) => ({ purchase, transaction })),
    );
    const wanted = transactionId ?? String(this.nextId - 1n);
    const found = all.find(({ transaction }) => transaction.transactionId === wanted);
    if (found === undefined) throw new Error(`Nothing was sold as ${wanted}`);
    return found;
  }

  private latest(purchase: Purchase): Transaction {
    const latest = purchase.transactions.at(-1);
    if (latest === undefined) throw new Error('A purchase has a transaction');
    return latest;
  }

  private takeId(): string {
    const id = this.nextId;
    this.nextId += 1n;
    return String(id);
  }

  private takeItem(): string {
    this.nextItem += 1;
    return String(this.nextItem);
  }

  private time(): number {
    return this.now().getTime();
  }

  /** Later than whatever was signed before, as nothing is signed twice at once at Apple either. */
  private signingTime(): number {
    this.lastSigned = Math.max(this.time(), this.lastSigned + 1);
    return this.lastSigned;
  }

  // How it signs.

  private notify(
    purchase: Purchase,
    type: string,
    subtype?: string,
    transaction: Transaction = this.latest(purchase),
    more: object = {},
  ): FakeAppleNotification {
    const data = { ...this.dataOf(purchase, transaction), ...more };
    return this.keep(type, subtype, { data }, purchase.environment, purchase, transaction);
  }

  private keep(
    notificationType: string,
    subtype: string | undefined,
    payload: object,
    environment: FakeAppleEnvironment,
    about: Purchase | undefined,
    transaction: Transaction | undefined,
  ): FakeAppleNotification {
    const id = randomUUID();
    const signedDate = this.signingTime();
    const signedPayload = this.certificates.sign({
      notificationType,
      subtype,
      notificationUUID: id,
      version: '2.0',
      signedDate,
      ...payload,
    });
    const notification = new FakeAppleNotification(signedPayload, {
      id,
      transactionId: (transaction ?? about?.transactions.at(-1))?.transactionId,
      originalTransactionId: about?.originalTransactionId,
    });
    this.sent.push({ notification, environment, at: signedDate, about, isDelivered: false });
    return notification;
  }

  private app(environment: FakeAppleEnvironment): object {
    return {
      ...(environment === 'Production' ? { appAppleId: this.appAppleId } : {}),
      bundleId: this.bundleId,
      bundleVersion: '1',
      environment,
    };
  }

  private dataOf(purchase: Purchase, transaction = this.latest(purchase)): object {
    return {
      ...this.app(purchase.environment),
      ...(purchase.renewal === undefined ? {} : { status: this.statusOf(purchase) }),
      signedTransactionInfo: this.signTransaction(purchase, transaction),
      ...(purchase.renewal === undefined ? {} : { signedRenewalInfo: this.signRenewal(purchase, purchase.renewal) }),
    };
  }

  /** 1 active, 2 expired, 3 billing retry, 4 grace, 5 revoked. */
  private statusOf(purchase: Purchase): number {
    const { renewal } = purchase;
    const { revocationDate, isUpgraded, expiresDate = Infinity } = this.latest(purchase);
    if (revocationDate !== undefined && isUpgraded !== true) return 5;
    if (this.time() < expiresDate) return 1;
    if (renewal?.isInBillingRetryPeriod !== true) return 2;
    return this.time() < (renewal.gracePeriodExpiresDate ?? 0) ? 4 : 3;
  }

  private signTransaction(purchase: Purchase, transaction: Transaction): string {
    return this.certificates.sign(this.transactionPayload(purchase, transaction));
  }

  private transactionPayload(purchase: Purchase, transaction: Transaction): object {
    const { originalTransactionId, originalPurchaseDate, environment, ownership, accountToken, renewal } = purchase;
    return {
      ...transaction,
      originalTransactionId,
      originalPurchaseDate,
      environment,
      inAppOwnershipType: ownership,
      bundleId: this.bundleId,
      quantity: 1,
      storefront: 'USA',
      storefrontId: '143441',
      ...(renewal === undefined ? {} : { subscriptionGroupIdentifier: '20000001' }),
      ...(accountToken === undefined ? {} : { appAccountToken: accountToken }),
      ...(transaction.price === undefined ? { currency: undefined } : {}),
      signedDate: this.signingTime(),
    };
  }

  private signRenewal(purchase: Purchase, renewal: Renewal): string {
    return this.certificates.sign({
      ...renewal,
      periodMs: undefined,
      originalTransactionId: purchase.originalTransactionId,
      environment: purchase.environment,
      recentSubscriptionStartDate: purchase.originalPurchaseDate,
      renewalDate: this.latest(purchase).expiresDate,
      ...(purchase.accountToken === undefined ? {} : { appAccountToken: purchase.accountToken }),
      signedDate: this.signingTime(),
    });
  }

  // How it answers.

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    response.setHeader('Date', new Date(Date.now() + this.clockSkewMs).toUTCString());
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const [, realm = ''] = pathname.split('/', 2);
    const path = pathname.slice(realm.length + 1);
    const route = ROUTES.find((one) => one.method === request.method && one.path.test(path));
    const op = realm === 'ocsp' ? 'ocsp' : route?.op;
    if (op === undefined || !['production', 'sandbox', 'ocsp'].includes(realm)) {
      this.unexpected.push(`${request.method ?? ''} ${request.url ?? ''}`);
      response.writeHead(404).end();
      return;
    }
    if (await this.misbehave(op, realm, request, response)) return;
    if (op === 'ocsp') {
      const [, number, issuer] = path.split('/');
      const chain = this.chains[Number(number)] ?? this.certificates;
      response.setHeader('Content-Type', 'application/ocsp-response');
      response.end(
        chain.answerOcsp(issuer === 'root' ? 'root' : 'intermediate', body, this.certificateStatus, this.ocspForm),
      );
      return;
    }
    if (!this.isOurs(request.headers.authorization)) {
      response.writeHead(401, { 'Content-Type': 'text/plain' }).end('Unauthenticated\n');
      return;
    }
    const environment = realm === 'production' ? 'Production' : 'Sandbox';
    const id = decodeURIComponent(route?.path.exec(path)?.[1] ?? '');
    const reply = this.answer({ op, environment, id, query: searchParams, body: parseBody(body) });
    send(response, reply);
  }

  /** Whether a fault took the place of the answer. */
  private async misbehave(
    op: FakeAppleOp,
    realm: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<boolean> {
    const due = this.faults.find(
      ({ left, op: of, fault: { environment = realm } }) =>
        left > 0 && (of === '*' || of === op) && environment === realm,
    );
    if (due === undefined) return false;
    due.left -= 1;
    const { fault } = due;
    switch (fault.kind) {
      case 'status':
        send(
          response,
          fault.errorCode === undefined ? { status: fault.status } : failure(fault.status, fault.errorCode),
        );
        return true;
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, fault.ms).unref());
        return response.destroyed;
      case 'drop':
        request.socket.resetAndDestroy();
        return true;
      case 'body':
        response.writeHead(200, { 'Content-Type': 'application/json' }).end(fault.body);
        return true;
      case 'html':
        response.writeHead(200, { 'Content-Type': 'text/html' }).end(HTML);
        return true;
      case 'rate_limit': {
        const until = fault.until?.getTime() ?? this.time() + MINUTE_MS;
        response.setHeader('Retry-After', String(until));
        send(response, failure(429, 4_290_000));
        return true;
      }
    }
  }

  private isOurs(authorization: string | undefined): boolean {
    const [head = '', body = '', signature = ''] = (authorization ?? '').replace(/^Bearer /, '').split('.');
    const header = parseBody(Buffer.from(head, 'base64url'));
    const claims = parseBody(Buffer.from(body, 'base64url'));
    const now = (Date.now() + this.clockSkewMs) / 1000;
    const { iat, exp } = claims;
    return (
      header['alg'] === 'ES256' &&
      header['kid'] === this.keyId &&
      claims['iss'] === this.issuerId &&
      claims['aud'] === 'appstoreconnect-v1' &&
      claims['bid'] === this.bundleId &&
      typeof iat === 'number' &&
      typeof exp === 'number' &&
      iat <= now + 60 &&
      exp > now &&
      exp - iat <= TOKEN_LIFE &&
      isSigned(`${head}.${body}`, signature, createPublicKey(this.apiKey))
    );
  }

  private answer(call: Call): Reply {
    if (call.op === 'notification_history') return this.notificationHistory(call);
    if (call.op === 'test_notification') return this.testNotification(call);
    if (!/^\d{1,20}$/.test(call.id)) return failure(400, 4_000_006);
    const purchase = this.purchases.find(
      ({ environment, transactions, originalTransactionId }) =>
        environment === call.environment &&
        (originalTransactionId === call.id || transactions.some(({ transactionId }) => transactionId === call.id)),
    );
    if (purchase === undefined) return failure(404, 4_040_010);
    switch (call.op) {
      case 'transaction': {
        const { transaction } = this.sold(call.id);
        return { status: 200, json: { signedTransactionInfo: this.signTransaction(purchase, transaction) } };
      }
      case 'statuses':
        return this.statuses(purchase);
      case 'history':
        return this.history(purchase, call, () => true);
      case 'refund_history':
        return this.history(purchase, call, ({ revocationDate }) => revocationDate !== undefined);
      case 'set_account_token':
        return this.setAccountToken(purchase, call);
      default:
        return this.consume(call);
    }
  }

  private statuses({ customer, environment }: Purchase): Reply {
    const lastTransactions = this.purchases
      .filter((one) => one.customer === customer && one.environment === environment)
      .flatMap((one) => (one.renewal === undefined ? [] : [{ one, renewal: one.renewal }]))
      .map(({ one, renewal }) => ({
        status: this.statusOf(one),
        originalTransactionId: one.originalTransactionId,
        signedTransactionInfo: this.signTransaction(one, this.latest(one)),
        signedRenewalInfo: this.signRenewal(one, renewal),
      }));
    const data = lastTransactions.length === 0 ? [] : [{ subscriptionGroupIdentifier: '20000001', lastTransactions }];
    return { status: 200, json: { ...this.app(environment), data } };
  }

  private history(
    { customer, environment }: Purchase,
    { query }: Call,
    isWanted: (transaction: Transaction) => boolean,
  ): Reply {
    const all = this.purchases
      .filter((one) => one.customer === customer && one.environment === environment)
      .flatMap((one) => one.transactions.filter(isWanted).map((transaction) => ({ one, transaction })))
      .sort((a, b) => a.transaction.purchaseDate - b.transaction.purchaseDate);
    if (query.get('sort') === 'DESCENDING') all.reverse();
    const from = Number(query.get('revision') ?? 0);
    const page = all.slice(from, from + PAGE);
    return {
      status: 200,
      json: {
        ...this.app(environment),
        revision: String(from + page.length),
        hasMore: from + PAGE < all.length,
        signedTransactions: page.map(({ one, transaction }) => this.signTransaction(one, transaction)),
      },
    };
  }

  private notificationHistory({ environment, query, body }: Call): Reply {
    const { startDate, endDate, onlyFailures, transactionId, notificationType } = body;
    if (typeof startDate !== 'number' || typeof endDate !== 'number') return failure(400, 4_000_015);
    if (startDate >= endDate) return failure(400, 4_000_013);
    if (startDate < this.time() - (environment === 'Production' ? 180 : 30) * DAY_MS) return failure(400, 4_000_012);
    if (transactionId !== undefined && notificationType !== undefined) return failure(400, 4_000_019);
    const found = this.sent.filter(
      (one) =>
        one.environment === environment &&
        one.at >= startDate &&
        one.at <= endDate &&
        (onlyFailures !== true || !one.isDelivered) &&
        (transactionId === undefined || one.notification.transactionId === transactionId),
    );
    const from = Number(query.get('paginationToken') ?? 0);
    const hasMore = from + PAGE < found.length;
    return {
      status: 200,
      json: {
        hasMore,
        ...(hasMore ? { paginationToken: String(from + PAGE) } : {}),
        notificationHistory: found.slice(from, from + PAGE).map(({ notification, at, isDelivered }) => ({
          signedPayload: notification.signedPayload,
          sendAttempts: [{ attemptDate: at, sendAttemptResult: isDelivered ? 'SUCCESS' : 'NO_RESPONSE' }],
        })),
      },
    };
  }

  private testNotification({ environment }: Call): Reply {
    const notification = this.test(environment);
    if (this.webhookUrl !== undefined) void this.deliver(notification, this.webhookUrl).catch(() => undefined);
    return { status: 200, json: { testNotificationToken: `${notification.id}_${this.time()}` } };
  }

  private setAccountToken(purchase: Purchase, { id, body }: Call): Reply {
    const { appAccountToken: token } = body;
    if (typeof token !== 'string' || !/^[0-9a-f-]{36}$/i.test(token)) return failure(400, 4_000_183);
    if (purchase.ownership === 'FAMILY_SHARED') return failure(400, 4_000_185);
    if (purchase.originalTransactionId !== id) return failure(400, 4_000_187);
    purchase.accountToken = token;
    return { status: 200 };
  }

  private consume({ id, body }: Call): Reply {
    const { customerConsented, deliveryStatus, sampleContentProvided, consumptionPercentage, refundPreference } = body;
    if (customerConsented !== true) return failure(400, 4_000_035);
    if (typeof deliveryStatus !== 'string') return failure(400, 4_000_036);
    if (typeof sampleContentProvided !== 'boolean') return failure(400, 4_000_041);
    const renews = this.sold(id).transaction.expiresDate !== undefined;
    // Of what renews itself Apple takes no figure; of all else it wants 0 where nothing was delivered.
    if (renews && consumptionPercentage !== undefined) return failure(400, 4_000_000);
    if (!renews && deliveryStatus !== 'DELIVERED' && consumptionPercentage !== 0) return failure(400, 4_000_000);
    this.consumptionReports.push(id);
    if (refundPreference === 'GRANT_PRORATED' && consumptionPercentage !== undefined) return failure(400, 4_000_000);
    this.consumption.set(id, body);
    return { status: 202 };
  }
}

function failure(status: number, errorCode: number): Reply {
  return { status, json: { errorCode, errorMessage: 'As Apple would say.' } };
}

function send(response: ServerResponse, { status, json }: Reply): void {
  response.writeHead(status, json === undefined ? {} : { 'Content-Type': 'application/json' });
  response.end(json === undefined ? undefined : JSON.stringify(json));
}

function isSigned(input: string, signature: string, key: KeyObject): boolean {
  const made = Buffer.from(signature, 'base64url');
  return verify('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }, made);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

function parseBody(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
