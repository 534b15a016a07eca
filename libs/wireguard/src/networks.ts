import ipaddr from 'ipaddr.js';
import { isIPv4, isIPv6 } from 'node:net';
import { addressToNumber, numberToAddress, parseSubnet, type Subnet } from '#platform';

export { parseSubnet, type Subnet } from '#platform';

/**
 * How many networks a peer may route. Everything but private networks and a few hosts takes 77 to 160; as many as this, and their
 * config still fits into a QR code when they are IPv4.
 */
export const MAX_ALLOWED_IPS = 256;
/** A dotted IPv4 address at the end of an IPv6 one. */
const DOTTED = /(?<=:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/;
const MAPPED = /^::ffff:/;

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
 * What is answered is written anew from the numbers read, so no character of the caller's reaches a config. IPv4 inside IPv6
 * (`::ffff:10.0.0.0/104`) is none: Android refuses a text that has it, others route IPv6 that does not exist.
 */
export function parseAllowedIps(text: string): string | undefined {
  const networks = text.split(',').map((item) => parseNetwork(item.trim()));
  const isFine = networks.every((network) => network !== undefined && !MAPPED.test(network));
  const distinct = new Set(networks);
  return isFine && distinct.size <= MAX_ALLOWED_IPS ? [...distinct].join(', ') : undefined;
}

/** Reads one IPv4 or IPv6 network, a bare address counting as a single one, and writes it in its one canonical form. */
export function parseNetwork(text: string): string | undefined {
  const [address = '', prefixText, ...rest] = text.split('/');
  const bits = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : undefined;
  if (bits === undefined || rest.length > 0) return undefined;
  if (prefixText !== undefined && !/^\d{1,3}$/.test(prefixText)) return undefined;
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  if (prefix > bits) return undefined;
  // ipaddr.js takes ::1.2.3.4 for ::ffff:1.2.3.4, which is another address.
  const cidr = `${address.replace(DOTTED, (_dotted, ...octets) => hextets(octets.slice(0, 4).map(Number)))}/${prefix}`;
  const network = bits === 32 ? ipaddr.IPv4.networkAddressFromCIDR(cidr) : ipaddr.IPv6.networkAddressFromCIDR(cidr);
  return `${network.toString()}/${prefix}`;
}

/** Reads exactly one address, `10.8.0.7/32` or `fd00::7/128` (the prefix may be left out), in its one canonical form. */
export function parseSingleNetwork(text: string): string | undefined {
  const network = parseNetwork(text);
  return network?.endsWith(network.includes(':') ? '/128' : '/32') === true ? network : undefined;
}

/**
 * The resolvers that a device can ask: those of a family it has an address of, and that its routes lead to. One outside of them
 * would be asked beside the tunnel, if it can be reached there at all; without any, a device keeps its own.
 */
export function reachableResolvers(
  dns: readonly string[],
  device: { readonly hasIpv6: boolean; readonly allowedIps: string },
): readonly string[] {
  const routes = device.allowedIps.split(', ').map((network) => ipaddr.parseCIDR(network));
  return dns.filter((text) => {
    const resolver = ipaddr.parse(text);
    if (resolver.kind() === 'ipv6' && !device.hasIpv6) return false;
    return routes.some(([base, bits]) => base.kind() === resolver.kind() && resolver.match(base, bits));
  });
}

/** Whether devices that have IPv4 only could ask none of these resolvers. */
export function areAllIpv6(dns: readonly string[]): boolean {
  return dns.every((text) => isIPv6(text));
}

function hextets([a = 0, b = 0, c = 0, d = 0]: readonly number[]): string {
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}
