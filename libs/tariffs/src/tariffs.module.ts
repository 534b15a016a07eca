import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { TariffStoreProductEntity } from './tariff-store-product.entity.js';
import { TariffEntity } from './tariff.entity.js';
import { TariffsRepository } from './tariffs.repository.js';
import { Tariffs } from './tariffs.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([TariffEntity, TariffStoreProductEntity])],
  providers: [Tariffs, TariffsRepository],
  exports: [Tariffs],
})
export class TariffsModule {}
