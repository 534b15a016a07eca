import { addDays, addSeconds } from '#kernel';
import { type StorePayment } from '#payments';
import { type SubscriptionState } from '#subscriptions';
import { later, mergeById } from './facts.rules.js';
import {
  type GoogleFacts,
  type GoogleItem,
  type GoogleOrder,
  type GoogleReplaced,
  type GoogleSnapshot,
  type GoogleVoid,
} from './google-facts.js';
import { type Catalogue, type ProductTerms, type Standing } from './purchase.js';
import { NOTHING_BOUGHT } from './standing.rules.js';

/**
 * For up to 24 h after a failed renewal, 48 h before a hold, Play goes on saying ACTIVE with an end in the past and sends nothing:
 * an auto-renewing subscription goes on for so long.
 */
const SILENT_GRACE_SECONDS = 48 * 3600;

/** Play answers for a subscription until 60 days after its end; a day less, because its clock and ours may differ. */
export const FORGOTTEN_AFTER_DAYS = 59;
/** What was bought anew when the one before had ended at least this long ago is no change of the plan. */
const PAUSE_DAYS = 1;

export const NOTHING_OF_GOOGLE: GoogleFacts = {
  provider: 'google',
  snapshot: null,
  orders: [],
  voids: [],
  revokedAt: null,
  supersededBy: null,
};

/** Far above every counter of ours and every instant in milliseconds, and twice it is still an exact number. */
const OUTWEIGHS = 4e15;

/** Adds what was learnt to what is known. Order and repetition make no difference; what was voided, revoked or replaced stays so. */
export function mergeGoogle(facts: GoogleFacts, news: Partial<GoogleFacts>): GoogleFacts {
  const asked = (value: { readonly seq: number }): number => value.seq;
  // An answer beats that there was none: what was paid is not forgotten when we may no longer ask.
  const answered = ({ state, seq }: GoogleOrder): number => (state === null ? 0 : OUTWEIGHS) + seq;
  // All of it beats a part, then a reason beats none, then the first time counts.
  const weight = ({ isPartial, reason, at }: GoogleVoid): number =>
    (isPartial ? 0 : OUTWEIGHS) + (reason === null ? 0 : OUTWEIGHS / 2) - at;
  const replaced = later(facts.replaced ?? null, news.replaced ?? null, asked);
  return {
    provider: 'google',
    snapshot: later(facts.snapshot, news.snapshot ?? null, asked),
    orders: mergeById(facts.orders, news.orders ?? [], ({ orderId }) => orderId, answered),
    voids: mergeById(facts.voids, news.voids ?? [], ({ orderId }) => orderId, weight),
    revokedAt: earliest(facts.revokedAt, news.revokedAt ?? null),
    supersededBy: [facts.supersededBy, news.supersededBy ?? null].reduce((one, other) =>
      one === null || (other !== null && other > one) ? other : one,
    ),
    ...(replaced === null ? {} : { replaced }),
  };
}

/** What a purchase takes over from the one whose place it takes: which orders were taken back, whichever token names them, and what that one was. */
export function inheritedFrom({ snapshot, voids }: GoogleFacts): Partial<GoogleFacts> {
  if (snapshot === null || snapshot.items.length === 0) return { voids };
  const owned = ownedItems(snapshot);
  const ends = owned.flatMap(({ expiryTime }) => expiryTime ?? []);
  const replaced: GoogleReplaced = {
    seq: snapshot.seq,
    plans: owned.map(({ productId, basePlanId }) => ({ productId, basePlanId })),
    isPrepaid: owned.every(({ autoRenews }) => autoRenews === null),
    endedAt: ends.length === 0 ? null : Math.max(...ends),
  };
  return { voids, replaced };
}

