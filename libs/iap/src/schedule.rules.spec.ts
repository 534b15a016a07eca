import { expect, it } from '@jest/globals';
import {
  day,
  googleFacts,
  googleItem,
  googleOrder,
  googleSnapshot,
  onDay,
} from '../../../test/histories/store-facts.js';
import { type GoogleItem, type GoogleSnapshot } from './google-facts.js';
import { acknowledgeDeadline } from './schedule.rules.js';

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
