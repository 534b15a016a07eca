import { DomainError } from '#kernel';
import { generateKeyPair, type HostCommand, type HostShell } from '#wireguard';

interface Peer {
  presharedKey: string;
  allowedIps: string[];
  /** Bytes, and seconds since 1970, as `wg show` has them. */
  received: number;
  sent: number;
  handshake: number;
}

const PREFIX = 'timeout -k 1 10 ';
const ZERO = `${'A'.repeat(43)}=`;

/**
 * A host with `wg` on it, in memory: it takes the very command lines, and does what wg(8) does with them. Whatever else comes is a
 * mistake of the provider's and fails the test.
 */
export class FakeWgHost implements HostShell {
  readonly commands: HostCommand[] = [];
  readonly privateKey: string;
  readonly publicKey: string;
  readonly peers = new Map<string, Peer>();
  /** The private keys that were made here. */
  readonly generated: string[] = [];
  /**
   * How it answers: as it does; with what a shell says of a host that is not reached; not before `recover`; or like a host that does
   * what it is told and whose answer is lost.
   */
  mood: 'well' | 'down' | 'hanging' | 'unheard' = 'well';
  private readonly hung: ((error: Error) => void)[] = [];
  /** What the next dump answers instead of the truth. */
  lie: string | undefined;
  isClosed = false;

  constructor(
    private readonly interfaceName = 'wg0',
    private readonly prefix = PREFIX,
  ) {
    ({ privateKey: this.privateKey, publicKey: this.publicKey } = generateKeyPair());
  }

  run(command: HostCommand): Promise<string> {
    if (this.mood === 'down') return Promise.reject(unavailable('network'));
    if (this.mood === 'hanging') return new Promise((_, reject) => this.hung.push(reject));
    this.commands.push(command);
    if (this.mood === 'unheard') return this.obey(command).then(() => Promise.reject(unavailable('timeout')));
    return this.obey(command);
  }

  private obey(command: HostCommand): Promise<string> {
    const line = command.words.join(' ');
    const folder = `/sys/class/net/${this.interfaceName}`;
    if (line === `ls ${folder}`) return Promise.resolve('flags\ntun_flags\nuevent\n');
    if (line === `cat ${folder}/uevent ${folder}/flags`) return Promise.resolve('INTERFACE=wg0\nIFINDEX=2\n0x1091\n');
    if (line === 'id -u') return Promise.resolve('0\n');
    if (!line.startsWith(`${this.prefix}wg `)) throw new Error(`Not a command of this host: ${line}`);
    const [verb = '', ...rest] = line.slice(this.prefix.length + 3).split(' ');
    if (verb === 'genkey' && rest.length === 0) return Promise.resolve(`${this.generate()}\n`);
    const [name, ...words] = rest;
    if (name !== this.interfaceName) {
      return Promise.reject(new DomainError('server_refused', { params: { kind: 'interface' } }));
    }
    if (verb === 'show' && words.join(' ') === 'dump') return Promise.resolve(this.lie ?? this.dump());
    if (verb === 'addconf' && words.join(' ') === '/dev/stdin') return this.addPeers(command.stdin ?? '');
    if (verb === 'set') return this.removePeers(words);
    throw new Error(`wg has no such command: ${line}`);
  }

  /** Is well again; what hung ends as any shell ends it, by its time limit. */
  recover(): void {
    this.mood = 'well';
    for (const reject of this.hung.splice(0)) reject(unavailable('timeout'));
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  /** What wg(8) does with an address that another peer has: it moves. */
  give(publicKey: string, allowedIps: string[], presharedKey = ZERO): void {
    for (const peer of this.peers.values()) {
      peer.allowedIps = peer.allowedIps.filter((address) => !allowedIps.includes(address));
    }
    const { received, sent, handshake } = this.peers.get(publicKey) ?? { received: 0, sent: 0, handshake: 0 };
    this.peers.set(publicKey, { presharedKey, allowedIps, received, sent, handshake });
  }

  private generate(): string {
    const { privateKey } = generateKeyPair();
    this.generated.push(privateKey);
    return privateKey;
  }

  private dump(): string {
    const own = [this.privateKey, this.publicKey, '51820', 'off'].join('\t');
    const peers = [...this.peers].map(([key, { presharedKey, allowedIps, received, sent, handshake }]) =>
      [
        key,
        presharedKey === ZERO ? '(none)' : presharedKey,
        '(none)',
        allowedIps.length === 0 ? '(none)' : allowedIps.join(','),
        String(handshake),
        String(received),
        String(sent),
        'off',
      ].join('\t'),
    );
    return [own, ...peers, ''].join('\n');
  }

  private addPeers(text: string): Promise<string> {
    if (!text.endsWith('\n')) throw new Error('The last line is not ended');
    const [first, ...sections] = text.split('[Peer]\n');
    if (first !== '') throw new Error('There is something before the first peer');
    for (const section of sections) {
      const pairs = section.trimEnd().split('\n');
      const values = pairs.map((pair) => /^([A-Za-z]+) = (.+)$/.exec(pair) ?? ['', '', '']);
      const [[, key, publicKey = ''] = [], [, psk, preshared] = [], [, ips, addresses = ''] = []] = values;
      if (values.length !== 3 || key !== 'PublicKey' || psk !== 'PresharedKey' || ips !== 'AllowedIPs') {
        throw new Error('The configuration cannot be parsed');
      }
      this.give(publicKey, addresses.split(', '), preshared);
    }
    return Promise.resolve('');
  }

  private removePeers(words: readonly string[]): Promise<string> {
    for (let index = 0; index < words.length; index += 3) {
      const [peer, key = '', remove] = words.slice(index, index + 3);
      if (peer !== 'peer' || remove !== 'remove') throw new Error('Only removals are set');
      this.peers.delete(key);
    }
    return Promise.resolve('');
  }
}

function unavailable(kind: string): DomainError {
  return new DomainError('server_unavailable', { params: { kind } });
}
