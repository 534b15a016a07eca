import { Inject, Injectable } from '@nestjs/common';
import { readFile } from 'node:fs/promises';
import { type Logger } from 'pino';
import {
  Audit,
  differences,
  isDatabaseUnavailable,
  LOG,
  Patience,
  SecretBox,
  Settings,
  SettingsError,
  SYSTEM,
  UnitOfWork,
} from '#platform';
import { AddressesRepository } from './addresses.repository.js';
import { generateKeyPair } from './keys.js';
import { areAllIpv6, parseSubnet } from './networks.js';
import { ServerHealthRepository } from './server-health.repository.js';
import { type Server } from './server.js';
import { placeOf, type SealedAccess, type ServerAccess } from './server-access.js';
import { type DescribedServer, ServersRepository } from './servers.repository.js';
import { isSshKey, SSH_KEY } from './ssh-connection.js';

const DEVELOPMENT_ENDPOINT = '127.0.0.1:51820';

/** How long a start waits for its turn and for the database, how often it asks, and how long filling a large subnet may take, in milliseconds. */
const LONGEST_WAIT_MS = 300_000;
const POLL_MS = 200;
const LONGEST_STATEMENT_MS = 60_000;

/** What the settings say of the server; what is changed of it is logged and audited. */
const DESCRIBED = [
  'endpoint',
  'publicKey',
  'subnet',
  'dns',
  'mtu',
  'provider',
  'applies',
  'presharedKeys',
] as const satisfies readonly (keyof Server)[];

/** How the server is reached, as the settings say and as it was. */
interface Reach {
  readonly columns: Pick<DescribedServer, 'sealedAccess' | 'adopted'>;
  /** Undefined: as before. Places only, no secrets. */
  readonly change: { readonly from: string | null; readonly to: string | null } | undefined;
}

