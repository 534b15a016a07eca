import { type ErrorCode, type ErrorParams } from '#kernel';
import { en } from './en.js';
import { ru } from './ru.js';

const CATALOGUES = { en, ru } as const;

/** The languages we speak. */
export type Locale = keyof typeof CATALOGUES;
export const LOCALES = Object.keys(CATALOGUES) as Locale[];
export const DEFAULT_LOCALE: Locale = 'en';

/** What a refusal is called in the reader's language, with its parameters filled in. */
export function messageFor(code: ErrorCode, params: ErrorParams, locale: Locale): string {
  return CATALOGUES[locale][code].replace(/\{(\w+)\}/g, (place, name: string) => String(params[name] ?? place));
}

/**
 * The language to answer in, from an `Accept-Language` header (RFC 9110 12.5.4): the one we speak with the highest weight,
 * English when there is none.
 */
export function chooseLocale(acceptLanguage: string | undefined): Locale {
  let best: { locale: Locale; weight: number } = { locale: DEFAULT_LOCALE, weight: 0 };
  for (const range of (acceptLanguage ?? '').slice(0, 200).split(',')) {
    const [tag = '', ...parameters] = range.trim().toLowerCase().split(';');
    const locale = LOCALES.find((candidate) => tag === candidate || tag.startsWith(`${candidate}-`));
    if (locale === undefined) continue;
    const quality = parameters.map((parameter) => /^\s*q=([\d.]+)\s*$/.exec(parameter)?.[1]).find(Boolean);
    const weight = quality === undefined ? 1 : Number(quality);
    if (weight > best.weight) best = { locale, weight };
  }
  return best.locale;
}
