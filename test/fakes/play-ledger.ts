import { randomBytes } from 'node:crypto';

/** A real-time developer notification: what it is about, and the JSON that Pub/Sub would carry. */
export interface Rtdn {
  readonly purchaseToken: string;
  /** The order it is about, or the latest of the purchase; null when there is none. */
  readonly orderId: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface SubscribeOptions {
  readonly productId: string;
  readonly basePlanId?: string;
  readonly offerId?: string;
  /** `obfuscatedExternalAccountId` */
  readonly accountToken?: string;
  /** What a period costs, as a decimal string; 9.99 unless told. */
  readonly price?: string;
  readonly currency?: string;
  /** What is paid at once, where that is not the price: a plan change within a period. */
  readonly firstPrice?: string;
  /** Length of a period, in days; 30 unless told. */
  readonly periodDays?: number;
  readonly trial?: boolean;
  /** The introductory price of the first period. */
  readonly introductoryPrice?: string;
  readonly prepaid?: boolean;
  /** Bought by a licence tester. */
  readonly test?: boolean;
  /** Not paid yet. */
  readonly pending?: boolean;
  /** The token that this one replaces. */
  readonly linkedToken?: string;
  /** The order of another token that has paid for its first period: nothing is charged. */
  readonly carriedOrderId?: string;
  /** Bought in Play itself after this token had expired. */
  readonly expiredToken?: string;
  readonly country?: string;
}

export interface OneTimeOptions {
  readonly productId: string;
  readonly purchaseOptionId?: string;
  readonly accountToken?: string;
  readonly price?: string;
  readonly currency?: string;
  readonly quantity?: number;
  readonly test?: boolean;
  /** Bought by a promo code: there is no order. */
  readonly promo?: boolean;
  readonly country?: string;
}

export interface RefundOptions {
  readonly revoke?: boolean;
  /** Only one of a quantity. */
  readonly partial?: boolean;
  /** What comes back, where that is less than was paid. */
  readonly amount?: string;
  /** 0 other, 7 chargeback, 8 not acknowledged, ... */
  readonly reason?: number;
  /** 0 user, 1 developer, 2 Google. */
  readonly source?: number;
}

type SubscriptionState =
  | 'PENDING'
  | 'ACTIVE'
  | 'PAUSED'
  | 'IN_GRACE_PERIOD'
  | 'ON_HOLD'
  | 'CANCELED'
  | 'EXPIRED'
  | 'PENDING_PURCHASE_CANCELED';

interface Line {
  productId: string;
  basePlanId: string;
  offerId: string | undefined;
  price: string;
  phase: 'freeTrial' | 'introductoryPrice' | 'basePrice' | 'prorationPeriod';
  expiresAt: number;
  orderId: string | undefined;
  autoRenews: boolean;
  isPrepaid: boolean;
  /** Takes the place of another line with the next renewal: it has no end and no order yet. */
  isWaiting: boolean;
  replacement: string | undefined;
  newPrice: string | undefined;
}

interface Subscription {
  readonly kind: 'subscription';
  readonly token: string;
  readonly currency: string;
  readonly country: string;
  readonly periodMs: number;
  readonly startedAt: number;
  readonly isTest: boolean;
  accountToken: string | undefined;
  state: SubscriptionState;
  lines: Line[];
  linkedToken: string | undefined;
  expiredToken: string | undefined;
  isAcknowledged: boolean;
  acknowledgeBy: number;
  canceled: { readonly by: 'user' | 'system' | 'developer' | 'replacement'; readonly at: number } | undefined;
  autoResumesAt: number | undefined;
  renewals: number;
}

interface Product {
  readonly kind: 'product';
  readonly token: string;
  readonly productId: string;
  readonly purchaseOptionId: string | undefined;
  readonly price: string;
  readonly currency: string;
  readonly country: string;
  readonly quantity: number;
  readonly accountToken: string | undefined;
  readonly isTest: boolean;
  state: 'PURCHASED' | 'CANCELLED' | 'PENDING';
  refundableQuantity: number;
  completedAt: number | undefined;
  orderId: string | undefined;
  isPromo: boolean;
  isAcknowledged: boolean;
  acknowledgeBy: number;
}

interface Order {
  readonly orderId: string;
  readonly token: string;
  readonly productId: string;
  readonly total: string;
  readonly currency: string;
  readonly country: string;
  readonly createdAt: number;
  /** The plan, and until when it was paid; undefined for a product. */
  readonly period: { readonly basePlanId: string; readonly endsAt: number } | undefined;
  state: 'PENDING' | 'PROCESSED' | 'CANCELED' | 'PENDING_REFUND' | 'PARTIALLY_REFUNDED' | 'REFUNDED';
  refunded: string | undefined;
  refundedAt: number | undefined;
}

interface Voided {
  readonly token: string;
  readonly orderId: string;
  readonly kind: 'subscription' | 'product';
  readonly purchasedAt: number;
  readonly at: number;
  readonly reason: number;
  readonly source: number;
  readonly quantity: number | undefined;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** After this long past its end a token is answered 410. */
const FORGOTTEN_AFTER_MS = 60 * DAY_MS;
const VOIDED_WINDOW_MS = 30 * DAY_MS;

/** What `subscriptionNotification.notificationType` says. */
export const SUBSCRIPTION = {
  recovered: 1,
  renewed: 2,
  canceled: 3,
  purchased: 4,
  onHold: 5,
  inGracePeriod: 6,
  restarted: 7,
  deferred: 9,
  paused: 10,
  pauseScheduleChanged: 11,
  revoked: 12,
  expired: 13,
  itemsChanged: 17,
  priceChangeUpdated: 19,
  pendingPurchaseCanceled: 20,
} as const;

/** What `oneTimeProductNotification.notificationType` says. */
export const ONE_TIME = { purchased: 1, canceled: 2 } as const;

/**
 * The books of Google Play for one app: what was bought, paid, lapsed and taken back. Each method is something that happens there,
 * at `now`, and returns the notification that Play would send; all of them are in `notifications` too, those that follow from a call
 * of the developer API included. Known oddities are kept: an auto-renewing purchase whose end has passed stays ACTIVE (the
 * silent grace of a day), and so does one whose order was voided without being revoked.
 */
export class PlayLedger {
  readonly packageName: string = 'com.example.vpn';
  /** All that Play sent so far; `takeNotifications` empties it. */
  readonly notifications: Rtdn[] = [];
  /** Takes no account's name with an acknowledgement, not even for what was bought in Play itself. */
  refusesNames = false;
  private readonly purchases = new Map<string, Subscription | Product>();
  private readonly orders = new Map<string, Order>();
  private readonly voids: Voided[] = [];
  private nextOrder = 1;

