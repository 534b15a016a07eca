/**
 * wireguard: servers, keys, addresses and the texts that `wg` and `wg-quick` read. It promises that no two peers of a server
 * share an address, and that nothing a user typed reaches a config unread. It must never know whose a peer is or why he has it.
 */
export { AddressesRepository as Addresses, COOL_DOWN_SECONDS } from './addresses.repository.js';
export { Diagnosis, type Finding } from './diagnosis.service.js';
export { FirstServer } from './first-server.service.js';
export { type HostOptions, HostProvider } from './host.provider.js';
export { type HostCommand, type HostShell } from './host-shell.js';
export { generateKeyPair, isKey, type KeyPair, publicKeyOf } from './keys.js';
export { LocalShell } from './local-shell.js';
export {
  address6Of,
  MAX_ALLOWED_IPS,
  parseAllowedIps,
  parsePeerAddress,
  parseSubnet,
  reachableResolvers,
  serverAddress,
} from './networks.js';
export { Providers } from './providers.service.js';
export {
  type Server,
  SERVER_PROVIDERS,
  SERVER_STATES,
  SERVER_STATUSES,
  type ServerOverview,
  type ServerProvider,
  type ServerStatus,
} from './server.js';
export { ACCESS_KINDS, type ServerAccess } from './server-access.js';
export {
  CLEARABLE_SERVER_FIELDS,
  readServerChange,
  readServerDraft,
  type ServerChange,
  type ServerDraft,
} from './server-draft.js';
export { LOGIN_REFUSALS, type ServerHealth, ServerHealthRepository } from './server-health.repository.js';
export { type Placement, Servers } from './servers.service.js';
export { SshConnection, type SshTarget } from './ssh-connection.js';
export { type ClientConfig, renderClientConfig, renderServerConfig, type ServerPeer } from './wg-quick.js';
export { WgEasyProvider, type WgEasyOptions } from './wg-easy.provider.js';
export { WireGuardModule } from './wireguard.module.js';
export {
  type LivePeer,
  type PeerMaterial,
  type PeerRef,
  type PeerSpec,
  type WireGuardProvider,
} from './wireguard.provider.js';
