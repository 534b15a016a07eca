/**
 * peers: a user's devices, and whether they may be on their servers. It promises that a device limit holds against any number of
 * simultaneous requests, that peers follow their owner's access, and that a private key is handed to its owner only. It must
 * never know what paid for the access.
 */
export { Access } from './access.service.js';
export { Applying } from './applying.service.js';
export {
  isWanted,
  type NewPeer,
  type Peer,
  PEER_STATUSES,
  type PeerStatus,
  SUSPENDED_REASONS,
  type SuspendedReason,
  whySuspended,
} from './peer.js';
export { ENFORCE_ACCESS, Enforcement, type EnforcementReport } from './enforcement.service.js';
export { PeerConfigs } from './peer-configs.service.js';
export { PeersModule } from './peers.module.js';
export { type PeerCorrection, type PeerDraft, Peers } from './peers.service.js';
export { Reconciliation, type SweepReport } from './reconciliation.service.js';
export { Retention } from './retention.service.js';
export { ServerExport } from './server-export.service.js';
export { type TrafficDay } from './traffic.repository.js';
export { type Allowance, Traffic } from './traffic.service.js';
