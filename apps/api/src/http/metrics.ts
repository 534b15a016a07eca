import { type FastifyReply } from 'fastify';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { createHash, timingSafeEqual } from 'node:crypto';
import { DomainError } from '#kernel';
import { healthBody, HealthChecks, Metrics } from '#platform';
import { errorBody, STATUS_OF } from './error.filter.js';

/**
 * Serves `/metrics`, and health in detail, beside the API to who knows the token (METRICS_TOKEN). They are for Prometheus and operators,
 * and not in the OpenAPI document.
 */
export function serveMetrics(app: NestFastifyApplication, token: string): void {
  const metrics = app.get(Metrics);
  const checks = app.get(HealthChecks);
  const expected = digest(`Bearer ${token}`);
  const server = app.getHttpAdapter().getInstance();
  const serve = (path: string, answer: (reply: FastifyReply) => Promise<string>): void => {
    server.get(path, async (request, reply) => {
      const { authorization } = request.headers;
      if (authorization === undefined || !timingSafeEqual(digest(authorization), expected)) {
        const refusal = new DomainError(authorization === undefined ? 'not_authenticated' : 'invalid_token');
        void reply.status(STATUS_OF[refusal.kind]).header('www-authenticate', 'Bearer');
        return errorBody(refusal, request.headers['accept-language'], request.id);
      }
      return answer(reply);
    });
  };
  serve('/metrics', (reply) => {
    void reply.type(metrics.contentType);
    return metrics.render();
  });
  serve('/health/detail', async (reply) => {
    const findings = await checks.examine();
    void reply.type('application/json').status(findings.every(({ isWell }) => isWell) ? 200 : 503);
    return healthBody(findings);
  });
}

/** Of one length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
