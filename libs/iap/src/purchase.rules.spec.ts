import { describe, expect, it } from '@jest/globals';
import { type SubscriptionState } from '#subscriptions';
import { type AppleDeed, AppStoreLife } from '../../../test/histories/app-store-life.js';
import { type PlayDeed, PlayLife, type PlayPlan } from '../../../test/histories/play-life.js';
import {
  appleFacts,
  appleRenewal,
  appleTransaction,
  catalogue,
  day,
  onDay,
} from '../../../test/histories/store-facts.js';
import { mergeApple, NOTHING_OF_APPLE } from './apple.rules.js';
import { mergeGoogle, NOTHING_OF_GOOGLE } from './google.rules.js';
import { derive, paymentsOf } from './purchase.rules.js';

type AppleBeginning = 'month' | 'trial' | 'family';
type AppleDeeds = readonly AppleDeed['deed'][];
type PlayDeeds = readonly PlayDeed['deed'][];

/** How a purchase comes into a state. */
const APPLE_STATES = {
  trial: ['trial', []],
  active: ['month', []],
  cancelled: ['month', ['turn off']],
  grace: ['month', ['fail with grace']],
  retry: ['month', ['fail']],
  expired: ['month', ['turn off', 'expire']],
  refunded: ['month', ['refund']],
  revoked: ['family', ['end sharing']],
} as const satisfies Partial<Record<SubscriptionState, readonly [AppleBeginning, AppleDeeds]>>;

const PLAY_STATES = {
  pending: ['pending', []],
  trial: ['trial', []],
  active: ['renewing', []],
  cancelled: ['renewing', ['cancel']],
  grace: ['renewing', ['grace']],
  retry: ['renewing', ['hold']],
  paused: ['renewing', ['pause']],
  expired: ['renewing', ['cancel', 'expire']],
  refunded: ['renewing', ['void']],
  revoked: ['renewing', ['revoke']],
  superseded: ['renewing', ['replace']],
  void: ['pending', ['abandon']],
} as const satisfies Partial<Record<SubscriptionState, readonly [PlayPlan, PlayDeeds]>>;

function afterApple([beginning, deeds]: readonly [AppleBeginning, AppleDeeds]): SubscriptionState {
  const life = new AppStoreLife(beginning === 'family', beginning === 'trial');
  for (const deed of deeds) {
    const told = life.news.length;
    life.attempt({ deed, afterDays: 0, share: 100_000 });
    expect([deed, life.news.length]).toEqual([deed, told + 1]); // else it was not possible, and the row says nothing
  }
  return derive(life.news.reduce(mergeApple, NOTHING_OF_APPLE), catalogue, new Date(life.now)).state;
}

function afterPlay([plan, deeds]: readonly [PlayPlan, PlayDeeds]): SubscriptionState {
  const life = new PlayLife(plan);
  for (const deed of deeds) {
    const told = life.news.length;
    life.attempt({ deed, afterDays: 0 });
    expect([deed, life.news.length]).toEqual([deed, told + 1]);
  }
  return derive(life.news.reduce(mergeGoogle, NOTHING_OF_GOOGLE), catalogue, new Date(life.now)).state;
}

