const SURROGATE_PAIR = /[\ud800-\udbff][\udc00-\udfff]/g;

/** Characters as people and PostgreSQL count them: code points, where a string's own length counts UTF-16 units. */
export function countCharacters(text: string): number {
  return text.length - (text.match(SURROGATE_PAIR)?.length ?? 0);
}
