import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { AuthModule } from '#auth';
import { PeersModule } from '#peers';
import { SubscriptionsModule } from '#subscriptions';
import { Jobs } from './jobs.service.js';

@Module({
  imports: [ScheduleModule.forRoot(), AuthModule, SubscriptionsModule, PeersModule],
  providers: [Jobs],
  exports: [Jobs],
})
export class JobsModule {}
