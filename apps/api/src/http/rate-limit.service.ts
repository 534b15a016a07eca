import { Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { Settings } from '#platform';
import { RATE_LIMITS, type RateLimitName } from './rate-limit.rules.js';

const WINDOW_SECONDS = 60;

/** How a request stands to a limit. */
export interface RateCount {
  readonly limit: number;
  /** Requests left in this window. */
  readonly remaining: number;
  /** Seconds until the next window, at least 1. */
  readonly resetSeconds: number;
  /** Whether it was one too many. */
  readonly isExceeded: boolean;
}

/**
 * Counts requests in windows of a minute, which begin with a caller's first one. The counters are this process's own: with n
 * processes up to n times as many requests pass. A caller is forgotten when his window ends.
 */
@Injectable()
export class RateLimits {
  private readonly limiters = new Map<RateLimitName, RateLimiterMemory>();

  constructor({ rateLimits }: Settings) {
    for (const name of Object.keys(RATE_LIMITS) as RateLimitName[]) {
      const points = RATE_LIMITS[name].perMinute(rateLimits);
      this.limiters.set(name, new RateLimiterMemory({ keyPrefix: name, points, duration: WINDOW_SECONDS }));
    }
  }

  /** How a caller stands, without counting anything. */
  async look(name: RateLimitName, caller: string): Promise<RateCount> {
    const limiter = this.limiter(name);
    const known = await limiter.get(caller);
    if (known !== null) return standing(limiter.points, known, known.remainingPoints < 0);
    return { limit: limiter.points, remaining: limiter.points, resetSeconds: WINDOW_SECONDS, isExceeded: false };
  }

  /** Counts one more request of a caller. */
  async count(name: RateLimitName, caller: string): Promise<RateCount> {
    const limiter = this.limiter(name);
    try {
      return standing(limiter.points, await limiter.consume(caller), false);
    } catch (refusal) {
      if (refusal instanceof RateLimiterRes) return standing(limiter.points, refusal, true);
      throw refusal;
    }
  }

  private limiter(name: RateLimitName): RateLimiterMemory {
    const limiter = this.limiters.get(name);
    if (limiter === undefined) throw new Error(`There is no limit called ${name}`);
    return limiter;
  }
}

function standing(limit: number, { remainingPoints, msBeforeNext }: RateLimiterRes, isExceeded: boolean): RateCount {
  return {
    limit,
    remaining: Math.max(0, remainingPoints),
    resetSeconds: Math.max(1, Math.ceil(msBeforeNext / 1000)),
    isExceeded,
  };
}
