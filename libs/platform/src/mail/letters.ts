import { DEFAULT_LOCALE, type Locale, LOCALES } from '../i18n/messages.js';
import { en } from './letters.en.js';
import { ru } from './letters.ru.js';
import { type LetterCatalogue, type LetterOf, type LetterParams, type LetterText } from './letter.js';

const CATALOGUES: Readonly<Record<Locale, LetterCatalogue>> = { en, ru };

/** What a letter says in a language. */
export function letterText<Kind extends keyof LetterParams>(
  { kind, params }: LetterOf<Kind>,
  locale: Locale,
): LetterText {
  return CATALOGUES[locale][kind](params);
}

/** The language a user is written to in, as his row says it; English when it is none of ours. */
export function localeOf(locale: string): Locale {
  return LOCALES.find((known) => known === locale) ?? DEFAULT_LOCALE;
}

/** A text as a simple HTML page: its paragraphs, with nothing in them taken for markup. */
export function htmlOf(text: string, language: string): string {
  const paragraphs = text.split('\n\n').map((paragraph) => `<p>${escaped(paragraph).replaceAll('\n', '<br>')}</p>`);
  return `<!doctype html><html lang="${escaped(language)}"><meta charset="utf-8"><body>${paragraphs.join('')}</body></html>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
