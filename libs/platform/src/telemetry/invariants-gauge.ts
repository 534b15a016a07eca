import { Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { Gauge } from 'prom-client';
import { addSeconds, Clock } from '#kernel';
import { Metrics } from './metrics.js';

/** How often each invariant is broken, by its name. */
export type Counts = Readonly<Record<string, number>>;

/** How long a scrape waits for a count, in milliseconds: until it is there, the last one is shown, or none. */
const PATIENCE_MS = 200;
/** How old a count may be, in seconds: some of them read whole tables. */
const KEPT_SECONDS = 300;

/** What must always be true, as figures: each room adds what it knows how to count. Anything above 0 is a fault of ours. */
@Injectable()
export class InvariantsGauge {
  private readonly sources: (() => Promise<Counts | undefined>)[] = [];

  constructor(
    { registry }: Metrics,
    private readonly clock: Clock,
  ) {
    const gauge = new Gauge({
      name: 'invariant_violations',
      help: 'How often what must always be true is not, counted every 5 minutes at most: more than 0 is an alert',
      labelNames: ['n'],
      registers: [registry],
      collect: async () => {
        for (const count of this.sources) {
          for (const [n, violations] of Object.entries((await count()) ?? {})) gauge.set({ n }, violations);
        }
      },
    });
  }

  /** Has these counted whenever figures are asked for, and the last count is five minutes old. */
  add(count: () => Promise<Counts>): void {
    let last: { readonly until: Date; readonly counts: Promise<Counts> } | undefined;
    this.sources.push(async () => {
      const now = this.clock.now();
      if (last === undefined || now >= last.until) {
        const counts = count();
        last = { until: addSeconds(now, KEPT_SECONDS), counts };
        counts.catch(() => (last = undefined)); // a failure is not worth remembering
      }
      return Promise.race([last.counts, delay(PATIENCE_MS, undefined, { ref: false })]);
    });
  }
}
