import { isIP } from 'node:net';
import { isKey, NO_PRESHARED_KEY } from './keys.js';

/** What a device needs to connect. */
export interface ClientConfig {
  /** Null when only the device has it. */
  readonly privateKey: string | null;
  /** With prefix: `10.8.0.7/32`. */
  readonly addresses: readonly string[];
  /** None: the device keeps its own. */
  readonly dns: readonly string[];
  readonly mtu: number;
  readonly serverPublicKey: string;
  /** Null where the peer has none. */
  readonly presharedKey: string | null;
  /** `host:port` */
  readonly endpoint: string;
  /** What goes through the tunnel. */
  readonly allowedIps: string;
}

/** What a server needs to know of a peer. */
export interface ServerPeer {
  readonly publicKey: string;
  readonly presharedKey: string | null;
  /** Exactly the peer's own addresses: a wider network here would take other peers' traffic. */
  readonly allowedIps: readonly string[];
}

/** What a server needs to serve its peers. */
export interface ServerConfig {
  /** Null when the host has it and we do not: then there is no [Interface] section. */
  readonly privateKey: string | null;
  readonly listenPort: number;
  readonly peers: readonly ServerPeer[];
}

/** What a server that makes its peers' keys tells of one in the config it makes. */
export interface ClientSecrets {
  readonly privateKey: string;
  readonly presharedKey: string | null;
  /** Null when it is not said. */
  readonly serverPublicKey: string | null;
  /** Without prefix: what a config says there is the network's (`/24`) as often as the peer's own. */
  readonly addresses: readonly string[];
  /** Whether it is for AmneziaWG: a WireGuard client would send what that server does not understand. */
  readonly isObfuscated: boolean;
  /** `host:port` */
  readonly endpoint: string | null;
  readonly dns: readonly string[];
  readonly mtu: number | null;
}

/** Keeps a NAT's mapping open (wg(8)), in seconds. */
const PERSISTENT_KEEPALIVE = 25;

/** The text that the stock `wg-quick` and every WireGuard app take. */
export function renderClientConfig(config: ClientConfig): string {
  return [
    '[Interface]',
    config.privateKey === null
      ? '# PrivateKey = (insert the private key of this device; it never left it)'
      : `PrivateKey = ${config.privateKey}`,
    `Address = ${config.addresses.join(', ')}`,
    ...(config.dns.length === 0 ? [] : [`DNS = ${config.dns.join(', ')}`]),
    `MTU = ${config.mtu}`,
    '',
    '[Peer]',
    `PublicKey = ${config.serverPublicKey}`,
    ...(config.presharedKey === null ? [] : [`PresharedKey = ${config.presharedKey}`]),
    `AllowedIPs = ${config.allowedIps}`,
    `Endpoint = ${config.endpoint}`,
    `PersistentKeepalive = ${PERSISTENT_KEEPALIVE}`,
    '',
  ].join('\n');
}

/**
 * A complete file for `wg syncconf`. Without an [Interface] section (a key that is not ours) it must be merged with what the
 * host has: `wg syncconf` alone would wipe the host's key and port.
 */
export function renderServerConfig(config: ServerConfig): string {
  const head =
    config.privateKey === null
      ? []
      : ['[Interface]', `PrivateKey = ${config.privateKey}`, `ListenPort = ${config.listenPort}`, ''];
  const peers = config.peers.flatMap((peer) => [
    '[Peer]',
    `PublicKey = ${peer.publicKey}`,
    // Left out, `wg syncconf` keeps the one that is there, and the device never connects again.
    `PresharedKey = ${peer.presharedKey ?? NO_PRESHARED_KEY}`,
    `AllowedIPs = ${peer.allowedIps.join(', ')}`,
    '',
  ]);
  return [...head, ...peers].join('\n');
}

/** A config for one device has some twenty lines; a list of all networks but some has thousands of characters. */
const MAX_CONFIG_CHARACTERS = 32_768;

/** What AmneziaWG adds to a config: junk packets, paddings, headers and the first packets. */
const OBFUSCATION = /^Interface (Jc|Jmin|Jmax|S[1-4]|H[1-4]|I[1-5])$/i;

/**
 * Reads a device's config that another program rendered; undefined when it is none. Settings that are not asked for are passed
 * over; a key that is there twice, or is none, makes the whole text none: of two keys nobody can say which one is meant.
 */
export function parseClientConfig(text: string): ClientSecrets | undefined {
  if (text.length > MAX_CONFIG_CHARACTERS) return undefined;
  const settings = new Map<string, string>();
  let section = '';
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const heading = /^\[(\w+)\]$/.exec(line)?.[1];
    const [, name, value] = /^(\w+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (heading !== undefined) section = heading;
    else if (section === '' || name === undefined || value === undefined) return undefined;
    else if (settings.has(`${section} ${name}`) && name.endsWith('Key')) return undefined;
    else settings.set(`${section} ${name}`, value);
  }
  const privateKey = settings.get('Interface PrivateKey') ?? '';
  const presharedKey = settings.get('Peer PresharedKey') ?? null;
  const serverKey = settings.get('Peer PublicKey') ?? '';
  const addresses = itemsOf(settings.get('Interface Address') ?? '').map((item) => item.replace(/\/\d{1,3}$/, ''));
  if (!isKey(privateKey) || (presharedKey !== null && !isKey(presharedKey))) return undefined;
  if (!addresses.every((address) => isIP(address) !== 0)) return undefined;
  return {
    privateKey,
    presharedKey,
    serverPublicKey: isKey(serverKey) ? serverKey : null,
    addresses,
    isObfuscated: [...settings.keys()].some((name) => OBFUSCATION.test(name)),
    endpoint: settings.get('Peer Endpoint') ?? null,
    dns: itemsOf(settings.get('Interface DNS') ?? '').filter((item) => item !== ''),
    mtu: Number(settings.get('Interface MTU') ?? Number.NaN) || null,
  };
}

function itemsOf(list: string): readonly string[] {
  return list.split(',').map((item) => item.trim());
}
