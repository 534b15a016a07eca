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
import { type RateCount, RateLimits } from './rate-limit.service.js';
import { type ApiRequest } from './request.js';

const LIMIT_KEY = 'vpn:limit';

/** Whoever has one address of an IPv6 /64 has all of them. */
const ONE_CALLER = { v4: 32, v6: 64 };

/**
 * Refuses what comes too often, and says with every answer how much is left. It stands before those routes alone that have a limit:
 * behind the access guard, so that who calls is known, and before anybody looks at the body. Where only failures count, the error
 * filter counts them: what is authentic is never refused by an address.
 */
@Injectable()
export class RateLimitGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly limits: RateLimits,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const name = this.reflector.get<RateLimitName>(LIMIT_KEY, context.getHandler());
    const { per, counts } = RATE_LIMITS[name];
    const request = context.switchToHttp().getRequest<ApiRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    const caller = callerOf(per, request);
    const count = async (): Promise<DomainError | null> => answer(reply, await this.limits.count(name, caller));
    if (counts === 'failures') {
      request.countFailure = count;
      answer(reply, await this.limits.look(name, caller));
      return true;
    }
    const refusal = await count();
    if (refusal !== null) throw refusal;
    return true;
  }
}

/** Says how a caller stands; answers the refusal where they are over their limit. */
function answer(reply: FastifyReply, { limit, remaining, resetSeconds, isExceeded }: RateCount): DomainError | null {
  void reply.headers({
    'ratelimit-limit': limit,
    'ratelimit-remaining': remaining,
    'ratelimit-reset': resetSeconds,
  });
  return isExceeded ? new DomainError('too_many_requests', { retryAfterSeconds: resetSeconds }) : null;
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
