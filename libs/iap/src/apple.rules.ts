import { addDays, DAY_MS, type Money } from '#kernel';
import { type StorePayment } from '#payments';
import { moneyOfParts, partsOfMoney, shareOf } from './amount.rules.js';
import {
  type AppleFacts,
  type AppleNews,
  type AppleRenewal,
  type AppleTransaction,
  type Succession,
} from './apple-facts.js';
import { later, mergeById } from './facts.rules.js';
import { type Catalogue, type ProductTerms, type Standing } from './purchase.js';
import { NOTHING_BOUGHT } from './standing.rules.js';

/** All of it, in thousandths of a percent. */
const WHOLE = 100_000;
/** Apple counts money in thousandths of a unit, whatever the currency. */
const DIGITS = 3;
const ENDED_REASONS: Readonly<Record<number, string>> = {
  1: 'voluntary',
  2: 'billing',
  3: 'price_increase',
  4: 'product_not_for_sale',
  5: 'other',
};

/** What Apple sets no end to, and may be had for a time all the same. */
const ENDLESS_TYPES: ReadonlySet<string> = new Set(['Non-Renewing Subscription', 'Consumable']);

export const NOTHING_OF_APPLE: AppleFacts = { provider: 'apple', transactions: [], renewal: null };

/** Adds news to what is known. Order and number of the news make no difference: of two forms the one signed later counts. */
export function mergeApple(facts: AppleFacts, news: AppleNews): AppleFacts {
  const signed = (value: { readonly signedDate: number }): number => value.signedDate;
  return {
    provider: 'apple',
    transactions: mergeById(facts.transactions, news.transactions, ({ transactionId }) => transactionId, signed),
    renewal: news.renewals.reduce<AppleRenewal | null>((known, news) => later(known, news, signed), facts.renewal),
    ...(facts.supersededBy === undefined ? {} : { supersededBy: facts.supersededBy }),
  };
}

/** Adds that another purchase carries this one on. */
export function supersedeApple(facts: AppleFacts, by: Succession): AppleFacts {
  return { ...facts, supersededBy: later(facts.supersededBy ?? null, by, ({ at }) => at) };
}

/** One paid period, with the other ids that Apple has it under. */
interface PaidPeriod extends AppleTransaction {
  readonly otherIds?: readonly string[];
}

/**
 * What was paid for, each period once, by time. Apple may have one under several ids, after a restore or on a second device: it is
 * known by the first of them, is as the one that was signed last says, and was taken back when any of them was.
 */
function paidPeriods(transactions: readonly AppleTransaction[]): readonly PaidPeriod[] {
  const groups = new Map<string, AppleTransaction[]>();
  const alone = transactions.filter(({ webOrderLineItemId }) => webOrderLineItemId === undefined);
  for (const transaction of transactions) {
    const { webOrderLineItemId: item } = transaction;
    if (item !== undefined) groups.set(item, [...(groups.get(item) ?? []), transaction]);
  }
  return [...alone, ...[...groups.values()].map(onePeriod)].toSorted(byTime);
}

function onePeriod(group: readonly AppleTransaction[]): PaidPeriod {
  const bySigning = group.toSorted((left, right) => left.signedDate - right.signedDate || byId(left, right));
  const latest = bySigning.at(-1);
  const [first, ...others] = group.toSorted(byId).map(({ transactionId }) => transactionId);
  if (latest === undefined || first === undefined) throw new Error('A period has a transaction');
  if (others.length === 0) return latest;
  const revoked = bySigning.findLast(({ revocationDate }) => revocationDate !== null) ?? latest;
  const { revocationDate, revocationReason, revocationType, revocationPercentage } = revoked;
  return {
    ...latest,
    transactionId: first,
    otherIds: others,
    isUpgraded: group.some(({ isUpgraded }) => isUpgraded),
    revocationDate,
    revocationReason,
    revocationType,
    revocationPercentage,
  };
}

/** When what is had by a transaction ends; null = never. */
export function endOfTransaction(transaction: AppleTransaction, terms: ProductTerms | null): Date | null {
  return endOf(transaction, terms);
}

