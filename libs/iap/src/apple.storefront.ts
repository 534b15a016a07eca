import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type ConsumptionRequest } from '@apple/app-store-server-library';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { type Logger } from 'pino';
import { addDays, Clock, DomainError, Randomness } from '#kernel';
import { type AppleSettings, LOG, Settings, SettingsError, UnitOfWork } from '#platform';
import { type AppleNews, type AppleNotification, type AppleRenewal, type AppleTransaction } from './apple-facts.js';
import {
  appTransactionIdOf,
  environmentOf,
  environmentOfNotification,
  isStoreId,
  peek,
  type PeekedJws,
  renewalOf,
  transactionOf,
} from './apple-payloads.rules.js';
import { AppleRefusal } from './apple-refusal.js';
import { readRoots } from './apple-roots.js';
import { type AppleApi } from './apple.api.js';
import { type AppleVerifier, type FaultCodes } from './apple.verifier.js';
import { type StoreEnvironment } from './store.js';
import { StoreMetrics } from './store.metrics.js';

/** What Apple is told about a purchase whose buyer wants his money back, and has agreed to its being told. */
export interface AppleConsumption {
  readonly deliveryStatus:
    | 'DELIVERED'
    | 'UNDELIVERED_QUALITY_ISSUE'
    | 'UNDELIVERED_WRONG_ITEM'
    | 'UNDELIVERED_SERVER_OUTAGE'
    | 'UNDELIVERED_OTHER';
  /** Whether he could try it before he bought it. */
  readonly sampleContentProvided: boolean;
  /**
   * How much of it he has used, in thousandths of a percent; 0 where nothing was delivered. Apple refuses it for auto-renewable
   * subscriptions, and wants none of it with GRANT_PRORATED.
   */
  readonly consumptionPercentage?: number;
  readonly refundPreference?: 'DECLINE' | 'GRANT_FULL' | 'GRANT_PRORATED';
}

/** What came of asking for a test notification. */
export interface TestRequest {
  /** By which Apple tells what came of it; null when Apple refuses to send one. */
  readonly token: string | null;
  /** How far this machine's clock is ahead of Apple's; null when Apple did not say what time it is. */
  readonly clockAheadSeconds: number | null;
  /** Why not, with what is to be mended. */
  readonly refusal?: string;
}

/** The library and what was made of it. It costs 100-190 ms and 21 MB, which only those pay who have an App Store. */
interface Wires {
  readonly api: AppleApi;
  readonly verifiers: Readonly<Record<StoreEnvironment, AppleVerifier>>;
}

/** What is wrong with a notification is nobody's business: whoever forges them learns nothing. */
const AS_NOTIFICATION: FaultCodes = {
  signature: 'store_signature_invalid',
  app: 'store_signature_invalid',
  malformed: 'receipt_malformed',
};
const AS_RECEIPT: FaultCodes = { signature: 'receipt_invalid', app: 'wrong_app', malformed: 'receipt_malformed' };
/** Apple's own answer should have been signed by Apple: something is in between. */
const AS_ANSWER: FaultCodes = {
  signature: 'store_unavailable',
  app: 'store_unavailable',
  malformed: 'store_unavailable',
};

/** How long somebody waits for what he asked, over all tries and both environments. */
const PATIENCE_MS = 4000;
/** 20 transactions a page: ten years of weekly renewals are 26 pages. The newest come first. */
const MAX_HISTORY_PAGES = 100;
/** How far back Apple remembers notifications. */
const REMEMBERED_DAYS: Readonly<Record<StoreEnvironment, number>> = { production: 180, sandbox: 30 };
/** Certificates that were good are believed so long: Apple signs with a handful. */
const GOOD_MS = 15 * 60_000;
const MAX_GOOD = 32;
const UNANSWERED_RETRY_SECONDS = 60;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The App Store, as this service speaks with it: what Apple signed is verified before anything of it is believed, and what Apple is
 * asked is asked within limits. All of it fails with `store_not_configured` where no App Store is set up.
 */
