import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { addDays, DAY_MS } from '#kernel';
import {
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
  withoutPeriod,
} from './subscription.rules.js';
import { type Subscription, SUBSCRIPTION_STATES, type SubscriptionState } from './subscription.js';

const NOW = new Date('2026-11-22T10:00:00Z');
const GRANTING = ['trial', 'active', 'cancelled', 'grace'];

let sequence = 0;
function subscription(
  change: Partial<Subscription> & { rank?: number; deviceLimit?: number | null } = {},
): Subscription {
  const { rank = 0, deviceLimit = null, ...rest } = change;
  const accessUntil = rest.accessUntil === undefined ? addDays(NOW, 10) : rest.accessUntil;
  return {
    id: ++sequence,
    userId: 1,
    startedAt: addDays(NOW, -20),
    endedAt: accessUntil,
    periodStartedAt: null,
    nextPeriodAt: null,
    state: 'active',
    source: 'admin',
    autoRenewing: false,
    isTrial: false,
    tariff: { id: 1, name: 'Monthly', durationDays: 30, price: '9.99', rank, deviceLimit, trafficLimitGb: null },
    ...rest,
    accessUntil,
  };
}

const anySubscription = fc
  .record({
    state: fc.constantFrom(...SUBSCRIPTION_STATES),
    start: fc.integer({ min: -50, max: 50 }),
    length: fc.option(fc.integer({ min: 0, max: 50 }), { nil: null }),
    rank: fc.integer({ min: 0, max: 2 }),
  })
  .map(({ state, start, length, rank }) => {
    const startedAt = addDays(NOW, start);
    return subscription({ state, startedAt, accessUntil: length === null ? null : addDays(startedAt, length), rank });
  });
const anyInstant = fc.integer({ min: -120, max: 120 }).map((days) => addDays(NOW, days));

describe('of equal ranks', () => {
  const limited = (deviceLimit: number | null, trafficLimitGb: number | null, days: number): Subscription => {
    const one = subscription({ deviceLimit, accessUntil: addDays(NOW, days) });
    return { ...one, tariff: { ...one.tariff, trafficLimitGb } };
  };

  it('the one that grants more sets the limits, though it ends before (F6)', () => {
    const [basic, pro] = [limited(1, null, 365), limited(5, null, 30)];
    expect(shownSubscription([basic, pro], NOW)).toBe(pro);
    expect(shownSubscription([pro, limited(null, 10, 10)], NOW)?.tariff.deviceLimit).toBeNull();
    expect(entitlementOf([limited(5, 100, 365), limited(5, null, 30)], NOW)?.trafficLimitGb).toBeNull();
  });
});

