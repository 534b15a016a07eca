import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { type Logger } from 'pino';
import { Settings } from '../config/settings.js';
import { HealthChecks, type HealthFinding } from '../health/health-checks.js';
import { LOG } from './log.js';
import { Metrics } from './metrics.js';

/** Health in detail, as operators are told of it: `{"status":"ok","findings":[{"about":..,"isWell":..,"says":..}]}`. */
export function healthBody(findings: readonly HealthFinding[]): string {
  return JSON.stringify({ status: findings.every(({ isWell }) => isWell) ? 'ok' : 'unavailable', findings });
}

/**
 * Serves `/metrics`, and `/health` in detail, on a port of its own (METRICS_PORT), which is not meant to be reachable from outside: every process that
 * serves has it, those without HTTP too.
 */
@Injectable()
export class MetricsServer implements OnModuleDestroy {
  private server: Server | undefined;

  constructor(
    private readonly settings: Settings,
    private readonly metrics: Metrics,
    private readonly checks: HealthChecks,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Where it listens; undefined while it does not. */
  get port(): number | undefined {
    const address = this.server?.address() as AddressInfo | null | undefined;
    return address?.port;
  }

  /** Called by what serves: a command beside it has the same settings, and the port is taken. */
  async listen(): Promise<void> {
    const { host, port } = this.settings.metrics;
    if (port === undefined) return;
    this.server = createServer((request, response) => {
      if (request.method === 'GET' && request.url === '/metrics') void this.answer(response);
      else if (request.method === 'GET' && request.url === '/health') void this.answerHealth(response);
      else response.writeHead(404).end();
    });
    this.server.listen(port, host);
    await once(this.server, 'listening');
    this.log.info({ host, port: this.port }, 'metrics are served');
  }

  onModuleDestroy(): void {
    this.server?.closeAllConnections();
    this.server?.close();
  }

  private async answer(response: ServerResponse): Promise<void> {
    try {
      const text = await this.metrics.render();
      response.writeHead(200, { 'content-type': this.metrics.contentType }).end(text);
    } catch (error) {
      this.log.warn({ err: error }, 'metrics could not be collected');
      response.writeHead(503).end();
    }
  }

  private async answerHealth(response: ServerResponse): Promise<void> {
    const findings = await this.checks.examine();
    const isWell = findings.every((finding) => finding.isWell);
    response.writeHead(isWell ? 200 : 503, { 'content-type': 'application/json' }).end(healthBody(findings));
  }
}
