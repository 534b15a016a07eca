/**
 * iap: the App Store and Google Play. A purchase becomes a subscription here, and whatever its store tells of it moves that
 * subscription. It promises that order and number of the news make no difference, that a purchase has one owner, and that nothing
 * a store said is lost. It must never know what a tunnel is.
 */
export { Acknowledging } from './acknowledging.service.js';
export { Asking } from './asking.service.js';
export { IapModule } from './iap.module.js';
export { Inbox } from './inbox.service.js';
export { Intake } from './intake.service.js';
export { type Purchase } from './purchase.js';
export { type Receipt, Redeeming, type Redemption, REDEMPTION_STATUSES } from './redeeming.service.js';
export { Repair } from './repair.service.js';
export { STORE_EVENT_STATUSES, type StoreEvent, type StoreEventStatus } from './store-event.js';
export { Support } from './support.service.js';