/** Whether Play can be believed that it forgot a purchase: one that is not long over it must know, so that it says so is a fault. */
export function isLongOver({ snapshot, supersededBy }: GoogleFacts, at: Date): boolean {
  if (snapshot === null || supersededBy !== null || snapshot.state === 'PENDING_PURCHASE_CANCELED') return true;
  if (snapshot.kind === 'product') return snapshot.state === 'CANCELLED';
  const end = Math.max(snapshot.startTime ?? 0, ...snapshot.items.flatMap(({ expiryTime }) => expiryTime ?? []));
  return at >= addDays(new Date(end), FORGOTTEN_AFTER_DAYS);
}

const SUBSCRIPTION_STATES: ReadonlySet<string> = new Set([
  'ACTIVE',
  'CANCELED',
  'IN_GRACE_PERIOD',
  'ON_HOLD',
  'PAUSED',
  'PENDING',
  'PENDING_PURCHASE_CANCELED',
  'EXPIRED',
]);
const PRODUCT_STATES: ReadonlySet<string> = new Set(['PURCHASED', 'PENDING', 'CANCELLED']);

/** Whether the word that Play has for the state is one that is understood here. */
export function isKnownState({ kind, state }: GoogleSnapshot): boolean {
  return (kind === 'product' ? PRODUCT_STATES : SUBSCRIPTION_STATES).has(state);
}

/**
 * Whether an order need not be asked about again: it is known what was paid, that it was, and of what was taken back how much came
 * back, which only the order says.
 */
export function isOrderSettled({ orderId, state, total }: GoogleOrder, voids: readonly GoogleVoid[]): boolean {
  if (total === null || state === null || state === 'PENDING' || state === 'PENDING_REFUND') return false;
  const voided = voids.find((one) => one.orderId === orderId);
  return voided === undefined || (!voided.isPartial && state !== 'PROCESSED');
}

/** Whether an amount is not what Play says was paid, because Play would not say. */
export function hasEstimate({ orders }: GoogleFacts): boolean {
  return orders.some(({ total, phase }) => total === null && phase !== 'trial');
}

/** What follows from the facts at an instant. Time alone only ever takes access away. */
export function deriveGoogle(facts: GoogleFacts, catalogue: Catalogue, at: Date): Standing {
  const { snapshot } = facts;
  const candidates =
    snapshot === null ? [] : ownedItems(snapshot).map((item) => standingOf(facts, snapshot, item, catalogue, at));
  const [best] = candidates.toSorted((left, right) => right.rank - left.rank || compareEnds(right, left));
  if (best !== undefined) return best.standing;
  return { ...NOTHING_BOUGHT, state: facts.supersededBy === null ? 'pending' : 'superseded' };
}

/**
 * The money that moved: one payment for each order; one named after the purchase where Play has no order for it, dated `learntAt`
 * while Play gives no time either. The first order was that payment before it had an id.
 */
export function paymentsOfGoogle(
  facts: GoogleFacts,
  key: string,
  catalogue: Catalogue,
  learntAt: Date,
): readonly StorePayment[] {
  const { snapshot, orders } = facts;
  if (snapshot === null) return [];
  const [item] = ownedItems(snapshot);
  if (orders.length === 0) {
    const isOrderAwaited = snapshot.items.some(({ orderId }) => orderId !== null);
    return item === undefined || isOrderAwaited
      ? []
      : [paymentWithoutOrder(facts, snapshot, item, key, catalogue, learntAt)];
  }
  const inTime = orders.toSorted(
    (left, right) => left.createTime - right.createTime || (left.orderId < right.orderId ? -1 : 1),
  );
  return inTime.map((order, index) => ({
    ...paymentOfOrder(facts, snapshot, order, inTime[index - 1], catalogue),
    formerReference: index === 0 ? withoutOrder(key) : null,
  }));
}

interface Candidate {
  readonly standing: Standing;
  /** Mapped before unmapped, access before none, then the tariff's rank. */
  readonly rank: number;
}

