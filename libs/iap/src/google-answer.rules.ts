import { type GoogleItem, type GoogleMoney, type GoogleSnapshot } from './google-facts.js';
import { at, instant, integer, isObject, items, millis, text } from './google-json.rules.js';

/** What Play knows of a purchase token. */
export interface GooglePurchase {
  readonly snapshot: GoogleSnapshot;
  /** The token that this purchase replaces or continues (plan change, sign-up anew, prepaid top-up). */
  readonly linkedToken: string | null;
  /**
   * The token of the expired purchase that this one, bought in Play itself, carries on, and the account that one named. Both are
   * told only until it is acknowledged.
   */
  readonly expiredToken: string | null;
  readonly expiredAccountToken: string | null;
  /** The orders that `order` can be asked about, each once. */
  readonly orderIds: readonly string[];
}

/** What Play says of an order. */
export interface GoogleOrderAnswer {
  /** As it was handed in: of two answers the one with the greater number counts. */
  readonly seq: number;
  /** What the customer paid, tax included and discounts taken off. */
  readonly total: GoogleMoney | null;
  readonly tax: GoogleMoney | null;
  /** `PROCESSED`, `PENDING`, `CANCELED`, `PENDING_REFUND`, `PARTIALLY_REFUNDED`, `REFUNDED`, or a newer word. */
  readonly state: string;
  /** What came back to the customer; null when nothing did, or Play does not say how much. */
  readonly refunded: GoogleMoney | null;
  /** When all of it came back, in milliseconds since 1970; null when it did not, or Play does not say. */
  readonly refundedAt: number | null;
  /** Milliseconds since 1970. */
  readonly createTime: number | null;
  /** ISO 3166 alpha-2, of the buyer. */
  readonly country: string | null;
  /** What was bought, and until when it was paid (milliseconds since 1970); null where Play does not say. */
  readonly productId: string | null;
  readonly basePlanId: string | null;
  readonly expiryTime: number | null;
}

/** A purchase or a renewal that was taken back. */
export interface GoogleVoided {
  readonly purchaseToken: string;
  readonly orderId: string;
  readonly at: Date;
  /** 0 other, 1 remorse, 2 not received, 3 defective, 4 by accident, 5 fraud, 6 friendly fraud, 7 chargeback, 8 not acknowledged. */
  readonly reason: number | null;
  /** 0 user, 1 developer, 2 Google. */
  readonly source: number | null;
  /** Only some of a quantity: the access stays. */
  readonly isPartial: boolean;
}

interface Asked {
  readonly seq: number;
  /** What a token is known by: `tokenKey`. */
  readonly keyOf: (purchaseToken: string) => string;
}

/** An answer of purchases.subscriptionsv2.get; null when it is none. */
export function readSubscription(data: unknown, { seq, keyOf }: Asked): GooglePurchase | null {
  const state = text(at(data, 'subscriptionState'));
  if (state === null) return null;
  const accounts = at(data, 'externalAccountIdentifiers');
  const outOfApp = at(data, 'outOfAppPurchaseContext');
  const stateName = without('SUBSCRIPTION_STATE_', state);
  const linkedToken = text(at(data, 'linkedPurchaseToken'));
  return purchaseOf(
    {
      seq,
      kind: 'subscription',
      state: stateName,
      startTime: instant(at(data, 'startTime')),
      items: withOrders(
        items(at(data, 'lineItems')).flatMap((item) => readLine(item) ?? []),
        stateName.startsWith('PENDING') ? null : text(at(data, 'latestOrderId')),
      ),
      linkedKey: linkedToken === null ? null : keyOf(linkedToken),
      isAcknowledged: isAcknowledged(data),
      isOutOfApp: isObject(outOfApp),
      accountToken: lowerCased(at(accounts, 'obfuscatedExternalAccountId')),
      isTest: isObject(at(data, 'testPurchase')),
      cancelTime: instant(at(data, 'canceledStateContext', 'userInitiatedCancellation', 'cancelTime')),
      autoResumeTime: instant(at(data, 'pausedStateContext', 'autoResumeTime')),
      regionCode: text(at(data, 'regionCode')),
    },
    {
      linkedToken,
      expiredToken: text(at(outOfApp, 'expiredPurchaseToken')),
      expiredAccountToken: lowerCased(at(outOfApp, 'expiredExternalAccountIdentifiers', 'obfuscatedExternalAccountId')),
    },
  );
}

