import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { AuthModule } from '#auth';
import { PeersModule } from '#peers';
import { Jobs } from './jobs.service.js';

@Module({
  imports: [ScheduleModule.forRoot(), AuthModule, PeersModule],
  providers: [Jobs],
  exports: [Jobs],
})
export class JobsModule {}
