/**
 * An amount as a decimal string with two digits after the point, or up to six where a store charged so finely ("9.99", "0.0125"):
 * the one form in which it is compared and answered. Floating point never touches money.
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

/** An amount as PostgreSQL writes numeric(18,6) ("9.990000"), without the zeros that say nothing: two digits stay. */
export function storedMoney(numeric: string): Money {
  const [whole = '0', fraction = ''] = numeric.split('.');
  return `${whole}.${fraction.replace(/0+$/, '').padEnd(2, '0')}`;
}

/** Whether nothing is asked for. */
export function isFree(amount: Money): boolean {
  return Number(amount) === 0;
}
