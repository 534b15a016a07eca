import { type Money } from '#kernel';

export type StoreProvider = 'apple' | 'google';
export type StoreProductKind = 'subscription' | 'lifetime' | 'nonrenewing';

/** What is sold in a store under this tariff. */
export interface StoreProduct {
  readonly provider: StoreProvider;
  readonly productId: string;
  /** Google's base plan; null stands for any plan of the product, and for Apple. */
  readonly basePlanId: string | null;
  readonly kind: StoreProductKind;
}

/** What can be had, for how long and for how much. */
export interface Tariff {
  readonly id: number;
  readonly name: string;
  readonly description: string | null;
  /** 0 = for life. */
  readonly durationDays: number;
  readonly price: Money;
  /** ISO 4217. */
  readonly currency: string;
  /** How many devices may be added; null = any number. */
  readonly deviceLimit: number | null;
  /** Gigabytes (10^9 bytes) per period of `durationDays`; null = no limit. */
  readonly trafficLimitGb: number | null;
  /** Of several running subscriptions, the one with the highest rank sets the limits. */
  readonly rank: number;
  /** False: hidden from the public list, and nobody can newly take it. */
  readonly isActive: boolean;
  readonly storeProducts: readonly StoreProduct[];
}

/** A store's product and what it stands for. */
export interface MappedProduct extends Omit<StoreProduct, 'provider'> {
  readonly tariffId: number;
  readonly durationDays: number;
  readonly rank: number;
  readonly price: Money;
  readonly currency: string;
}

export type NewTariff = Omit<Tariff, 'id'>;
