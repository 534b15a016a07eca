import { describe, expect, it } from '@jest/globals';
import { LOCALES } from '../i18n/messages.js';
import { type Letter } from './letter.js';
import { htmlOf, letterText, localeOf } from './letters.js';

const END = new Date('2026-11-25T10:00:00Z');
const LETTERS: readonly Letter[] = [
  { kind: 'access_ends', params: { tariff: 'Monthly', endsAt: END } },
  { kind: 'access_ended', params: { tariff: 'Monthly', endedAt: END } },
  { kind: 'payment_failed', params: { tariff: 'Monthly', store: 'App Store', endsAt: END } },
  { kind: 'payment_stopped', params: { tariff: 'Monthly', store: 'App Store', stoppedAt: END } },
  { kind: 'purchase_came', params: { tariff: 'Monthly', store: 'App Store', movedAt: END } },
  { kind: 'purchase_left', params: { tariff: 'Monthly', store: 'App Store', movedAt: END } },
];

describe('a letter', () => {
  it.each(LOCALES.flatMap((locale) => LETTERS.map((letter) => [letter.kind, locale, letter] as const)))(
    '%s in %s says of which subscription it speaks, and when, to the minute',
    (_kind, locale, letter) => {
      const { subject, paragraphs } = letterText(letter, locale);
      const text = paragraphs.join('\n\n');
      expect(subject).not.toBe('');
      expect(text).toContain('Monthly');
      expect(text).toContain('10:00 (UTC)');
      expect(text).toContain(locale === 'ru' ? '25 ноября 2026' : '25 November 2026');
    },
  );

  it('as HTML takes nothing for markup', () => {
    const html = htmlOf(`Hello,\n\n"<b>Tom & Jerry's</b>"\nends`, 'en');
    expect(html).toContain('<p>Hello,</p><p>&quot;&lt;b&gt;Tom &amp; Jerry&#39;s&lt;/b&gt;&quot;<br>ends</p>');
    expect(html).toContain('<html lang="en">');
  });

  it('is written in English to whoever speaks none of our languages', () => {
    expect(['en', 'ru', 'de', ''].map(localeOf)).toEqual(['en', 'ru', 'en', 'en']);
  });
});
