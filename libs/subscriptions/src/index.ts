/**
 * subscriptions: who is entitled to what, until when. Whatever grants access (an administrator, a payment, a free tariff, a
 * store) ends up as a row here, and "may he use the VPN?" is asked here and nowhere else. It promises that whoever depends on
 * access is told of every change, in the same transaction, and that nobody is reminded twice of one end. It must never know what a
 * peer or a store's receipt is.
 */
export { Endings, type EndingsReport, type StoreKeeper } from './endings.service.js';
export { Reminders } from './reminders.service.js';
export {
  daysRemaining,
  endOfPeriod,
  entitlementOf,
  grantsAccess,
  LIFETIME_DAYS,
  periodAt,
  publicStatus,
  shownEnd,
  shownSubscription,
  stateAt,
} from './subscription.rules.js';
export {
  type Entitlement,
  type Period,
  PUBLIC_STATUSES,
  type PublicStatus,
  type Subscription,
  SUBSCRIPTION_SOURCES,
  SUBSCRIPTION_STATES,
  type SubscriptionSource,
  type SubscriptionState,
} from './subscription.js';
export { type StoreStanding } from './subscriptions.repository.js';
export { SubscriptionsModule } from './subscriptions.module.js';
export { type PaidPeriod, Subscriptions } from './subscriptions.service.js';