describe('access', () => {
  it.each(SUBSCRIPTION_STATES.map((state) => [state, GRANTING.includes(state)] as const))(
    'in state %s: %p',
    (state, granted) => {
      expect(grantsAccess(subscription({ state }), NOW)).toBe(granted);
      expect(grantsAccess(subscription({ state, accessUntil: null }), NOW)).toBe(granted);
    },
  );

  it('begins with the start, or as much before as clocks may differ, and ends with the end, to the millisecond (F4)', () => {
    const one = subscription({ startedAt: NOW, accessUntil: addDays(NOW, 1) });
    const at = (ms: number): boolean => grantsAccess(one, new Date(NOW.getTime() + ms));
    expect([at(-1001), at(-1000), at(0), at(DAY_MS - 1), at(DAY_MS)]).toEqual([false, true, true, true, false]);
  });

  it('is never granted by a refunded, revoked, retried or paused subscription, whenever asked', () => {
    const states: SubscriptionState[] = [
      'refunded',
      'revoked',
      'retry',
      'paused',
      'pending',
      'superseded',
      'void',
      'expired',
    ];
    fc.assert(
      fc.property(anySubscription, anyInstant, fc.constantFrom(...states), (any, at, state) => {
        expect(grantsAccess({ ...any, state }, at)).toBe(false);
      }),
    );
  });

  it('is only ever taken away by time alone, once it has begun', () => {
    fc.assert(
      fc.property(anySubscription, anyInstant, fc.nat(1000), (any, at, days) => {
        const later = addDays(at, days);
        if (any.startedAt <= at && !grantsAccess(any, at)) expect(grantsAccess(any, later)).toBe(false);
      }),
    );
  });

  it('of several subscriptions is the union of their times', () => {
    fc.assert(
      fc.property(fc.array(anySubscription, { maxLength: 6 }), anyInstant, (all, at) => {
        expect(entitlementOf(all, at) !== null).toBe(all.some((one) => grantsAccess(one, at)));
      }),
    );
  });

  it('comes with the limits of the highest rank; of equal rank, of what lasts longest', () => {
    const small = subscription({ rank: 0, deviceLimit: 1, accessUntil: null });
    const big = subscription({ rank: 2, deviceLimit: 5, accessUntil: addDays(NOW, 1) });
    const bigger = subscription({ rank: 2, deviceLimit: 7, accessUntil: addDays(NOW, 2) });
    expect(entitlementOf([small, bigger, big], NOW)).toMatchObject({ deviceLimit: 7, subscriptionId: bigger.id });
    expect(entitlementOf([small, bigger, big], addDays(NOW, 3))).toMatchObject({ deviceLimit: 1, until: null });
    expect(entitlementOf([], NOW)).toBeNull();
  });
});

describe('the period that traffic is counted in', () => {
  const begun = (durationDays: number, accessUntil: Date | null): Subscription => {
    const { tariff, ...one } = subscription({ startedAt: NOW, accessUntil });
    return { ...one, tariff: { ...tariff, durationDays } };
  };

  it('is a block of the duration from the start, to the millisecond, in whatever time of the day that was', () => {
    const twice = begun(30, addDays(NOW, 60));
    const first = { startedAt: NOW, endsAt: addDays(NOW, 30) };
    expect(periodAt(twice, NOW)).toEqual(first);
    expect(periodAt(twice, new Date(NOW.getTime() + 30 * DAY_MS - 1))).toEqual(first);
    expect(periodAt(twice, addDays(NOW, 30))).toEqual({ startedAt: addDays(NOW, 30), endsAt: addDays(NOW, 60) });
  });

  it('ends with access, where that ends before', () => {
    expect(periodAt(begun(30, addDays(NOW, 40)), addDays(NOW, 35)).endsAt).toEqual(addDays(NOW, 40));
  });

  it('is thirty days of what is had for life', () => {
    const period = { startedAt: addDays(NOW, 90), endsAt: addDays(NOW, 120) };
    expect(periodAt(begun(0, null), addDays(NOW, 100))).toEqual(period);
  });

  it('runs from the last renewal of a store to the end of access', () => {
    const renewed = { ...begun(30, addDays(NOW, 61)), periodStartedAt: addDays(NOW, 31) };
    expect(periodAt(renewed, addDays(NOW, 60))).toEqual({ startedAt: addDays(NOW, 31), endsAt: addDays(NOW, 61) });
    expect(entitlementOf([renewed], addDays(NOW, 60))?.period.startedAt).toEqual(addDays(NOW, 31));
  });

  it('is the next one from its own start on, though its renewal came before (C1)', () => {
    const renewed = {
      ...begun(30, addDays(NOW, 60)),
      periodStartedAt: NOW,
      nextPeriodAt: addDays(NOW, 30),
    };
    expect(periodAt(renewed, addDays(NOW, 29))).toEqual({ startedAt: NOW, endsAt: addDays(NOW, 30) });
    expect(periodAt(renewed, addDays(NOW, 30))).toEqual({ startedAt: addDays(NOW, 30), endsAt: addDays(NOW, 60) });
  });

  it('ends where what is paid ends, though access may go on for a while (H11)', () => {
    const renewed = {
      ...begun(30, addDays(NOW, 63)),
      periodStartedAt: addDays(NOW, 31),
      endedAt: addDays(NOW, 61),
    };
    expect(periodAt(renewed, addDays(NOW, 60)).endsAt).toEqual(addDays(NOW, 61));
    expect(periodAt(renewed, addDays(NOW, 62)).endsAt).toEqual(addDays(NOW, 63));
  });

  it('is the one that an instant is in, and they follow each other without a gap', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 400 }), fc.nat(1000 * DAY_MS), (durationDays, ms) => {
        const at = new Date(NOW.getTime() + ms);
        const { startedAt, endsAt } = periodAt(begun(durationDays, null), at);
        expect(startedAt <= at && endsAt !== null && at < endsAt).toBe(true);
        expect(periodAt(begun(durationDays, null), endsAt ?? at).startedAt).toEqual(endsAt);
      }),
    );
  });
});