  /** Numbers of orders begin anew in each series, of ten digits at most. */
  constructor(
    readonly now: () => Date,
    private readonly series = 0,
  ) {}

  takeNotifications(): readonly Rtdn[] {
    return this.notifications.splice(0, Infinity);
  }

  // What happens to subscriptions.

  subscribe(options: SubscribeOptions): Rtdn {
    const at = this.time();
    const { price = '9.99', currency = 'USD', periodDays = 30, country = 'US' } = options;
    const periodMs = periodDays * DAY_MS;
    const purchase: Subscription = {
      kind: 'subscription',
      token: newToken(),
      currency,
      country,
      periodMs,
      startedAt: at,
      isTest: options.test ?? false,
      accountToken: options.accountToken,
      state: options.pending === true ? 'PENDING' : 'ACTIVE',
      lines: [
        {
          productId: options.productId,
          basePlanId: options.basePlanId ?? 'monthly',
          offerId: options.offerId,
          price,
          phase:
            options.trial === true
              ? 'freeTrial'
              : options.introductoryPrice === undefined
                ? 'basePrice'
                : 'introductoryPrice',
          expiresAt: at + periodMs,
          orderId: options.carriedOrderId,
          autoRenews: options.prepaid !== true,
          isPrepaid: options.prepaid ?? false,
          isWaiting: false,
          replacement: undefined,
          newPrice: undefined,
        },
      ],
      linkedToken: options.linkedToken,
      expiredToken: options.expiredToken,
      isAcknowledged: false,
      acknowledgeBy: at + acknowledgeWithin(options, periodMs),
      canceled: undefined,
      autoResumesAt: undefined,
      renewals: 0,
    };
    this.purchases.set(purchase.token, purchase);
    const firstPrice = options.trial === true ? '0' : (options.firstPrice ?? options.introductoryPrice ?? price);
    if (options.pending !== true && options.carriedOrderId === undefined) this.charge(purchase, firstPrice);
    if (options.linkedToken !== undefined && options.pending !== true) this.replace(options.linkedToken);
    return this.tell(purchase, SUBSCRIPTION.purchased);
  }

  /** The next period is paid. */
  renew(token: string): Rtdn {
    const purchase = this.subscription(token);
    if (purchase.lines.some(({ isWaiting }) => isWaiting)) {
      purchase.lines = purchase.lines.filter(({ isWaiting }) => isWaiting);
    }
    for (const one of purchase.lines) {
      if (one.newPrice !== undefined) one.price = one.newPrice;
      Object.assign(one, { phase: 'basePrice', newPrice: undefined, isWaiting: false });
      one.expiresAt += purchase.periodMs;
    }
    purchase.state = 'ACTIVE';
    this.charge(purchase, purchase.lines[0]?.price ?? '0');
    return this.tell(purchase, SUBSCRIPTION.renewed);
  }

