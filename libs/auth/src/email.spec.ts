import { describe, expect, it } from '@jest/globals';
import { normaliseEmail } from './email.js';

describe('an e-mail address', () => {
  it.each([
    ['test@test.com', 'test@test.com'],
    ['  Ann@Example.COM ', 'ann@example.com'],
    ['a.b+tag@sub.example.co', 'a.b+tag@sub.example.co'],
    ['ann@example.com', 'ann@example.com'],
  ])('%p is %p', (input, normalised) => {
    expect(normaliseEmail(input)).toBe(normalised);
  });

  it.each([
    '',
    'ann',
    'ann@',
    '@example.com',
    'ann@localhost',
    'a b@example.com',
    'анна@example.com',
    `${'a'.repeat(65)}@example.com`,
    `a@${'b'.repeat(250)}.com`,
    'a@b..com',
    'a\n@example.com',
  ])('%p is none', (input) => {
    expect(normaliseEmail(input)).toBeUndefined();
  });
});
