/** The largest id: ids are 32-bit integers, as the older service had them and as the app's models expect. */
export const MAX_ID = 2 ** 31 - 1;

/** Whether a number can be a row's id: a whole number from 1 to 2147483647. Anything else never reaches SQL. */
export function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_ID;
}
