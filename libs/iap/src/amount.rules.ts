import { type Money } from '#kernel';

/** An amount that is counted in parts of a unit, as money: 9990 thousandths = "9.99". At least two digits after the point. */
export function moneyOfParts(parts: bigint, digits: number): Money {
  const text = parts.toString().padStart(digits + 1, '0');
  const fraction = text.slice(-digits).replace(/0+$/, '').padEnd(2, '0');
  return `${text.slice(0, -digits)}.${fraction}`;
}

/** A share of an amount in thousandths of a unit; the share is in thousandths of a percent (100000 = all). Halves are rounded up. */
export function shareOf(thousandths: bigint, share: bigint): bigint {
  return (thousandths * share * 2n + 100_000n) / 200_000n;
}
