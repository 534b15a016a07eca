import { HostProvider, type Server, type WireGuardProvider } from '#wireguard';
import { FakeWgHost } from './wg-host.js';

/** Real providers of hosts in memory, one for each server; in the place of `Providers`, which would open SSH connections. */
export class FakeProviders {
  private readonly hosts = new Map<number, FakeWgHost>();
  private readonly providers = new Map<number, WireGuardProvider>();

  /** The host of a server. */
  host(serverId: number): FakeWgHost {
    const host = this.hosts.get(serverId) ?? new FakeWgHost();
    this.hosts.set(serverId, host);
    return host;
  }

  of(server: Server): Promise<WireGuardProvider | null> {
    if (!server.applies) return Promise.resolve(null);
    const keysFrom = server.provider === 'host' ? 'host' : 'service';
    const provider =
      this.providers.get(server.id) ??
      new HostProvider(this.host(server.id), { interface: 'wg0', keysFrom, sudo: false });
    this.providers.set(server.id, provider);
    return Promise.resolve(provider);
  }
}
