import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { addSeconds, Clock, DomainError } from '#kernel';
import { LOG, Settings, UnitOfWork } from '#platform';
import { type AppleNews, type AppleNotification } from './apple-facts.js';
import { NOTHING_OF_APPLE } from './apple.rules.js';
import { AppleStorefront } from './apple.storefront.js';
import { Asking } from './asking.service.js';
import { type GoogleVoid } from './google-facts.js';
import { NOTHING_OF_GOOGLE } from './google.rules.js';
import { type PlayMessage, readPushMessage } from './google-message.rules.js';
import { Purchases } from './purchases.service.js';
import { PurchasesRepository } from './purchases.repository.js';
import { nextQuestionAt, nextTryAt } from './schedule.rules.js';
import { type PurchaseKey, tokenKey } from './store.js';
import { type LeasedEvent, StoreEventsRepository } from './store-events.repository.js';
import { StoreMetrics } from './store.metrics.js';
import { within } from './time-limit.js';

const BATCH = 20;
/** So a store that answers late holds up little else, and a batch is done (5 x 8 s) before its lease is over. */
const AT_ONCE = 4;
/** How long one event may take, in milliseconds: whatever it waits for, the others go on, and it is tried again. */
const EVENT_LIMIT_MS = 45_000;
/** SUBSCRIPTION_REVOKED: afterwards Play only says that it has expired. */
const REVOKED = 12;
/** Types of Apple's that concern the operator, not a purchase. */
const FOR_OPERATORS = ['EXTERNAL_PURCHASE_TOKEN', 'RESCIND_CONSENT', 'RENEWAL_EXTENSION'];
/** All types that Apple documents. What is signed inside of any other counts as well, and a person should read up on it. */
const APPLE_TYPES: ReadonlySet<string> = new Set([
  'CONSUMPTION_REQUEST',
  'DID_CHANGE_RENEWAL_PREF',
  'DID_CHANGE_RENEWAL_STATUS',
  'DID_FAIL_TO_RENEW',
  'DID_RENEW',
  'EXPIRED',
  'GRACE_PERIOD_EXPIRED',
  'METADATA_UPDATE',
  'MIGRATE',
  'MIGRATION',
  'OFFER_REDEEMED',
  'ONE_TIME_CHARGE',
  'PRICE_CHANGE',
  'PRICE_INCREASE',
  'REFUND',
  'REFUND_DECLINED',
  'REFUND_REVERSED',
  'RENEWAL_EXTENDED',
  'REVOKE',
  'SUBSCRIBED',
  'TEST',
  ...FOR_OPERATORS,
]);
/** Which of our states each of Apple's `status` numbers may stand beside. */
const APPLE_STATUS: Readonly<Record<number, readonly string[]>> = {
  1: ['active', 'trial', 'cancelled'],
  2: ['expired', 'refunded'],
  3: ['retry'],
  4: ['grace', 'active', 'trial', 'cancelled'],
  5: ['refunded', 'revoked', 'expired'],
};

/** Those that say that a subscription gives access. */
const RUNNING: ReadonlySet<number> = new Set([1, 4]);

/** An event waits for its store to be asked: at most until then, when it counts as it is. */
class HeldBack extends Error {
  readonly code = 'store_unavailable';

  constructor(
    readonly until: Date,
    cause: DomainError,
  ) {
    super('What is told contradicts itself, and its store could not be asked', { cause });
  }
}

function earlierOf(left: Date, right: Date): Date {
  return left < right ? left : right;
}

interface Outcome {
  readonly status: 'done' | 'ignored';
  readonly purchaseId: number | null;
}

/** Deals with what the stores told, one event at a time, as often as it takes. */
@Injectable()
export class Inbox implements BeforeApplicationShutdown {
  private running: Promise<void> | null = null;
  private isAsked = false;
  private isStopping = false;

