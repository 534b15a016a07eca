import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AddressesRepository } from './addresses.repository.js';
import { ServerAddressEntity } from './server-address.entity.js';
import { ServerEntity } from './server.entity.js';
import { ServersRepository } from './servers.repository.js';
import { Servers } from './servers.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([ServerEntity, ServerAddressEntity])],
  providers: [AddressesRepository, Servers, ServersRepository],
  exports: [AddressesRepository, Servers],
})
export class WireGuardModule {}