describe('the subscription a user is shown', () => {
  it('is one that grants access, as long as there is one', () => {
    fc.assert(
      fc.property(fc.array(anySubscription, { minLength: 1, maxLength: 6 }), anyInstant, (all, at) => {
        const shown = shownSubscription(all, at)!;
        expect(grantsAccess(shown, at)).toBe(all.some((one) => grantsAccess(one, at)));
      }),
    );
  });

  it('does not depend on the order of the rows', () => {
    fc.assert(
      fc.property(fc.array(anySubscription, { maxLength: 6 }), anyInstant, (all, at) => {
        expect(shownSubscription(all.toReversed(), at)).toBe(shownSubscription(all, at));
      }),
    );
  });

  it('is the one that ended last when none grants access, and null when there never was one', () => {
    const older = subscription({ accessUntil: addDays(NOW, -9) });
    const newer = subscription({ accessUntil: addDays(NOW, -2) });
    expect(shownSubscription([newer, older], NOW)).toBe(newer);
    expect(shownSubscription([], NOW)).toBeNull();
  });
});

describe('what the app is told', () => {
  it('is "active" exactly while access is granted', () => {
    fc.assert(
      fc.property(anySubscription, anyInstant, (any, at) => {
        expect(publicStatus(any, at) === 'active').toBe(grantsAccess(any, at));
      }),
    );
  });

  it.each<[SubscriptionState, string]>([
    ['pending', 'pending'],
    ['retry', 'expired'],
    ['paused', 'expired'],
    ['expired', 'expired'],
    ['refunded', 'refunded'],
    ['revoked', 'revoked'],
    ['superseded', 'expired'],
    ['void', 'cancelled'],
  ])('in state %s is %s', (state, status) => {
    expect(publicStatus(subscription({ state }), NOW)).toBe(status);
  });

  it('is that it expired when its time is over, and that it is pending before it begins', () => {
    expect(publicStatus(subscription({ accessUntil: NOW }), NOW)).toBe('expired');
    expect(publicStatus(subscription({ state: 'cancelled', accessUntil: NOW }), NOW)).toBe('cancelled');
    expect(publicStatus(subscription({ startedAt: addDays(NOW, 1) }), NOW)).toBe('pending');
    expect(stateAt(subscription({ accessUntil: NOW }), NOW)).toBe('expired');
    expect(stateAt(subscription({ state: 'grace' }), NOW)).toBe('grace');
    expect(stateAt(subscription({ state: 'refunded', accessUntil: NOW }), NOW)).toBe('refunded');
  });

  it('shows an end that is past only when access is, with the end of a grace after that of what is paid (E7)', () => {
    const paid = (days: number, grace: number, state: SubscriptionState = 'active') =>
      shownEnd(subscription({ state, endedAt: addDays(NOW, days), accessUntil: addDays(NOW, days + grace) }), NOW);
    expect(paid(10, 0)).toEqual(addDays(NOW, 10));
    expect(paid(10, 2)).toEqual(addDays(NOW, 10)); // nobody is to count on the leeway before it is needed
    expect(paid(-1, 16, 'grace')).toEqual(addDays(NOW, 15)); // Apple's way to tell of a grace
    expect(paid(15, 0, 'grace')).toEqual(addDays(NOW, 15)); // Play's
    expect(paid(-20, 16, 'retry')).toEqual(addDays(NOW, -20));
    expect(paid(-5, 2, 'expired')).toEqual(addDays(NOW, -5));
    expect(paid(20, -20, 'refunded')).toEqual(NOW);
    expect(shownEnd(subscription({ accessUntil: null }), NOW)).toBeNull();
    expect(shownEnd(subscription({ state: 'refunded', endedAt: null, accessUntil: NOW }), NOW)).toEqual(NOW);
    fc.assert(
      fc.property(anySubscription, fc.integer({ min: 0, max: 30 }), anyInstant, (any, earlier, at) => {
        const one = { ...any, endedAt: any.accessUntil === null ? null : addDays(any.accessUntil, -earlier) };
        const end = shownEnd(one, at);
        if (grantsAccess(one, at)) expect(end === null || end > at).toBe(true);
        if (end !== null && one.accessUntil !== null)
          expect(end.getTime()).toBeLessThanOrEqual(one.accessUntil.getTime());
      }),
    );
  });

  it('counts begun days, none when it is over, and a hundred years for life', () => {
    const left = (ms: number): number =>
      daysRemaining(subscription({ accessUntil: new Date(NOW.getTime() + ms) }), NOW);
    expect([left(30 * DAY_MS), left(1), left(DAY_MS + 1), left(0), left(-DAY_MS)]).toEqual([30, 1, 2, 0, 0]);
    const late = (ms: number): number =>
      daysRemaining(
        subscription({ endedAt: new Date(NOW.getTime() + ms), accessUntil: new Date(NOW.getTime() + ms + 2 * DAY_MS) }),
        NOW,
      );
    expect([late(30 * DAY_MS), late(1), late(0), late(-DAY_MS), late(-2 * DAY_MS)]).toEqual([30, 1, 2, 1, 0]);
    expect(daysRemaining(subscription({ accessUntil: null }), NOW)).toBe(LIFETIME_DAYS);
    expect(daysRemaining(subscription({ accessUntil: null, state: 'refunded' }), NOW)).toBe(0);
  });

  it('ends a period after its days, or never', () => {
    expect(endOfPeriod(NOW, 30)).toEqual(addDays(NOW, 30));
    expect(endOfPeriod(NOW, 0)).toBeNull();
  });
});

