import { describe, expect, it } from '@jest/globals';
import { normaliseEmail } from './email.js';

describe('an e-mail address', () => {
  it.each([
    ['test@test.com', 'test@test.com'],
    ['  Ann@Example.COM ', 'ann@example.com'],
    ['a.b+tag@sub.example.co', 'a.b+tag@sub.example.co'],
    ['ann@example.com', 'ann@example.com'],
    ['ann@münchen.example', 'ann@münchen.example'],
    ['ann@почта.рф', 'ann@почта.рф'],
    ['ann@xn--mnchen-3ya.example', 'ann@xn--mnchen-3ya.example'],
    ['ann@straße.example', 'ann@straße.example'],
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
    ...['\u200b', '\u200d', '\u00ad', '\ufeff', '\u2060', '\u180e', '\u202e', '\ufe0f', '\u3164', '\u034f'].flatMap(
      (unseen) => [`a@exa${unseen}mple.com`, `a@example.com${unseen}x`, `a${unseen}b@example.com`],
    ),
    'a@example\u3002com\u200b',
  ])('%p is none (A6)', (input) => {
    expect(normaliseEmail(input)).toBeUndefined();
  });
});
