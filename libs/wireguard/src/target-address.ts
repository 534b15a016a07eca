import ipaddr from 'ipaddr.js';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { DomainError } from '#kernel';
import { isAllowedTarget } from './target-address.rules.js';

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
    const isAllowed = ipaddr.isValid(address) && isAllowedTarget(ipaddr.process(address), allowPrivateTargets);
    if (!isAllowed) throw new DomainError('server_refused', { params: { kind: 'target' } });
  }
  const [first] = addresses;
  if (first === undefined) throw new DomainError('server_unavailable', { params: { kind: 'network' } });
  return first;
}

async function systemAddresses(hostname: string): Promise<readonly string[]> {
  const found = await lookup(hostname, { all: true, verbatim: false });
  return found.map(({ address }) => address);
}