  /** Paid at last, after a grace period or a hold: the billing date moves. */
  recover(token: string): Rtdn {
    const purchase = this.subscription(token);
    const [line] = purchase.lines;
    purchase.state = 'ACTIVE';
    for (const one of purchase.lines) one.expiresAt = this.time() + purchase.periodMs;
    this.charge(purchase, line?.price ?? '0');
    return this.tell(purchase, SUBSCRIPTION.recovered);
  }

  cancel(token: string, by: 'user' | 'system' | 'developer' = 'user'): Rtdn {
    const purchase = this.subscription(token);
    purchase.state = 'CANCELED';
    purchase.canceled = { by, at: this.time() };
    for (const line of purchase.lines) line.autoRenews = false;
    return this.tell(purchase, SUBSCRIPTION.canceled);
  }

  /** Cancelled, and taken back before it ended. */
  restart(token: string): Rtdn {
    const purchase = this.subscription(token);
    purchase.state = 'ACTIVE';
    purchase.canceled = undefined;
    for (const line of purchase.lines) line.autoRenews = true;
    return this.tell(purchase, SUBSCRIPTION.restarted);
  }

  /** The charge failed; Play moves the end on while it lasts. */
  grace(token: string, days = 3): Rtdn {
    const purchase = this.subscription(token);
    purchase.state = 'IN_GRACE_PERIOD';
    for (const line of purchase.lines) line.expiresAt = this.time() + days * DAY_MS;
    return this.tell(purchase, SUBSCRIPTION.inGracePeriod);
  }

  hold(token: string): Rtdn {
    const purchase = this.subscription(token);
    purchase.state = 'ON_HOLD';
    this.endBy(purchase, this.time());
    return this.tell(purchase, SUBSCRIPTION.onHold);
  }

  schedulePause(token: string): Rtdn {
    return this.tell(this.subscription(token), SUBSCRIPTION.pauseScheduleChanged);
  }

  pause(token: string, days = 30): Rtdn {
    const purchase = this.subscription(token);
    purchase.state = 'PAUSED';
    purchase.autoResumesAt = this.time() + days * DAY_MS;
    this.endBy(purchase, this.time());
    return this.tell(purchase, SUBSCRIPTION.paused);
  }

  resume(token: string): Rtdn {
    this.subscription(token).autoResumesAt = undefined;
    return this.recover(token);
  }

  expire(token: string): Rtdn {
    const purchase = this.subscription(token);
    purchase.state = 'EXPIRED';
    this.endBy(purchase, this.time());
    for (const line of purchase.lines) line.autoRenews = false;
    return this.tell(purchase, SUBSCRIPTION.expired);
  }

  /** Access taken away at once, the last order given back. */
  revoke(token: string, { reason = 0, source = 2, amount }: RefundOptions = {}): Rtdn {
    const purchase = this.subscription(token);
    const orderId = lastOrderOf(purchase);
    const back = amount === undefined ? {} : { amount };
    if (orderId !== null) this.takeBack(orderId, { reason, source, ...back });
    this.end(purchase);
    return this.tell(purchase, SUBSCRIPTION.revoked);
  }

  /**
   * Another plan at once, by a new token; with `deferred` from the next renewal on: the new token then lists the running line, which the old
   * order paid for and which does not renew, and beside it the line that waits. The old token is over either way.
   */
  changePlan(token: string, options: SubscribeOptions & { readonly deferred?: boolean }): Rtdn {
    const old = this.subscription(token);
    const { deferred = false, ...chosen } = options;
    const [oldLine] = old.lines.map((line) => ({ ...line })); // as it is now: being replaced ends it
    const same = {
      currency: old.currency,
      ...(old.accountToken === undefined ? {} : { accountToken: old.accountToken }),
    };
    if (!deferred || oldLine === undefined) return this.subscribe({ ...same, ...chosen, linkedToken: token });
    const { productId, basePlanId, price, orderId } = oldLine;
    const told = this.subscribe({
      ...same,
      ...chosen,
      productId,
      basePlanId,
      price,
      linkedToken: token,
      ...(orderId === undefined ? {} : { carriedOrderId: orderId }),
    });
    const { lines } = this.subscription(told.purchaseToken);
    const [running] = lines;
    if (running === undefined) throw new Error('It has no line');
    const { expiresAt } = oldLine;
    Object.assign(running, { replacement: chosen.productId, expiresAt, autoRenews: false });
    lines.push({
      ...running,
      productId: chosen.productId,
      basePlanId: chosen.basePlanId ?? 'monthly',
      price: chosen.price ?? '9.99',
      orderId: undefined,
      autoRenews: true,
      isWaiting: true,
      replacement: undefined,
    });
    return told;
  }

