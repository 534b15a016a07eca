import { describe, expect, it } from '@jest/globals';
import { retryAfterOf } from './google-exchange.js';

const NOW = new Date('2026-11-22T10:00:00Z');

describe('when Google wants to be asked again (I4)', () => {
  it.each<[where: string, headers: unknown, data: unknown, seconds: number | null]>([
    ['a header of a plain object', { 'retry-after': '120' }, {}, 120],
    ['a header of a plain object, in capitals', { 'Retry-After': '120' }, {}, 120],
    ['a header of fetch', new Headers({ 'Retry-After': '120' }), {}, 120],
    ['a header that is a list', { 'retry-after': ['120'] }, {}, 120],
    ['a date', new Headers({ 'Retry-After': 'Sun, 22 Nov 2026 10:05:00 GMT' }), {}, 300],
    ['the body', {}, { error: { details: [{ '@type': 'x' }, { retryDelay: '7.5s' }] } }, 8],
    ['nowhere', new Headers(), {}, null],
    ['nowhere, without headers', undefined, undefined, null],
    ['the past', new Headers({ 'Retry-After': 'Sun, 22 Nov 2026 09:05:00 GMT' }), {}, null],
    ['nonsense', { 'retry-after': 'soon' }, {}, null],
  ])('is in %s', (_where, headers, data, seconds) => {
    expect(retryAfterOf(headers, data, NOW)).toBe(seconds);
  });
});