/** The server that the WG_* settings describe, so that nobody has to register it. */
@Injectable()
export class FirstServer {
  constructor(
    private readonly settings: Settings,
    private readonly uow: UnitOfWork,
    private readonly repository: ServersRepository,
    private readonly addresses: AddressesRepository,
    private readonly health: ServerHealthRepository,
    private readonly audit: Audit,
    private readonly box: SecretBox,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /**
   * Brings its row up to date with the settings of this process. Only a process that serves does so when it starts: a command or a
   * worker may have other settings. What changes is logged and audited.
   *
   * While peers exist, the subnet stays, and nothing changes from or to wg-easy: both are in the configs of devices. Whether we apply,
   * and who makes the keys, changes only where that is confirmed: an instance with an older `.env` would otherwise end the
   * enforcement of access by being started.
   *
   * Where no public key is set (development), a pair is made once and kept, so that `cli servers export` gives a server that
   * devices can connect to.
   * @throws SettingsError naming the settings that peers forbid
   */
  async update({ confirmed = false } = {}): Promise<void> {
    await assertSshKey(this.settings.wireguard.host);
    const patience = new Patience({ limitMs: LONGEST_WAIT_MS, tell: (sentence) => this.log.warn(sentence) });
    for (;;) {
      const isDone = await this.tryUpdate(confirmed).catch((error: unknown) => {
        if (!isDatabaseUnavailable(error)) throw error;
        this.log.debug({ err: error }, 'the server of the WG_* settings could not be written yet');
        return false;
      });
      if (isDone) return;
      await patience.wait('another instance that writes the server of the WG_* settings', POLL_MS);
    }
  }

  /** False while another instance is at it. It is tried, not waited for: no limit of a statement ends a turn that has not come. */
  private tryUpdate(confirmed: boolean): Promise<boolean> {
    const { serverPublicKey, endpoint, subnet, dns, mtu, keyPolicy, applies, presharedKeys } = this.settings.wireguard;
    return this.uow.runLong(LONGEST_STATEMENT_MS, async () => {
      if (!(await this.repository.tryLockFirst())) return false;
      const existing = await this.repository.findFirst();
      const reach = await this.reachFor(existing);
      const server = await this.repository.saveFirst(existing, {
        endpoint: endpoint ?? existing?.endpoint ?? DEVELOPMENT_ENDPOINT,
        subnet: parseSubnet(subnet)?.cidr ?? subnet,
        dns,
        mtu,
        provider: keyPolicy,
        applies,
        presharedKeys,
        ...reach.columns,
        keys: this.keysFor(existing, serverPublicKey),
      });
      if (server.subnet !== existing?.subnet) await this.addresses.fill(server);
      // Asked last: whoever took an address of the old subnet meanwhile has been waited for by now.
      assertResolves(server);
      await this.assertOwnKey(existing, server);
      if (existing !== null) await this.assertPeersStay(existing, server, confirmed);
      if (reach.columns.sealedAccess !== undefined) await this.health.retry(server.id);
      await this.record(existing, server, reach);
      return true;
    });
  }

  /** A server drops a peer with its own key without a word. */
  private async assertOwnKey(before: Server | null, { publicKey }: Server): Promise<void> {
    if (publicKey === before?.publicKey || !(await this.repository.hasPeerWithKey(publicKey))) return;
    throw new SettingsError(['WG_SERVER_PUBLIC_KEY: a device has this key']);
  }

  private async assertPeersStay(before: Server, after: Server, confirmed: boolean): Promise<void> {
    const faults = [...forbiddenChanges(before, after), ...(confirmed ? [] : changesToConfirm(before, after))];
    if (faults.length === 0) return;
    const isUsed = (await this.repository.hasPeers(after.id)) || (await this.repository.hasLeftovers(after.id));
    if (isUsed) throw new SettingsError(faults);
  }

  private async record(before: Server | null, after: Server, { change }: Reach): Promise<void> {
    const { id, name, provider, region } = after;
    const target = `server:${id}` as const;
    if (before === null) {
      await this.audit.record({ ...SYSTEM, action: 'server_add', target, data: { name, provider, region } });
      return;
    }
    const changed = {
      ...differences(before, after, DESCRIBED),
      ...(change === undefined ? {} : { access: change }),
    };
    if (Object.keys(changed).length === 0) return;
    await this.audit.record({ ...SYSTEM, action: 'server_change', target, data: { name, changed } });
    this.uow.afterCommit(() =>
      this.log.warn(
        { serverId: id, changed },
        'the server of the WG_* settings was changed: they are not what they were',
      ),
    );
  }

  /** How the settings say that it is reached, sealed. Another place is another server, whose peers are not ours to remove yet. */
  private async reachFor(existing: Server | null): Promise<Reach> {
    const access = accessOf(this.settings.wireguard);
    const sealed = existing === null ? null : await this.repository.sealedAccess(existing.id);
    // What no key opens is replaced: the settings say it again.
    const known = sealed === null || this.box.keyOf(sealed) === -1 ? null : this.box.open(sealed);
    const from = known === null ? null : placeOf((JSON.parse(known) as SealedAccess).access);
    const to = access === null ? null : placeOf(access);
    const change = existing === null || from === to ? undefined : { from, to };
    if (access === null) return { columns: { sealedAccess: null, adopted: false }, change };
    const text = JSON.stringify({ access, fromSettings: true } satisfies SealedAccess);
    const sealedAccess = known === text ? undefined : this.box.seal(text);
    return { columns: { sealedAccess, adopted: from === to ? undefined : false }, change };
  }

  private keysFor(existing: Server | null, given: string | undefined): DescribedServer['keys'] {
    if (existing !== null && (given === undefined || given === existing.publicKey)) return undefined;
    if (given !== undefined) return { publicKey: given, sealedPrivateKey: null };
    const { publicKey, privateKey } = generateKeyPair();
    return { publicKey, sealedPrivateKey: this.box.seal(privateKey) };
  }
}

/** @throws SettingsError when devices, which have no IPv6 there, could ask none of the resolvers */
function assertResolves({ provider, subnet6, dns }: Server): void {
  if (provider === 'wg-easy' || subnet6 !== null || !areAllIpv6(dns)) return;
  throw new SettingsError(['WG_DNS lists IPv6 addresses only, but devices have IPv4 only: list one they can ask']);
}

/** @throws SettingsError when the key to log in to the host with cannot be read */
async function assertSshKey(host: Settings['wireguard']['host']): Promise<void> {
  if (host === undefined) return;
  const name = 'text' in host.key ? 'WG_HOST_SSH_KEY' : 'WG_HOST_SSH_KEY_FILE';
  const text = 'text' in host.key ? host.key.text : await readFile(host.key.file, 'utf8').catch(() => undefined);
  if (text === undefined) throw new SettingsError([`${name} names a file that cannot be read`]);
  if (!isSshKey(text)) throw new SettingsError([`${name} is not ${SSH_KEY}`]);
}

/** What would take their addresses or keys from devices that exist. */
function forbiddenChanges(before: Server, after: Server): readonly string[] {
  const isMovedToOrFromEasy = before.provider !== after.provider && [before, after].some(isEasy);
  return [
    ...(before.subnet === after.subnet
      ? []
      : [
          `WG_SUBNET is ${after.subnet}, but the server has devices in ${before.subnet}: set it back, or delete them first`,
        ]),
    ...(isMovedToOrFromEasy
      ? [
          `WG_KEY_POLICY is ${after.provider}, but the server has devices of ${before.provider}: set it back, or delete them first`,
        ]
      : []),
  ];
}

function isEasy({ provider }: Server): boolean {
  return provider === 'wg-easy';
}

/** What may be meant, and may be an old `.env` as well. */
function changesToConfirm(before: Server, after: Server): readonly string[] {
  const how = 'while it has devices: set it back, or confirm it with "npm run cli -- servers accept-settings"';
  const isOtherHostPolicy = before.provider !== after.provider && ![before, after].some(isEasy);
  return [
    ...(isOtherHostPolicy
      ? [`WG_KEY_POLICY changes the server from ${before.provider} to ${after.provider} ${how}`]
      : []),
    ...(before.applies === after.applies
      ? []
      : [
          `WG_APPLY_ENABLED would ${after.applies ? 'begin' : 'cease'} to put devices onto the server and take them off ${how}`,
        ]),
  ];
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