function standingOf(
  facts: GoogleFacts,
  snapshot: GoogleSnapshot,
  item: GoogleItem,
  catalogue: Catalogue,
  at: Date,
): Candidate {
  const terms = catalogue(item.productId, item.basePlanId);
  const startedAt = snapshot.startTime === null ? null : new Date(snapshot.startTime);
  const endsAt = endOf(snapshot, item, terms);
  const renews = item.autoRenews === true || item.replacementProductId !== null;
  const goesOn = snapshot.state === 'ACTIVE' && renews && item.expiryTime !== null && endsAt !== null;
  const accessUntil = goesOn ? addSeconds(endsAt, SILENT_GRACE_SECONDS) : endsAt;
  const { state, endedReason } = stateOf(facts, snapshot, item, accessUntil, at);
  const isOver = ['expired', 'refunded', 'revoked', 'superseded', 'void'].includes(state);
  const grants = ['trial', 'active', 'cancelled', 'grace'].includes(state);
  const order = facts.orders.find(({ orderId }) => orderId === item.orderId);
  return {
    rank: (terms === null ? 0 : 2e9) + (grants ? 1e9 : 0) + (terms?.rank ?? 0),
    standing: {
      state,
      tariffId: terms?.tariffId ?? null,
      productId: item.productId,
      basePlanId: item.basePlanId,
      startedAt,
      // Where its order may not be read, periods are counted from the start by the tariff's duration.
      periodStartedAt: order === undefined ? null : new Date(order.createTime),
      nextPeriodAt: null,
      endsAt,
      accessUntil,
      graceUntil: state === 'grace' ? endsAt : null,
      autoRenewing: renews && !isOver && state !== 'cancelled',
      isTrial: item.phase === 'trial',
      cancelledAt: snapshot.cancelTime === null ? null : new Date(snapshot.cancelTime),
      pendingTariffId: isOver ? null : pendingTariffOf(snapshot, item, catalogue),
      endedReason,
    },
  };
}

/**
 * The lines that the customer has. One that takes another's place with the next renewal is listed beside it, without an end, and is not his
 * yet.
 */
function ownedItems({ kind, items }: GoogleSnapshot): readonly GoogleItem[] {
  const owned = items.filter(({ expiryTime }) => expiryTime !== null);
  return kind === 'product' || owned.length === 0 ? items : owned;
}

/** The tariff of what takes a line's place with the next renewal; its plan is that of the line that waits beside it. */
function pendingTariffOf(
  { items }: GoogleSnapshot,
  item: GoogleItem,
  catalogue: Catalogue,
): Standing['pendingTariffId'] {
  const { replacementProductId } = item;
  if (replacementProductId === null) return null;
  const waiting = items.find(
    (other) => other !== item && other.productId === replacementProductId && other.expiryTime === null,
  );
  return catalogue(replacementProductId, waiting?.basePlanId ?? null)?.tariffId ?? null;
}

function stateOf(
  facts: GoogleFacts,
  snapshot: GoogleSnapshot,
  item: GoogleItem,
  accessUntil: Date | null,
  at: Date,
): { readonly state: SubscriptionState; readonly endedReason: string | null } {
  if (facts.supersededBy !== null) return { state: 'superseded', endedReason: 'replaced' };
  const voided = facts.voids.find(({ orderId, isPartial }) => orderId === item.orderId && !isPartial);
  if (voided !== undefined) return { state: 'refunded', endedReason: voidReason(voided) };
  const state = snapshot.kind === 'product' ? productState(facts, snapshot) : subscriptionState(snapshot, item);
  const isPast = accessUntil !== null && at >= accessUntil;
  if (snapshot.kind === 'subscription' && facts.revokedAt !== null && (state === 'expired' || isPast)) {
    return { state: 'revoked', endedReason: 'revoked' };
  }
  const ends: readonly SubscriptionState[] = ['active', 'trial', 'cancelled', 'grace'];
  return { state: isPast && ends.includes(state) ? 'expired' : state, endedReason: null };
}

