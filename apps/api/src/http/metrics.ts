import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { createHash, timingSafeEqual } from 'node:crypto';
import { DomainError } from '#kernel';
import { Metrics } from '#platform';
import { errorBody, STATUS_OF } from './error.filter.js';

/**
 * Serves `/metrics` beside the API to who knows the token (METRICS_TOKEN). It is for Prometheus and not in the OpenAPI document.
 */
export function serveMetrics(app: NestFastifyApplication, token: string): void {
  const metrics = app.get(Metrics);
  const expected = digest(`Bearer ${token}`);
  app
    .getHttpAdapter()
    .getInstance()
    .get('/metrics', async (request, reply) => {
      const { authorization } = request.headers;
      if (authorization === undefined || !timingSafeEqual(digest(authorization), expected)) {
        const refusal = new DomainError(authorization === undefined ? 'not_authenticated' : 'invalid_token');
        void reply.status(STATUS_OF[refusal.kind]).header('www-authenticate', 'Bearer');
        return errorBody(refusal, request.headers['accept-language'], request.id);
      }
      void reply.type(metrics.contentType);
      return metrics.render();
    });
}

/** Of one length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
