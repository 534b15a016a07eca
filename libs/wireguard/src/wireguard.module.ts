import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { SealedColumns } from '#platform';
import { AddressesRepository } from './addresses.repository.js';
import { Diagnosis } from './diagnosis.service.js';
import { FirstServer } from './first-server.service.js';
import { ServerAddressEntity } from './server-address.entity.js';
import { ServerHealthEntity } from './server-health.entity.js';
import { ServerEntity } from './server.entity.js';
import { Providers } from './providers.service.js';
import { ServerHealthRepository } from './server-health.repository.js';
import { ServersRepository } from './servers.repository.js';
import { Servers } from './servers.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([ServerEntity, ServerAddressEntity, ServerHealthEntity])],
  providers: [
    AddressesRepository,
    Diagnosis,
    FirstServer,
    Providers,
    ServerHealthRepository,
    Servers,
    ServersRepository,
  ],
  exports: [AddressesRepository, Diagnosis, FirstServer, Providers, ServerHealthRepository, Servers],
})
export class WireGuardModule {
  constructor(sealed: SealedColumns) {
    sealed.add('vpn_servers', 'sealed_access', 'sealed_private_key');
  }
}
