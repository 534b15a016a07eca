import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Clock } from '#kernel';
import { Metrics } from '../telemetry/metrics.js';
import { type OutboxFigures, OutboxRepository } from './outbox.repository.js';

const GAUGES: readonly (readonly [name: string, help: string, valueOf: (figures: OutboxFigures) => number])[] = [
  ['vpn_outbox_waiting', 'Messages that are still to be delivered', ({ waiting }) => waiting],
  ['vpn_outbox_failed', 'Messages that were given up', ({ failed }) => failed],
  ['vpn_outbox_oldest_seconds', 'Age of the oldest message that waits', ({ oldestSeconds }) => oldestSeconds],
];

/** What operators watch of the outbox, read when they ask. */
@Injectable()
export class OutboxMetrics {
  private reading: Promise<OutboxFigures> | undefined;

  constructor(
    { registry }: Metrics,
    private readonly repository: OutboxRepository,
    private readonly clock: Clock,
  ) {
    for (const [name, help, valueOf] of GAUGES) {
      const gauge = new Gauge({
        name,
        help,
        registers: [registry],
        collect: async () => {
          gauge.set(valueOf(await this.read()));
        },
      });
    }
  }

  /** One query for all gauges, which are asked together. */
  private read(): Promise<OutboxFigures> {
    this.reading ??= this.repository.figures(this.clock.now()).finally(() => (this.reading = undefined));
    return this.reading;
  }
}