/** An answer of purchases.productsv2.getproductpurchasev2; null when it is none. */
export function readProduct(data: unknown, { seq }: Asked): GooglePurchase | null {
  const state = text(at(data, 'purchaseStateContext', 'purchaseState'));
  if (state === null) return null;
  const orderId = text(at(data, 'orderId'));
  return purchaseOf(
    {
      seq,
      kind: 'product',
      state: without('PURCHASE_STATE_', state),
      startTime: instant(at(data, 'purchaseCompletionTime')),
      items: items(at(data, 'productLineItem')).flatMap((item) => readProductLine(item, orderId) ?? []),
      linkedKey: null,
      isAcknowledged: isAcknowledged(data),
      accountToken: lowerCased(at(data, 'obfuscatedExternalAccountId')),
      isTest: isObject(at(data, 'testPurchaseContext')),
      cancelTime: null,
      autoResumeTime: null,
      regionCode: text(at(data, 'regionCode')),
    },
    { linkedToken: null, expiredToken: null, expiredAccountToken: null },
  );
}

/** An answer of orders.get; null when it is none. */
export function readOrder(data: unknown, seq: number): GoogleOrderAnswer | null {
  const state = text(at(data, 'state'));
  if (state === null) return null;
  const [line] = items(at(data, 'lineItems'));
  return {
    seq,
    total: readMoney(at(data, 'total')),
    tax: readMoney(at(data, 'tax')),
    state,
    refunded: readRefunded(at(data, 'orderHistory')),
    refundedAt: instant(at(data, 'orderHistory', 'refundEvent', 'eventTime')),
    createTime: instant(at(data, 'createTime')),
    country: text(at(data, 'buyerAddress', 'buyerCountry')),
    productId: text(at(line, 'productId')),
    basePlanId: text(at(line, 'subscriptionDetails', 'basePlanId')),
    expiryTime: instant(at(line, 'subscriptionDetails', 'servicePeriodEndTime')),
  };
}

/** The orders of a subscription before this one, the newest first: `GPA.1` is the first, and its renewals are `GPA.1..0`, `GPA.1..1`. */
export function ordersBefore(orderId: string): readonly string[] {
  const [, first, number] = /^(.+?)\.\.(\d{1,4})$/.exec(orderId) ?? [];
  if (first === undefined || number === undefined) return [];
  const renewals = Array.from({ length: Number(number) }, (_, index) => `${first}..${Number(number) - 1 - index}`);
  return [...renewals, first];
}

/** One entry of voidedpurchases.list; null when it names no order. */
export function readVoided(entry: unknown): GoogleVoided | null {
  const purchaseToken = text(at(entry, 'purchaseToken'));
  const orderId = text(at(entry, 'orderId'));
  const voided = millis(at(entry, 'voidedTimeMillis'));
  if (purchaseToken === null || orderId === null || voided === null) return null;
  return {
    purchaseToken,
    orderId,
    at: new Date(voided),
    reason: integer(at(entry, 'voidedReason')),
    source: integer(at(entry, 'voidedSource')),
    // Said only of a part of a quantity.
    isPartial: integer(at(entry, 'voidedQuantity')) !== null,
  };
}

/**
 * Google's Money as a decimal string with at least two digits after the point: `units` and `nanos` (10^-9) have the same sign. Nobody pays
 * less than nothing, or more than the ledger has room for: such a figure is none, and harms nothing but itself.
 */
export function readMoney(money: unknown): GoogleMoney | null {
  const currency = text(at(money, 'currencyCode'));
  const units = at(money, 'units') ?? '0';
  const nanos = integer(at(money, 'nanos') ?? 0);
  if (currency === null || !/^[A-Z]{3}$/.test(currency) || nanos === null || Math.abs(nanos) >= NANOS) return null;
  if ((typeof units !== 'string' && typeof units !== 'number') || !/^-?\d{1,11}$/.test(String(units))) return null;
  const amount = BigInt(units) * BigInt(NANOS) + BigInt(nanos);
  return amount < 0n ? null : { amount: decimal(amount), currency };
}

const NANOS = 1_000_000_000;

