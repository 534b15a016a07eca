import ipaddr from 'ipaddr.js';
import { isIPv4, isIPv6 } from 'node:net';

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
/** How many networks a peer may route: more is not a config, it is an attack on one. */
const MAX_ALLOWED_IPS = 64;

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

/** Locally assigned (RFC 4193): what begins with fd. */
const ULA = /^fd[0-9a-f]{2}:/;
/** At most /112, so that the 16 bits of the widest IPv4 network fit behind the prefix. */
const SUBNET6_PREFIXES = { widest: 64, narrowest: 112 };

/** Reads a unique local IPv6 network from /64 to /112; host bits are cleared. Undefined when it is none. */
export function parseSubnet6(text: string): string | undefined {
  const network = text.includes('/') ? parseNetwork(text) : undefined;
  const prefix = Number(network?.split('/')[1]);
  const fits = prefix >= SUBNET6_PREFIXES.widest && prefix <= SUBNET6_PREFIXES.narrowest;
  return network !== undefined && ULA.test(network) && fits ? network : undefined;
}

/** The server's own address: the first one of its network. */
export function serverAddress(subnet: Subnet): string {
  return numberToAddress(subnet.first + 1);
}

/** The first and last address that peers may have: network, server and broadcast addresses are left out. */
export function peerRange(subnet: Subnet): { readonly from: string; readonly to: string } {
  return { from: numberToAddress(subnet.first + 2), to: numberToAddress(subnet.last - 1) };
}

/** The IPv6 address that goes with an IPv4 one: as far from the beginning of its network; null where the server has none. */
export function address6Of(
  server: { readonly subnet: string; readonly subnet6: string | null },
  address: string,
): string | null {
  const subnet = parseSubnet(server.subnet);
  if (server.subnet6 === null || subnet === undefined) return null;
  const bytes = ipaddr.IPv6.networkAddressFromCIDR(server.subnet6).toByteArray();
  const offset = addressToNumber(address) - subnet.first;
  const tail = bytes.length - 4;
  for (let index = 0; index < 4; index++)
    bytes[tail + index] = (bytes[tail + index] ?? 0) | ((offset >>> (24 - 8 * index)) & 255);
  return new ipaddr.IPv6(bytes).toString();
}

/** Reads a peer's address ("10.8.0.7" or "10.8.0.7/32"); undefined when it is not one IPv4 address. */
export function parsePeerAddress(text: string): string | undefined {
  const address = text.endsWith('/32') ? text.slice(0, -3) : text;
  return isIPv4(address) ? address : undefined;
}

/**
 * Reads a list of networks ("0.0.0.0/0, ::/0"), bare addresses counting as single ones; undefined when any of it is not.
 * What is answered is written anew from the numbers read, so no character of the caller's reaches a config.
 */
export function parseAllowedIps(text: string): string | undefined {
  const items = text.split(',').map((item) => item.trim());
  if (items.length > MAX_ALLOWED_IPS) return undefined;
  const networks = items.map(parseNetwork);
  return networks.every((network) => network !== undefined) ? [...new Set(networks)].join(', ') : undefined;
}

/** Reads one IPv4 or IPv6 network, a bare address counting as a single one, and writes it in its one canonical form. */
export function parseNetwork(text: string): string | undefined {
  const [address = '', prefixText, ...rest] = text.split('/');
  const bits = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : undefined;
  if (bits === undefined || rest.length > 0) return undefined;
  if (prefixText !== undefined && !/^\d{1,3}$/.test(prefixText)) return undefined;
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  if (prefix > bits) return undefined;
  const cidr = `${address}/${prefix}`;
  const network = bits === 32 ? ipaddr.IPv4.networkAddressFromCIDR(cidr) : ipaddr.IPv6.networkAddressFromCIDR(cidr);
  return `${network.toString()}/${prefix}`;
}

/** Reads exactly one address, `10.8.0.7/32` or `fd00::7/128` (the prefix may be left out), in its one canonical form. */
export function parseSingleNetwork(text: string): string | undefined {
  const network = parseNetwork(text);
  return network?.endsWith(network.includes(':') ? '/128' : '/32') === true ? network : undefined;
}

function addressToNumber(address: string): number {
  return address.split('.').reduce((number, octet) => number * 256 + Number(octet), 0);
}

function numberToAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}
