import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Settings } from '#platform';
import { RATE_LIMIT_HEADERS } from './rate-limit.rules.js';

/** What a page may read of an answer beside its body. */
const READABLE_HEADERS = [
  'X-Total-Count',
  'Retry-After',
  ...Object.keys(RATE_LIMIT_HEADERS),
  'X-Request-Id',
  'Idempotency-Replayed',
  'WWW-Authenticate',
];
/** Any port of this machine: `flutter run -d chrome` and most development servers choose a free one. */
const OF_THIS_MACHINE = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;
/** How long a browser need not ask again whether it may call, in seconds. */
const PREFLIGHT_SECONDS = 600;

/** Lets pages of the listed origins call; in development, where none are listed, those of this machine. */
export function allowOrigins(app: NestFastifyApplication, { http, environment }: Settings): void {
  const isLocal = http.corsOrigins.length === 0 && environment === 'development';
  const origin = isLocal ? [OF_THIS_MACHINE] : [...http.corsOrigins];
  if (origin.length === 0) return;
  app.enableCors({
    origin,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    exposedHeaders: READABLE_HEADERS,
    maxAge: PREFLIGHT_SECONDS,
  });
}
