import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { SecretBox, Settings, UnitOfWork } from '#platform';
import { AddressesRepository } from './addresses.repository.js';
import { generateKeyPair } from './keys.js';
import { parseSubnet } from './networks.js';
import { type Server } from './server.js';
import { placeOf, type SealedAccess, type ServerAccess } from './server-access.js';
import { type DescribedServer, ServersRepository } from './servers.repository.js';

const DEVELOPMENT_ENDPOINT = '127.0.0.1:51820';

/** The server that the WG_* settings describe, so that nobody has to register it. */
@Injectable()
export class FirstServer implements OnApplicationBootstrap {
  constructor(
    private readonly settings: Settings,
    private readonly uow: UnitOfWork,
    private readonly repository: ServersRepository,
    private readonly addresses: AddressesRepository,
    private readonly box: SecretBox,
  ) {}

  /**
   * Brings its row up to date with the settings. Where no public key is set (development), a pair is made once and kept, so that
   * `cli servers export` gives a server that devices can connect to.
   */
  async onApplicationBootstrap(): Promise<void> {
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
        ...(await this.reachFor(existing)),
        keys: this.keysFor(existing, serverPublicKey),
      });
      if (server.subnet !== existing?.subnet) await this.addresses.fill(server);
    });
  }

  /** How the settings say that it is reached, sealed. Another place is another server, whose peers are not ours to remove yet. */
  private async reachFor(existing: Server | null): Promise<Pick<DescribedServer, 'sealedAccess' | 'adopted'>> {
    const access = accessOf(this.settings.wireguard);
    if (access === null) return { sealedAccess: null, adopted: false };
    const text = JSON.stringify({ access, fromSettings: true } satisfies SealedAccess);
    const sealed = existing === null ? null : await this.repository.sealedAccess(existing.id);
    const known = sealed === null ? null : this.box.open(sealed);
    const isElsewhere = known === null || placeOf((JSON.parse(known) as SealedAccess).access) !== placeOf(access);
    return {
      sealedAccess: known === text ? undefined : this.box.seal(text),
      adopted: isElsewhere ? false : undefined,
    };
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
