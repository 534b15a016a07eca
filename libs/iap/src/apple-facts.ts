import { type StoreEnvironment } from './store.js';

/**
 * One transaction, as Apple signed it (JWSTransactionDecodedPayload). Instants are milliseconds since 1970, as Apple counts. Words
 * stay as Apple writes them: its sets are open, and an unknown word is a fact like any other.
 */
export interface AppleTransaction {
  readonly transactionId: string;
  readonly originalTransactionId: string;
  readonly environment: StoreEnvironment;
  /** When Apple signed this form of it: of two forms the later one counts. */
  readonly signedDate: number;
  readonly purchaseDate: number;
  readonly originalPurchaseDate: number | null;
  /** Null for what does not end by itself. */
  readonly expiresDate: number | null;
  readonly productId: string;
  /** `Auto-Renewable Subscription`, `Non-Consumable`, `Consumable`, `Non-Renewing Subscription`. */
  readonly type: string;
  /** `PURCHASED` or `FAMILY_SHARED`. */
  readonly ownership: string;
  readonly isUpgraded: boolean;
  readonly revocationDate: number | null;
  /** 0 = another reason, 1 = a fault of the app. */
  readonly revocationReason: number | null;
  /** `REFUND_FULL`, `REFUND_PRORATED`, `FAMILY_REVOKE`. */
  readonly revocationType: string | null;
  /** Thousandths of a percent: 100000 = all of it. */
  readonly revocationPercentage: number | null;
  /** Thousandths of the currency's unit. */
  readonly price: number | null;
  /** ISO 4217. */
  readonly currency: string | null;
  /** 1 introductory, 2 promotional, 3 offer code, 4 win-back. */
  readonly offerType: number | null;
  /** `FREE_TRIAL`, `PAY_AS_YOU_GO`, `PAY_UP_FRONT`, `ONE_TIME`. */
  readonly offerDiscountType: string | null;
  /** `PURCHASE` or `RENEWAL`. */
  readonly transactionReason: string | null;
  /** The country of the App Store, ISO 3166 alpha-3. */
  readonly storefront: string | null;
  /** In lower case. */
  readonly appAccountToken: string | null;
  /** The same for all that one customer of Apple's buys in our app; null before Apple signed it with (2025). */
  readonly appTransactionId: string | null;
  // What follows is not in every payload, nor in facts that versions before have written.
  /** The same for one paid period, also where Apple has it under several transaction ids (a restore, a second device). */
  readonly webOrderLineItemId?: string;
  /** The purchase that this one carries on: moving into a bundle, or out of one, gives it a new original transaction. */
  readonly previousOriginalTransactionId?: string;
}

/** What is to happen next with an auto-renewable subscription (JWSRenewalInfoDecodedPayload). */
export interface AppleRenewal {
  readonly originalTransactionId: string;
  readonly environment: StoreEnvironment;
  readonly signedDate: number;
  readonly productId: string | null;
  /** What it will renew as: another product where a downgrade waits. */
  readonly autoRenewProductId: string | null;
  /** Null when Apple did not say. */
  readonly willRenew: boolean | null;
  readonly isInBillingRetry: boolean;
  readonly gracePeriodExpiresDate: number | null;
  /** 1 cancelled, 2 billing, 3 price increase, 4 product gone, 5 other. */
  readonly expirationIntent: number | null;
  /** 0 asked, 1 accepted. */
  readonly priceIncreaseStatus: number | null;
  readonly renewalPrice: number | null;
  readonly currency: string | null;
  readonly appAccountToken: string | null;
}

/** All that is known of one purchase in the App Store: one original transaction and what followed from it. */
export interface AppleFacts {
  readonly provider: 'apple';
  /** In no particular order, each id once. */
  readonly transactions: readonly AppleTransaction[];
  readonly renewal: AppleRenewal | null;
  /** The purchase that carries this one on, by its key, and since when; none does, or a version before wrote the facts. */
  readonly supersededBy?: Succession | null;
}

export interface Succession {
  readonly key: string;
  /** What was bought by then is carried on; in milliseconds since 1970. */
  readonly at: number;
}

/** What a notification or an answer of Apple says about purchases. */
export interface AppleNews {
  readonly transactions: readonly AppleTransaction[];
  readonly renewals: readonly AppleRenewal[];
}

/** A notification of version 2, verified. */
export interface AppleNotification {
  /** `notificationUUID`: the same when Apple repeats it. */
  readonly id: string;
  readonly type: string;
  readonly subtype: string | null;
  readonly signedAt: Date;
  readonly environment: StoreEnvironment;
  /** 1 active, 2 expired, 3 billing retry, 4 grace, 5 revoked: what Apple thinks, to compare with what we think. */
  readonly status: number | null;
  readonly transaction: AppleTransaction | null;
  readonly renewal: AppleRenewal | null;
  /** Whose app it is about, where it is about no purchase (RESCIND_CONSENT). */
  readonly appTransactionId: string | null;
}
