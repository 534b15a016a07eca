import { type Settings } from '#platform';

interface RateLimit {
  /** Whose requests are counted together: a user's, whatever he calls from, or those of an address. */
  readonly per: 'user' | 'address';
  /** `failures`: only what does not prove who sends it. What does is taken, however much it is. */
  readonly counts: 'requests' | 'failures';
  readonly perMinute: (limits: Settings['rateLimits']) => number;
}

/** Every limit there is. A route names the one that it is under (`@Operation({ limit })`). */
export const RATE_LIMITS = {
  iap_verify: { per: 'user', counts: 'requests', perMinute: ({ iapVerify }) => iapVerify },
  // Stores come in bursts from few addresses, and come again hours later when they are refused.
  webhook: { per: 'address', counts: 'failures', perMinute: ({ webhook }) => webhook },
} as const satisfies Record<string, RateLimit>;

export type RateLimitName = keyof typeof RATE_LIMITS;

/** What is said of a limit with every answer: draft-ietf-httpapi-ratelimit-headers, as it was up to version 7. */
export const RATE_LIMIT_HEADERS = {
  'RateLimit-Limit': 'Requests in a window of 60 seconds',
  'RateLimit-Remaining': 'Those of them that are left',
  'RateLimit-Reset': 'Seconds until the next window',
} as const;
