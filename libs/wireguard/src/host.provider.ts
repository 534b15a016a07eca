import { hostRefused, type HostShell } from './host-shell.js';
import { generateKeyPair, isKey, type KeyPair, publicKeyOf } from './keys.js';
import { parseSingleNetwork } from './networks.js';
import { parseDump, parseInterfaceKey } from './wg-dump.js';
import {
  type LivePeer,
  type PeerMaterial,
  type PeerRef,
  type PeerSpec,
  type WireGuardProvider,
} from './wireguard.provider.js';

export interface HostOptions {
  /** The WireGuard interface there: `wg0`. */
  readonly interface: string;
  /** Who makes the key pair of a new peer: this service, or the host by `wg genkey`. */
  readonly keysFrom: 'service' | 'host';
  /** Whether the user there is not root and may run `wg` by sudo. */
  readonly sudo: boolean;
}

/** What Linux takes as the name of an interface (15 bytes), less what wg(8) would read as an option. */
const INTERFACE = /^[a-zA-Z0-9_=+.][a-zA-Z0-9_=+.-]{0,14}$/;

export function isInterfaceName(text: string): boolean {
  return INTERFACE.test(text);
}

/** 10 000 peers take less than 2 s in all; a host that needs longer for one command hangs. */
const TIMEOUT_SECONDS = 10;
/**
 * Peers that one `wg addconf` takes. Measured (wireguard-go, 2 cores, 10 000 peers): by 200 1.25 s new and 0.19 s again, by 1000
 * 1.09 s and 0.09 s; `wg set` by 200 takes 1.53 s and 0.23 s.
 */
const ADDITIONS = 1000;
/** Peers that one `wg set … remove` takes: 13 kB of command line. */
const REMOVALS = 200;
/** As a preshared key it means none, and takes away the one that is there (tried with wireguard-go and wg 1.0.20210914). */
const NO_PRESHARED_KEY = `${'A'.repeat(43)}=`;

/**
 * A host that is told by `wg` itself, run where the shell runs it. The same few commands everywhere, so that `ops/wg-gate` can
 * let exactly these pass: `wg show IF dump`, `wg genkey`, `wg addconf IF /dev/stdin`, `wg set IF peer KEY remove …`.
 *
 * Peers are added by addconf: it gives a peer exactly the allowed addresses named, takes preshared keys without a file of theirs,
 * and disturbs nobody (0 of 600 packets lost at 10 ms while the peer itself and 200 others were added and removed 30 times).
 */
export class HostProvider implements WireGuardProvider {
  readonly chooses: 'nothing' | 'keys';

  constructor(
    private readonly shell: HostShell,
    private readonly options: HostOptions,
  ) {
    if (!isInterfaceName(options.interface)) throw hostRefused('grammar');
    this.chooses = options.keysFrom === 'host' ? 'keys' : 'nothing';
  }

  async generateKeyPair(): Promise<KeyPair> {
    if (this.options.keysFrom === 'service') return generateKeyPair();
    const output = await this.wg(['genkey']);
    const privateKey = output.trimEnd();
    if (!isKey(privateKey)) throw hostRefused('output');
    return { privateKey, publicKey: publicKeyOf(privateKey) };
  }

  async put(specs: readonly PeerSpec[]): Promise<readonly PeerMaterial[]> {
    const materials = specs.map(materialOf);
    for (const batch of batches(materials, ADDITIONS)) {
      await this.wg(['addconf', this.options.interface, '/dev/stdin'], batch.map(peerSection).join(''));
    }
    return materials;
  }

  /** `wg` has no disabled peers. The row keeps the key and the address; that is all it takes to put the peer back. */
  suspend(refs: readonly PeerRef[]): Promise<void> {
    return this.remove(refs);
  }

  async remove(refs: readonly PeerRef[]): Promise<void> {
    if (!refs.every(({ publicKey }) => isKey(publicKey))) throw hostRefused('grammar');
    for (const batch of batches(refs, REMOVALS)) {
      const removals = batch.flatMap(({ publicKey }) => ['peer', publicKey, 'remove']);
      await this.wg(['set', this.options.interface, ...removals]);
    }
  }

  async list(): Promise<readonly LivePeer[]> {
    return parseDump(await this.wg(['show', this.options.interface, 'dump'])).map(({ allowedIps, ...peer }) => ({
      ...peer,
      addresses: allowedIps,
      isEnabled: true, // also one whose addresses another peer took: it is there, and is told from a right one by them
      isOurs: true,
      peerId: null,
      remoteId: null,
    }));
  }

  async serverKey(): Promise<string | null> {
    return parseInterfaceKey(await this.wg(['show', this.options.interface, 'dump']));
  }

  close(): Promise<void> {
    return this.shell.close();
  }

  private wg(words: readonly string[], stdin: string | null = null): Promise<string> {
    // `timeout` inside sudo: a user who is not root could not end a command of root's. A command that hangs outlives the connection.
    const limit = ['timeout', '-k', '1', String(TIMEOUT_SECONDS), 'wg'];
    const prefix = this.options.sudo ? ['sudo', '-n', ...limit] : limit;
    return this.shell.run({ words: [...prefix, ...words], stdin, timeoutSeconds: TIMEOUT_SECONDS });
  }
}

/** What the host is to be told, written anew from what was read: no character of the caller's passes by. */
function materialOf({ peerId, publicKey, addresses, presharedKey }: PeerSpec): PeerMaterial {
  const networks = addresses?.map(parseSingleNetwork) ?? [];
  if (
    publicKey === null ||
    !isKey(publicKey) ||
    !(presharedKey === null || isKey(presharedKey)) ||
    networks.length === 0 ||
    !networks.every((network) => network !== undefined)
  ) {
    throw hostRefused('grammar');
  }
  return { peerId, publicKey, privateKey: null, presharedKey, addresses: networks, remoteId: null };
}

function peerSection({ publicKey, presharedKey, addresses }: PeerMaterial): string {
  return [
    '[Peer]',
    `PublicKey = ${publicKey}`,
    `PresharedKey = ${presharedKey ?? NO_PRESHARED_KEY}`,
    `AllowedIPs = ${addresses.join(', ')}`,
    '',
  ].join('\n');
}

function batches<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
