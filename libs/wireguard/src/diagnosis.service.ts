import { Injectable } from '@nestjs/common';
import { DomainError, isError } from '#kernel';
import {
  isResolver,
  isSampleHost,
  isSampleKey,
  isUnreachable,
  parseEndpoint,
  Settings,
  UnreadableSecretError,
} from '#platform';
import { AddressesRepository } from './addresses.repository.js';
import { faultOf } from './host-link.rules.js';
import { HostProvider } from './host.provider.js';
import { isKey } from './keys.js';
import { areAllIpv6, parseSubnet, parseSubnet6 } from './networks.js';
import { Providers } from './providers.service.js';
import { type Server } from './server.js';
import { ServerHealthRepository } from './server-health.repository.js';
import { type WireGuardProvider } from './wireguard.provider.js';

/** What came of looking at one side of a server. */
export interface Finding {
  readonly about: 'settings' | 'connection' | 'interface' | 'public key' | 'addresses' | 'strangers';
  readonly isWell: boolean;
  /** One line for an operator, without any secret. */
  readonly says: string;
}

/** From this part of the addresses on it is time for another server. */
const NEARLY_ALL = 0.9;
const LONGEST_CAUSE = 200;

/** Looks a server over from end to end, and changes nothing. */
@Injectable()
export class Diagnosis {
  constructor(
    private readonly settings: Settings,
    private readonly providers: Providers,
    private readonly addresses: AddressesRepository,
    private readonly health: ServerHealthRepository,
  ) {}

  async examine(server: Server): Promise<readonly Finding[]> {
    const faults = faultsOf(server, this.settings.environment === 'production');
    const settings = finding('settings', faults.length === 0, faults.join('; ') || 'make sense');
    return [settings, ...(await this.connection(server)), await this.pool(server), ...(await this.strangers(server))];
  }

  private async connection(server: Server): Promise<readonly Finding[]> {
    let provider: WireGuardProvider | null = null;
    try {
      provider = await this.providers.of(server);
      if (provider === null) return [finding('connection', true, 'none: an operator applies the export')];
      const live = await provider.list();
      return [
        finding('connection', true, `answers, with ${live.length} peers`),
        ...(await hostInterface(provider, true)),
        await publicKey(server, provider),
        ...(await told(server, provider)),
      ];
    } catch (error) {
      if (error instanceof UnreadableSecretError) return [finding('connection', false, error.message)];
      if (!(error instanceof DomainError)) throw error;
      const isOfWg = ['interface', 'permission'].includes(String(error.params['kind']));
      return [
        finding('connection', false, reasonOf(error)),
        ...(provider !== null && isOfWg ? await hostInterface(provider, false) : []),
      ];
    }
  }

  /** As of the last sweep. They may be an operator's own, so they are no problem by themselves. */
  private async strangers({ id }: Server): Promise<readonly Finding[]> {
    const strangers = (await this.health.find(id))?.strangers ?? 0;
    if (strangers === 0) return [];
    const peers = strangers === 1 ? '1 peer' : `${strangers} peers`;
    return [finding('strangers', true, `${peers} that no device has; "servers sync --force" removes such`)];
  }

  private async pool({ id, provider }: Server): Promise<Finding> {
    const { taken, total } = await this.addresses.usage(id);
    const whose = provider === 'wg-easy' ? ' (wg-easy has a pool of its own)' : '';
    return finding('addresses', taken < NEARLY_ALL * total, `${taken} of ${total} taken${whose}`);
  }
}

/** What makes the configs of devices connect to nothing. In production, that an example was left as it was. */
function faultsOf(server: Server, isProduction: boolean): readonly string[] {
  const { endpoint, publicKey: key, subnet, subnet6, dns, provider } = server;
  const host = parseEndpoint(endpoint)?.host;
  const isExample = isProduction && ((host !== undefined && isSampleHost(host)) || isSampleKey(key));
  return [
    ...(host === undefined ? ['the endpoint is not host:port as every client reads it'] : []),
    ...(host !== undefined && isUnreachable(host) ? [`no device reaches the endpoint ${endpoint}`] : []),
    ...(isKey(key) ? [] : ['the public key is none']),
    ...(isExample ? ['the endpoint or the public key is that of an example'] : []),
    ...(dns.every(isResolver) ? [] : ['a resolver is no address that a device can ask']),
    // wg-easy gives devices addresses of its own, IPv6 ones too.
    ...(provider !== 'wg-easy' && subnet6 === null && areAllIpv6(dns)
      ? ['devices have no IPv6, and all resolvers are IPv6: they get none']
      : []),
    ...(parseSubnet(subnet) === undefined ? ['the subnet is not an IPv4 network from /16 to /30'] : []),
    ...(subnet6 === null || parseSubnet6(subnet6) !== undefined ? [] : ['the IPv6 subnet is none that peers can have']),
  ];
}

/** What `wg` cannot tell apart, and an interface that is down, which `wg` shows as if it were not. */
async function hostInterface(provider: WireGuardProvider, answers: boolean): Promise<readonly Finding[]> {
  if (!(provider instanceof HostProvider)) return [];
  const fault = faultOf(await provider.link(), provider.interface, answers);
  return fault === undefined ? [] : [finding('interface', false, fault)];
}

async function publicKey(server: Server, provider: WireGuardProvider): Promise<Finding> {
  const key = await provider.serverKey();
  if (key === null) return finding('public key', true, 'cannot be compared yet: the server does not tell it');
  if (key === server.publicKey) return finding('public key', true, 'is the one that devices are given');
  return finding('public key', false, `is ${key}, but devices are given ${server.publicKey}`);
}

/** Where the server renders configs too: devices are given ours, and somebody may have meant the other one. */
async function told({ endpoint, dns, mtu }: Server, provider: WireGuardProvider): Promise<readonly Finding[]> {
  const its = await provider.toldConfig?.();
  if (its == null) return [];
  const differences = [
    ...(its.endpoint === null || its.endpoint === endpoint ? [] : [`the endpoint ${its.endpoint}`]),
    ...(its.dns.join() === dns.join() ? [] : [`the DNS ${its.dns.join(', ') || 'of none'}`]),
    ...(its.mtu === null || its.mtu === mtu ? [] : [`the MTU ${its.mtu}`]),
  ];
  if (differences.length === 0) return [];
  const isWell = its.endpoint === null || its.endpoint === endpoint;
  return [finding('settings', isWell, `the server's own configs have ${differences.join(' and ')}; devices get ours`)];
}

function reasonOf({ code, params, cause }: DomainError): string {
  const why = isError(cause) ? `: ${cause.message.replaceAll(/\s+/g, ' ').slice(0, LONGEST_CAUSE)}` : '';
  return `${code} (${String(params['kind'] ?? 'unknown')})${why}`;
}

function finding(about: Finding['about'], isWell: boolean, says: string): Finding {
  return { about, isWell, says };
}
