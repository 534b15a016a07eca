import { type Money } from '#kernel';

/** An amount that is counted in parts of a unit, as money: 9990 thousandths = "9.99". At least two digits after the point. */
export function moneyOfParts(parts: bigint, digits: number): Money {
  const text = parts.toString().padStart(digits + 1, '0');
  const fraction = text.slice(-digits).replace(/0+$/, '').padEnd(2, '0');
  return `${text.slice(0, -digits)}.${fraction}`;
}

/** Money as a number of parts of a unit: "9.99" = 9990 thousandths. Digits beyond those are left out. */
export function partsOfMoney(money: Money, digits: number): bigint {
  const [units = '0', fraction = ''] = money.split('.');
  return BigInt(units + fraction.slice(0, digits).padEnd(digits, '0'));
}

/** A share of an amount in parts of a unit; the share is in thousandths of a percent (100000 = all). Halves are rounded up. */
export function shareOf(parts: bigint, share: bigint): bigint {
  return (parts * share * 2n + 100_000n) / 200_000n;
}