function decimal(nanos: bigint): string {
  const digits = nanos.toString().padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0{1,7}$/, '');
  return `${digits.slice(0, -9)}.${fraction}`;
}

function purchaseOf(
  snapshot: GoogleSnapshot,
  others: Pick<GooglePurchase, 'linkedToken' | 'expiredToken' | 'expiredAccountToken'>,
): GooglePurchase {
  return { snapshot, ...others, orderIds: [...new Set(snapshot.items.flatMap(({ orderId }) => orderId ?? []))] };
}

function readLine(item: unknown): GoogleItem | null {
  const productId = text(at(item, 'productId'));
  if (productId === null) return null;
  const plan = at(item, 'autoRenewingPlan');
  return {
    productId,
    basePlanId: text(at(item, 'offerDetails', 'basePlanId')),
    offerId: text(at(item, 'offerDetails', 'offerId')),
    expiryTime: instant(at(item, 'expiryTime')),
    orderId: text(at(item, 'latestSuccessfulOrderId')),
    // False is left out of Google's JSON.
    autoRenews: isObject(plan) ? at(plan, 'autoRenewEnabled') === true : null,
    phase: readPhase(at(item, 'offerPhase')),
    price: readMoney(at(plan, 'recurringPrice')),
    replacementProductId: text(at(item, 'deferredItemReplacement', 'productId')),
  };
}

/**
 * Older answers name the order for all lines at once. That one may also be an order that was declined, so it counts only where no line
 * names its own; the order itself says what became of it.
 */
function withOrders(lines: readonly GoogleItem[], latestOrderId: string | null): readonly GoogleItem[] {
  if (latestOrderId === null || lines.some(({ orderId }) => orderId !== null)) return lines;
  return lines.map((line) => (line.expiryTime === null ? line : { ...line, orderId: latestOrderId }));
}

function readProductLine(item: unknown, orderId: string | null): GoogleItem | null {
  const productId = text(at(item, 'productId'));
  if (productId === null) return null;
  const bought = integer(at(item, 'productOfferDetails', 'quantity')) ?? 1;
  // What is left of it after some were given back; left out when nothing is, which the state says.
  const left = integer(at(item, 'productOfferDetails', 'refundableQuantity')) ?? bought;
  const quantity = Math.max(Math.min(bought, left), 1);
  return {
    ...(quantity === 1 ? {} : { quantity }),
    productId,
    basePlanId: text(at(item, 'productOfferDetails', 'purchaseOptionId')),
    offerId: text(at(item, 'productOfferDetails', 'offerId')),
    expiryTime: null,
    orderId,
    autoRenews: null,
    phase: null,
    price: null,
    replacementProductId: null,
  };
}

const PHASES = {
  freeTrial: 'trial',
  introductoryPrice: 'introductory',
  prorationPeriod: 'proration',
  basePrice: 'base',
} as const;

function readPhase(phase: unknown): GoogleItem['phase'] {
  for (const [name, word] of Object.entries(PHASES)) if (isObject(at(phase, name))) return word;
  return null;
}

/** The whole, when all came back; else the sum of the parts that did. */
function readRefunded(history: unknown): GoogleMoney | null {
  const whole = readMoney(at(history, 'refundEvent', 'refundDetails', 'total'));
  if (whole !== null) return whole;
  const parts = items(at(history, 'partialRefundEvents'))
    .filter((event) => at(event, 'state') !== 'PENDING')
    .flatMap((event) => readMoney(at(event, 'refundDetails', 'total')) ?? []);
  const [first] = parts;
  if (first === undefined) return null;
  const total = parts.reduce((sum, { amount }) => sum + nanosOf(amount), 0n);
  return { amount: decimal(total), currency: first.currency };
}

function nanosOf(amount: string): bigint {
  const [units = '0', fraction = ''] = amount.split('.');
  return BigInt(`${units}${fraction.padEnd(9, '0')}`);
}

function isAcknowledged(data: unknown): boolean {
  return at(data, 'acknowledgementState') === 'ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED';
}

function lowerCased(value: unknown): string | null {
  return text(value)?.toLowerCase() ?? null;
}

function without(prefix: string, value: string): string {
  return value.startsWith(prefix) ? value.slice(prefix.length) : value;
}
