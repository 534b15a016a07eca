import type ipaddr from 'ipaddr.js';

/** Ranges (by ipaddr.js's names) of networks that are somebody's own: a target only where the operator says so. */
const PRIVATE_RANGES: ReadonlySet<string> = new Set(['private', 'loopback', 'uniqueLocal', 'carrierGradeNat']);

/**
 * Where clouds answer any process of a machine with that machine's own credentials. Most clouds use 169.254.169.254, which is
 * link-local and therefore never a target; these (Azure, Alibaba, AWS over IPv6) lie in ranges that could be one.
 */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set(['168.63.129.16', '100.100.100.200', 'fd00:ec2::254']);

/**
 * Reads the address of an HTTP interface that an administrator typed; undefined for anything but plain http(s)://host[:port][/path].
 * A user name or password in it would end up in logs, and has a place of its own.
 */
export function parseTargetUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isPlain = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  return isPlain && (url.protocol === 'http:' || url.protocol === 'https:') ? url : undefined;
}

/**
 * Whether this service may connect to an address that came from outside. Public addresses always; private and loopback ones only
 * with `allowPrivateTargets`; link-local, multicast, unspecified, reserved, translated (NAT64, 6to4, Teredo) and metadata ones
 * never: no server is kept there, and a translated one hides where it leads. An IPv4 address mapped into IPv6 is to be handed in
 * as the former.
 */
export function isAllowedTarget(address: ipaddr.IPv4 | ipaddr.IPv6, allowPrivateTargets: boolean): boolean {
  if (METADATA_ADDRESSES.has(address.toString())) return false;
  const range = address.range();
  return range === 'unicast' || (allowPrivateTargets && PRIVATE_RANGES.has(range));
}
