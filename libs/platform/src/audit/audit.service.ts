import { Injectable } from '@nestjs/common';
import { Clock, type Listing, type Page } from '#kernel';
import { UnitOfWork } from '../database/unit-of-work.js';
import { networkOf } from '../telemetry/client-address.js';
import { currentRequest } from '../telemetry/request-context.js';
import { type AuditEntry, type AuditFilter, type AuditRecord } from './audit-entry.js';
import { AuditRepository } from './audit.repository.js';

/** Enough to tell two places apart, too little to tell two people apart. */
const TRUNCATED = { v4: 24, v6: 48 };
const BATCH = 5000;

/** Who did what to whom, when and from where. What is written stays as it is, for a year; the table itself sees to that. */
@Injectable()
export class Audit {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly repository: AuditRepository,
    private readonly clock: Clock,
  ) {}

  /** Writes an act down, in the transaction that it happens in: both are kept, or neither. */
  async record(record: AuditRecord): Promise<void> {
    this.uow.assertOpen();
    const { requestId = null, address = '' } = currentRequest() ?? {};
    const network = networkOf(address, TRUNCATED) ?? null;
    await this.repository.insert({ ...record, at: this.clock.now(), requestId, network });
  }

  /** What was written down, oldest first. */
  list(filter: AuditFilter, page: Page): Promise<Listing<AuditEntry>> {
    return this.repository.list(filter, page);
  }

  /** Deletes what is older than a year; answers how much it was. */
  async forgetOld(): Promise<number> {
    for (let total = 0; ;) {
      const forgotten = await this.repository.deleteOld(BATCH);
      total += forgotten;
      if (forgotten < BATCH) return total;
    }
  }
}
