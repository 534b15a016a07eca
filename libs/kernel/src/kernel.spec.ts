import { describe, expect, it } from '@jest/globals';
import {
  addDays,
  countCharacters,
  isFree,
  isId,
  ManualClock,
  parseMoney,
  SeededRandomness,
  storedMoney,
  SystemRandomness,
} from '#kernel';

describe('text', () => {
  it.each([
    ['', 0],
    ['abc', 3],
    ['ы'.repeat(64), 64],
    ['😀'.repeat(64), 64],
    ['a😀\ud83d', 3], // half a pair is a character of its own
  ])('counts code points, not UTF-16 units: %p (A9)', (text, characters) => {
    expect(countCharacters(text)).toBe(characters);
  });
});

describe('money', () => {
  it.each([
    ['9.99', '9.99'],
    ['9.9', '9.90'],
    ['9', '9.00'],
    [9.99, '9.99'],
    [0, '0.00'],
    ['007', '7.00'],
    ['99999999.99', '99999999.99'],
  ])('reads %p as %p', (input, amount) => {
    expect(parseMoney(input)).toBe(amount);
  });

  it.each([
    '-1',
    -1,
    '1.999',
    0.1 + 0.2,
    1e21,
    '1e3',
    'NaN',
    Number.NaN,
    Infinity,
    '',
    ' 1',
    '1,50',
    '100000000',
    null,
    {},
    true,
  ])('refuses %p', (input) => {
    expect(parseMoney(input)).toBeUndefined();
  });

  it.each([
    ['9.990000', '9.99'],
    ['9.900000', '9.90'],
    ['0.012500', '0.0125'],
    ['0.000001', '0.000001'],
    ['10.000000', '10.00'],
    ['100', '100.00'],
    ['-3.500000', '-3.50'],
    ['999999999999.999999', '999999999999.999999'],
  ])('shows %p, as it is stored, as %p', (numeric, amount) => {
    expect(storedMoney(numeric)).toBe(amount);
  });

  it('knows what is free', () => {
    expect([isFree('0.00'), isFree('0.01')]).toEqual([true, false]);
  });
});

describe('ids', () => {
  it('are whole numbers that fit into 32 bits', () => {
    expect([1, 2 ** 31 - 1].map(isId)).toEqual([true, true]);
    expect([0, -1, 1.5, 2 ** 31, '1', null, Number.NaN].map(isId)).not.toContain(true);
  });
});

describe('the manual clock', () => {
  it('stands still until it is moved', () => {
    const clock = new ManualClock('2026-01-01T00:00:00Z');
    clock.advance({ days: 1, hours: 2, minutes: 3, seconds: 4 });
    expect(clock.now().toISOString()).toBe('2026-01-02T02:03:04.000Z');
    clock.set('2027-01-01T00:00:00Z');
    expect(addDays(clock.now(), -1).toISOString()).toBe('2026-12-31T00:00:00.000Z');
  });

  it('hands out instants that nobody can change for others', () => {
    const clock = new ManualClock();
    clock.now().setFullYear(1999);
    expect(clock.now().getUTCFullYear()).toBe(2026);
  });
});

describe('randomness', () => {
  it('is the same for the same seed, and never twice the same from the system', () => {
    expect(new SeededRandomness('a').bytes(40)).toEqual(new SeededRandomness('a').bytes(40));
    expect(new SeededRandomness('a').bytes(40)).not.toEqual(new SeededRandomness('b').bytes(40));
    const system = new SystemRandomness();
    expect(system.bytes(16)).not.toEqual(system.bytes(16));
  });

  it('makes UUIDs of version 4', () => {
    for (const source of [new SeededRandomness(), new SystemRandomness()]) {
      expect(source.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
  });
});
