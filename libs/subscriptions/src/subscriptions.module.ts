import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuthModule } from '#auth';
import { TariffsModule } from '#tariffs';
import { EndingsRepository } from './endings.repository.js';
import { Endings } from './endings.service.js';
import { Reminders } from './reminders.service.js';
import { RemindersRepository } from './reminders.repository.js';
import { SubscriptionHistoryEntity } from './subscription-history.entity.js';
import { SubscriptionReminderEntity } from './subscription-reminder.entity.js';
import { SubscriptionsRepository } from './subscriptions.repository.js';
import { Subscriptions } from './subscriptions.service.js';
import { UserTariffEntity } from './user-tariff.entity.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([UserTariffEntity, SubscriptionHistoryEntity, SubscriptionReminderEntity]),
    AuthModule,
    TariffsModule,
  ],
  providers: [Subscriptions, SubscriptionsRepository, Endings, EndingsRepository, Reminders, RemindersRepository],
  exports: [Subscriptions, Endings, Reminders],
})
export class SubscriptionsModule {}
