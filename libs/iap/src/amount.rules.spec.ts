import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { moneyOfParts, partsOfMoney, shareOf } from './amount.rules.js';

describe('an amount', () => {
  it.each([
    ['dollars and cents', 9990n, 3, '9.99'],
    ['less than a unit', 490n, 3, '0.49'],
    ['less than a tenth', 10n, 3, '0.01'],
    ['nothing', 0n, 3, '0.00'],
    ['whole dollars', 10_000n, 3, '10.00'],
    ['yen, which have no parts', 980_000n, 3, '980.00'],
    ['Kuwaiti dinars, which have three digits', 2_995n, 3, '2.995'],
    ['dinars that end in nothing', 2_990n, 3, '2.99'],
    ['Indonesian rupiah, of which there are many', 1_499_000_000n, 3, '1499000.00'],
    ['more than a double holds exactly', 9_007_199_254_740_993n, 3, '9007199254740.993'],
    ['millionths, as advertisements count', 9_990_000n, 6, '9.99'],
    ['billionths, as Google counts', 9_990_000_000n, 9, '9.99'],
  ])('of %s is written with two digits or as many as it needs', (_what, parts, digits, money) => {
    expect(moneyOfParts(parts, digits)).toBe(money);
    expect(partsOfMoney(money, digits)).toBe(parts);
  });

  it('is read without its point', () => {
    expect(partsOfMoney('9', 3)).toBe(9000n);
    expect(partsOfMoney('9.9999', 3)).toBe(9999n);
  });

  it('is the same after it was written and read', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 18n }), fc.integer({ min: 2, max: 9 }), (parts, digits) => {
        expect(moneyOfParts(parts, digits)).toMatch(/^\d+\.\d{2,9}$/);
        expect(partsOfMoney(moneyOfParts(parts, digits), digits)).toBe(parts);
      }),
    );
  });
});

describe('a share', () => {
  it.each([
    ['all', 100_000n, 9990n, 9990n],
    ['nothing', 0n, 9990n, 0n],
    ['half', 50_000n, 9990n, 4995n],
    ['a third, rounded down', 33_333n, 10n, 3n],
    ['a half of an odd part, rounded up', 50_000n, 9n, 5n],
    ['a thousandth of a percent', 1n, 1_000_000n, 10n],
  ])('of %s', (_what, share, parts, expected) => {
    expect(shareOf(parts, share)).toBe(expected);
  });

  it('and the rest are the whole, but for what rounding adds', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 15n }), fc.bigInt({ min: 0n, max: 100_000n }), (parts, share) => {
        const sum = shareOf(parts, share) + shareOf(parts, 100_000n - share);
        expect([parts, parts + 1n]).toContain(sum);
      }),
    );
  });
});
