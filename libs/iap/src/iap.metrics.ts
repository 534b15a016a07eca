import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { addDays, Clock } from '#kernel';
import { InvariantsGauge, Metrics } from '#platform';
import { PurchasesRepository } from './purchases.repository.js';
import { StoreEventsRepository } from './store-events.repository.js';

/** What operators watch of purchases and of the inbox: read when it is asked for. */
@Injectable()
export class IapMetrics {
  constructor(
    metrics: Metrics,
    invariants: InvariantsGauge,
    purchases: PurchasesRepository,
    events: StoreEventsRepository,
    clock: Clock,
  ) {
    invariants.add(async () => ({ I8: await events.violations() }));
    const registers = [metrics.registry];
    const acknowledge = new Gauge({
      name: 'iap_ack_deadline_seconds_min',
      help: 'Until Play takes the next purchase back that was not acknowledged; absent when none waits',
      labelNames: ['provider'],
      registers,
    });
    const unclaimed = new Gauge({
      name: 'iap_unclaimed',
      help: 'Purchases that have had no owner for a day or longer',
      registers,
      collect: async () => {
        const { unclaimed: count, acknowledgeInSeconds } = await purchases.figures(addDays(clock.now(), -1));
        unclaimed.set(count);
        acknowledge.reset();
        if (acknowledgeInSeconds !== null) acknowledge.set({ provider: 'google' }, acknowledgeInSeconds);
      },
    });
    const failed = new Gauge({
      name: 'iap_inbox_failed',
      help: 'Events that were given up: more than 0 is an alert',
      registers,
    });
    const waiting = new Gauge({ name: 'iap_inbox_waiting', help: 'Events that wait for their turn', registers });
    const lag = new Gauge({
      name: 'iap_inbox_lag_seconds',
      help: 'For how long the oldest waiting event has waited',
      registers,
      collect: async () => {
        const figures = await events.figures();
        waiting.set(figures.waiting);
        failed.set(figures.failed);
        lag.set(figures.lagSeconds);
      },
    });
  }
}