/** The states of subscriptionsv2. One we have never heard of grants nothing. */
function subscriptionState({ state }: GoogleSnapshot, item: GoogleItem): SubscriptionState {
  switch (state) {
    case 'ACTIVE':
      return item.phase === 'trial' ? 'trial' : 'active';
    case 'CANCELED':
      return 'cancelled';
    case 'IN_GRACE_PERIOD':
      return 'grace';
    case 'ON_HOLD':
      return 'retry';
    case 'PAUSED':
      return 'paused';
    case 'PENDING':
      return 'pending';
    case 'PENDING_PURCHASE_CANCELED':
      return 'void';
    default:
      return 'expired';
  }
}

/** The states of productsv2. One we have never heard of grants nothing, and says nothing of money. */
function productState({ orders }: GoogleFacts, snapshot: GoogleSnapshot): SubscriptionState {
  const { state } = snapshot;
  if (state === 'PURCHASED') return 'active';
  if (state === 'PENDING') return 'pending';
  if (state !== 'CANCELLED') return 'expired';
  return wasPaid(snapshot, orders) ? 'refunded' : 'void';
}

/** Null = for life: a one-time product lasts as its tariff says. A subscription without an end is none. */
function endOf({ kind, startTime }: GoogleSnapshot, item: GoogleItem, terms: ProductTerms | null): Date | null {
  if (item.expiryTime !== null) return new Date(item.expiryTime);
  const bought = new Date(startTime ?? 0);
  if (kind === 'subscription') return bought;
  return terms === null || terms.kind === 'lifetime' || terms.durationDays === 0
    ? null
    : addDays(bought, terms.durationDays * (item.quantity ?? 1));
}

/** What a payment is called that Play has no order for. */
function withoutOrder(key: string): string {
  return `token:${key}`;
}

function paymentWithoutOrder(
  facts: GoogleFacts,
  snapshot: GoogleSnapshot,
  item: GoogleItem,
  key: string,
  catalogue: Catalogue,
  learntAt: Date,
): StorePayment {
  const terms = catalogue(item.productId, item.basePlanId);
  const isPending = snapshot.state === 'PENDING';
  const isDead = ['PENDING_PURCHASE_CANCELED', 'CANCELLED'].includes(snapshot.state);
  const listed = item.price ?? (terms === null ? null : { amount: terms.price, currency: terms.currency });
  const price = isPending || isDead ? listed : null; // without an order nothing is charged: a promo code
  return {
    reference: withoutOrder(key),
    formerReference: null,
    kind: firstKind(facts, snapshot, item),
    amount: price?.amount ?? '0.00',
    currency: (price ?? listed)?.currency ?? 'USD',
    status: isPending ? 'pending' : isDead ? 'failed' : 'completed',
    paidAt: snapshot.startTime === null ? learntAt : new Date(snapshot.startTime),
    periodStart: null,
    periodEnd: null,
    productId: item.productId,
    tariffId: terms?.tariffId ?? null,
    isTrial: item.phase === 'trial',
    isEstimated: isPending || isDead,
    country: snapshot.regionCode,
    refund: null,
    supersededByReference: null,
  };
}

function paymentOfOrder(
  facts: GoogleFacts,
  snapshot: GoogleSnapshot,
  order: GoogleOrder,
  previous: GoogleOrder | undefined,
  catalogue: Catalogue,
): StorePayment {
  const terms = catalogue(order.productId, order.basePlanId);
  const isTrial = order.phase === 'trial';
  const currency = order.price?.currency ?? terms?.currency ?? 'USD';
  const estimate = isTrial ? { amount: '0.00', currency } : order.price;
  const paid = order.total ?? estimate ?? { amount: terms?.price ?? '0.00', currency };
  const refund = refundOf(facts, order, paid.amount);
  return {
    reference: order.orderId,
    formerReference: null,
    kind: orderKind(facts, snapshot, order),
    amount: paid.amount,
    currency: paid.currency,
    status: orderStatus(facts, snapshot, order),
    paidAt: new Date(order.createTime),
    // A renewal pays from the end of the period before it on; one that comes after a hold, from when it was paid.
    periodStart: new Date(Math.max(previous?.expiryTime ?? 0, order.createTime)),
    periodEnd: order.expiryTime === null ? null : new Date(order.expiryTime),
    productId: order.productId,
    tariffId: terms?.tariffId ?? null,
    isTrial,
    isEstimated: order.total === null && !isTrial,
    country: snapshot.regionCode,
    refund,
    supersededByReference: null,
  };
}

