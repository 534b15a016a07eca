import { Injectable } from '@nestjs/common';
import { type Principal } from '#auth';
import { addSeconds, Clock, DomainError } from '#kernel';
import { type Payment, StoreLedger } from '#payments';
import { Settings } from '#platform';
import { grantsAccess, type Subscription, Subscriptions } from '#subscriptions';
import { type StoreProvider } from '#tariffs';
import { Acknowledging } from './acknowledging.service.js';
import { type AppleTransaction } from './apple-facts.js';
import { AppleStorefront } from './apple.storefront.js';
import { Asking } from './asking.service.js';
import { type Claim } from './ownership.rules.js';
import { type Learnt, Purchases } from './purchases.service.js';
import { PurchasesRepository } from './purchases.repository.js';
import { shapeOf } from './receipt.rules.js';
import { type PurchaseKey, tokenKey } from './store.js';
import { StoreMetrics } from './store.metrics.js';

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
/** How long an app waits for a store, in milliseconds: it is answered within 5 s. */
const PATIENCE_MS = 4300;
const RETRY_AFTER_SECONDS = 10;

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

  private verify(by: Principal, receipt: Receipt): Promise<Learnt> {
    const shape = shapeOf({
      receipt: receipt.receipt,
      provider: receipt.provider,
      ...(receipt.purchaseToken === undefined ? {} : { purchaseToken: receipt.purchaseToken }),
      ...(receipt.productId === undefined ? {} : { productId: receipt.productId }),
      ...(receipt.transactionId === undefined ? {} : { transactionId: receipt.transactionId }),
    });
    switch (shape.kind) {
      case 'apple_jws':
        return this.verifySigned(by, shape.jws, receipt.packageName);
      case 'apple_id':
        return this.verifyNumbers(by, shape.transactionIds, receipt.packageName);
      case 'google_token':
        return this.verifyToken(by, shape.purchaseToken, shape.packageName ?? receipt.packageName);
    }
  }

  /** StoreKit 2's signed transaction: only the device of the purchase has it. */
  private async verifySigned(by: Principal, jws: string, packageName: string | undefined): Promise<Learnt> {
    const transaction = await this.apple.readTransaction(jws);
    this.assertApp(packageName, this.settings.apple?.bundleId);
    const key = keyOf(transaction);
    const news = { transactions: [transaction], renewals: [] };
    const isStale = transaction.signedDate < addSeconds(this.clock.now(), -STALE_SECONDS).getTime();
    const claim: Claim = { userId: by.user.id, isProof: true };
    if (isStale) {
      // What was refunded since is known only to Apple. What is verified is kept, even if Apple does not answer.
      const { id } = await this.purchases.learn({ key, news, cause: 'iap_verify', mayEnd: false });
      await this.refresh(id);
      return this.purchases.learn({ key, news, cause: 'iap_verify', claim });
    }
    const learnt = await this.purchases.learn({ key, news, cause: 'iap_verify', claim });
    const wasAsked = await this.refresh(learnt.id).catch(falseIfUnavailable); // signed today: it counts either way
    return wasAsked ? this.again(learnt) : learnt;
  }

  /** A bare number proves nothing: it only brings up to date what is the caller's already, or what names him. */
  private async verifyNumbers(
    by: Principal,
    transactionIds: readonly string[],
    packageName: string | undefined,
  ): Promise<Learnt> {
    this.assertApp(packageName, this.settings.apple?.bundleId);
    let learnt: Learnt | null = null;
    for (const transactionId of transactionIds) {
      const transaction = await this.apple.transaction(transactionId);
      if (transaction === null) continue;
      const news = { transactions: [transaction], renewals: [] };
      const claim: Claim = { userId: by.user.id, isProof: false };
      learnt = await this.purchases.learn({ key: keyOf(transaction), news, cause: 'iap_verify', claim });
    }
    if (learnt === null) throw new DomainError('receipt_invalid');
    const wasAsked = await this.refresh(learnt.id).catch(falseIfUnavailable);
    return wasAsked ? this.again(learnt) : learnt;
  }

  /** Play's purchase token: only the device of the purchase has it. */
  private async verifyToken(by: Principal, purchaseToken: string, packageName: string | undefined): Promise<Learnt> {
    this.assertApp(packageName, this.settings.google?.packageName);
    const claim: Claim = { userId: by.user.id, isProof: true };
    const known = await this.repository.find({
      provider: 'google',
      environment: 'production',
      key: tokenKey(purchaseToken),
    });
    const learnt = (await this.isFresh(known))
      ? await this.purchases.learn({
          key: { provider: 'google', environment: 'production', key: tokenKey(purchaseToken) },
          news: {},
          cause: 'iap_verify',
          claim,
        })
      : await this.askPlay(purchaseToken, claim, known);
    await within(this.acknowledging.acknowledge(learnt.id)).catch(falseIfUnavailable); // if not, the job tries again
    return learnt;
  }

  private async askPlay(purchaseToken: string, claim: Claim, known: number | null): Promise<Learnt> {
    const answer = await within(this.asking.redeemToken(purchaseToken, { claim, cause: 'iap_verify' }));
    if (typeof answer === 'object') return answer;
    if (answer === 'unknown' || known === null) throw new DomainError('receipt_invalid');
    return this.purchases.learn({
      key: { provider: 'google', environment: 'production', key: tokenKey(purchaseToken) },
      news: {},
      cause: 'iap_verify',
      claim,
    });
  }

  /** A purchase as it stands after its store was asked. */
  private async again({ id, wasOwned }: Learnt): Promise<Learnt> {
    return { ...(await this.purchases.rederive(id, 'iap_verify', false)), wasOwned };
  }

  /** Asks Apple about a purchase; false when it was asked just now. @throws DomainError store_unavailable */
  private async refresh(id: number): Promise<boolean> {
    if (await this.isFresh(id)) return false;
    await within(this.asking.askAbout(id));
    return true;
  }

  private async isFresh(id: number | null): Promise<boolean> {
    const askedAt = id === null ? null : await this.repository.askedAt(id);
    return askedAt !== null && this.clock.now() < addSeconds(askedAt, FRESH_SECONDS);
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
    return {
      isValid,
      status: statusOf(learnt, isValid),
      payment: await this.ledger.latest(learnt.id),
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

/** The answer, unless the store takes too long for somebody who waits; what it says later is learnt all the same. */
async function within<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_, reject) => {
    const late = new DomainError('store_unavailable', { retryAfterSeconds: RETRY_AFTER_SECONDS });
    timer = setTimeout(() => reject(late), PATIENCE_MS);
  });
  try {
    return await Promise.race([answer, patience]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => undefined); // too late to be told to anybody; its purchase is due to be asked about again
  }
}