/** What follows from the facts at an instant. Time alone only ever takes access away. */
export function deriveApple(facts: AppleFacts, catalogue: Catalogue, at: Date): Standing {
  const current = currentOf(facts);
  if (current === null) return facts.supersededBy == null ? NOTHING_BOUGHT : { ...NOTHING_BOUGHT, state: 'superseded' };
  const terms = catalogue(current.productId, null);
  const renewal = renewalOf(facts, current);
  const endsAt = endOf(current, terms);
  const isRenewable = current.expiresDate !== null;
  const graceUntil = graceOf(current, renewal);
  const standing = {
    tariffId: terms?.tariffId ?? null,
    productId: current.productId,
    basePlanId: null,
    startedAt: new Date(startOf(facts)),
    periodStartedAt: new Date(periodStartOf(facts, current, at)),
    nextPeriodAt: nextPeriodOf(facts, at),
    endsAt,
    accessUntil: graceUntil ?? endsAt,
    graceUntil,
    autoRenewing: isRenewable && renewal?.willRenew !== false,
    isTrial: current.offerDiscountType === 'FREE_TRIAL',
    cancelledAt: renewal?.willRenew === false ? new Date(renewal.signedDate) : null,
    pendingTariffId: pendingTariffOf(current, renewal, catalogue),
    endedReason: null,
  };
  const over = { ...standing, autoRenewing: false, pendingTariffId: null };
  // What was bought after it was carried on is a purchase again.
  if (facts.supersededBy != null && current.purchaseDate <= facts.supersededBy.at) {
    return { ...over, state: 'superseded', endedReason: 'replaced' };
  }
  if (current.revocationDate !== null) {
    const revokedAt = new Date(current.revocationDate);
    const isFamily = isFamilyMatter(current);
    return {
      ...over,
      state: isFamily ? 'revoked' : 'refunded',
      accessUntil: revokedAt,
      graceUntil: null,
      endedReason: isFamily ? 'family_sharing_ended' : refundReason(current),
    };
  }
  if (endsAt === null || at < endsAt) {
    if (isRenewable && renewal?.willRenew === false) return { ...standing, state: 'cancelled' };
    return { ...standing, state: standing.isTrial ? 'trial' : 'active' };
  }
  if (isRenewable && renewal?.isInBillingRetry === true) {
    return { ...standing, state: graceUntil !== null && at < graceUntil ? 'grace' : 'retry' };
  }
  const endedReason = ENDED_REASONS[renewal?.expirationIntent ?? 0] ?? null;
  return { ...over, state: 'expired', endedReason };
}

/** The money that moved: one payment for each transaction that was paid for by the family member who bought it. */
export function paymentsOfApple(facts: AppleFacts, catalogue: Catalogue): readonly StorePayment[] {
  const all = paidPeriods(facts.transactions.filter(({ ownership }) => ownership !== 'FAMILY_SHARED'));
  return all.map((transaction, index) => {
    const terms = catalogue(transaction.productId, null);
    const isTrial = transaction.offerDiscountType === 'FREE_TRIAL';
    const paid = transaction.price ?? (isTrial ? 0 : null);
    const amount = paid === null ? (terms?.price ?? '0.00') : moneyOfParts(BigInt(paid), DIGITS);
    const refund = refundOf(transaction, amount);
    const [previous, next] = [all[index - 1], all[index + 1]];
    return {
      reference: transaction.transactionId,
      ...(transaction.otherIds === undefined ? {} : { otherReferences: transaction.otherIds }),
      formerReference: null,
      kind: kindOf(transaction, previous),
      amount,
      currency: transaction.currency ?? terms?.currency ?? 'USD',
      status: refund === null || isMadeUpFor(transaction) ? 'completed' : 'refunded',
      paidAt: new Date(transaction.purchaseDate),
      periodStart: new Date(transaction.purchaseDate),
      periodEnd: endOf(transaction, terms),
      productId: transaction.productId,
      tariffId: terms?.tariffId ?? null,
      isTrial,
      isEstimated: paid === null,
      country: transaction.storefront,
      refund,
      supersededByReference: next !== undefined && isReplaced(transaction, next) ? next.transactionId : null,
    };
  });
}

/**
 * The transaction that says what is had now: the latest that no upgrade took the place of. A renewal that was charged early and
 * refunded before its period began takes nothing of the period that runs.
 */
export function currentOf({ transactions }: AppleFacts): AppleTransaction | null {
  const lasting = paidPeriods(transactions).filter(({ isUpgraded }) => !isUpgraded);
  return lasting.findLast((transaction) => !wasRefundedUnused(transaction)) ?? lasting.at(-1) ?? null;
}

function wasRefundedUnused({ revocationDate, revocationType, purchaseDate, ownership }: AppleTransaction): boolean {
  const isRefund = ownership === 'PURCHASED' && (revocationType ?? 'REFUND_').startsWith('REFUND_');
  return isRefund && revocationDate !== null && revocationDate < purchaseDate;
}

/** Whether its end is the end of sharing rather than of a payment. */
function isFamilyMatter({ revocationType, ownership }: AppleTransaction): boolean {
  return revocationType === 'FAMILY_REVOKE' || ownership === 'FAMILY_SHARED';
}

function startOf({ transactions }: AppleFacts): number {
  return Math.min(...transactions.map(({ purchaseDate }) => purchaseDate));
}

/** A renewal may be charged a day early: the period that runs is the latest that has begun. */
function periodStartOf({ transactions }: AppleFacts, current: AppleTransaction, at: Date): number {
  const begun = transactions.filter(({ isUpgraded, purchaseDate }) => !isUpgraded && purchaseDate <= at.getTime());
  return begun.toSorted(byTime).at(-1)?.purchaseDate ?? current.purchaseDate;
}

