import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { StoreEventEntity } from './store-event.entity.js';
import { StorePurchaseEntity } from './store-purchase.entity.js';
import { StoreTransactionEntity } from './store-transaction.entity.js';
import { StoreWatermarkEntity } from './store-watermark.entity.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([StorePurchaseEntity, StoreTransactionEntity, StoreEventEntity, StoreWatermarkEntity]),
  ],
})
export class IapModule {}
