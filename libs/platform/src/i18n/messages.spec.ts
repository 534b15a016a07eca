import { describe, expect, it } from '@jest/globals';
import { ERRORS, type ErrorCode } from '#kernel';
import { chooseLocale, LOCALES, messageFor } from './messages.js';

describe('messages', () => {
  it('exist for every refusal in every language, with the same places to fill', () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const places = LOCALES.map((locale) => messageFor(code, {}, locale).match(/\{\w+\}/g) ?? []);
      expect(new Set(places.map(String)).size).toBe(1);
    }
  });

  it('are filled with what the refusal says', () => {
    expect(messageFor('device_limit_reached', { limit: 5 }, 'en')).toContain('5 devices');
    expect(messageFor('device_limit_reached', { limit: 5 }, 'ru')).toContain('5');
  });
});

describe('the language of an answer', () => {
  it.each([
    [undefined, 'en'],
    ['', 'en'],
    ['ru', 'ru'],
    ['ru-RU,ru;q=0.9,en;q=0.8', 'ru'],
    ['en-US,en;q=0.9,ru;q=0.8', 'en'],
    ['en;q=0.1, ru;q=0.9', 'ru'],
    ['de,fr;q=0.9', 'en'],
    ['*', 'en'],
    ['ru;q=0', 'en'],
    [';;;,,;q=x', 'en'],
    ['RU', 'ru'],
  ])('for %p is %p', (header, locale) => {
    expect(chooseLocale(header)).toBe(locale);
  });
});
