import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuthModule } from '#auth';
import { SubscriptionsModule } from '#subscriptions';
import { TariffsModule } from '#tariffs';
import { PaymentEventEntity } from './payment-event.entity.js';
import { PaymentEventsRepository } from './payment-events.repository.js';
import { PaymentWebhooks } from './payment-webhooks.service.js';
import { PaymentEntity } from './payment.entity.js';
import { PaymentsRepository } from './payments.repository.js';
import { Payments } from './payments.service.js';
import { RevenueRepository } from './revenue.repository.js';
import { Settlement } from './settlement.service.js';
import { PaymentsMetrics } from './payments.metrics.js';
import { StoreLedgerRepository } from './store-ledger.repository.js';
import { StoreLedger } from './store-ledger.service.js';
import { WebhookSignatures } from './webhook-signatures.service.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([PaymentEntity, PaymentEventEntity]),
    AuthModule,
    SubscriptionsModule,
    TariffsModule,
  ],
  providers: [
    Payments,
    PaymentsMetrics,
    PaymentsRepository,
    PaymentEventsRepository,
    PaymentWebhooks,
    RevenueRepository,
    Settlement,
    StoreLedger,
    StoreLedgerRepository,
    WebhookSignatures,
  ],
  exports: [Payments, PaymentWebhooks, StoreLedger, WebhookSignatures],
})
export class PaymentsModule {}