/** When the renewal begins that was charged before the period that runs is over; it needs no news to begin. */
function nextPeriodOf({ transactions }: AppleFacts, at: Date): Date | null {
  const coming = transactions.filter(
    (transaction) =>
      !transaction.isUpgraded && transaction.revocationDate === null && transaction.purchaseDate > at.getTime(),
  );
  const [first] = coming.toSorted(byTime);
  return first === undefined || coming.length === transactions.length ? null : new Date(first.purchaseDate);
}

/**
 * Null = for life. What Apple sets no end to lasts as its tariff says; of a consumable nothing lasts unless a tariff says so, and of
 * a type that we have never heard of nothing does.
 */
function endOf({ type, expiresDate, purchaseDate }: AppleTransaction, terms: ProductTerms | null): Date | null {
  if (expiresDate !== null) return new Date(expiresDate);
  if (type === 'Non-Consumable') return null;
  const bought = new Date(purchaseDate);
  if (terms === null || !ENDLESS_TYPES.has(type)) return bought;
  return terms.kind === 'lifetime' || terms.durationDays === 0 ? null : addDays(bought, terms.durationDays);
}

/**
 * What is to come after the current transaction; null when nothing is known of that. What was signed before it was bought is about
 * the period before it: a failed charge, a cancellation that the customer has since thought better of. A renewal that is charged
 * early is signed up to a day before the period that it pays for.
 */
function renewalOf({ renewal }: AppleFacts, { purchaseDate }: AppleTransaction): AppleRenewal | null {
  return renewal === null || renewal.signedDate < purchaseDate - DAY_MS ? null : renewal;
}

/** Until when a failed charge does no harm; null where none failed, or the grace is that of an earlier period. */
function graceOf({ expiresDate }: AppleTransaction, renewal: AppleRenewal | null): Date | null {
  const until = renewal?.isInBillingRetry === true ? renewal.gracePeriodExpiresDate : null;
  return expiresDate === null || until === null || until <= expiresDate ? null : new Date(until);
}

function pendingTariffOf(current: AppleTransaction, renewal: AppleRenewal | null, catalogue: Catalogue): number | null {
  const next = renewal?.autoRenewProductId ?? null;
  if (next === null || next === current.productId || renewal?.willRenew === false) return null;
  return catalogue(next, null)?.tariffId ?? null;
}

function kindOf(transaction: AppleTransaction, previous: AppleTransaction | undefined): StorePayment['kind'] {
  if (transaction.expiresDate === null) return 'one_time';
  if (previous !== undefined && isReplaced(previous, transaction)) return 'upgrade';
  if (transaction.transactionReason !== null) {
    return transaction.transactionReason === 'RENEWAL' ? 'renewal' : 'purchase';
  }
  return previous === undefined ? 'purchase' : 'renewal';
}

/**
 * Whether the next transaction took the place of this one. Of an upgrade Apple tells the new transaction at once, and only later, if
 * at all, that the old one was given up for it; but another product that is bought while a period runs can only be that.
 */
function isReplaced(transaction: AppleTransaction, next: AppleTransaction): boolean {
  if (transaction.isUpgraded) return true;
  const { expiresDate, revocationDate, productId } = transaction;
  const runsUntil = Math.min(expiresDate ?? Number.NEGATIVE_INFINITY, revocationDate ?? Number.POSITIVE_INFINITY);
  return next.purchaseDate < runsUntil && next.productId !== productId && next.transactionReason === 'PURCHASE';
}

/** What came back of an amount, at the instant it did; null when nothing did. */
function refundOf(transaction: AppleTransaction, amount: Money): StorePayment['refund'] {
  const { revocationDate, revocationPercentage } = transaction;
  if (revocationDate === null || transaction.revocationType === 'FAMILY_REVOKE') return null;
  if (isMadeUpFor(transaction) && revocationPercentage === null) return null;
  const share = BigInt(revocationPercentage ?? WHOLE);
  return {
    amount: moneyOfParts(shareOf(partsOfMoney(amount, DIGITS), share), DIGITS),
    at: new Date(revocationDate),
    reason: refundReason(transaction),
  };
}

/** An upgrade gives back what was left of the period it cuts short: that period was paid, unless all of it was refunded. */
function isMadeUpFor({ isUpgraded, revocationType }: AppleTransaction): boolean {
  return isUpgraded && revocationType !== 'REFUND_FULL';
}

function refundReason({ revocationReason }: AppleTransaction): string {
  return revocationReason === 1 ? 'app_issue' : 'other';
}

function byTime(left: AppleTransaction, right: AppleTransaction): number {
  return (
    left.purchaseDate - right.purchaseDate ||
    (left.expiresDate ?? Number.MAX_SAFE_INTEGER) - (right.expiresDate ?? Number.MAX_SAFE_INTEGER) ||
    byId(left, right)
  );
}

function byId(left: AppleTransaction, right: AppleTransaction): number {
  return left.transactionId.length - right.transactionId.length || (left.transactionId < right.transactionId ? -1 : 1);
}
