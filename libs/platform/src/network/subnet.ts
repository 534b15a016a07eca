import { isIPv4 } from 'node:net';

/** An IPv4 network: its first and last address as numbers. */
export interface Subnet {
  readonly cidr: string;
  readonly prefix: number;
  readonly first: number;
  readonly last: number;
}

/** A pool of more than 65 536 addresses is more than one host can serve; of fewer than 2 hosts, none. */
const WIDEST_PREFIX = 16;
const NARROWEST_PREFIX = 30;

/** Reads an IPv4 network from /16 to /30; host bits are cleared. Undefined when it is none. */
export function parseSubnet(text: string): Subnet | undefined {
  const [address = '', prefixText = '', ...rest] = text.split('/');
  const prefix = Number(prefixText);
  if (rest.length > 0 || !isIPv4(address) || !/^\d{2}$/.test(prefixText)) return undefined;
  if (prefix < WIDEST_PREFIX || prefix > NARROWEST_PREFIX) return undefined;
  const size = 2 ** (32 - prefix);
  const first = Math.floor(addressToNumber(address) / size) * size;
  return { cidr: `${numberToAddress(first)}/${prefix}`, prefix, first, last: first + size - 1 };
}

export function addressToNumber(address: string): number {
  return address.split('.').reduce((number, octet) => number * 256 + Number(octet), 0);
}

export function numberToAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}
