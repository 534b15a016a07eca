import { type Settings } from '#platform';

interface RateLimit {
  /** Whose requests are counted together: a user's, whatever he calls from, or those of an address. */
  readonly per: 'user' | 'address';
  readonly perMinute: (limits: Settings['rateLimits']) => number;
}

/** Every limit there is. A route names the one that it is under (`@Operation({ limit })`). */
export const RATE_LIMITS = {
  iap_verify: { per: 'user', perMinute: ({ iapVerify }) => iapVerify },
  webhook: { per: 'address', perMinute: ({ webhook }) => webhook }, // generous: whether to believe it, its signature says
} as const satisfies Record<string, RateLimit>;

export type RateLimitName = keyof typeof RATE_LIMITS;

/** What is said of a limit with every answer: draft-ietf-httpapi-ratelimit-headers, as it was up to version 7. */
export const RATE_LIMIT_HEADERS = {
  'RateLimit-Limit': 'Requests in a window of 60 seconds',
  'RateLimit-Remaining': 'Those of them that are left',
  'RateLimit-Reset': 'Seconds until the next window',
} as const;
