import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { AuthModule } from '#auth';
import { IapModule } from '#iap';
import { PeersModule } from '#peers';
import { SubscriptionsModule } from '#subscriptions';
import { Jobs } from './jobs.service.js';

@Module({
  imports: [ScheduleModule.forRoot(), AuthModule, SubscriptionsModule, IapModule, PeersModule],
  providers: [Jobs],
  exports: [Jobs],
})
export class JobsModule {}