  /** A prepaid plan is paid for another period, by a new token. */
  topUp(token: string): Rtdn {
    const old = this.subscription(token);
    const [line] = old.lines.map((one) => ({ ...one })); // as it is now: being replaced ends it
    if (line === undefined) throw new Error('It has no line');
    const told = this.subscribe({
      productId: line.productId,
      basePlanId: line.basePlanId,
      price: line.price,
      currency: old.currency,
      periodDays: old.periodMs / DAY_MS,
      prepaid: true,
      ...(old.accountToken === undefined ? {} : { accountToken: old.accountToken }),
      linkedToken: token,
    });
    const [added] = this.subscription(told.purchaseToken).lines;
    if (added !== undefined) added.expiresAt = Math.max(line.expiresAt, this.time()) + old.periodMs;
    return told;
  }

  defer(token: string, until: Date): Rtdn {
    const purchase = this.subscription(token);
    for (const line of purchase.lines) line.expiresAt = until.getTime();
    return this.tell(purchase, SUBSCRIPTION.deferred);
  }

  /** Agreed to; it counts from the next renewal on. */
  priceChange(token: string, price: string): Rtdn {
    const purchase = this.subscription(token);
    for (const line of purchase.lines) line.newPrice = price;
    return this.tell(purchase, SUBSCRIPTION.priceChangeUpdated);
  }

  /** What Play has no reason to say: that a purchase replaced another one, whatever that one replaced. */
  link(token: string, replacedToken: string): void {
    this.subscription(token).linkedToken = replacedToken;
  }

  /** One more product in the same subscription, which ends when it does unless told. */
  addOn(token: string, { productId, days }: { readonly productId: string; readonly days?: number }): Rtdn {
    const purchase = this.subscription(token);
    const [first] = purchase.lines;
    if (first === undefined) throw new Error('It has no line');
    const expiresAt = days === undefined ? first.expiresAt : this.time() + days * DAY_MS;
    purchase.lines.push({ ...first, productId, expiresAt, phase: 'basePrice', offerId: undefined });
    return this.tell(purchase, SUBSCRIPTION.itemsChanged);
  }

  /** A pending purchase, of either kind, is paid. */
  completePending(token: string): Rtdn {
    const purchase = this.find(token);
    if (purchase.kind === 'product') {
      this.completeProduct(purchase);
      return this.tell(purchase, ONE_TIME.purchased);
    }
    const [line] = purchase.lines;
    purchase.state = 'ACTIVE';
    purchase.acknowledgeBy = this.time() + 3 * DAY_MS;
    for (const one of purchase.lines) one.expiresAt = this.time() + purchase.periodMs;
    this.charge(purchase, line?.phase === 'freeTrial' ? '0' : (line?.price ?? '0'));
    if (purchase.linkedToken !== undefined) this.replace(purchase.linkedToken);
    return this.tell(purchase, SUBSCRIPTION.purchased);
  }

  /** A pending purchase, of either kind, was never paid. */
  cancelPending(token: string): Rtdn {
    const purchase = this.find(token);
    if (purchase.kind === 'product') {
      purchase.state = 'CANCELLED';
      return this.tell(purchase, ONE_TIME.canceled);
    }
    purchase.state = 'PENDING_PURCHASE_CANCELED';
    return this.tell(purchase, SUBSCRIPTION.pendingPurchaseCanceled);
  }

  // What happens to one-time products.

  oneTime(options: OneTimeOptions): Rtdn {
    const purchase = this.addProduct(options);
    this.completeProduct(purchase);
    return this.tell(purchase, ONE_TIME.purchased);
  }

  oneTimePending(options: OneTimeOptions): Rtdn {
    return this.tell(this.addProduct(options), ONE_TIME.purchased);
  }

  // What is taken back.

  /** An order is given back; with `revoke` the purchase ends too, which Play says in a second notification. */
  refund(orderId: string, { revoke = false, partial = false, reason = 0, source = 1 }: RefundOptions = {}): Rtdn {
    const told = this.takeBack(orderId, { partial, reason, source });
    const purchase = this.find(told.purchaseToken);
    if (!revoke) return told;
    this.end(purchase);
    if (purchase.kind === 'subscription') this.tell(purchase, SUBSCRIPTION.revoked);
    return told;
  }

  /** Voided by Google (a chargeback), while the purchase goes on saying what it said. */
  voidOrder(orderId: string, { partial = false, reason = 7, source = 2 }: RefundOptions = {}): Rtdn {
    return this.takeBack(orderId, { partial, reason, source });
  }

  /** Some of the money goes back by the console: only the order tells of it. */
  refundSome(orderId: string, amount: string): void {
    const order = this.orders.get(orderId);
    if (order === undefined) throw new Error('No such order');
    Object.assign(order, { state: 'PARTIALLY_REFUNDED', refunded: amount, refundedAt: this.time() });
  }

