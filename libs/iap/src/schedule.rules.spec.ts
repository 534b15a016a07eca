import { describe, expect, it } from '@jest/globals';
import { addDays, addSeconds } from '#kernel';
import { SUBSCRIPTION_STATES, type SubscriptionState } from '#subscriptions';
import {
  day,
  googleFacts,
  googleItem,
  googleOrder,
  googleSnapshot,
  onDay,
} from '../../../test/histories/store-facts.js';
import { type GoogleItem, type GoogleSnapshot } from './google-facts.js';
import { type Standing } from './purchase.js';
import { acknowledgeDeadline, nextCheckAt, nextQuestionAt, nextTryAt } from './schedule.rules.js';

const NOW = new Date('2026-11-22T10:00:00Z');

function standing(state: SubscriptionState, endsAt: Date | null = addDays(NOW, 30)): Standing {
  return {
    state,
    tariffId: 1,
    productId: 'monthly',
    basePlanId: null,
    startedAt: NOW,
    periodStartedAt: NOW,
    nextPeriodAt: null,
    endsAt,
    accessUntil: endsAt,
    graceUntil: null,
    autoRenewing: true,
    isTrial: false,
    cancelledAt: null,
    pendingTariffId: null,
    endedReason: null,
  };
}

const OVER: readonly SubscriptionState[] = ['expired', 'refunded', 'revoked', 'superseded', 'void'];
const RUNNING: readonly SubscriptionState[] = ['trial', 'active', 'cancelled'];

describe('a store that told nothing', () => {
  it.each(RUNNING)('is asked about what is %s in its last three days, and every day of them', (state) => {
    const asked = (daysLeft: number): Date | null => nextCheckAt(standing(state, addDays(NOW, daysLeft)), NOW);
    expect(asked(30)).toEqual(addDays(NOW, 27));
    expect(asked(4.5)).toEqual(addDays(NOW, 1.5));
    expect([asked(4), asked(3), asked(1), asked(0), asked(-1)]).toEqual(Array(5).fill(addDays(NOW, 1)));
  });

  it.each(RUNNING)('is never asked about what is %s for life', (state) => {
    expect(nextCheckAt(standing(state, null), NOW)).toBeNull();
  });

  it('is asked every day while a payment fails or the customer pauses, and every hour while it is pending', () => {
    for (const state of ['grace', 'retry', 'paused'] as const) {
      expect(nextCheckAt(standing(state), NOW)).toEqual(addDays(NOW, 1));
    }
    expect(nextCheckAt(standing('pending', null), NOW)).toEqual(addSeconds(NOW, 3600));
  });

  it('is not asked about what is over, and about everything else some day', () => {
    for (const state of SUBSCRIPTION_STATES) {
      const next = nextCheckAt(standing(state), NOW);
      if (OVER.includes(state)) expect(next).toBeNull();
      else expect(next?.getTime()).toBeGreaterThan(NOW.getTime());
    }
  });
});

describe('what failed', () => {
  const minutes = (at: Date | null): number | null => (at === null ? null : (at.getTime() - NOW.getTime()) / 60_000);

  it('is tried again after 1, 5 and 30 minutes, 2 and 12 hours, and then given up', () => {
    expect([1, 2, 3, 4, 5, 6, 7].map((failures) => minutes(nextTryAt(failures, NOW)))).toEqual([
      1,
      5,
      30,
      120,
      720,
      null,
      null,
    ]);
  });

  it('is asked again just so, and every 12 hours for ever', () => {
    expect([1, 2, 3, 4, 5, 6, 1000].map((failures) => minutes(nextQuestionAt(failures, NOW, 0)))).toEqual([
      1, 5, 30, 120, 720, 720, 720,
    ]);
  });

  it('is not asked again before the store wants to be', () => {
    expect(minutes(nextQuestionAt(1, NOW, 600))).toBe(10);
    expect(minutes(nextQuestionAt(3, NOW, 600))).toBe(30);
  });
});

describe('an acknowledgement', () => {
  function deadline(snapshot: Partial<GoogleSnapshot>, item: Partial<GoogleItem> = {}, paidOn = 0): Date {
    const orders = [googleOrder({ createTime: onDay(paidOn) })];
    const facts = googleFacts({ snapshot: googleSnapshot({ items: [googleItem(item)], ...snapshot }), orders });
    return acknowledgeDeadline(facts, day(9));
  }

  it('Play waits three days for a purchase to be acknowledged', () => {
    expect(deadline({})).toEqual(day(3));
  });

  it('counts from when a purchase was paid that had to wait for its money', () => {
    expect(deadline({ startTime: onDay(0) }, {}, 2)).toEqual(day(5));
  });

  it('waits three minutes for a tester', () => {
    expect(deadline({ isTest: true })).toEqual(new Date(onDay(0) + 180_000));
  });

  it('waits half as long as a prepaid plan lasts that is shorter than a week', () => {
    expect(deadline({}, { autoRenews: null, expiryTime: onDay(3) })).toEqual(day(1.5));
    expect(deadline({}, { autoRenews: null, expiryTime: onDay(7) })).toEqual(day(3));
    expect(deadline({}, { autoRenews: true, expiryTime: onDay(3) })).toEqual(day(3));
  });

  it('counts from when it was learnt where Play does not say', () => {
    const facts = googleFacts({ snapshot: googleSnapshot({ kind: 'product', startTime: null }), orders: [] });
    expect(acknowledgeDeadline(facts, day(9))).toEqual(day(12));
  });
});
