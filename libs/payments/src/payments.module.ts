import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuthModule } from '#auth';
import { SubscriptionsModule } from '#subscriptions';
import { TariffsModule } from '#tariffs';
import { PaymentEntity } from './payment.entity.js';
import { PaymentsRepository } from './payments.repository.js';
import { Payments } from './payments.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([PaymentEntity]), AuthModule, SubscriptionsModule, TariffsModule],
  providers: [Payments, PaymentsRepository],
  exports: [Payments],
})
export class PaymentsModule {}