  /** Makes true what follows from the time alone: ends that were reached, and what nobody acknowledged. Returns what was told. */
  letTimePass(): readonly Rtdn[] {
    const before = this.notifications.length;
    for (const purchase of this.purchases.values()) {
      const isPaid = purchase.kind === 'product' ? purchase.state === 'PURCHASED' : stateAt(purchase, 0) !== 'PENDING';
      const isOver = purchase.kind === 'subscription' && isEnded(purchase.state);
      if (isPaid && !isOver && !purchase.isAcknowledged && this.time() >= purchase.acknowledgeBy) {
        this.takeBackUnacknowledged(purchase);
      } else if (purchase.kind === 'subscription' && purchase.state !== stateAt(purchase, this.time())) {
        this.expire(purchase.token);
      }
    }
    return this.notifications.slice(before);
  }

  /** The newest order of a purchase. */
  orderOf(token: string): string {
    const orderId = lastOrderOf(this.find(token));
    if (orderId === null) throw new Error('It has no order');
    return orderId;
  }

  isAcknowledged(token: string): boolean {
    return this.find(token).isAcknowledged;
  }

  testNotification(): Rtdn {
    return { purchaseToken: '', orderId: null, data: this.envelope({ testNotification: { version: '1.0' } }) };
  }

  // What the developer API answers. `undefined`: no such thing.

  protected kindOf(token: string): 'subscription' | 'product' | undefined {
    return this.purchases.get(token)?.kind;
  }

  /** Whether the token is of the past, so that even its last state is forgotten. */
  protected isForgotten(token: string): boolean {
    const purchase = this.purchases.get(token);
    if (purchase?.kind !== 'subscription' || !isEnded(stateAt(purchase, this.time()))) return false;
    return this.time() >= endOf(purchase) + FORGOTTEN_AFTER_MS;
  }

  protected subscriptionView(token: string): object {
    const purchase = this.subscription(token);
    const { linkedToken, expiredToken, accountToken, autoResumesAt, canceled } = purchase;
    const state = stateAt(purchase, this.time());
    const expired = expiredToken === undefined ? undefined : this.purchases.get(expiredToken);
    return {
      kind: 'androidpublisher#subscriptionPurchaseV2',
      startTime: rfc3339(purchase.startedAt),
      regionCode: purchase.country,
      subscriptionState: `SUBSCRIPTION_STATE_${state}`,
      ...(linkedToken === undefined ? {} : { linkedPurchaseToken: linkedToken }),
      ...(canceled === undefined ? {} : { canceledStateContext: canceledContext(canceled) }),
      ...(autoResumesAt === undefined ? {} : { pausedStateContext: { autoResumeTime: rfc3339(autoResumesAt) } }),
      ...(purchase.isTest ? { testPurchase: {} } : {}),
      acknowledgementState: `ACKNOWLEDGEMENT_STATE_${purchase.isAcknowledged ? 'ACKNOWLEDGED' : 'PENDING'}`,
      ...(accountToken === undefined
        ? {}
        : { externalAccountIdentifiers: { obfuscatedExternalAccountId: accountToken } }),
      ...(expired === undefined || purchase.isAcknowledged
        ? {}
        : {
            outOfAppPurchaseContext: {
              expiredPurchaseToken: expiredToken,
              ...(expired.accountToken === undefined
                ? {}
                : { expiredExternalAccountIdentifiers: { obfuscatedExternalAccountId: expired.accountToken } }),
            },
          }),
      lineItems: purchase.lines.map((line) => lineView(line, purchase)),
      etag: `"${purchase.renewals}-${state}"`,
    };
  }

  protected productView(token: string): object {
    const purchase = this.product(token);
    const { orderId, accountToken, completedAt, purchaseOptionId } = purchase;
    return {
      kind: 'androidpublisher#productPurchaseV2',
      productLineItem: [
        {
          productId: purchase.productId,
          productOfferDetails: {
            ...(purchaseOptionId === undefined ? {} : { purchaseOptionId }),
            quantity: purchase.quantity,
            ...(purchase.refundableQuantity === 0 ? {} : { refundableQuantity: purchase.refundableQuantity }),
            consumptionState: 'CONSUMPTION_STATE_YET_TO_BE_CONSUMED',
          },
        },
      ],
      purchaseStateContext: { purchaseState: purchase.state },
      ...(purchase.isTest ? { testPurchaseContext: { fopType: 'TEST' } } : {}),
      ...(orderId === undefined ? {} : { orderId }),
      ...(accountToken === undefined ? {} : { obfuscatedExternalAccountId: accountToken }),
      regionCode: purchase.country,
      ...(completedAt === undefined ? {} : { purchaseCompletionTime: rfc3339(completedAt) }),
      acknowledgementState: `ACKNOWLEDGEMENT_STATE_${purchase.isAcknowledged ? 'ACKNOWLEDGED' : 'PENDING'}`,
    };
  }

