/** An amount of Google's: `amount` as a decimal string, `currency` ISO 4217. */
export interface GoogleMoney {
  readonly amount: string;
  readonly currency: string;
}

/** One line of a Play purchase. Instants are milliseconds since 1970. */
export interface GoogleItem {
  readonly productId: string;
  readonly basePlanId: string | null;
  readonly offerId: string | null;
  /** Null for what does not end (one-time products). */
  readonly expiryTime: number | null;
  /** The order that paid for the running period: `latestSuccessfulOrderId`, or a one-time product's `orderId`. */
  readonly orderId: string | null;
  /** Null for a prepaid plan and for one-time products, which never renew. */
  readonly autoRenews: boolean | null;
  readonly phase: 'base' | 'trial' | 'introductory' | 'proration' | null;
  /** What a period costs by the plan; what was paid is in the order. */
  readonly price: GoogleMoney | null;
  /** What it will be replaced by at the next renewal. */
  readonly replacementProductId: string | null;
  /** How many of a one-time product were bought and not given back; absent = one. */
  readonly quantity?: number;
}

/** A purchase as Play described it when it was asked (purchases.subscriptionsv2 or purchases.productsv2). */
export interface GoogleSnapshot {
  /** Drawn before the question was sent: of two snapshots the one with the greater number counts. */
  readonly seq: number;
  readonly kind: 'subscription' | 'product';
  /** Without its prefix: `ACTIVE`, `PENDING`, `PAUSED`, `IN_GRACE_PERIOD`, `ON_HOLD`, `CANCELED`, `EXPIRED`, ...; of a product `PURCHASED`, `CANCELLED`, `PENDING`. */
  readonly state: string;
  readonly startTime: number | null;
  readonly items: readonly GoogleItem[];
  /** The purchase that this one replaces or continues, by the key of `purchaseKey`. */
  readonly linkedKey: string | null;
  readonly isAcknowledged: boolean;
  /** Bought in Play itself after the purchase before it had ended; absent from what was asked by an earlier version. */
  readonly isOutOfApp?: boolean;
  /** `obfuscatedExternalAccountId`, in lower case. */
  readonly accountToken: string | null;
  readonly isTest: boolean;
  readonly cancelTime: number | null;
  readonly autoResumeTime: number | null;
  /** ISO 3166 alpha-2. */
  readonly regionCode: string | null;
}

/** What a customer paid (orders.get). */
export interface GoogleOrder {
  readonly orderId: string;
  /** When we asked, by the counter of snapshots: the greater counts. */
  readonly seq: number;
  /** `PROCESSED`, `PENDING`, `CANCELED`, `PENDING_REFUND`, `PARTIALLY_REFUNDED`, `REFUNDED`; null when we may not ask. */
  readonly state: string | null;
  /** Null when we may not ask: then it is estimated from the plan's price. */
  readonly total: GoogleMoney | null;
  /** What came back to the customer, where Play says. */
  readonly refunded: GoogleMoney | null;
  readonly createTime: number;
  /** What was bought with it, and until when it was paid, as the first snapshot that named it said. */
  readonly productId: string;
  readonly basePlanId: string | null;
  readonly expiryTime: number | null;
  readonly phase: GoogleItem['phase'];
  /** What the plan says it costs. */
  readonly price: GoogleMoney | null;
}

/** An order that was taken back (voidedpurchases.list or a notification). */
export interface GoogleVoid {
  readonly orderId: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Only some of a quantity: the access stays. */
  readonly isPartial: boolean;
  /** `refund`, `chargeback`, `unacknowledged`, ... in Play's numbers; null when not said. */
  readonly reason: number | null;
}

/** What the purchase was that this one carries on: it tells a change of the plan from a top-up, or from the same bought again. */
export interface GoogleReplaced {
  /** Of the answer that said it: the greater counts. */
  readonly seq: number;
  /** Its products with their base plans. */
  readonly plans: readonly { readonly productId: string; readonly basePlanId: string | null }[];
  readonly isPrepaid: boolean;
  /** Until when it was paid, in milliseconds since 1970. */
  readonly endedAt: number | null;
}

/** All that is known of one purchase token. */
export interface GoogleFacts {
  readonly provider: 'google';
  /** Null before the first answer. */
  readonly snapshot: GoogleSnapshot | null;
  readonly orders: readonly GoogleOrder[];
  readonly voids: readonly GoogleVoid[];
  /** When Play said that it was revoked, in milliseconds since 1970; its later state only says that it ended. */
  readonly revokedAt: number | null;
  /** The purchase that took its place, by key. Once it has one, it never grants again. */
  readonly supersededBy: string | null;
  /** Absent while nothing is known of it. */
  readonly replaced?: GoogleReplaced | null;
}
