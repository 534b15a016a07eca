import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Metrics } from '../telemetry/metrics.js';
import { FollowingClock } from './following-clock.js';

/** How far this machine's clock is off. */
@Injectable()
export class ClockMetrics {
  constructor(metrics: Metrics, clock: FollowingClock) {
    new Gauge({
      name: 'machine_clock_ahead_seconds',
      help: "By how much this machine's clock is ahead of the database's; what is stored goes by the database's",
      registers: [metrics.registry],
      collect() {
        this.set(clock.machineAheadMs / 1000);
      },
    });
  }
}
