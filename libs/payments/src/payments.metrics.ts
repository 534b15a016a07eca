import { Injectable } from '@nestjs/common';
import { InvariantsGauge } from '#platform';
import { StoreLedgerRepository } from './store-ledger.repository.js';

/** What must always be true of the money of the stores. */
@Injectable()
export class PaymentsMetrics {
  constructor(invariants: InvariantsGauge, ledger: StoreLedgerRepository) {
    invariants.add(async () => ({ I7: await ledger.violations() }));
  }
}
