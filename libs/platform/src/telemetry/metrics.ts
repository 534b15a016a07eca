import { Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';

/** How long figures are waited for, in milliseconds: Prometheus gives up after ten seconds by default. */
const COLLECT_LIMIT_MS = 4000;

const MISSING = `# HELP vpn_metrics_missing Figures that could not be read and are left out, as while the database is away
# TYPE vpn_metrics_missing gauge
vpn_metrics_missing`;

/** What Prometheus is told: rooms register their figures here, in a `*.metrics.ts` of theirs. */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** All figures that can be had, in Prometheus' text format; those that cannot are left out and counted. */
  async render(): Promise<string> {
    const names = this.registry.getMetricsAsArray().map(({ name }) => name);
    const tooLate = delay(COLLECT_LIMIT_MS, undefined, { ref: false });
    const texts = await Promise.all(names.map((name) => Promise.race([this.collect(name), tooLate])));
    const known = texts.filter((text) => text !== undefined);
    return `${[...known, `${MISSING} ${texts.length - known.length}`].join('\n\n')}\n`;
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  private collect(name: string): Promise<string | undefined> {
    return this.registry.getSingleMetricAsString(name).catch(() => undefined);
  }
}
