import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { readFile } from 'node:fs/promises';
import { type Logger } from 'pino';
import { Randomness } from '#kernel';
import { LOG, SecretBox, Settings } from '#platform';
import { HostProvider } from './host.provider.js';
import { hostRefused } from './host-shell.js';
import { LocalShell } from './local-shell.js';
import { type SealedAccess } from './server-access.js';
import { type Server } from './server.js';
import { ServersRepository } from './servers.repository.js';
import { SshConnection } from './ssh-connection.js';
import { targetAddress } from './target-address.js';
import { WgEasyProvider } from './wg-easy.provider.js';
import { type WireGuardProvider } from './wireguard.provider.js';

/** 32 random bits: of so few installations as ever share a wg-easy no two have the same. */
const PREFIX_BYTES = 4;

interface Opened {
  /** What it was opened with: another one means that an operator changed how the server is reached, or who keeps it. */
  readonly openedWith: string;
  readonly provider: WireGuardProvider;
}

/** A provider for every server, kept open between calls. */
@Injectable()
export class Providers implements OnModuleDestroy {
  private readonly opened = new Map<number, Opened>();

  constructor(
    private readonly settings: Settings,
    private readonly repository: ServersRepository,
    private readonly box: SecretBox,
    private readonly randomness: Randomness,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /**
   * How to speak to a server; null where nobody does, because an operator applies the export.
   * @throws DomainError server_refused (its address or its key cannot be used)
   */
  async of(server: Server): Promise<WireGuardProvider | null> {
    if (!server.applies) return null;
    const sealedAccess = await this.repository.sealedAccess(server.id);
    if (sealedAccess === null) return null;
    const openedWith = `${server.provider} ${sealedAccess}`;
    const known = this.opened.get(server.id);
    if (known?.openedWith === openedWith) return known.provider;
    const provider = await this.open(server, JSON.parse(this.box.open(sealedAccess)) as SealedAccess);
    const meanwhile = this.opened.get(server.id);
    if (meanwhile?.openedWith === openedWith) return meanwhile.provider;
    this.opened.set(server.id, { openedWith, provider });
    if (known !== undefined) this.letGo(known.provider);
    return provider;
  }

  /** Lets go of a server that is not there any more. */
  release(serverId: number): void {
    const known = this.opened.get(serverId);
    this.opened.delete(serverId);
    if (known !== undefined) this.letGo(known.provider);
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.allSettled([...this.opened.values()].map(({ provider }) => provider.close()));
  }

  /** A new kind of server is a file beside `host.provider.ts` and a case here. */
  private async open(server: Server, { access, fromSettings }: SealedAccess): Promise<WireGuardProvider> {
    const allowPrivateTargets = fromSettings || this.settings.fleet.allowPrivateTargets;
    const keysFrom = server.provider === 'host' ? 'host' : 'service';
    switch (access.kind) {
      case 'local':
        return new HostProvider(new LocalShell(), { interface: access.interface, keysFrom, sudo: false });
      case 'ssh': {
        const { host, port, user, fingerprint } = access;
        const privateKey = 'text' in access.key ? access.key.text : await readKey(access.key.file);
        const resolve = (name: string): Promise<string> => targetAddress(name, allowPrivateTargets);
        const shell = new SshConnection({ host, resolve, port, user, privateKey, fingerprint });
        return new HostProvider(shell, { interface: access.interface, keysFrom, sudo: user !== 'root' });
      }
      case 'wg-easy': {
        const { url, username, password, apiKey } = access;
        const chosen = this.randomness.bytes(PREFIX_BYTES).toString('hex');
        const namePrefix = await this.repository.clientPrefix(server.id, chosen);
        return new WgEasyProvider(
          { url, username, password: password ?? '', apiKey, allowPrivateTargets, namePrefix },
          this.randomness,
        );
      }
    }
  }

  private letGo(provider: WireGuardProvider): void {
    provider.close().catch((error: unknown) => this.log.warn({ err: error }, 'a connection was not closed'));
  }
}

async function readKey(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw hostRefused('private_key', error);
  }
}
