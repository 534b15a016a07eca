import { Injectable } from '@nestjs/common';
import { type Principal } from '#auth';
import { addSeconds, Clock, DomainError } from '#kernel';
import { isOwned, type Payment, StoreLedger } from '#payments';
import { Settings } from '#platform';
import { grantsAccess, type Subscription, Subscriptions, type SubscriptionState } from '#subscriptions';
import { type StoreProvider } from '#tariffs';
import { Acknowledging } from './acknowledging.service.js';
import { type AppleTransaction } from './apple-facts.js';
import { NOTHING_OF_APPLE } from './apple.rules.js';
import { AppleStorefront } from './apple.storefront.js';
import { Asking } from './asking.service.js';
import { type Claim } from './ownership.rules.js';
import { type Learnt, type Lesson, Purchases } from './purchases.service.js';
import { PurchasesRepository } from './purchases.repository.js';
import { type Standing } from './purchase.js';
import { shapeOf } from './receipt.rules.js';
import { type PurchaseKey, tokenKey } from './store.js';
import { StoreMetrics } from './store.metrics.js';
import { unavailable, within } from './time-limit.js';

/** What an app shows of a purchase. */
export interface Receipt {
  readonly provider: StoreProvider;
  readonly receipt: string;
  readonly packageName?: string | undefined;
  readonly productId?: string | undefined;
  readonly purchaseToken?: string | undefined;
  readonly transactionId?: string | undefined;
}

export const REDEMPTION_STATUSES = [
  'verified',
  'already_verified',
  'pending',
  'expired',
  'refunded',
  'revoked',
  'unmapped_product',
] as const;
export type RedemptionStatus = (typeof REDEMPTION_STATUSES)[number];

/** What became of it. */
export interface Redemption {
  /** Whether it grants access now. */
  readonly isValid: boolean;
  readonly status: RedemptionStatus;
  readonly payment: Payment | null;
  readonly subscription: Subscription | null;
  /** Another purchase gives access at the same time: he pays twice. */
  readonly isDuplicate: boolean;
}

/** A signed transaction that is older than this, in seconds, may have been refunded since: it grants nothing by itself. */
const STALE_SECONDS = 24 * 3600;
/** A purchase that the store was asked about this recently, in seconds, is not asked about again. */
const FRESH_SECONDS = 60;
/** What is over, and shown again at each start of the app, is asked about this often at most, in seconds. */
const OVER_FRESH_SECONDS = 24 * 3600;
const OVER: ReadonlySet<SubscriptionState> = new Set(['expired', 'refunded', 'revoked', 'superseded', 'void']);
/** How long an app waits for the stores, in milliseconds, however many questions it takes: it is answered within 5 s. */
const PATIENCE_MS = 4300;
const NO_NEWS = { transactions: [], renewals: [] };

/** Somebody shows a purchase, and waits. */
interface Showing {
  readonly userId: number;
  /** Of which app he says that it is. */
  readonly packageName: string | undefined;
  /** Until when he waits, by `performance.now()`. */
  readonly endsAt: number;
}

/** Turns what the app shows of a purchase into access, for who shows it. */
@Injectable()
export class Redeeming {
  constructor(
    private readonly apple: AppleStorefront,
    private readonly asking: Asking,
    private readonly acknowledging: Acknowledging,
    private readonly purchases: Purchases,
    private readonly repository: PurchasesRepository,
    private readonly subscriptions: Subscriptions,
    private readonly ledger: StoreLedger,
    private readonly metrics: StoreMetrics,
    private readonly settings: Settings,
    private readonly clock: Clock,
  ) {}

  /**
   * Verifies a purchase with its store and gives it to the caller, if it is his to have. May be repeated as often as one likes.
   * @throws DomainError receipt_malformed | receipt_invalid | wrong_app | proof_required | sandbox_not_allowed |
   *   purchase_belongs_to_another_account | store_unavailable | store_not_configured
   */
  async redeem(by: Principal, receipt: Receipt): Promise<Redemption> {
    try {
      const learnt = await this.verify(by, receipt);
      const redemption = await this.describe(by, learnt);
      this.metrics.redeemed(redemption.status);
      return redemption;
    } catch (error) {
      this.metrics.redeemed(error instanceof DomainError ? error.code : 'internal_error');
      throw error;
    }
  }

  private verify({ user }: Principal, receipt: Receipt): Promise<Learnt> {
    const shape = shapeOf({
      receipt: receipt.receipt,
      provider: receipt.provider,
      ...(receipt.purchaseToken === undefined ? {} : { purchaseToken: receipt.purchaseToken }),
      ...(receipt.productId === undefined ? {} : { productId: receipt.productId }),
      ...(receipt.transactionId === undefined ? {} : { transactionId: receipt.transactionId }),
    });
    const { packageName } = receipt;
    const showing: Showing = { userId: user.id, packageName, endsAt: performance.now() + PATIENCE_MS };
    switch (shape.kind) {
      case 'apple_jws':
        return this.verifySigned(showing, shape.jws);
      case 'apple_id':
        return this.verifyNumbers(showing, shape.transactionIds);
      case 'google_token':
        this.assertApp(shape.packageName ?? undefined, this.settings.google?.packageName);
        return this.verifyToken(showing, shape.purchaseToken);
    }
  }

