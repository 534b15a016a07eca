import { DAY_MS } from '#kernel';
import { type AppleNews, type AppleRenewal, type AppleTransaction } from '../../libs/iap/src/apple-facts.js';
import { type SubscriptionState } from '#subscriptions';
import { appleRenewal, appleTransaction, onDay } from './store-facts.js';

export const APPLE_DEEDS = [
  'renew',
  'renew early',
  'fail with grace',
  'fail',
  'recover',
  'expire',
  'resubscribe',
  'upgrade',
  'downgrade',
  'turn off',
  'turn on',
  'refund',
  'refund an older one',
  'reverse a refund',
  'end sharing',
  'extend',
] as const;

/** Something that is tried after some days; what is not possible then does not happen. */
export interface AppleDeed {
  readonly deed: (typeof APPLE_DEEDS)[number];
  readonly afterDays: number;
  /** How much of it: a refund's thousandths of a percent. */
  readonly share: number;
}

interface Charge {
  readonly price: number;
  refunded: number;
}

const MONTH_MS = 30 * DAY_MS;
const PRICES: Readonly<Record<string, number>> = { monthly: 9990, plus: 19990 };

/**
 * One subscription in the App Store, as Apple lives it: what it says of it (`news`), and what is true of it. It knows nothing of
 * how facts are merged or judged: it has a present, and remembers what it charged.
 */
export class AppStoreLife {
  readonly news: AppleNews[] = [];
  /** Thousandths, by transaction. */
  readonly charges = new Map<string, Charge>();
  now = onDay(0);
  /** What is paid for, the latest last. */
  private readonly periods: string[] = [];
  private readonly transactions = new Map<string, AppleTransaction>();
  private renewal: AppleRenewal = appleRenewal();
  private graceUntil: number | null = null;

  constructor(
    private readonly isFamily: boolean,
    isTrial: boolean,
  ) {
    const trial = { offerType: 1, offerDiscountType: 'FREE_TRIAL', price: 0, expiresDate: onDay(7) };
    this.charge({ ...(isTrial ? trial : {}), purchaseDate: this.now });
    this.tell();
  }

  /** Everything, as Apple's API would answer now. */
  snapshot(): AppleNews {
    const signedDate = this.now + 1;
    const transactions = [...this.transactions.values()].map((one) => ({ ...one, signedDate }));
    return { transactions, renewals: [{ ...this.renewal, signedDate }] };
  }

  /** What is true at an instant from now on, if nothing else happens. */
  stateAt(at: number): SubscriptionState {
    const { expiresDate, revocationDate, offerDiscountType } = this.current();
    if (revocationDate !== null) return this.isFamily ? 'revoked' : 'refunded';
    if (at < (expiresDate ?? 0)) {
      if (this.renewal.willRenew === false) return 'cancelled';
      return offerDiscountType === 'FREE_TRIAL' ? 'trial' : 'active';
    }
    if (!this.renewal.isInBillingRetry) return 'expired';
    return this.graceUntil !== null && at < this.graceUntil ? 'grace' : 'retry';
  }

  attempt({ deed, afterDays, share }: AppleDeed): void {
    this.now += afterDays * DAY_MS + 1;
    if (this.does(deed, share)) this.tell();
  }

  private does(deed: AppleDeed['deed'], share: number): boolean {
    const current = this.current();
    const end = current.expiresDate ?? 0;
    const isRevoked = current.revocationDate !== null;
    const runs = !isRevoked && this.now < end;
    const renews = !isRevoked && this.renewal.willRenew === true && !this.renewal.isInBillingRetry;
    switch (deed) {
      case 'renew':
      case 'renew early':
        if (!renews) return false;
        this.now = Math.max(this.now, deed === 'renew' ? end : end - DAY_MS);
        this.charge({ purchaseDate: Math.max(this.now, end), transactionReason: 'RENEWAL' });
        return true;
      case 'fail':
      case 'fail with grace':
        if (!renews) return false;
        this.now = Math.max(this.now, end);
        this.graceUntil = deed === 'fail' ? null : end + 16 * DAY_MS;
        this.change({ isInBillingRetry: true, gracePeriodExpiresDate: this.graceUntil, expirationIntent: 2 });
        return true;
      case 'recover':
        if (isRevoked || !this.renewal.isInBillingRetry) return false;
        this.charge({ purchaseDate: this.now, transactionReason: 'RENEWAL' });
        return true;
      case 'expire':
        if (isRevoked) return false;
        this.now = Math.max(this.now, end, this.graceUntil ?? 0);
        this.change({ willRenew: false, isInBillingRetry: false, expirationIntent: 1 });
        return true;
      case 'resubscribe':
        if ((this.stateAt(this.now) !== 'expired' && !isRevoked) || current.purchaseDate > this.now) return false;
        this.charge({ purchaseDate: this.now, transactionReason: 'PURCHASE' });
        return true;
      case 'upgrade':
        if (!runs || current.purchaseDate > this.now || current.productId === 'plus') return false;
        this.takeBack(current.transactionId, {
          isUpgraded: true,
          ...(share < 50_000 ? {} : { revocationPercentage: share, revocationType: 'REFUND_PRORATED' }),
        });
        this.renewal = { ...this.renewal, autoRenewProductId: 'plus' };
        this.charge({ purchaseDate: this.now, transactionReason: 'PURCHASE' });
        return true;
      case 'downgrade':
        if (!runs || current.productId !== 'plus') return false;
        this.change({ autoRenewProductId: 'monthly' });
        return true;
      case 'turn off':
      case 'turn on':
        if (!runs) return false;
        this.change({ willRenew: deed === 'turn on' });
        return true;
      case 'refund':
        return this.refund(current, share);
      case 'refund an older one': {
        const older = [...this.transactions.values()].filter(({ transactionId }) => !this.isCurrent(transactionId));
        const [one] = older;
        return one !== undefined && this.refund(one, share);
      }
      case 'reverse a refund':
        return this.reverse();
      case 'end sharing':
        if (!this.isFamily || isRevoked) return false;
        this.takeBack(current.transactionId, { revocationType: 'FAMILY_REVOKE' });
        this.change({ willRenew: false, isInBillingRetry: false });
        return true;
      case 'extend':
        if (!runs) return false;
        this.put({ ...current, expiresDate: end + 5 * DAY_MS });
        return true;
    }
  }

