/** What a device needs to connect. */
export interface ClientConfig {
  /** Null when only the device has it. */
  readonly privateKey: string | null;
  /** With prefix: `10.8.0.7/32`. */
  readonly addresses: readonly string[];
  readonly dns: readonly string[];
  readonly mtu: number;
  readonly serverPublicKey: string;
  /** `host:port` */
  readonly endpoint: string;
  /** What goes through the tunnel. */
  readonly allowedIps: string;
}

/** What a server needs to know of a peer. */
export interface ServerPeer {
  readonly publicKey: string;
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
    `DNS = ${config.dns.join(', ')}`,
    `MTU = ${config.mtu}`,
    '',
    '[Peer]',
    `PublicKey = ${config.serverPublicKey}`,
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
    `AllowedIPs = ${peer.allowedIps.join(', ')}`,
    '',
  ]);
  return [...head, ...peers].join('\n');
}
