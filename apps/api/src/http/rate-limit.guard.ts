import {
  applyDecorators,
  type CanActivate,
  type ExecutionContext,
  Injectable,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { type FastifyReply } from 'fastify';
import { DomainError } from '#kernel';
import { currentRequest, networkOf } from '#platform';
import { RATE_LIMITS, type RateLimitName } from './rate-limit.rules.js';
import { RateLimits } from './rate-limit.service.js';
import { type ApiRequest } from './request.js';

const LIMIT_KEY = 'vpn:limit';

/** Whoever has one address of an IPv6 /64 has all of them. */
const ONE_CALLER = { v4: 32, v6: 64 };

/**
 * Refuses what comes too often, and says with every answer how much is left. It stands before those routes alone that have a limit:
 * behind the access guard, so that who calls is known, and before anybody looks at the body.
 */
@Injectable()
export class RateLimitGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly limits: RateLimits,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const name = this.reflector.get<RateLimitName>(LIMIT_KEY, context.getHandler());
    const caller = callerOf(RATE_LIMITS[name].per, context.switchToHttp().getRequest<ApiRequest>());
    const { limit, remaining, resetSeconds, isExceeded } = await this.limits.count(name, caller);
    void context.switchToHttp().getResponse<FastifyReply>().headers({
      'ratelimit-limit': limit,
      'ratelimit-remaining': remaining,
      'ratelimit-reset': resetSeconds,
    });
    if (isExceeded) throw new DomainError('too_many_requests', { retryAfterSeconds: resetSeconds });
    return true;
  }
}

/** Has a route refuse what comes too often. */
export function RateLimited(name: RateLimitName): MethodDecorator {
  return applyDecorators(SetMetadata(LIMIT_KEY, name), UseGuards(RateLimitGuard));
}

function callerOf(per: 'user' | 'address', { user, routeOptions }: ApiRequest): string {
  if (per === 'address') return networkOf(currentRequest()?.address ?? '', ONE_CALLER) ?? 'unknown';
  if (user === undefined) throw new Error(`The route ${routeOptions.url ?? ''} counts users and asks for none`);
  return String(user.user.id);
}