  private charge(change: Partial<AppleTransaction> & { readonly purchaseDate: number }): void {
    const productId = this.renewal.autoRenewProductId ?? 'monthly';
    const transactionId = String(999 + this.transactions.size); // of two lengths, as Apple's are
    const price = PRICES[productId] ?? 0;
    const transaction = appleTransaction({
      transactionId,
      productId,
      price,
      expiresDate: change.purchaseDate + MONTH_MS,
      ownership: this.isFamily ? 'FAMILY_SHARED' : 'PURCHASED',
      ...change,
    });
    this.put(transaction);
    this.periods.push(transactionId);
    if (!this.isFamily) this.charges.set(transactionId, { price: transaction.price ?? 0, refunded: 0 });
    this.graceUntil = null;
    this.renewal = appleRenewal({ productId, autoRenewProductId: productId });
  }

  private refund(transaction: AppleTransaction, share: number): boolean {
    if (this.isFamily || (transaction.revocationDate !== null && !transaction.isUpgraded)) return false;
    const { transactionId, purchaseDate, isUpgraded } = transaction;
    const isWhole = isUpgraded || share > 90_000;
    this.takeBack(transactionId, {
      revocationReason: share % 2,
      revocationType: isWhole ? 'REFUND_FULL' : 'REFUND_PRORATED',
      revocationPercentage: isWhole ? null : share,
    });
    if (!this.isCurrent(transactionId)) return true;
    if (purchaseDate > this.now) this.periods.pop(); // it had not begun: the one before it runs on
    this.change({ willRenew: false, isInBillingRetry: false });
    return true;
  }

  private reverse(): boolean {
    const [refunded] = [...this.transactions.values()].filter(
      ({ revocationDate, transactionId, isUpgraded }) =>
        revocationDate !== null && !isUpgraded && this.periods.includes(transactionId),
    );
    if (refunded === undefined || this.isFamily) return false;
    this.put({
      ...refunded,
      revocationDate: null,
      revocationReason: null,
      revocationType: null,
      revocationPercentage: null,
    });
    this.charges.set(refunded.transactionId, { price: refunded.price ?? 0, refunded: 0 });
    return true;
  }

  private takeBack(transactionId: string, change: Partial<AppleTransaction>): void {
    const transaction = this.transactions.get(transactionId);
    if (transaction === undefined) throw new Error(`There is no transaction ${transactionId}.`);
    const isRevoked = change.revocationType !== undefined;
    this.put({ ...transaction, ...change, revocationDate: isRevoked ? this.now : null });
    const charge = this.charges.get(transactionId);
    if (charge === undefined || !isRevoked) return;
    const share = change.revocationPercentage ?? 100_000;
    charge.refunded = Math.floor((charge.price * share) / 100_000 + 0.5);
  }

  private change(change: Partial<AppleRenewal>): void {
    this.renewal = { ...this.renewal, ...change };
  }

  private put(transaction: AppleTransaction): void {
    this.transactions.set(transaction.transactionId, { ...transaction, signedDate: this.now });
    this.changed.add(transaction.transactionId);
  }

  /** What a notification carries: what changed, and the renewal info. */
  private tell(): void {
    const transactions = [...this.changed].flatMap((id) => this.transactions.get(id) ?? []);
    this.changed.clear();
    this.renewal = { ...this.renewal, signedDate: this.now };
    this.news.push({ transactions, renewals: [this.renewal] });
  }

  private readonly changed = new Set<string>();

  private isCurrent(transactionId: string): boolean {
    return this.periods.at(-1) === transactionId;
  }

  private current(): AppleTransaction {
    const current = this.transactions.get(this.periods.at(-1) ?? '');
    if (current === undefined) throw new Error('Nothing was ever bought.');
    return current;
  }
}
