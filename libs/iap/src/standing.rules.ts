import { type Standing } from './purchase.js';

/** Where a purchase stands of which nothing is known yet. */
export const NOTHING_BOUGHT: Standing = {
  state: 'pending',
  tariffId: null,
  productId: null,
  basePlanId: null,
  startedAt: null,
  periodStartedAt: null,
  nextPeriodAt: null,
  endsAt: null,
  accessUntil: null,
  graceUntil: null,
  autoRenewing: false,
  isTrial: false,
  cancelledAt: null,
  pendingTariffId: null,
  endedReason: null,
};
