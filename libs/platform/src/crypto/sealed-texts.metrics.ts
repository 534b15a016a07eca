import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Metrics } from '../telemetry/metrics.js';
import { SealedTextsCheck } from './sealed-texts-check.service.js';

@Injectable()
export class SealedTextsMetrics {
  constructor({ registry }: Metrics, check: SealedTextsCheck) {
    const gauge = new Gauge({
      name: 'sealed_rows_unreadable',
      help: 'Of the oldest and newest 500 rows, how many no key of CONFIG_ENCRYPTION_KEY opens, counted every 5 minutes at most',
      labelNames: ['column'],
      registers: [registry],
      collect: async () => {
        for (const { column, unreadable } of await check.figures()) gauge.set({ column }, unreadable);
      },
    });
  }
}
