/**
 * An amount as a decimal string with exactly two digits after the point ("9.99"), the form in which it is stored, compared and
 * answered. Floating point never touches money.
 */
export type Money = string;

/** Up to 8 digits before the point and 2 after it: what numeric(10,2) holds. */
const AMOUNT = /^(\d{1,8})(?:\.(\d{1,2}))?$/;

/** Reads an amount from a request (a number or a decimal string); undefined when it is not one. Negative amounts are not. */
export function parseMoney(input: unknown): Money | undefined {
  if (typeof input !== 'number' && typeof input !== 'string') return undefined;
  const match = AMOUNT.exec(String(input));
  if (!match?.[1]) return undefined;
  return `${Number(match[1])}.${(match[2] ?? '').padEnd(2, '0')}`;
}

/** Whether nothing is asked for. */
export function isFree(amount: Money): boolean {
  return Number(amount) === 0;
}