describe('the states of a purchase in the App Store', () => {
  it.each(Object.entries(APPLE_STATES))('%s can be come into', (state, way) => {
    expect(afterApple(way)).toBe(state);
  });

  it.each([
    ['trial', 'renew', 'active'],
    ['trial', 'turn off', 'cancelled'],
    ['trial', 'fail with grace', 'grace'],
    ['trial', 'fail', 'retry'],
    ['trial', 'expire', 'expired'],
    ['trial', 'refund', 'refunded'],
    ['trial', 'upgrade', 'active'],
    ['active', 'renew', 'active'],
    ['active', 'renew early', 'active'],
    ['active', 'turn off', 'cancelled'],
    ['active', 'fail with grace', 'grace'],
    ['active', 'fail', 'retry'],
    ['active', 'expire', 'expired'],
    ['active', 'refund', 'refunded'],
    ['active', 'upgrade', 'active'],
    ['active', 'extend', 'active'],
    ['cancelled', 'turn on', 'active'],
    ['cancelled', 'expire', 'expired'],
    ['cancelled', 'refund', 'refunded'],
    ['cancelled', 'extend', 'cancelled'],
    ['grace', 'recover', 'active'],
    ['grace', 'expire', 'expired'],
    ['grace', 'refund', 'refunded'],
    ['retry', 'recover', 'active'],
    ['retry', 'expire', 'expired'],
    ['retry', 'refund', 'refunded'],
    ['expired', 'resubscribe', 'active'],
    ['expired', 'refund', 'refunded'],
    ['refunded', 'resubscribe', 'active'],
    ['refunded', 'reverse a refund', 'cancelled'],
    ['revoked', 'resubscribe', 'active'],
  ] as const)('%s, then "%s": %s', (from, deed, to) => {
    const [beginning, deeds] = APPLE_STATES[from];
    expect(afterApple([beginning, [...deeds, deed]])).toBe(to);
  });

  it('an upgrade is cancelled like anything else, and a downgrade changes nothing yet', () => {
    expect(afterApple(['month', ['upgrade', 'downgrade']])).toBe('active');
    expect(afterApple(['month', ['upgrade', 'turn off']])).toBe('cancelled');
    expect(afterApple(['month', ['upgrade', 'refund an older one']])).toBe('active');
  });

  it.each([
    ['grace', onDay(45)],
    ['retry', null],
  ])('whoever will not renew while a charge is tried again stays in %s', (state, gracePeriodExpiresDate) => {
    const renewal = { signedDate: onDay(31), isInBillingRetry: true, gracePeriodExpiresDate, willRenew: false };
    const facts = appleFacts([appleTransaction()], appleRenewal(renewal));
    expect(derive(facts, catalogue, day(32)).state).toBe(state);
  });
});

describe('the states of a purchase in Play', () => {
  it.each(Object.entries(PLAY_STATES))('%s can be come into', (state, way) => {
    expect(afterPlay(way)).toBe(state);
  });

  it.each([
    ['pending', 'pay', 'active'],
    ['pending', 'abandon', 'void'],
    ['trial', 'renew', 'active'],
    ['trial', 'cancel', 'cancelled'],
    ['trial', 'hold', 'retry'],
    ['trial', 'void', 'refunded'],
    ['active', 'renew', 'active'],
    ['active', 'cancel', 'cancelled'],
    ['active', 'grace', 'grace'],
    ['active', 'hold', 'retry'],
    ['active', 'pause', 'paused'],
    ['active', 'expire', 'expired'],
    ['active', 'void', 'refunded'],
    ['active', 'refund a part', 'active'],
    ['active', 'revoke', 'revoked'],
    ['active', 'replace', 'superseded'],
    ['active', 'defer', 'active'],
    ['cancelled', 'restart', 'active'],
    ['cancelled', 'expire', 'expired'],
    ['cancelled', 'void', 'refunded'],
    ['cancelled', 'revoke', 'revoked'],
    ['cancelled', 'replace', 'superseded'],
    ['grace', 'recover', 'active'],
    ['grace', 'cancel', 'cancelled'],
    ['grace', 'hold', 'retry'],
    ['grace', 'void', 'refunded'],
    ['grace', 'revoke', 'revoked'],
    ['retry', 'recover', 'active'],
    ['retry', 'cancel', 'expired'],
    ['retry', 'expire', 'expired'],
    ['retry', 'void', 'refunded'],
    ['retry', 'revoke', 'revoked'],
    ['paused', 'recover', 'active'],
    ['paused', 'cancel', 'expired'],
    ['paused', 'void', 'refunded'],
    ['paused', 'revoke', 'revoked'],
    ['expired', 'void', 'refunded'],
    ['expired', 'replace', 'superseded'],
    ['refunded', 'renew', 'active'],
    ['refunded', 'expire', 'refunded'],
    ['refunded', 'replace', 'superseded'],
    ['revoked', 'void', 'refunded'],
    ['superseded', 'renew', 'superseded'],
    ['superseded', 'void', 'superseded'],
    ['superseded', 'expire', 'superseded'],
  ] as const)('%s, then "%s": %s', (from, deed, to) => {
    const [plan, deeds] = PLAY_STATES[from];
    expect(afterPlay([plan, [...deeds, deed]])).toBe(to);
  });
});

it('payments are told by the rules of the store that was paid', () => {
  const ofApple = appleFacts([appleTransaction()]);
  expect(paymentsOf(ofApple, 'key', catalogue, new Date(0))).toMatchObject([{ reference: '2000000000000001' }]);
  expect(paymentsOf(NOTHING_OF_GOOGLE, 'key', catalogue, new Date(0))).toEqual([]);
});
