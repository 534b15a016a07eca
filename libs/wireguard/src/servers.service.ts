import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DomainError, invalidField } from '#kernel';
import { SecretBox, Settings, UnitOfWork } from '#platform';
import { AddressesRepository } from './addresses.repository.js';
import { generateKeyPair } from './keys.js';
import { parseSubnet } from './networks.js';
import { type Server } from './server.js';
import { type SealedAccess, type ServerAccess } from './server-access.js';
import { type DescribedServer, type Placement, ServersRepository } from './servers.repository.js';

const DEVELOPMENT_ENDPOINT = '127.0.0.1:51820';

export { type Placement } from './servers.repository.js';

/** The WireGuard servers there are. */
@Injectable()
export class Servers implements OnApplicationBootstrap {
  constructor(
    private readonly settings: Settings,
    private readonly uow: UnitOfWork,
    private readonly repository: ServersRepository,
    private readonly addresses: AddressesRepository,
    private readonly box: SecretBox,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.ensureFirst();
  }

  /** A server that a row points to. */
  get(id: number): Promise<Server> {
    return this.repository.get(id);
  }

  /** All servers, by id. */
  list(): Promise<readonly Server[]> {
    return this.repository.list();
  }

  /**
   * A server for a new peer: the one asked for, or the least full of a region, or of all.
   * @throws DomainError no_server_available | validation_error (there is no such server or region)
   */
  async place(wanted: Placement): Promise<Server> {
    const server = await this.repository.findRoomiest(wanted);
    if (server !== null) return server;
    const { serverId, region } = wanted;
    if (serverId !== undefined && (await this.repository.find(serverId)) === null) {
      throw invalidField(['body', 'server_id'], 'there is no such server', 'value_error.server_id');
    }
    if (region !== undefined && !(await this.repository.hasRegion(region))) {
      throw invalidField(['body', 'region'], 'there is no such region', 'value_error.region');
    }
    throw new DomainError('no_server_available', { retryAfterSeconds: 60 });
  }

  /** From now on peers there that we know nothing of are removed. */
  adopt(id: number): Promise<void> {
    return this.repository.adopt(id);
  }

  /** The private key of a server whose key we made; null where only the host has it. */
  async privateKey(id: number): Promise<string | null> {
    const sealed = await this.repository.sealedPrivateKey(id);
    return sealed === null ? null : this.box.open(sealed);
  }

  /**
   * Brings the first server's row up to date with the WG_* settings, so that nobody has to register it. Where no public key is
   * set (development), a pair is made once and kept, so that `cli servers export` gives a server that devices can connect to.
   */
  private async ensureFirst(): Promise<void> {
    const { serverPublicKey, endpoint, subnet, dns, mtu, keyPolicy, applies, presharedKeys } = this.settings.wireguard;
    await this.uow.run(async () => {
      const existing = await this.repository.lockFirst();
      const server = await this.repository.saveFirst(existing, {
        endpoint: endpoint ?? existing?.endpoint ?? DEVELOPMENT_ENDPOINT,
        subnet: parseSubnet(subnet)?.cidr ?? subnet,
        dns,
        mtu,
        provider: keyPolicy,
        applies,
        presharedKeys,
        sealedAccess: await this.sealedFor(existing),
        keys: this.keysFor(existing, serverPublicKey),
      });
      if (server.subnet !== existing?.subnet) await this.addresses.fill(server);
    });
  }

  /** How the settings say that the first server is reached, sealed; undefined while that is what its row says already. */
  private async sealedFor(existing: Server | null): Promise<string | null | undefined> {
    const access = accessOf(this.settings.wireguard);
    if (access === null) return null;
    const text = JSON.stringify({ access, fromSettings: true } satisfies SealedAccess);
    const known = existing === null ? null : await this.repository.sealedAccess(existing.id);
    return known !== null && this.box.open(known) === text ? undefined : this.box.seal(text);
  }

  private keysFor(existing: Server | null, given: string | undefined): DescribedServer['keys'] {
    if (existing !== null && (given === undefined || given === existing.publicKey)) return undefined;
    if (given !== undefined) return { publicKey: given, sealedPrivateKey: null };
    const { publicKey, privateKey } = generateKeyPair();
    return { publicKey, sealedPrivateKey: this.box.seal(privateKey) };
  }
}

function accessOf({ applies, keyPolicy, host, easy, interface: name }: Settings['wireguard']): ServerAccess | null {
  if (!applies) return null;
  if (keyPolicy === 'wg-easy' && easy !== undefined) {
    const { url, username, password = null, apiKey = null } = easy;
    return { kind: 'wg-easy', url, username, password, apiKey };
  }
  if (host === undefined) return { kind: 'local', interface: name };
  const { fingerprint = null, ...target } = host;
  return { kind: 'ssh', interface: name, ...target, fingerprint };
}