  /** StoreKit 2's signed transaction: only the device of the purchase has it. */
  private async verifySigned({ userId, packageName, endsAt }: Showing, jws: string): Promise<Learnt> {
    const transaction = await this.apple.readTransaction(jws);
    this.assertApp(packageName, this.settings.apple?.bundleId);
    const key = keyOf(transaction);
    const news = { transactions: [transaction], renewals: [] };
    const isStale = transaction.signedDate < addSeconds(this.clock.now(), -STALE_SECONDS).getTime();
    const isNews = (await this.repository.findByTransaction(transaction.transactionId)) === null;
    const claim: Claim = { userId, isProof: true };
    await this.learnPrevious(transaction, endsAt);
    if (isStale) {
      // What was refunded since is known only to Apple. What is verified is kept, even if Apple does not answer.
      const kept = await this.purchases.learn({ key, news, cause: 'iap_verify', mayEnd: false, isUnconfirmed: true });
      const { id } = kept;
      try {
        await this.refresh(id, isNews, endsAt);
        // Somebody else may be asking, and have no answer yet.
        if (!(await this.isFresh(id, isNews))) throw unavailable();
      } catch (error) {
        const learnt = isNews ? null : await this.runningOf(id, userId, error);
        if (learnt === null) throw error;
        return learnt;
      }
      const learnt = await this.purchases.learn({ key, news, cause: 'iap_verify', claim });
      return { ...learnt, wasOwned: kept.userId === userId };
    }
    const learnt = await this.purchases.learn({ key, news, cause: 'iap_verify', claim });
    const wasAsked = await this.refresh(learnt.id, isNews, endsAt).catch(falseIfUnavailable); // signed today: it counts
    return wasAsked ? this.again(learnt) : learnt;
  }

  /** A bare number proves nothing: it only brings up to date what is the caller's already, or what names him. */
  private async verifyNumbers(showing: Showing, transactionIds: readonly string[]): Promise<Learnt> {
    const { userId, packageName, endsAt } = showing;
    this.assertApp(packageName, this.settings.apple?.bundleId);
    const claim: Claim = { userId, isProof: false };
    const found: Learnt[] = [];
    const refusals: DomainError[] = [];
    // Each by itself: the purchases of a receipt may be several people's, and one of them the caller's.
    for (const transactionId of transactionIds) {
      try {
        const shown = await this.lookUp(transactionId, userId, endsAt);
        if (shown !== null) found.push(await this.purchases.learn({ ...shown, cause: 'iap_verify', claim }));
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        refusals.push(error);
      }
    }
    const learnt = found.findLast(({ standing }) => this.runs(standing)) ?? found.at(-1);
    if (learnt === undefined) {
      throw (
        refusals.find(({ code }) => code === 'store_unavailable') ?? refusals[0] ?? new DomainError('receipt_invalid')
      );
    }
    const wasAsked = await this.refresh(learnt.id, false, endsAt).catch(falseIfUnavailable);
    return wasAsked ? this.again(learnt) : learnt;
  }

  /**
   * The purchase of a transaction, with what Apple says of it, unless that was asked just now, or Apple is away and the caller has it;
   * null when there is none.
   */
  private async lookUp(
    transactionId: string,
    userId: number,
    endsAt: number,
  ): Promise<Pick<Lesson, 'key' | 'news'> | null> {
    const known = await this.repository.findByTransaction(transactionId);
    const row = known === null ? null : await this.repository.read(known);
    if (row !== null && (await this.isFresh(row.id, false))) return { key: row, news: NO_NEWS };
    try {
      const transaction = await within(this.apple.transaction(transactionId), endsAt);
      if (transaction === null) return null;
      await this.learnPrevious(transaction, endsAt);
      return { key: keyOf(transaction), news: { transactions: [transaction], renewals: [] } };
    } catch (error) {
      if (row === null || (await this.runningOf(row.id, userId, error)) === null) throw error;
      return { key: row, news: NO_NEWS };
    }
  }

  /**
   * A purchase by what is known of it, where its store cannot be asked: when it runs and is the caller's, nothing about it would be
   * new. Null otherwise.
   */
  private async runningOf(id: number, userId: number, error: unknown): Promise<Learnt | null> {
    if (!(error instanceof DomainError) || error.code !== 'store_unavailable') return null;
    if ((await this.repository.read(id))?.userId !== userId) return null;
    const learnt = await this.purchases.rederive(id, 'store unavailable', false);
    return this.runs(learnt.standing) ? { ...learnt, wasOwned: true } : null;
  }

