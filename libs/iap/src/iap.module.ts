import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { GooglePush } from './google.push.js';
import { GoogleStorefront } from './google.storefront.js';
import { AppleStorefront } from './apple.storefront.js';
import { StoreEventEntity } from './store-event.entity.js';
import { StorePurchaseEntity } from './store-purchase.entity.js';
import { StoreMetrics } from './store.metrics.js';
import { StoreTransactionEntity } from './store-transaction.entity.js';
import { StoreWatermarkEntity } from './store-watermark.entity.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([StorePurchaseEntity, StoreTransactionEntity, StoreEventEntity, StoreWatermarkEntity]),
  ],
  providers: [AppleStorefront, GooglePush, GoogleStorefront, StoreMetrics],
})
export class IapModule {}