  /** The older form (purchases.products.get), in numbers. */
  protected oldProductView(token: string): object {
    const purchase = this.product(token);
    return {
      kind: 'androidpublisher#productPurchase',
      purchaseTimeMillis: String(purchase.completedAt ?? this.time()),
      purchaseState: { PURCHASED: 0, CANCELLED: 1, PENDING: 2 }[purchase.state],
      consumptionState: 0,
      ...(purchase.orderId === undefined ? {} : { orderId: purchase.orderId }),
      acknowledgementState: purchase.isAcknowledged ? 1 : 0,
      ...(purchase.accountToken === undefined ? {} : { obfuscatedExternalAccountId: purchase.accountToken }),
      regionCode: purchase.country,
      ...(purchase.isTest ? { purchaseType: 0 } : purchase.isPromo ? { purchaseType: 1 } : {}),
    };
  }

  /**
   * Marks it; false when it cannot be: it is not paid, or ended, the id is not that of its base item (none is fine for a
   * subscription), or it is given a name though it was not bought in Play itself.
   */
  protected acknowledge(token: string, productId: string, accountToken?: string): boolean {
    const purchase = this.find(token);
    if (purchase.kind === 'product') {
      if (purchase.state !== 'PURCHASED' || productId !== purchase.productId) return false;
    } else {
      const state = stateAt(purchase, this.time());
      if (state === 'PENDING' || isEnded(state)) return false;
      if (productId !== '' && productId !== purchase.lines[0]?.productId) return false;
      if (accountToken !== undefined && (purchase.expiredToken === undefined || this.refusesNames)) return false;
      purchase.accountToken ??= accountToken;
    }
    purchase.isAcknowledged = true;
    return true;
  }

  protected orderView(orderId: string): object | undefined {
    const order = this.orders.get(orderId);
    if (order === undefined) return undefined;
    const { currency, refunded, refundedAt, state } = order;
    const at = refundedAt === undefined ? undefined : rfc3339(refundedAt);
    const details =
      refunded === undefined ? undefined : { total: money(refunded, currency), tax: money('0', currency) };
    return {
      orderId,
      purchaseToken: order.token,
      state,
      createTime: rfc3339(order.createdAt),
      lastEventTime: rfc3339(refundedAt ?? order.createdAt),
      buyerAddress: { buyerCountry: order.country },
      total: money(order.total, currency),
      tax: money('0', currency),
      orderHistory: {
        processedEvent: { eventTime: rfc3339(order.createdAt) },
        ...(state === 'REFUNDED' ? { refundEvent: { eventTime: at, refundDetails: details } } : {}),
        ...(state === 'PARTIALLY_REFUNDED'
          ? { partialRefundEvents: [{ createTime: at, state: 'PROCESSED_SUCCESSFULLY', refundDetails: details }] }
          : {}),
      },
      lineItems: [
        {
          productId: order.productId,
          total: money(order.total, currency),
          tax: money('0', currency),
          ...(order.period === undefined
            ? {}
            : {
                subscriptionDetails: {
                  basePlanId: order.period.basePlanId,
                  servicePeriodStartTime: rfc3339(order.createdAt),
                  servicePeriodEndTime: rfc3339(order.period.endsAt),
                },
              }),
        },
      ],
    };
  }

  /** What was voided within the window, oldest first. Type 0 leaves subscriptions out; so it is with Google. */
  protected voidedViews({ from, to, type, partial }: VoidedFilter): readonly object[] {
    const earliest = Math.max(from, this.time() - VOIDED_WINDOW_MS);
    return this.voids
      .filter((one) => one.at >= earliest && one.at <= to)
      .filter((one) => type === 1 || one.kind === 'product')
      .filter((one) => partial || one.quantity === undefined)
      .map((one) => ({
        kind: 'androidpublisher#voidedPurchase',
        purchaseToken: one.token,
        purchaseTimeMillis: String(one.purchasedAt),
        voidedTimeMillis: String(one.at),
        orderId: one.orderId,
        voidedSource: one.source,
        voidedReason: one.reason,
        ...(one.quantity === undefined ? {} : { voidedQuantity: one.quantity }),
      }));
  }

  protected isRefunded(orderId: string): boolean {
    return this.orders.get(orderId)?.state === 'REFUNDED';
  }

  protected isOver(token: string): boolean {
    return isEnded(stateAt(this.subscription(token), this.time()));
  }

  protected envelope(what: object): Readonly<Record<string, unknown>> {
    return { version: '1.0', packageName: this.packageName, eventTimeMillis: String(this.time()), ...what };
  }

  private time(): number {
    return this.now().getTime();
  }

