import ipaddr from 'ipaddr.js';
import { isIP } from 'node:net';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Addresses that begin with the same bits. */
export type Network = readonly [address: Address, bits: number];

/** `10.0.0.0/8`, `2001:db8::/32`, or one address; undefined for anything else. */
export function parseNetwork(text: string): Network | undefined {
  const [base = '', bits, ...rest] = text.split('/');
  if (isIP(base) === 0 || rest.length > 0) return undefined;
  const address = ipaddr.parse(base);
  const longest = address.kind() === 'ipv4' ? 32 : 128;
  const length = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (!(length >= 0 && length <= longest)) return undefined;
  const isMapped = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && length >= 96;
  return isMapped ? [address.toIPv4Address(), length - 96] : [address, length];
}

/**
 * Who really calls: the end of the connection; or, where that is a proxy to be trusted, whom the nearest one that is not trusted
 * was seen as. `X-Forwarded-For` is read from the right, because each proxy appends to what its caller claims. Where that names
 * nobody, or no address, it is the end of the connection all the same. IPv4 inside IPv6 (`::ffff:192.0.2.1`) is IPv4.
 *
 * Fastify's own `trustProxy` reads from the right too, but takes junk for an address and the host's name from a header (tried).
 */
export function clientAddress(
  socketAddress: string | undefined,
  forwardedFor: string | undefined,
  trusted: readonly Network[],
): string | undefined {
  const socket = parseAddress(socketAddress ?? '');
  if (socket === undefined) return undefined;
  if (forwardedFor !== undefined && isAmong(socket, trusted)) {
    for (const hop of forwardedFor.split(',').reverse()) {
      const address = parseAddress(hop.trim());
      if (address === undefined) break;
      if (!isAmong(address, trusted)) return address.toString();
    }
  }
  return socket.toString();
}

/**
 * The scheme that the caller used, as the proxy at the end of the connection says; undefined where none is to be trusted or it says
 * nothing. Of several proxies the first one met the caller.
 */
export function forwardedScheme(
  socketAddress: string | undefined,
  forwardedProto: string | undefined,
  trusted: readonly Network[],
): string | undefined {
  if (forwardedProto === undefined || trusted.length === 0) return undefined;
  const socket = parseAddress(socketAddress ?? '');
  if (socket === undefined || !isAmong(socket, trusted)) return undefined;
  return forwardedProto.split(',', 1)[0]?.trim().toLowerCase();
}

/** The network that an address is in, as `192.0.2.0/24`; undefined for what is no address. */
export function networkOf(text: string, bits: { readonly v4: number; readonly v6: number }): string | undefined {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  if (address instanceof ipaddr.IPv4)
    return `${ipaddr.IPv4.networkAddressFromCIDR(`${address.toString()}/${bits.v4}`).toString()}/${bits.v4}`;
  const bare = new ipaddr.IPv6(address.toByteArray()); // without the zone that a link-local address may carry
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${bare.toString()}/${bits.v6}`).toString()}/${bits.v6}`;
}

function parseAddress(text: string): Address | undefined {
  return isIP(text) === 0 ? undefined : ipaddr.process(text);
}

function isAmong(address: Address, networks: readonly Network[]): boolean {
  return networks.some(([base, bits]) => base.kind() === address.kind() && address.match(base, bits));
}
