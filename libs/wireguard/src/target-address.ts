import ipaddr from 'ipaddr.js';
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import { DomainError } from '#kernel';
import { isAllowedTarget, parseTargetUrl } from './target-address.rules.js';

/** All addresses of a name, the one to use first. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/**
 * The address to connect to, resolved once and checked. A name with even one address that is not allowed is not trusted with the
 * others.
 * @throws DomainError server_refused (target) | server_unavailable (network)
 */
export async function targetAddress(
  hostname: string,
  allowPrivateTargets: boolean,
  resolve: Resolve = systemAddresses,
): Promise<string> {
  const addresses = isIP(hostname) === 0 ? await resolve(hostname) : [hostname];
  for (const address of addresses) {
    if (!isAllowedAddress(address, allowPrivateTargets))
      throw new DomainError('server_refused', { params: { kind: 'target' } });
  }
  const [first] = addresses;
  if (first === undefined) throw new DomainError('server_unavailable', { params: { kind: 'network' } });
  return first;
}

/** RFC 6761 6.3: these names are the loopback, whatever a resolver says. */
const LOCALHOST = /^(.+\.)?localhost\.?$/;

/**
 * Whether a host that somebody typed can be one to connect to. A name passes here: what it leads to is looked at with every
 * connection, since it may lead elsewhere by then.
 */
export function isAllowedHost(host: string, allowPrivateTargets: boolean): boolean {
  // Read as browsers and resolvers do: 127.1 and 0x7f000001 are addresses too.
  const url = parseTargetUrl(`http://${isIPv6(host) ? `[${host}]` : host}`);
  if (url === undefined) return false;
  const hostname = bareHostname(url).replace(LOCALHOST, '127.0.0.1');
  return isIP(hostname) === 0 || isAllowedAddress(hostname, allowPrivateTargets);
}

/** The host of a URL, an IPv6 address without its brackets. */
export function bareHostname({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function isAllowedAddress(address: string, allowPrivateTargets: boolean): boolean {
  return ipaddr.isValid(address) && isAllowedTarget(ipaddr.process(address), allowPrivateTargets);
}

async function systemAddresses(hostname: string): Promise<readonly string[]> {
  const found = await lookup(hostname, { all: true, verbatim: false });
  return found.map(({ address }) => address);
}