  private find(token: string): Subscription | Product {
    const purchase = this.purchases.get(token);
    if (purchase === undefined) throw new Error('No such purchase');
    return purchase;
  }

  private subscription(token: string): Subscription {
    const purchase = this.find(token);
    if (purchase.kind !== 'subscription') throw new Error('That is a product');
    return purchase;
  }

  private product(token: string): Product {
    const purchase = this.find(token);
    if (purchase.kind !== 'product') throw new Error('That is a subscription');
    return purchase;
  }

  private tell(purchase: Subscription | Product, notificationType: number): Rtdn {
    const about = { version: '1.0', notificationType, purchaseToken: purchase.token };
    const data =
      purchase.kind === 'subscription'
        ? this.envelope({ subscriptionNotification: about })
        : this.envelope({ oneTimeProductNotification: { ...about, sku: purchase.productId } });
    return this.send({ purchaseToken: purchase.token, orderId: lastOrderOf(purchase), data });
  }

  private send(notification: Rtdn): Rtdn {
    this.notifications.push(notification);
    return notification;
  }

  /** A paid period; the first order ends in no number, the renewals in ..0, ..1, .. */
  private charge(purchase: Subscription, total: string): void {
    const first = purchase.lines[0]?.orderId;
    const base = first?.replace(/\.\.\d+$/, '') ?? this.newOrderId();
    const orderId = first === undefined ? base : `${base}..${purchase.renewals++}`;
    for (const line of purchase.lines) line.orderId = orderId;
    this.addOrder(purchase, orderId, purchase.lines[0]?.productId ?? '', total);
  }

  private newOrderId(): string {
    const series = String(this.series)
      .padStart(10, '0')
      .replace(/^(..)(....)/, '$1-$2-');
    return `GPA.33${series}-${String(this.nextOrder++).padStart(5, '0')}`;
  }

  private addOrder(purchase: Subscription | Product, orderId: string, productId: string, total: string): void {
    const { token, currency, country } = purchase;
    const [line] = purchase.kind === 'subscription' ? purchase.lines : [];
    this.orders.set(orderId, {
      orderId,
      token,
      productId,
      total,
      currency,
      country,
      createdAt: this.time(),
      period: line === undefined ? undefined : { basePlanId: line.basePlanId, endsAt: line.expiresAt },
      state: 'PROCESSED',
      refunded: undefined,
      refundedAt: undefined,
    });
  }

  private addProduct(options: OneTimeOptions): Product {
    const { price = '49.99', currency = 'USD', quantity = 1, country = 'US' } = options;
    const purchase: Product = {
      kind: 'product',
      token: newToken(),
      productId: options.productId,
      purchaseOptionId: options.purchaseOptionId,
      price,
      currency,
      country,
      quantity,
      accountToken: options.accountToken,
      isTest: options.test ?? false,
      state: 'PENDING',
      refundableQuantity: quantity,
      completedAt: undefined,
      orderId: undefined,
      isPromo: options.promo ?? false,
      isAcknowledged: false,
      acknowledgeBy: Infinity,
    };
    this.purchases.set(purchase.token, purchase);
    return purchase;
  }

  private completeProduct(purchase: Product): void {
    purchase.state = 'PURCHASED';
    purchase.completedAt = this.time();
    purchase.acknowledgeBy = this.time() + (purchase.isTest ? 3 * MINUTE_MS : 3 * DAY_MS);
    if (purchase.isPromo) return;
    purchase.orderId = this.newOrderId();
    this.addOrder(purchase, purchase.orderId, purchase.productId, purchase.price);
  }

  private takeBack(orderId: string, { partial = false, reason = 0, source = 1, amount }: RefundOptions): Rtdn {
    const order = this.orders.get(orderId);
    if (order === undefined) throw new Error('No such order');
    const purchase = this.find(order.token);
    const part = purchase.kind === 'product' ? (Number(order.total) / purchase.quantity).toFixed(2) : order.total;
    Object.assign(order, {
      state: partial || amount !== undefined ? 'PARTIALLY_REFUNDED' : 'REFUNDED',
      refunded: amount ?? (partial ? part : order.total),
      refundedAt: this.time(),
    });
    if (purchase.kind === 'product') purchase.refundableQuantity = partial ? purchase.refundableQuantity - 1 : 0;
    this.voids.push({
      token: order.token,
      orderId,
      kind: purchase.kind,
      purchasedAt: order.createdAt,
      at: this.time(),
      reason,
      source,
      quantity: partial ? 1 : undefined,
    });
    return this.send({
      purchaseToken: order.token,
      orderId,
      data: this.envelope({
        voidedPurchaseNotification: {
          purchaseToken: order.token,
          orderId,
          productType: purchase.kind === 'subscription' ? 1 : 2,
          refundType: partial ? 2 : 1,
        },
      }),
    });
  }