  constructor(
    private readonly uow: UnitOfWork,
    private readonly events: StoreEventsRepository,
    private readonly purchases: Purchases,
    private readonly repository: PurchasesRepository,
    private readonly asking: Asking,
    private readonly apple: AppleStorefront,
    private readonly metrics: StoreMetrics,
    private readonly settings: Settings,
    private readonly clock: Clock,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Begins to deal with what waits, and does not wait itself. */
  start(): void {
    this.isAsked = true;
    this.running ??= this.uow
      .outside(() => this.drain())
      .catch((error: unknown) => this.log.error({ err: error }, 'the inbox of the stores could not be read'))
      .finally(() => {
        this.running = null;
        if (this.isAsked && !this.isStopping) this.start();
      });
  }

  /** Ends after the event under way; the others are left to whoever comes next. */
  async beforeApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    await this.running;
  }

  /** Deals with all that waits and whose turn it is; returns how many events that were. */
  async process(): Promise<number> {
    let count = 0;
    for (;;) {
      const events = await this.events.lease(BATCH);
      const left = [...events];
      const work = async (): Promise<void> => {
        for (let next = left.shift(); next !== undefined; next = left.shift()) {
          if (this.isStopping) await this.events.release(next.id);
          else await this.handle(next);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      count += events.length;
      if (events.length < BATCH || this.isStopping) return count;
    }
  }

  /** Forgets events that are older than half a year; returns how many. */
  forgetOld(): Promise<number> {
    return this.events.forgetOld();
  }

  private async drain(): Promise<void> {
    this.isAsked = false;
    await this.process();
  }

  private async handle(event: LeasedEvent): Promise<void> {
    try {
      const { status, purchaseId } = await within(this.dealWith(event), performance.now() + EVENT_LIMIT_MS);
      await this.events.finish(event.id, status, purchaseId);
      this.metrics.event(event.provider, event.type, status);
    } catch (error) {
      const now = this.clock.now();
      const code = error instanceof DomainError || error instanceof HeldBack ? error.code : 'internal_error';
      const next =
        error instanceof HeldBack
          ? earlierOf(nextQuestionAt(event.attempts, now, 0), error.until)
          : nextTryAt(event.attempts, now);
      await this.events.postpone(event.id, next, code);
      this.metrics.event(event.provider, event.type, next === null ? 'failed' : 'postponed');
      const about = { eventId: event.id, provider: event.provider, type: event.type, attempts: event.attempts };
      if (next === null)
        this.log.error({ ...about, err: error }, 'an event of a store was given up: cli stores replay');
      else if (code === 'internal_error') this.log.error({ ...about, err: error }, 'an event could not be dealt with');
      else this.log.warn({ ...about, code }, 'an event of a store will be tried again');
    }
  }

  private async dealWith(event: LeasedEvent): Promise<Outcome> {
    const { provider } = event;
    const payload = this.events.payloadOf(event);
    if (provider === 'google') return this.dealWithGoogle(readPushMessage(JSON.parse(payload)));
    await this.apple.assertNotRevoked(payload);
    return this.dealWithApple(await this.apple.readNotification(payload));
  }

  private async dealWithApple(notification: AppleNotification): Promise<Outcome> {
    const { type, subtype, transaction, renewal, environment, status } = notification;
    if (FOR_OPERATORS.includes(type)) await this.tellOperators(notification);
    if (!APPLE_TYPES.has(type)) this.unknown('apple', type);
    const key = transaction?.originalTransactionId ?? renewal?.originalTransactionId;
    if (key === undefined) return { status: type === 'TEST' ? 'done' : 'ignored', purchaseId: null };
    const news: AppleNews = {
      transactions: transaction === null ? [] : [transaction],
      renewals: renewal === null ? [] : [renewal],
    };
    await this.askIfContradicted({ provider: 'apple', environment, key }, news, notification);
    const learnt = await this.purchases.learn({
      key: { provider: 'apple', environment, key },
      news,
      cause: `apple:${type}${subtype === null ? '' : `:${subtype}`}`.slice(0, 128),
    });
    if (type === 'CONSUMPTION_REQUEST') {
      await this.purchases.noteRefundRequest(learnt, transaction, notification.signedAt);
    }
    // Apple thinks otherwise: something was lost on the way, and asking brings it back.
    const expected = status === null ? undefined : APPLE_STATUS[status];
    if (expected !== undefined && !expected.includes(learnt.standing.state)) {
      this.metrics.mismatch();
      await this.repository.markDirty(learnt.id);
    }
    return { status: 'done', purchaseId: learnt.id };
  }

  /**
   * Where what is told would end access, and Apple says beside it that the subscription runs, something before it was not heard of: Apple
   * is asked first, so that nobody is cut off over it. While Apple does not answer all stays as it is, within the leeway.
   * @throws HeldBack
   */
  private async askIfContradicted(
    key: PurchaseKey,
    news: AppleNews,
    { status, signedAt }: AppleNotification,
  ): Promise<void> {
    const until = addSeconds(signedAt, this.settings.purchases.outageLeewayHours * 3600);
    if (status === null || !RUNNING.has(status) || this.clock.now() >= until) return;
    if (!(await this.purchases.wouldEnd(key, news))) return;
    this.metrics.mismatch();
    const id = await this.repository.ensure(key, null, NOTHING_OF_APPLE);
    await this.repository.markDirty(id);
    try {
      await this.asking.askAbout(id);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      throw new HeldBack(until, error);
    }
  }

  /** A parent who withdraws his consent to the app takes no purchase back: a person decides what becomes of the accounts. */
  private async tellOperators({ type, subtype, environment, appTransactionId }: AppleNotification): Promise<void> {
    const userIds =
      appTransactionId === null ? undefined : await this.repository.ownersOfApp(environment, appTransactionId);
    this.log.warn({ type, subtype, userIds }, 'Apple told something that a person should see');
  }

  private async dealWithGoogle(message: PlayMessage | null): Promise<Outcome> {
    const nothing: Outcome = { status: 'ignored', purchaseId: null };
    if (message === null) return nothing;
    if (message.kind === 'test') return { status: 'done', purchaseId: null };
    if (message.packageName !== this.settings.google?.packageName) {
      this.log.warn({ packageName: message.packageName }, 'Play told something of another app');
      return nothing;
    }
    if (message.kind === 'unknown' || message.purchaseToken === null) {
      this.unknown('google', message.kind);
      return nothing;
    }
    const { purchaseToken } = message;
    const key: PurchaseKey = { provider: 'google', environment: 'production', key: tokenKey(purchaseToken) };
    const at = (message.eventAt ?? message.publishedAt ?? this.clock.now()).getTime();
    const id = await this.repository.ensure(key, purchaseToken, NOTHING_OF_GOOGLE);
    const voids: GoogleVoid[] =
      message.kind === 'voided' && message.orderId !== null
        ? [{ orderId: message.orderId, at, isPartial: message.isPartialRefund, reason: null }]
        : [];
    const isRevoked = message.kind === 'subscription' && message.notificationType === REVOKED;
    if (voids.length > 0 || isRevoked) {
      const cause = `google:${message.kind}:${message.notificationType ?? ''}`;
      await this.purchases.learn({ key, news: { voids, revokedAt: isRevoked ? at : null }, purchaseToken, cause });
    }
    // The hint is a row from here on: if the store cannot be asked now, it is asked later, and the event is done.
    await this.repository.markDirty(id);
    await this.asking.askAbout(id).catch((error: unknown) => {
      if (!(error instanceof DomainError)) throw error;
    });
    return { status: 'done', purchaseId: id };
  }

  private unknown(provider: 'apple' | 'google', type: string): void {
    this.metrics.unknownEvent(provider);
    this.log.warn({ provider, type }, 'a store told something that is not known here');
  }
}
