import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PAYMENT_EVENT_STATUSES } from './payment-event.js';
import { assertMayBecome, isEditable, isRefundable, statusAfter } from './payment.rules.js';
import { PAYMENT_KINDS, PAYMENT_STATUSES, type PaymentStatus } from './payment.js';

describe('what a provider tells of a payment', () => {
  it.each([
    ['pending', 'completed', 'completed'],
    ['pending', 'failed', 'failed'],
    ['pending', 'refunded', 'refunded'],
    ['failed', 'completed', 'completed'],
    ['failed', 'refunded', 'refunded'],
    ['completed', 'refunded', 'refunded'],
    ['completed', 'failed', 'completed'],
    ['refunded', 'completed', 'refunded'],
    ['refunded', 'failed', 'refunded'],
  ] as const)('makes of a %s one, told %s: %s', (current, said, after) => {
    expect(statusAfter(current, said)).toBe(after);
  });

  it('ends the same, in whatever order and however often it arrives', () => {
    const after = (news: readonly (typeof PAYMENT_EVENT_STATUSES)[number][]): PaymentStatus =>
      news.reduce<PaymentStatus>(statusAfter, 'pending');
    const anyNews = fc.array(fc.constantFrom(...PAYMENT_EVENT_STATUSES));
    fc.assert(
      fc.property(anyNews, fc.infiniteStream(fc.nat()), (news, dice) => {
        const shuffled = [...news, ...news.slice(0, 2)]
          .map((said) => ({ said, place: dice.next().value }))
          .toSorted((left, right) => left.place - right.place)
          .map(({ said }) => said);
        expect(after(shuffled)).toBe(after(news));
      }),
    );
  });
});

describe('by hand', () => {
  it('a payment is completed, failed or given back, and nothing else', () => {
    const moves = PAYMENT_STATUSES.flatMap((from) =>
      PAYMENT_STATUSES.filter((to) => {
        try {
          assertMayBecome(from, to);
          return from !== to;
        } catch {
          return false;
        }
      }).map((to) => `${from} ${to}`),
    );
    expect(moves).toEqual(['pending completed', 'pending failed', 'completed refunded']);
  });

  it("a store's payment is neither changed nor given back", () => {
    for (const kind of PAYMENT_KINDS) {
      for (const status of PAYMENT_STATUSES) {
        expect(isEditable({ kind, status })).toBe(kind === 'manual' && status === 'pending');
        expect(isRefundable({ kind, status })).toBe(kind === 'manual' && status === 'completed');
      }
    }
  });
});