  private takeBackUnacknowledged(purchase: Subscription | Product): void {
    const orderId = lastOrderOf(purchase);
    if (orderId !== null) this.takeBack(orderId, { reason: 8, source: 2 });
    this.end(purchase);
    if (purchase.kind === 'subscription') this.tell(purchase, SUBSCRIPTION.revoked);
  }

  private end(purchase: Subscription | Product): void {
    if (purchase.kind === 'product') {
      purchase.state = 'CANCELLED';
      return;
    }
    purchase.state = 'EXPIRED';
    this.endBy(purchase, this.time());
    for (const line of purchase.lines) line.autoRenews = false;
  }

  private endBy(purchase: Subscription, instant: number): void {
    for (const line of purchase.lines) line.expiresAt = Math.min(line.expiresAt, instant);
  }

  private replace(token: string): void {
    const purchase = this.purchases.get(token);
    if (purchase?.kind !== 'subscription') return;
    purchase.canceled = { by: 'replacement', at: this.time() };
    this.expire(token);
  }
}

export interface VoidedFilter {
  readonly from: number;
  readonly to: number;
  readonly type: number;
  /** Whether refunds of some of a quantity are listed too. */
  readonly partial: boolean;
}

/** What Play says just now: what was cancelled or prepaid ends by the clock. */
function stateAt(purchase: Subscription, time: number): SubscriptionState {
  const goesOn = purchase.state === 'ACTIVE' && purchase.lines.some(({ isPrepaid }) => !isPrepaid);
  const endsByClock = purchase.state === 'CANCELED' || (purchase.state === 'ACTIVE' && !goesOn);
  return endsByClock && time >= endOf(purchase) ? 'EXPIRED' : purchase.state;
}

function isEnded(state: SubscriptionState): boolean {
  return state === 'EXPIRED' || state === 'PENDING_PURCHASE_CANCELED';
}

function endOf({ lines }: Subscription): number {
  return Math.max(...lines.map(({ expiresAt }) => expiresAt));
}

function lastOrderOf(purchase: Subscription | Product): string | null {
  return (purchase.kind === 'product' ? purchase.orderId : purchase.lines[0]?.orderId) ?? null;
}

/** Three days; a prepaid plan of less than a week half of it, a tester three minutes. */
function acknowledgeWithin({ test, prepaid }: SubscribeOptions, periodMs: number): number {
  if (test === true) return 3 * MINUTE_MS;
  return prepaid === true && periodMs < 7 * DAY_MS ? periodMs / 2 : 3 * DAY_MS;
}

function lineView(line: Line, { currency, state }: Subscription): object {
  const recurringPrice = money(line.price, currency);
  const isPaid = state !== 'PENDING' && state !== 'PENDING_PURCHASE_CANCELED';
  return {
    productId: line.productId,
    ...(isPaid && !line.isWaiting ? { expiryTime: rfc3339(line.expiresAt) } : {}),
    ...(line.orderId === undefined ? {} : { latestSuccessfulOrderId: line.orderId }),
    ...(line.isPrepaid
      ? { prepaidPlan: {} }
      : {
          autoRenewingPlan: {
            ...(line.autoRenews ? { autoRenewEnabled: true } : {}),
            recurringPrice,
            ...(line.newPrice === undefined
              ? {}
              : {
                  priceChangeDetails: {
                    newPrice: money(line.newPrice, currency),
                    priceChangeMode: 'PRICE_INCREASE',
                    priceChangeState: 'CONFIRMED',
                    expectedNewPriceChargeTime: rfc3339(line.expiresAt),
                  },
                }),
          },
        }),
    offerDetails: { basePlanId: line.basePlanId, ...(line.offerId === undefined ? {} : { offerId: line.offerId }) },
    offerPhase: { [line.phase]: {} },
    ...(line.replacement === undefined ? {} : { deferredItemReplacement: { productId: line.replacement } }),
  };
}

function canceledContext({ by, at }: NonNullable<Subscription['canceled']>): object {
  return by === 'user'
    ? { userInitiatedCancellation: { cancelTime: rfc3339(at) } }
    : { [`${by}${by === 'replacement' ? '' : 'Initiated'}Cancellation`]: {} };
}

/** Google's Money: what is nothing is left out. */
function money(amount: string, currencyCode: string): object {
  const [units = '0', fraction = ''] = amount.split('.');
  const nanos = Number(fraction.padEnd(9, '0'));
  return { currencyCode, ...(units === '0' ? {} : { units }), ...(nanos === 0 ? {} : { nanos }) };
}

function rfc3339(time: number): string {
  return new Date(time).toISOString();
}

function newToken(): string {
  return `${randomBytes(16).toString('hex')}.AO-J1O${randomBytes(48).toString('base64url')}`;
}
