import { describe, expect, it } from '@jest/globals';
import { addDays, addSeconds } from '#kernel';
import { dueReminder } from './reminder.rules.js';
import { SUBSCRIPTION_STATES, type SubscriptionState } from './subscription.js';

const NOW = new Date('2026-11-22T10:00:00Z');

type Held = Parameters<typeof dueReminder>[0];

function held(endsInDays: number | null, change: Partial<Held> = {}): Held {
  const accessUntil = endsInDays === null ? null : addDays(NOW, endsInDays);
  return { id: 1, state: 'active', startedAt: addDays(NOW, -20), accessUntil, autoRenewing: false, ...change };
}

function due(one: Held, ...others: readonly Held[]): string | null {
  return dueReminder(one, [one, ...others], NOW);
}

describe('the reminder that is due', () => {
  it.each([
    [3.01, null],
    [3, 'three_days'],
    [1.01, 'three_days'],
    [1, 'one_day'],
    [0.01, 'one_day'],
    [0, 'ended'],
    [-2.99, 'ended'],
    [-3, null],
    [null, null],
  ])('%p days before the end is %p', (days, kind) => {
    expect(due(held(days))).toBe(kind);
  });

  it.each(SUBSCRIPTION_STATES)(
    'in state %s follows from whether it grants access, or did until it expired',
    (state) => {
      const ending = (['trial', 'active', 'cancelled'] as SubscriptionState[]).includes(state);
      const failed = state === 'grace' ? 'payment_failed' : state === 'retry' ? 'payment_stopped' : null;
      expect(due(held(2, { state }))).toBe(ending ? 'three_days' : failed);
      const over = state === 'grace' ? null : failed; // the job has yet to end it, or to hear that it was paid
      expect(due(held(-1, { state }))).toBe(ending || state === 'expired' ? 'ended' : over);
    },
  );

  it('is that the payment failed as soon as it has, and that access stopped for three days (H26)', () => {
    expect(due(held(16, { state: 'grace', startedAt: NOW, autoRenewing: true }))).toBe('payment_failed');
    expect(due(held(0, { state: 'grace' }))).toBeNull();
    expect(due(held(-2.99, { state: 'retry', autoRenewing: true }))).toBe('payment_stopped');
    expect(due(held(-3, { state: 'retry' }))).toBeNull();
    expect(due(held(16, { state: 'grace' }), held(30, { id: 2 }))).toBeNull();
  });

  it('is none while a store takes the next payment by itself, and is one when it will not', () => {
    expect(due(held(2, { autoRenewing: true }))).toBeNull();
    expect(due(held(2, { autoRenewing: true, state: 'trial' }))).toBeNull();
    expect(due(held(2, { autoRenewing: false, state: 'trial' }))).toBe('three_days');
  });

  it('is none that would have been due before the subscription began', () => {
    expect(due(held(2, { startedAt: NOW, state: 'trial' }))).toBeNull();
    expect(due(held(3, { startedAt: NOW }))).toBeNull();
    expect(due(held(0.5, { startedAt: addDays(NOW, -1.5) }))).toBe('one_day');
    expect(due(held(0.5, { startedAt: NOW }))).toBeNull();
    expect(due(held(0, { startedAt: addDays(NOW, -0.5) }))).toBe('ended');
  });
});

describe('nobody is reminded of an end', () => {
  it.each<[string, Held]>([
    ['that another subscription outlasts', held(9, { id: 2 })],
    ['when another is for life', held(null, { id: 2 })],
    ['when another takes over just then', held(30, { id: 2, startedAt: addDays(NOW, 2) })],
    ['when another renews itself', held(1, { id: 2, autoRenewing: true })],
  ])('%s', (_case, other) => {
    expect(due(held(2), other)).toBeNull();
  });

  it.each<[string, Held]>([
    ['ends before', held(1, { id: 2 })],
    ['was refunded', held(9, { id: 2, state: 'refunded' })],
    ['begins only after a gap', held(30, { id: 2, startedAt: addSeconds(addDays(NOW, 2), 1) })],
    ['should have renewed itself and has not', held(-1, { id: 2, autoRenewing: true })],
  ])('unless the other %s', (_case, other) => {
    expect(due(held(2), other)).toBe('three_days');
  });

  it('twice, of two that end together', () => {
    const [one, two] = [held(2), held(2, { id: 2 })];
    expect([due(one, two), due(two, one)]).toEqual([null, 'three_days']);
  });

  it('that is over, when he has bought something since', () => {
    expect(due(held(-1), held(29, { id: 2, startedAt: addDays(NOW, -0.5) }))).toBeNull();
  });
});
