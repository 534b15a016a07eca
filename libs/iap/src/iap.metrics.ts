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
    const ofPurchases = shared(() => purchases.figures(addDays(clock.now(), -1)));
    const ofEvents = shared(() => events.figures());
    const acknowledge = new Gauge({
      name: 'iap_ack_deadline_seconds_min',
      help: 'Until Play takes the next purchase back that was not acknowledged; absent when none waits',
      labelNames: ['provider'],
      registers,
      collect: async () => {
        const { acknowledgeInSeconds } = await ofPurchases();
        acknowledge.reset();
        if (acknowledgeInSeconds !== null) acknowledge.set({ provider: 'google' }, acknowledgeInSeconds);
      },
    });
    const unanswered = new Gauge({
      name: 'iap_unanswered',
      help: 'Purchases that nobody could ask about five times or more in a row: more than 0 is an alert',
      registers,
      collect: async () => {
        unanswered.set((await ofPurchases()).unanswered);
      },
    });
    const unclaimed = new Gauge({
      name: 'iap_unclaimed',
      help: 'Purchases that have had no owner for a day or longer',
      registers,
      collect: async () => {
        unclaimed.set((await ofPurchases()).unclaimed);
      },
    });
    const failed = new Gauge({
      name: 'iap_inbox_failed',
      help: 'Events that were given up: more than 0 is an alert',
      registers,
      collect: async () => {
        failed.set((await ofEvents()).failed);
      },
    });
    const waiting = new Gauge({
      name: 'iap_inbox_waiting',
      help: 'Events that wait for their turn',
      registers,
      collect: async () => {
        waiting.set((await ofEvents()).waiting);
      },
    });
    const records = new Gauge({
      name: 'iap_record_age_seconds',
      help: "How long ago a store's own record was read to its end; above 12 hours is an alert",
      labelNames: ['record'],
      registers,
      collect: async () => {
        records.reset();
        for (const { name, reachedAt } of await events.watermarks()) {
          records.set({ record: name }, (clock.now().getTime() - reachedAt.getTime()) / 1000);
        }
      },
    });
    const lag = new Gauge({
      name: 'iap_inbox_lag_seconds',
      help: 'For how long the oldest waiting event has waited',
      registers,
      collect: async () => {
        lag.set((await ofEvents()).lagSeconds);
      },
    });
  }
}

/** One reading for all figures of it that are asked for at the same time. */
function shared<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => (reading ??= read().finally(() => (reading = undefined)));
}
