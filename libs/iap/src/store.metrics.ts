import { Injectable } from '@nestjs/common';
import { Counter, Histogram } from 'prom-client';
import { Metrics } from '#platform';
import { type StoreProvider } from '#tariffs';

/** Seconds: from an answer of a store near by (50 ms) to the limit of one call (4 s). */
const BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8];

/** What operators watch of the conversation with the stores, counted as it happens. */
@Injectable()
export class StoreMetrics {
  private readonly requests: Histogram<'provider' | 'op' | 'status'>;
  private readonly softFailures: Counter;
  private readonly events: Counter<'provider' | 'type' | 'result'>;
  private readonly unknownEvents: Counter<'provider'>;
  private readonly unknownStates: Counter<'provider'>;
  private readonly redemptions: Counter<'result'>;
  private readonly mismatches: Counter;
  private readonly purchaseFailures: Counter;

  constructor(metrics: Metrics) {
    const registers = [metrics.registry];
    this.requests = new Histogram({
      name: 'iap_store_request_seconds',
      help: 'How long a store took to answer, by what it was asked and how it answered',
      labelNames: ['provider', 'op', 'status'],
      buckets: BUCKETS,
      registers,
    });
    this.softFailures = new Counter({
      name: 'iap_ocsp_soft_failures_total',
      help: 'Certificates that were taken for good because nobody answered whether they are',
      registers,
    });
    this.events = new Counter({
      name: 'iap_events_total',
      help: 'Events of the stores, by what became of them',
      labelNames: ['provider', 'type', 'result'],
      registers,
    });
    this.unknownEvents = new Counter({
      name: 'iap_unknown_events_total',
      help: 'Events of a kind that is not known here',
      labelNames: ['provider'],
      registers,
    });
    this.unknownStates = new Counter({
      name: 'iap_unknown_states_total',
      help: 'Answers of a store whose word for the state is not known here, so that it gives no access',
      labelNames: ['provider'],
      registers,
    });
    this.redemptions = new Counter({
      name: 'iap_verify_total',
      help: 'Purchases that the app presented, by what became of them',
      labelNames: ['result'],
      registers,
    });
    this.purchaseFailures = new Counter({
      name: 'iap_purchase_failures_total',
      help: 'Purchases that could not be brought up to date through no fault of their store; the log names each',
      registers,
    });
    this.mismatches = new Counter({
      name: 'iap_reconcile_mismatch_total',
      help: 'Notifications whose status was not what follows from all we know, so that Apple was asked',
      registers,
    });
    // From 0: Prometheus sees no increase in a series that begins with 1, and so would not see the first one.
    for (const provider of ['apple', 'google'] satisfies StoreProvider[]) {
      this.unknownEvents.inc({ provider }, 0);
      this.unknownStates.inc({ provider }, 0);
    }
  }

  /** A purchase could not be dealt with, because of itself. */
  purchaseFailed(): void {
    this.purchaseFailures.inc();
  }

  /** A store was asked. `status` is the HTTP status, or in a word why there was none. */
  asked(provider: StoreProvider, op: string, status: string, seconds: number): void {
    this.requests.observe({ provider, op, status }, seconds);
  }

  /** A certificate was believed without an answer. */
  softFailure(): void {
    this.softFailures.inc();
  }

  /** An event was dealt with, postponed or given up. */
  event(provider: StoreProvider, type: string, result: string): void {
    this.events.inc({ provider, type, result });
  }

  unknownEvent(provider: StoreProvider): void {
    this.unknownEvents.inc({ provider });
  }

  /** A store has a word for a purchase's state that is not known here. */
  unknownState(provider: StoreProvider): void {
    this.unknownStates.inc({ provider });
  }

  /** A purchase was presented. `result` is what was answered, or the code of the refusal. */
  redeemed(result: string): void {
    this.redemptions.inc({ result });
  }

  /** Apple thinks otherwise of a purchase than we do. */
  mismatch(): void {
    this.mismatches.inc();
  }
}
