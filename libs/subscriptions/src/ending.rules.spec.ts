import { expect, it } from '@jest/globals';
import { isTooMany } from './ending.rules.js';

it.each([
  [0, 0, false],
  [20, 20, false],
  [21, 21, true],
  [21, 419, true],
  [21, 420, false],
  [50, 1000, false],
  [51, 1000, true],
  [5000, 100_000, false],
  [5001, 100_000, true],
])('%d endings at once of %d that run look like a fault: %p', (ending, running, expected) => {
  expect(isTooMany(ending, running)).toBe(expected);
});
