/** Longest text that is taken over from outside, in characters: a purchase token has about 150. */
const MAX_TEXT = 2048;
/** What PostgreSQL cannot hold (NUL), and what no identifier or token has. */
// eslint-disable-next-line no-control-regex -- that is what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/;
/** Farthest instant that Date can hold, in milliseconds since 1970. */
const MAX_INSTANT = 8.64e15;

/** What is found at a path of something unknown; undefined where there is nothing. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (!isObject(found) || !Object.hasOwn(found, name)) return undefined;
    found = found[name];
  }
  return found;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The items of a list; none when it is no list. */
export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A text worth keeping; null for anything else, and for one that no store sends. */
export function text(value: unknown): string | null {
  if (typeof value !== 'string' || value === '' || value.length > MAX_TEXT || CONTROL.test(value)) return null;
  return value;
}

export function integer(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
}

/** Milliseconds since 1970, which Google writes as a number or as a text of digits. */
export function millis(value: unknown): number | null {
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : integer(value);
  return number === null || number < 0 || number > MAX_INSTANT ? null : number;
}

/** An instant in RFC 3339 (`2026-11-22T10:00:00.123Z`), as milliseconds since 1970. */
export function instant(value: unknown): number | null {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(value)) return null;
  const time = Date.parse(value);
  return Number.isNaN(time) ? null : time;
}