describe('a subscription without a period that was given back', () => {
  const day = (days: number): Date => addDays(NOW, days);
  const period = (start: number, end: number | null): { startedAt: Date; endedAt: Date | null } => ({
    startedAt: day(start),
    endedAt: end === null ? null : day(end),
  });
  const left = (end: number | null, ...[start, until]: [number, number | null]): object | null =>
    withoutPeriod(subscription({ accessUntil: end === null ? null : day(end) }), period(start, until), NOW);

  it('is over at once when that was all of it', () => {
    expect(left(20, -10, 20)).toEqual({ state: 'refunded', endedAt: NOW });
    expect(left(null, -10, null)).toEqual({ state: 'refunded', endedAt: NOW });
  });

  it('keeps in full what else was paid for', () => {
    expect(left(50, -10, 20)).toEqual({ state: 'active', endedAt: day(30) });
    expect(left(50, 20, 50)).toEqual({ state: 'active', endedAt: day(20) });
    expect(left(null, 20, null)).toEqual({ state: 'active', endedAt: day(20) });
  });

  it('stays as it is when the period is over, bought nothing, or the rest is for life', () => {
    expect(left(20, -40, -10)).toBeNull();
    expect(left(20, -40, 0)).toBeNull();
    expect(left(20, 5, 5)).toBeNull();
    expect(left(null, -10, 20)).toBeNull();
    expect(left(null, -10, -10)).toBeNull();
  });

  it('stays as it is when it grants nothing any more', () => {
    expect(left(-1, -10, 20)).toBeNull();
    expect(withoutPeriod(subscription({ state: 'revoked' }), period(-10, 20), NOW)).toBeNull();
  });
});
