import { createHash } from 'node:crypto';
import { type StoreProvider } from '#tariffs';

/** Purchases of a sandbox (TestFlight, App Review, licence testers) cost nothing and are kept out of revenue. */
export type StoreEnvironment = 'production' | 'sandbox';

/** Which purchase: one original transaction of the App Store, or one purchase token of Play. */
export interface PurchaseKey {
  readonly provider: StoreProvider;
  /** Play has one environment; its test purchases are marked by `isTest`. */
  readonly environment: StoreEnvironment;
  /** Apple's original transaction id as it is; of Play's token only the hash, because who holds the token holds the purchase. */
  readonly key: string;
}

/** What a purchase token of Play is known by: SHA-256, in hexadecimal. */
export function tokenKey(purchaseToken: string): string {
  return createHash('sha256').update(purchaseToken).digest('hex');
}
