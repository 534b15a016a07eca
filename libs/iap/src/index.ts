/**
 * iap: the App Store and Google Play. A purchase becomes a subscription here, and whatever its store tells of it moves that
 * subscription. It promises that order and number of the news make no difference, that a purchase has one owner, and that nothing
 * a store said is lost. It must never know what a tunnel is.
 */
export { IapModule } from './iap.module.js';