/** Renewals are numbered after the first order: `GPA.1-2-3..0`, `..1`. */
function orderKind(facts: GoogleFacts, snapshot: GoogleSnapshot, order: GoogleOrder): StorePayment['kind'] {
  return snapshot.kind === 'subscription' && /\.\.\d+$/.test(order.orderId)
    ? 'renewal'
    : firstKind(facts, snapshot, order);
}

/** A linked purchase carries on the one before: with another plan, for one more prepaid period, or as the same bought again. */
function firstKind(
  { replaced }: GoogleFacts,
  { kind, linkedKey, startTime }: GoogleSnapshot,
  bought: Pick<GoogleOrder, 'productId' | 'basePlanId'>,
): StorePayment['kind'] {
  if (kind === 'product') return 'one_time';
  if (linkedKey === null) return 'purchase';
  if (replaced == null) return 'upgrade';
  const isSamePlan = replaced.plans.some(
    ({ productId, basePlanId }) => productId === bought.productId && basePlanId === bought.basePlanId,
  );
  if (isSamePlan) return replaced.isPrepaid ? 'renewal' : 'purchase';
  const hadEnded =
    startTime !== null &&
    replaced.endedAt !== null &&
    startTime >= addDays(new Date(replaced.endedAt), PAUSE_DAYS).getTime();
  return hadEnded ? 'purchase' : 'upgrade';
}

function orderStatus({ voids }: GoogleFacts, snapshot: GoogleSnapshot, order: GoogleOrder): StorePayment['status'] {
  const { orderId, state } = order;
  if (voids.some((voided) => voided.orderId === orderId && !voided.isPartial) || state === 'REFUNDED')
    return 'refunded';
  if (state === 'CANCELED') return 'failed';
  if (state !== null && state !== 'PENDING') return 'completed';
  // The order says nothing (we may not ask), or that it waits: what became of the purchase is asked by itself.
  if (snapshot.state === 'PENDING_PURCHASE_CANCELED') return 'failed';
  if (snapshot.kind === 'product' && snapshot.state === 'CANCELLED')
    return wasPaid(snapshot, [order]) ? 'refunded' : 'failed';
  return state === 'PENDING' || snapshot.state === 'PENDING' ? 'pending' : 'completed';
}

/** What its order says; where that says nothing: Play dates a one-time product once it is paid. */
function wasPaid({ startTime }: GoogleSnapshot, orders: readonly GoogleOrder[]): boolean {
  const states = orders.flatMap(({ state }) => state ?? []);
  return states.length === 0 ? startTime !== null : states.some((state) => state !== 'PENDING' && state !== 'CANCELED');
}

function refundOf({ voids }: GoogleFacts, order: GoogleOrder, amount: string): StorePayment['refund'] {
  const voided = voids.find(({ orderId }) => orderId === order.orderId);
  if (voided === undefined && order.refunded === null && order.state !== 'REFUNDED') return null;
  const whole = voided?.isPartial === false || order.state === 'REFUNDED';
  return {
    amount: order.refunded?.amount ?? (whole ? amount : '0.00'),
    at: new Date(voided?.at ?? order.createTime),
    reason: voided === undefined ? null : voidReason(voided),
  };
}

/** Play's `voidedReason` numbers, as far as they concern us. */
function voidReason({ reason }: GoogleVoid): string {
  if (reason === 7) return 'chargeback';
  return reason === 8 ? 'unacknowledged' : 'refund';
}

function earliest(left: number | null, right: number | null): number | null {
  return left === null || right === null ? (left ?? right) : Math.min(left, right);
}

function compareEnds(left: Candidate, right: Candidate): number {
  const end = ({ standing }: Candidate): number => standing.accessUntil?.getTime() ?? Number.MAX_SAFE_INTEGER;
  return end(left) - end(right);
}
