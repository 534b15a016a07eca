import { Injectable } from '@nestjs/common';
import { Endings } from '#subscriptions';
import { Access } from './access.service.js';
import { Applying } from './applying.service.js';
import { DesiredPeersRepository } from './desired-peers.repository.js';
import { PeersMetrics } from './peers.metrics.js';

/** What a run did, and what it left to the next. */
export interface EnforcementReport {
  /** Subscriptions whose time is over. */
  readonly ended: number;
  /** Users whose devices were suspended or let in again. */
  readonly changed: number;
  /** How many subscriptions were left because so many at once must be a fault; null = none. */
  readonly held: number | null;
  /** Subscriptions that are over and not ended, and devices that a server was not told to shut out yet. */
  readonly backlog: number;
}

/**
 * The job that takes away what is over: ends subscriptions (the stores are asked about theirs first), has devices follow, and tells
 * the servers. Each step finds its work in the rows, so what fails is due again the next time.
 */
@Injectable()
export class Enforcement {
  constructor(
    private readonly endings: Endings,
    private readonly access: Access,
    private readonly applying: Applying,
    private readonly desired: DesiredPeersRepository,
    private readonly metrics: PeersMetrics,
  ) {}

  /** `force`: ends even what is so much that it must be a fault. */
  async run({ force = false }: { readonly force?: boolean } = {}): Promise<EnforcementReport> {
    const { ended, held, backlog } = await this.endings.endDue({ force });
    // Held back means that nobody is to lose their tunnel by it either; whoever has access is let in all the same.
    const changed = await this.access.enforce({ isEndingHeld: held !== null });
    await this.applying.applyAll();
    const report = { ended, changed, held, backlog: backlog + (await this.desired.unsuspended()) };
    this.metrics.enforced(report);
    return report;
  }
}
