/**
 * wireguard: servers, keys, addresses and the texts that `wg` and `wg-quick` read. It promises that no two peers of a server
 * share an address, and that nothing a user typed reaches a config unread. It must never know whose a peer is or why he has it.
 */
export { AddressesRepository as Addresses } from './addresses.repository.js';
export { type HostOptions, HostProvider } from './host.provider.js';
export { type HostCommand, type HostShell } from './host-shell.js';
export { generateKeyPair, isKey, type KeyPair, publicKeyOf } from './keys.js';
export { LocalShell } from './local-shell.js';
export { parseAllowedIps, parsePeerAddress, parseSubnet, serverAddress } from './networks.js';
export { type Server, SERVER_STATUSES, type ServerStatus } from './server.js';
export { Servers } from './servers.service.js';
export { SshConnection, type SshTarget } from './ssh-connection.js';
export { renderClientConfig, renderServerConfig, type ServerPeer } from './wg-quick.js';
export { WgEasyProvider, type WgEasyOptions } from './wg-easy.provider.js';
export { WireGuardModule } from './wireguard.module.js';
export {
  type LivePeer,
  type PeerMaterial,
  type PeerRef,
  type PeerSpec,
  type WireGuardProvider,
} from './wireguard.provider.js';
