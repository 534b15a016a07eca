import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuthModule } from '#auth';
import { SubscriptionsModule } from '#subscriptions';
import { WireGuardModule } from '#wireguard';
import { Access } from './access.service.js';
import { PeersRepository } from './peers.repository.js';
import { Peers } from './peers.service.js';
import { ServerExport } from './server-export.service.js';
import { VpnPeerEntity } from './vpn-peer.entity.js';

@Module({
  imports: [TypeOrmModule.forFeature([VpnPeerEntity]), AuthModule, SubscriptionsModule, WireGuardModule],
  providers: [Access, Peers, PeersRepository, ServerExport],
  exports: [Access, Peers, ServerExport],
})
export class PeersModule {}
