import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { SealedColumns } from '#platform';
import { AuthModule } from '#auth';
import { PaymentsModule } from '#payments';
import { SubscriptionsModule } from '#subscriptions';
import { TariffsModule } from '#tariffs';
import { Acknowledging } from './acknowledging.service.js';
import { AppleStorefront } from './apple.storefront.js';
import { Asking } from './asking.service.js';
import { GooglePush } from './google.push.js';
import { GoogleStorefront } from './google.storefront.js';
import { IapMetrics } from './iap.metrics.js';
import { Inbox } from './inbox.service.js';
import { Intake } from './intake.service.js';
import { Purchases } from './purchases.service.js';
import { PurchasesRepository } from './purchases.repository.js';
import { Redeeming } from './redeeming.service.js';
import { Repair } from './repair.service.js';
import { Reporting } from './reporting.service.js';
import { StoreEventEntity } from './store-event.entity.js';
import { StoreEventsRepository } from './store-events.repository.js';
import { StoreMetrics } from './store.metrics.js';
import { StorePurchaseEntity } from './store-purchase.entity.js';
import { StoreTransactionEntity } from './store-transaction.entity.js';
import { StoreWatermarkEntity } from './store-watermark.entity.js';
import { Support } from './support.service.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([StorePurchaseEntity, StoreTransactionEntity, StoreEventEntity, StoreWatermarkEntity]),
    AuthModule,
    TariffsModule,
    SubscriptionsModule,
    PaymentsModule,
  ],
  providers: [
    AppleStorefront,
    GoogleStorefront,
    GooglePush,
    StoreMetrics,
    IapMetrics,
    PurchasesRepository,
    StoreEventsRepository,
    Purchases,
    Asking,
    Acknowledging,
    Intake,
    Inbox,
    Redeeming,
    Repair,
    Reporting,
    Support,
  ],
  exports: [Redeeming, Intake, Inbox, Asking, Acknowledging, Repair, Support],
})
export class IapModule {
  constructor(sealed: SealedColumns) {
    sealed.add('store_purchases', 'sealed_token');
    sealed.add('store_events', 'sealed_payload');
  }
}
