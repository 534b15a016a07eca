import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DomainError, invalidField } from '#kernel';
import { SecretBox, Settings, UnitOfWork } from '#platform';
import { AddressesRepository } from './addresses.repository.js';
import { generateKeyPair } from './keys.js';
import { parseSubnet } from './networks.js';
import { type Server } from './server.js';
import { type DescribedServer, ServersRepository } from './servers.repository.js';

const DEVELOPMENT_ENDPOINT = '127.0.0.1:51820';

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
   * A server for a new peer: the one asked for, or the first that takes peers.
   * @throws DomainError no_server_available | validation_error (there is no such server)
   */
  async place(wantedId: number | undefined): Promise<Server> {
    if (wantedId !== undefined && (await this.repository.find(wantedId)) === null) {
      throw invalidField(['body', 'server_id'], 'there is no such server', 'value_error.server_id');
    }
    const server = await this.repository.findActive(wantedId);
    if (server === null) throw new DomainError('no_server_available', { retryAfterSeconds: 60 });
    return server;
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
    const { serverPublicKey, endpoint, subnet, dns, mtu } = this.settings.wireguard;
    await this.uow.run(async () => {
      const existing = await this.repository.lockFirst();
      const server = await this.repository.saveFirst(existing, {
        endpoint: endpoint ?? existing?.endpoint ?? DEVELOPMENT_ENDPOINT,
        subnet: parseSubnet(subnet)?.cidr ?? subnet,
        dns,
        mtu,
        keys: this.keysFor(existing, serverPublicKey),
      });
      if (server.subnet !== existing?.subnet) await this.addresses.fill(server);
    });
  }

  private keysFor(existing: Server | null, given: string | undefined): DescribedServer['keys'] {
    if (existing !== null && (given === undefined || given === existing.publicKey)) return undefined;
    if (given !== undefined) return { publicKey: given, sealedPrivateKey: null };
    const { publicKey, privateKey } = generateKeyPair();
    return { publicKey, sealedPrivateKey: this.box.seal(privateKey) };
  }
}
