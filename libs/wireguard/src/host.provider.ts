import { DomainError, isError } from '#kernel';
import { type HostLink, linkOf } from './host-link.rules.js';
import { hostRefused, type HostShell } from './host-shell.js';
import { generateKeyPair, isKey, type KeyPair, NO_PRESHARED_KEY, publicKeyOf } from './keys.js';
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
/** Bytes of one command line. dropbear takes 9000 and cuts the connection at more; OpenSSH takes 131 071. */
const MAX_LINE = 8000;

/**
 * A host that is told by `wg` itself, run where the shell runs it. The same few commands everywhere, so that `ops/wg-gate` can
 * let exactly these pass: `wg show IF dump`, `wg genkey`, `wg addconf IF /dev/stdin`, `wg set IF peer KEY remove …`; and two to look
 * at the interface with, `ls /sys/class/net/IF` and `cat` of its `uevent` and `flags`.
 *
 * Peers are added by addconf: it gives a peer exactly the allowed addresses named, takes preshared keys without a file of theirs,
 * and disturbs nobody (0 of 600 packets lost at 10 ms while the peer itself and 200 others were added and removed 30 times).
 */
export class HostProvider implements WireGuardProvider {
  readonly chooses: 'nothing' | 'keys';
  readonly interface: string;

  constructor(
    private readonly shell: HostShell,
    private readonly options: HostOptions,
  ) {
    if (!isInterfaceName(options.interface)) throw hostRefused('grammar');
    this.interface = options.interface;
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
    const removals = refs.map(({ publicKey }) => ['peer', publicKey, 'remove']);
    const room = MAX_LINE - lengthOf(this.words(['set', this.options.interface]));
    for (const batch of batchesBySize(removals, lengthOf, room)) {
      await this.wg(['set', this.options.interface, ...batch.flat()]);
    }
  }

  async list(): Promise<readonly LivePeer[]> {
    const peers = await parseDump(await this.wg(['show', this.options.interface, 'dump']));
    // Field by field: with 60 000 peers, a rest and a spread take a quarter of a second.
    return peers.map((peer) => ({
      publicKey: peer.publicKey,
      addresses: peer.allowedIps,
      hasPresharedKey: peer.hasPresharedKey,
      lastHandshakeAt: peer.lastHandshakeAt,
      receivedBytes: peer.receivedBytes,
      sentBytes: peer.sentBytes,
      isEnabled: true, // also one whose addresses another peer took: it is there, and is told from a right one by them
      isOurs: true,
      peerId: null,
      remoteId: null,
    }));
  }

  async serverKey(): Promise<string | null> {
    return parseInterfaceKey(await this.wg(['show', this.options.interface, 'dump']));
  }

  /** What the host's own system says of the interface. @throws DomainError server_unavailable */
  async link(): Promise<HostLink> {
    const folder = `/sys/class/net/${this.options.interface}`;
    const files = await this.look('ls', folder);
    if (isError(files)) {
      const isMissing = isError(files.cause) && /no such file/i.test(files.cause.message);
      return { kind: isMissing ? 'missing' : 'unknown', isUp: false, isRoot: false };
    }
    const content = await this.look('cat', `${folder}/uevent`, `${folder}/flags`);
    // A gate does not tell: it asks sudo by itself wherever it is not root.
    const userId = this.options.sudo ? '0' : await this.look('id', '-u');
    return linkOf(files, isError(content) ? '' : content, isError(userId) || userId.trim() === '0');
  }

  /** The output of a command that changes nothing, or that it was refused. */
  private async look(...words: string[]): Promise<string | DomainError> {
    try {
      return await this.shell.run({ words, stdin: null, timeoutSeconds: TIMEOUT_SECONDS });
    } catch (error) {
      if (error instanceof DomainError && error.code === 'server_refused') return error;
      throw error;
    }
  }

  close(): Promise<void> {
    return this.shell.close();
  }

  private wg(words: readonly string[], stdin: string | null = null): Promise<string> {
    return this.shell.run({ words: this.words(words), stdin, timeoutSeconds: TIMEOUT_SECONDS });
  }

  private words(words: readonly string[]): readonly string[] {
    // `timeout` inside sudo: a user who is not root could not end a command of root's. A command that hangs outlives the connection.
    const limit = ['timeout', '-k', '1', String(TIMEOUT_SECONDS), 'wg'];
    return [...(this.options.sudo ? ['sudo', '-n', ...limit] : limit), ...words];
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

/** As many items in each batch as fit into `room`, in their order. */
function batchesBySize<T>(items: readonly T[], sizeOf: (item: T) => number, room: number): readonly (readonly T[])[] {
  const all: T[][] = [];
  let left = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (all.length === 0 || size > left) {
      all.push([]);
      left = room;
    }
    all.at(-1)?.push(item);
    left -= size;
  }
  return all;
}

/** Of words in a command line, with a blank for each. */
function lengthOf(words: readonly string[]): number {
  return words.reduce((sum, word) => sum + word.length + 1, 0);
}