  private runs({ state, startedAt, accessUntil }: Standing): boolean {
    const now = this.clock.now();
    return grantsAccess({ state, startedAt: startedAt ?? now, accessUntil }, now);
  }

  /** Of what carries another purchase on, that one is asked about first if nothing is known of it: it may be somebody's. */
  private async learnPrevious(transaction: AppleTransaction, endsAt: number): Promise<void> {
    const { originalTransactionId, previousOriginalTransactionId: previous } = transaction;
    if (previous === undefined || previous === originalTransactionId) return;
    const key: PurchaseKey = { ...keyOf(transaction), key: previous };
    const id = await this.repository.ensure(key, null, NOTHING_OF_APPLE);
    const row = await this.repository.read(id);
    if (row?.askedAt != null || row?.productId != null) return;
    await within(this.asking.askAbout(id), endsAt).catch(falseIfUnavailable); // the job asks
  }

  /** Play's purchase token: only the device of the purchase has it. */
  private async verifyToken({ userId, packageName, endsAt }: Showing, purchaseToken: string): Promise<Learnt> {
    this.assertApp(packageName, this.settings.google?.packageName);
    const claim: Claim = { userId, isProof: true };
    const key: PurchaseKey = { provider: 'google', environment: 'production', key: tokenKey(purchaseToken) };
    const known = await this.repository.find(key);
    const answer = (await this.isFresh(known, false))
      ? 'fresh'
      : await within(this.asking.redeemToken(purchaseToken, { claim, cause: 'iap_verify' }), endsAt).catch(
          async (error: unknown) => {
            const running = known === null ? null : await this.runningOf(known, userId, error);
            if (running === null) throw error;
            return running;
          },
        );
    if (answer === 'unknown' || (answer === 'gone' && known === null)) throw new DomainError('receipt_invalid');
    const learnt =
      typeof answer === 'object'
        ? answer
        : await this.purchases.learn({ key, news: {}, purchaseToken, cause: 'iap_verify', claim });
    await within(this.acknowledging.acknowledge(learnt.id), endsAt).catch(falseIfUnavailable); // if not, the job tries again
    return learnt;
  }

  /** A purchase as it stands after its store was asked. */
  private async again({ id, wasOwned }: Learnt): Promise<Learnt> {
    return { ...(await this.purchases.rederive(id, 'iap_verify', false)), wasOwned };
  }

  /** Asks Apple about a purchase; false when it need not be. @throws DomainError store_unavailable */
  private async refresh(id: number, isNews: boolean, endsAt: number): Promise<boolean> {
    if (await this.isFresh(id, isNews)) return false;
    await within(this.asking.askAbout(id), endsAt);
    return true;
  }

  /** Whether the store was asked just now; or today, about what is over and of which nothing new is shown. */
  private async isFresh(id: number | null, isNews: boolean): Promise<boolean> {
    const row = id === null ? null : await this.repository.read(id);
    if (row?.askedAt == null) return false;
    const { askedAt, state, accessUntil } = row;
    if (state === 'pending') return false; // it may be paid by now
    const wasOver = OVER.has(state) && (state !== 'expired' || (accessUntil !== null && askedAt >= accessUntil));
    const seconds = wasOver && !isNews ? OVER_FRESH_SECONDS : FRESH_SECONDS;
    return this.clock.now() < addSeconds(askedAt, seconds);
  }

  private assertApp(given: string | undefined, ours: string | undefined): void {
    if (ours === undefined) throw new DomainError('store_not_configured');
    if (given !== undefined && given !== ours) throw new DomainError('wrong_app');
  }

  private async describe({ user }: Principal, learnt: Learnt): Promise<Redemption> {
    const now = this.clock.now();
    const all = await this.subscriptions.all(user.id);
    const subscription = all.find(({ id }) => id === learnt.subscriptionId) ?? null;
    const isValid = subscription !== null && grantsAccess(subscription, now);
    const payment = await this.ledger.latest(learnt.id);
    return {
      isValid,
      status: statusOf(learnt, isValid),
      // What a former owner paid is their business.
      payment: payment !== null && isOwned(payment) && payment.userId === user.id ? payment : null,
      subscription,
      isDuplicate: isValid && all.some((other) => other.id !== subscription.id && grantsAccess(other, now)),
    };
  }
}

function statusOf({ standing, wasOwned }: Learnt, isValid: boolean): RedemptionStatus {
  if (isValid) return wasOwned ? 'already_verified' : 'verified';
  const { state, tariffId } = standing;
  if (state === 'pending' || state === 'refunded' || state === 'revoked') return state;
  const wouldGrant = ['active', 'trial', 'cancelled', 'grace'].includes(state);
  return wouldGrant && tariffId === null ? 'unmapped_product' : 'expired';
}

function keyOf({ environment, originalTransactionId }: AppleTransaction): PurchaseKey {
  return { provider: 'apple', environment, key: originalTransactionId };
}

function falseIfUnavailable(error: unknown): false {
  if (!(error instanceof DomainError)) throw error;
  return false;
}
