import { Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { AuthModule } from '#auth';
import { AccessGuard } from './access.guard.js';
import { ErrorFilter } from './error.filter.js';
import { JwtStrategy } from './jwt.strategy.js';
import { RateLimits } from './rate-limit.service.js';
import { Shutdown } from './shutdown.js';
import { ValidationPipe } from './validation.pipe.js';

/** What stands before and after every controller. */
@Module({
  imports: [AuthModule],
  providers: [
    JwtStrategy,
    RateLimits,
    Shutdown,
    { provide: APP_GUARD, useClass: AccessGuard },
    { provide: APP_PIPE, useClass: ValidationPipe },
    { provide: APP_FILTER, useClass: ErrorFilter },
  ],
  exports: [RateLimits, Shutdown],
})
export class HttpModule {}
