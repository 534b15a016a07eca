import { type Money } from '#kernel';

/**
 * The fine state of a subscription. Access is granted by `trial`, `active`, `cancelled` (will not renew, paid until the end) and
 * `grace` (a charge failed, the store still grants time); by no other, whatever the dates say.
 */
export const SUBSCRIPTION_STATES = [
  'pending',
  'trial',
  'active',
  'cancelled',
  'grace',
  'retry',
  'paused',
  'expired',
  'refunded',
  'revoked',
  'superseded',
  'void',
] as const;
export type SubscriptionState = (typeof SUBSCRIPTION_STATES)[number];

/** What the app is shown as `status`: it opens the tunnel for `active` and for nothing else. */
export const PUBLIC_STATUSES = ['active', 'expired', 'cancelled', 'refunded', 'revoked', 'pending'] as const;
export type PublicStatus = (typeof PUBLIC_STATUSES)[number];

/** Who gave it: an administrator, a payment made by hand, a free tariff, or a store. */
export const SUBSCRIPTION_SOURCES = ['admin', 'manual', 'promo', 'apple', 'google'] as const;
export type SubscriptionSource = (typeof SUBSCRIPTION_SOURCES)[number];

/** A user's hold on a tariff. One row per chain of payments: a renewal moves the end. */
export interface Subscription {
  readonly id: number;
  readonly userId: number;
  readonly startedAt: Date;
  /** Null = for life. */
  readonly endedAt: Date | null;
  /** Until when access is granted, null = for life: the end, or later where a store grants grace. Every rule reads this one. */
  readonly accessUntil: Date | null;
  /** When a store last renewed it; null where nobody says so, and periods are counted from the start. */
  readonly periodStartedAt: Date | null;
  /** When a renewal of a store begins that came before the running period was over; null: none did. */
  readonly nextPeriodAt: Date | null;
  readonly state: SubscriptionState;
  readonly source: SubscriptionSource;
  readonly autoRenewing: boolean;
  readonly isTrial: boolean;
  readonly tariff: {
    readonly id: number;
    readonly name: string;
    readonly durationDays: number;
    readonly price: Money;
    readonly rank: number;
    readonly deviceLimit: number | null;
    readonly trafficLimitGb: number | null;
  };
}

/** A part of a subscription's time that its limits count for. */
export interface Period {
  readonly startedAt: Date;
  /** When the next one begins, or access ends; null: neither is known. */
  readonly endsAt: Date | null;
}

/** That a user may use the VPN, and how much of it. */
export interface Entitlement {
  readonly subscriptionId: number;
  readonly until: Date | null;
  readonly deviceLimit: number | null;
  /** Gigabytes (10^9 bytes) in a period; null = no limit. */
  readonly trafficLimitGb: number | null;
  /** The one that is running. */
  readonly period: Period;
}
