import { Injectable } from '@nestjs/common';
import { Histogram } from 'prom-client';
import { Metrics } from '#platform';
import { type StoreProvider } from '#tariffs';

/** Seconds: from an answer of a store near by (50 ms) to the limit of one call (4 s). */
const BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8];

/** What operators watch of the conversation with the stores. */
@Injectable()
export class StoreMetrics {
  private readonly requests: Histogram<'provider' | 'op' | 'status'>;

  constructor(metrics: Metrics) {
    this.requests = new Histogram({
      name: 'iap_store_request_seconds',
      help: 'How long a store took to answer, by what it was asked and how it answered',
      labelNames: ['provider', 'op', 'status'],
      buckets: BUCKETS,
      registers: [metrics.registry],
    });
  }

  /** A store was asked. `status` is the HTTP status, or in a word why there was none. */
  asked(provider: StoreProvider, op: string, status: string, seconds: number): void {
    this.requests.observe({ provider, op, status }, seconds);
  }
}
