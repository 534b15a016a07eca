import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { SealedColumns } from '#platform';
import { AuthModule } from '#auth';
import { SubscriptionsModule } from '#subscriptions';
import { WireGuardModule } from '#wireguard';
import { Access } from './access.service.js';
import { Applying } from './applying.service.js';
import { DepartedKeyEntity } from './departed-key.entity.js';
import { DesiredPeersRepository } from './desired-peers.repository.js';
import { ForeignKeyEntity } from './foreign-key.entity.js';
import { PeerAudit } from './peer-audit.service.js';
import { Enforcement } from './enforcement.service.js';
import { InvariantsRepository } from './invariants.repository.js';
import { Invariants } from './invariants.service.js';
import { PeerLeftoverEntity } from './peer-leftover.entity.js';
import { PeerConfigs } from './peer-configs.service.js';
import { PeerKeys } from './peer-keys.service.js';
import { PeerOrigins } from './peer-origins.service.js';
import { KnownKeysRepository } from './known-keys.repository.js';
import { PeersMetrics } from './peers.metrics.js';
import { PeersRepository } from './peers.repository.js';
import { Peers } from './peers.service.js';
import { Reconciliation } from './reconciliation.service.js';
import { Retention } from './retention.service.js';
import { ServerExport } from './server-export.service.js';
import { ServerLoadEntity } from './server-load.entity.js';
import { ServersCheck } from './servers-check.service.js';
import { TrafficPeriodEntity } from './traffic-period.entity.js';
import { TrafficRepository } from './traffic.repository.js';
import { Traffic } from './traffic.service.js';
import { TrafficDayEntity } from './traffic-day.entity.js';
import { VpnPeerEntity } from './vpn-peer.entity.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([
      VpnPeerEntity,
      PeerLeftoverEntity,
      DepartedKeyEntity,
      ForeignKeyEntity,
      ServerLoadEntity,
      TrafficDayEntity,
      TrafficPeriodEntity,
    ]),
    AuthModule,
    SubscriptionsModule,
    WireGuardModule,
  ],
  providers: [
    Enforcement,
    Access,
    Applying,
    DesiredPeersRepository,
    PeerAudit,
    Invariants,
    InvariantsRepository,
    KnownKeysRepository,
    PeerConfigs,
    PeerKeys,
    PeerOrigins,
    Peers,
    PeersMetrics,
    PeersRepository,
    Reconciliation,
    Retention,
    ServerExport,
    ServersCheck,
    Traffic,
    TrafficRepository,
  ],
  exports: [Enforcement, Access, Applying, PeerConfigs, Peers, Reconciliation, Retention, ServerExport, Traffic],
})
export class PeersModule {
  constructor(sealed: SealedColumns) {
    sealed.add('vpn_peers', 'wg_private_key', 'wg_preshared_key');
  }
}