@Injectable()
export class AppleStorefront implements OnModuleInit {
  private opened: Promise<Wires> | undefined;
  /** Until when nobody is asked because nobody answers, in milliseconds since 1970: each question would cost 3 s. */
  private unansweredUntil = 0;
  /** Chains that were asked about and found good: until when that is believed, in milliseconds since 1970. */
  private readonly good = new Map<string, number>();

  constructor(
    private readonly settings: Settings,
    private readonly clock: Clock,
    private readonly randomness: Randomness,
    private readonly uow: UnitOfWork,
    private readonly metrics: StoreMetrics,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  get isConfigured(): boolean {
    return this.settings.apple !== undefined;
  }

  /** A key that cannot be read is found at start-up, and not by the first customer. */
  async onModuleInit(): Promise<void> {
    if (this.isConfigured) await this.wires();
  }

  /**
   * A notification and what is signed inside of it, verified without asking anybody. Types are open words: a new one is none the
   * worse. What is about no transaction has none.
   * @throws DomainError store_signature_invalid | receipt_malformed | store_not_configured
   */
  async readNotification(signedPayload: string): Promise<AppleNotification> {
    const { verifiers } = await this.wires();
    const { payload: peeked } = peekOrRefuse(signedPayload);
    const environment = environmentOfNotification(peeked);
    if (environment === null) throw new DomainError('store_signature_invalid');
    const verifier = verifiers[environment];
    const said = await verifier.notification(signedPayload, AS_NOTIFICATION);
    const { notificationUUID: id, notificationType: type, subtype, signedDate, data, appData } = said;
    if (id === undefined || type === undefined || signedDate === undefined) throw new DomainError('receipt_malformed');
    return {
      id,
      type,
      subtype: subtype ?? null,
      signedAt: new Date(signedDate),
      environment,
      status: data?.status ?? null,
      transaction: await this.transactionIn(verifier, data?.signedTransactionInfo, AS_NOTIFICATION),
      renewal: await this.renewalIn(verifier, data?.signedRenewalInfo, AS_NOTIFICATION),
      appTransactionId: await this.appIn(verifier, appData?.signedAppTransactionInfo),
    };
  }

  /**
   * Asks Apple's responders whether the certificates of a verified notification are revoked, for 3 s at most; `APPLE_OCSP` says
   * whether, and what it means when nobody answers. For a worker, which has the time.
   * @throws DomainError store_signature_invalid (revoked) | store_unavailable (no answer, and there must be one)
   */
  async assertNotRevoked(signedPayload: string): Promise<void> {
    this.uow.assertClosed();
    const { verifiers } = await this.wires();
    const mode = this.apple.onlineCheck;
    if (mode === 'off') return;
    const { chain, payload } = peekOrRefuse(signedPayload);
    const environment = environmentOfNotification(payload);
    if (environment === null) throw new DomainError('store_signature_invalid');
    await verifiers[environment].notification(signedPayload, AS_NOTIFICATION);
    const key = chain.slice(0, 2).join();
    if ((this.good.get(key) ?? 0) > this.clock.now().getTime()) return;
    const isSilent = mode === 'soft' && this.clock.now().getTime() < this.unansweredUntil;
    const answer = isSilent ? 'unanswered' : await verifiers[environment].revocation(chain);
    if (answer === 'revoked') throw new DomainError('store_signature_invalid');
    if (answer === 'good') {
      this.remember(key);
      return;
    }
    if (mode === 'hard') throw new DomainError('store_unavailable', { retryAfterSeconds: UNANSWERED_RETRY_SECONDS });
    this.metrics.softFailure();
    if (!isSilent) this.unansweredUntil = this.clock.now().getTime() + UNANSWERED_RETRY_SECONDS * 1000;
  }

  /**
   * A transaction as StoreKit 2 hands it to the app, verified without asking anybody.
   * @throws DomainError receipt_invalid | wrong_app | receipt_malformed | store_not_configured
   */
  async readTransaction(jws: string): Promise<AppleTransaction> {
    const { verifiers } = await this.wires();
    const { payload } = peekOrRefuse(jws);
    const environment = environmentOf(payload);
    // The library takes any payload of Apple's for a transaction: a renewal info, a notification.
    if (environment === null || payload['transactionId'] === undefined) throw new DomainError('receipt_invalid');
    const transaction = transactionOf(await verifiers[environment].transaction(jws, AS_RECEIPT));
    if (transaction === null) throw new DomainError('receipt_invalid');
    return transaction;
  }

  /**
   * The transaction of this id, as Apple tells it now, whichever environment it is of; null when Apple has none. Production does not
   * serve an app that was never released, by which App Review buys in the sandbox: its refusal leads there, each time anew.
   * @throws DomainError store_unavailable also when production refuses the app and the sandbox does not have it
   */
  async transaction(transactionId: string): Promise<AppleTransaction | null> {
    const { api } = await this.open(transactionId);
    const endsAt = performance.now() + PATIENCE_MS;
    let refused: DomainError | null = null;
    for (const environment of ['production', 'sandbox'] as const) {
      try {
        const answer = await api.ask({ environment, op: 'transaction', endsAt, hasOtherwise: true }, (client) =>
          client.getTransactionInfo(transactionId),
        );
        if (answer === null) continue;
        if (refused !== null) this.tellOfRefusal('warn', refused);
        return await this.answered(environment, answer.signedTransactionInfo);
      } catch (error) {
        if (refusalIn(error)?.isOfApp !== true || !(error instanceof DomainError)) throw error;
        refused ??= error;
      }
    }
    if (refused === null) return null;
    this.tellOfRefusal('error', refused);
    throw refused;
  }

  /** How all subscriptions of the customer who has this one stand; null when Apple knows none such. */
  async statuses(environment: StoreEnvironment, originalTransactionId: string): Promise<AppleNews | null> {
    const { api, verifiers } = await this.open(originalTransactionId);
    const endsAt = performance.now() + PATIENCE_MS;
    const answer = await api.ask({ environment, op: 'statuses', endsAt }, (client) =>
      client.getAllSubscriptionStatuses(originalTransactionId),
    );
    if (answer === null) return null;
    const items = listIn('data', answer.data).flatMap(({ lastTransactions }) =>
      listIn('lastTransactions', lastTransactions),
    );
    const verifier = verifiers[environment];
    const transactions: AppleTransaction[] = [];
    const renewals: AppleRenewal[] = [];
    for (const { signedTransactionInfo, signedRenewalInfo } of items) {
      const transaction = await this.transactionIn(verifier, signedTransactionInfo, AS_ANSWER);
      const renewal = await this.renewalIn(verifier, signedRenewalInfo, AS_ANSWER);
      if (transaction !== null) transactions.push(transaction);
      if (renewal !== null) renewals.push(renewal);
    }
    return { transactions, renewals };
  }

  /** Every transaction of the customer who has this one, the newest first; none when Apple knows no such. */
  async history(environment: StoreEnvironment, transactionId: string): Promise<AppleNews> {
    const { api } = await this.open(transactionId);
    const transactions: AppleTransaction[] = [];
    let revision: string | null = null;
    for (let page = 1; page <= MAX_HISTORY_PAGES; page += 1) {
      const answer = await api.history(environment, transactionId, revision);
      const signed = answer === null ? [] : listIn('signedTransactions', answer.signedTransactions);
      for (const jws of signed) transactions.push(await this.answered(environment, jws));
      revision = answer?.revision ?? null;
      if (answer?.hasMore !== true || revision === null) return { transactions, renewals: [] };
    }
    this.log.warn({ environment, pages: MAX_HISTORY_PAGES }, 'A purchase history is longer than it is read');
    return { transactions, renewals: [] };
  }

  /**
   * The notifications that did not reach us, as Apple signed them, in Apple's order. `since` is moved to as far back as Apple
   * remembers (180 days; 30 in the sandbox).
   */
  async *failedNotifications(environment: StoreEnvironment, since: Date, until: Date): AsyncIterable<string> {
    this.uow.assertClosed();
    const { api } = await this.wires();
    const earliest = addDays(this.clock.now(), -REMEMBERED_DAYS[environment]).getTime();
    const startDate = Math.max(since.getTime(), earliest);
    const endDate = until.getTime();
    let token: string | null = null;
    while (startDate < endDate) {
      const answer = await api.failedNotifications(environment, { startDate, endDate }, token);
      const told = answer === null ? [] : listIn('notificationHistory', answer.notificationHistory);
      for (const { signedPayload } of told) {
        if (signedPayload !== undefined) yield signedPayload;
      }
      const next = answer?.paginationToken ?? null;
      if (answer?.hasMore !== true || next === null || next === token) return;
      token = next;
    }
  }

  /** Has Apple name the account in what it signs of this purchase from now on; in a word why, when it refuses that for good. */
  async setAccountToken(
    environment: StoreEnvironment,
    originalTransactionId: string,
    accountToken: string,
  ): Promise<string | null> {
    const { api } = await this.open(originalTransactionId);
    if (!UUID.test(accountToken)) throw new Error('An account token is a UUID');
    return api.tell({ environment, op: 'set_account_token' }, (client) =>
      client.setAppAccountToken(originalTransactionId, { appAccountToken: accountToken }),
    );
  }

  /** Answers a CONSUMPTION_REQUEST, with the customer's consent; in a word why, when Apple refuses that for good. */
  async sendConsumption(
    environment: StoreEnvironment,
    transactionId: string,
    consumption: AppleConsumption,
  ): Promise<string | null> {
    const { api } = await this.open(transactionId);
    return api.tell({ environment, op: 'consumption' }, (client) =>
      client.sendConsumptionInformation(transactionId, consumptionRequest(consumption)),
    );
  }

  /** Has Apple send a TEST notification. Apple's refusal is said in words. */
  async requestTestNotification(environment: StoreEnvironment): Promise<TestRequest> {
    this.uow.assertClosed();
    const { api } = await this.wires();
    try {
      const answer = await api.ask({ environment, op: 'test_notification' }, (client) =>
        client.requestTestNotification(),
      );
      const token = answer?.testNotificationToken;
      if (token === undefined) throw new DomainError('store_unavailable');
      return { token, clockAheadSeconds: api.clockAheadSeconds };
    } catch (error) {
      const refusal = refusalIn(error);
      if (refusal === null) throw error;
      return { token: null, clockAheadSeconds: api.clockAheadSeconds, refusal: refusal.message };
    }
  }

  private tellOfRefusal(level: 'warn' | 'error', { cause }: DomainError): void {
    if (!(cause instanceof AppleRefusal)) return;
    const told = level === 'warn' ? `${cause.message}. The sandbox answered` : cause.message;
    this.log[level](cause.question, told);
  }

  private get apple(): AppleSettings {
    if (this.settings.apple === undefined) throw new DomainError('store_not_configured');
    return this.settings.apple;
  }

  /** Opens every question about a transaction. The library writes an id into the path as it is, so nothing but digits gets there. */
  private open(transactionId: string): Promise<Wires> {
    this.uow.assertClosed();
    if (!isStoreId(transactionId)) throw new DomainError('receipt_malformed');
    return this.wires();
  }

  private async wires(): Promise<Wires> {
    const { apple } = this;
    this.opened ??= this.connect(apple);
    return this.opened;
  }

  private async connect({ bundleId, appAppleId, issuerId, keyId, ...apple }: AppleSettings): Promise<Wires> {
    const [privateKey, roots, { AppleApi }, { AppleVerifier }] = await Promise.all([
      readKey(apple.privateKey),
      readRoots(apple.extraRootPaths),
      import('./apple.api.js'),
      import('./apple.verifier.js'),
    ]);
    const { clock, randomness, metrics, log } = this;
    const urls = { production: apple.apiUrl, sandbox: apple.sandboxApiUrl };
    const app = { bundleId, appAppleId, roots };
    return {
      api: new AppleApi({ bundleId, issuerId, keyId, privateKey, urls }, { clock, randomness, metrics, log }),
      verifiers: { production: new AppleVerifier('production', app), sandbox: new AppleVerifier('sandbox', app) },
    };
  }

  /** What Apple's API answered; it must be there, and signed. */
  private async answered(environment: StoreEnvironment, jws: string | undefined): Promise<AppleTransaction> {
    const { verifiers } = await this.wires();
    const transaction = await this.transactionIn(verifiers[environment], jws, AS_ANSWER);
    if (transaction === null) {
      throw new DomainError('store_unavailable', { cause: new Error("An answer of Apple's has no transaction") });
    }
    return transaction;
  }

  private async transactionIn(
    verifier: AppleVerifier,
    jws: string | undefined,
    codes: FaultCodes,
  ): Promise<AppleTransaction | null> {
    if (jws === undefined) return null;
    const transaction = transactionOf(await verifier.transaction(jws, codes));
    if (transaction === null) this.log.warn('Apple signed a transaction that lacks what makes it one');
    return transaction;
  }

  private async renewalIn(
    verifier: AppleVerifier,
    jws: string | undefined,
    codes: FaultCodes,
  ): Promise<AppleRenewal | null> {
    if (jws === undefined) return null;
    const renewal = renewalOf(await verifier.renewal(jws, codes));
    if (renewal === null) this.log.warn('Apple signed a renewal info that lacks what makes it one');
    return renewal;
  }

  private async appIn(verifier: AppleVerifier, jws: string | undefined): Promise<string | null> {
    return jws === undefined ? null : appTransactionIdOf(await verifier.app(jws, AS_NOTIFICATION));
  }

  private remember(chain: string): void {
    this.good.delete(chain);
    const [oldest] = this.good.keys();
    if (this.good.size >= MAX_GOOD && oldest !== undefined) this.good.delete(oldest);
    this.good.set(chain, this.clock.now().getTime() + GOOD_MS);
  }
}

/** A list that each answer of a kind has: what lacks it is not Apple's, and says nothing about anybody. @throws DomainError store_unavailable */
function listIn<T>(name: string, list: readonly T[] | undefined): readonly T[] {
  if (list !== undefined && Array.isArray(list)) return list as readonly T[];
  throw new DomainError('store_unavailable', { cause: new Error(`An answer of Apple's has no list "${name}"`) });
}

/** What Apple refused for good, if that is why something failed. */
function refusalIn(error: unknown): AppleRefusal | null {
  return error instanceof DomainError && error.cause instanceof AppleRefusal ? error.cause : null;
}

function peekOrRefuse(jws: string): PeekedJws {
  const peeked = peek(jws);
  if (peeked === null) throw new DomainError('receipt_malformed');
  return peeked;
}

async function readKey(source: AppleSettings['privateKey']): Promise<string> {
  try {
    const pem = 'text' in source ? source.text : await readFile(source.file, 'utf8');
    if (createPrivateKey(pem).asymmetricKeyDetails?.namedCurve === 'prime256v1') return pem;
  } catch {
    // what it says may quote the key
  }
  const name = 'text' in source ? 'APPLE_PRIVATE_KEY' : 'APPLE_PRIVATE_KEY_PATH';
  throw new SettingsError([`${name} must be the .p8 key of App Store Connect, in PEM (an elliptic curve key, P-256)`]);
}

/** As Apple wants it: consent is always said, since without it nothing is sent. */
function consumptionRequest(consumption: AppleConsumption): ConsumptionRequest {
  const { deliveryStatus, sampleContentProvided, refundPreference } = consumption;
  const isProrated = refundPreference === 'GRANT_PRORATED';
  const percentage = consumption.consumptionPercentage;
  return {
    customerConsented: true,
    deliveryStatus,
    sampleContentProvided,
    ...(percentage === undefined || isProrated ? {} : { consumptionPercentage: percentage }),
    ...(refundPreference === undefined ? {} : { refundPreference }),
  };
}
