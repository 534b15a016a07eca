import { type Money } from '#kernel';
import { type StoreStanding, type SubscriptionState } from '#subscriptions';
import { type StoreProductKind, type StoreProvider } from '#tariffs';
import { type AppleFacts } from './apple-facts.js';
import { type GoogleFacts } from './google-facts.js';
import { type StoreEnvironment } from './store.js';

/** All that is known of one purchase. */
export type Facts = AppleFacts | GoogleFacts;

/** The facts as their row keeps them: transactions and orders are rows of their own. */
export type StoredFacts = Omit<AppleFacts, 'transactions'> | Omit<GoogleFacts, 'orders'>;

/** How a purchase came to its owner: it named him, he proved that he has it, it follows his other one, or a person decided. */
export type BoundBy = 'token' | 'claim' | 'link' | 'admin' | 'transfer';

/** What a store's product stands for here. */
export interface ProductTerms {
  readonly tariffId: number;
  readonly kind: StoreProductKind;
  /** 0 = for life. Counts only for what the store sets no end to. */
  readonly durationDays: number;
  readonly rank: number;
  /** What the tariff costs: stands in where a store does not say what was paid. */
  readonly price: Money;
  readonly currency: string;
}

/** The terms of a product; null while no tariff has it. `basePlanId` is Google's. */
export type Catalogue = (productId: string, basePlanId: string | null) => ProductTerms | null;

/** What follows from the facts at an instant: the subscription that it amounts to, as far as it amounts to one. */
export interface Standing extends Omit<StoreStanding, 'source' | 'tariffId' | 'startedAt' | 'endedAt'> {
  /** Null = the product belongs to no tariff, so nothing is granted. */
  readonly tariffId: number | null;
  readonly productId: string | null;
  readonly basePlanId: string | null;
  readonly startedAt: Date | null;
  /** Until when it is paid; null = for life, or never was. */
  readonly endsAt: Date | null;
}

/** A purchase, as an administrator is shown it. */
export interface Purchase {
  readonly id: number;
  readonly provider: StoreProvider;
  readonly environment: StoreEnvironment;
  /** Apple's original transaction id; of Google's token the first 8 hexadecimal digits of its hash. */
  readonly reference: string;
  readonly userId: number | null;
  readonly boundBy: BoundBy | null;
  readonly state: SubscriptionState;
  readonly tariffId: number | null;
  readonly productId: string | null;
  readonly accessUntil: Date | null;
  readonly autoRenewing: boolean;
  readonly isTest: boolean;
  readonly createdAt: Date;
}
