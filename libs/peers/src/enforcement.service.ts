import { Injectable } from '@nestjs/common';
import { type JobOptions } from '#platform';
import { Endings, type EndingsReport } from '#subscriptions';
import { Access } from './access.service.js';
import { Applying } from './applying.service.js';
import { DesiredPeersRepository } from './desired-peers.repository.js';

/** How many users, and how many devices of theirs. */
export interface Affected {
  readonly users: number;
  readonly devices: number;
}

/** What a run did, and what it left to the next. */
export interface EnforcementReport {
  /** Subscriptions whose time is over. */
  readonly ended: number;
  readonly suspended: Affected;
  /** Let in again. */
  readonly reopened: Affected;
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
  ) {}

  /** `force`: ends even what is so much that it must be a fault. */
  async run({ force = false }: { readonly force?: boolean } = {}): Promise<EnforcementReport> {
    const { result, tally } = await this.access.counting(() => this.followTheClock(force));
    await this.applying.applyAll();
    const { ended, held, backlog } = result;
    const report = {
      ended,
      suspended: affected(tally.suspended),
      reopened: affected(tally.reopened),
      held,
      backlog: backlog + (await this.desired.unsuspended()),
    };
    return report;
  }

  private async followTheClock(force: boolean): Promise<EndingsReport> {
    const report = await this.endings.endDue({ force });
    // Held back means that nobody is to lose their tunnel by it either; whoever has access is let in all the same.
    await this.access.enforce({ isEndingHeld: report.held !== null });
    return report;
  }
}

function affected(devices: ReadonlyMap<number, number>): Affected {
  return { users: devices.size, devices: [...devices.values()].reduce((sum, count) => sum + count, 0) };
}

/** How a run counts as a job. What was held back is not done, whoever ended well. */
export const ENFORCE_ACCESS: JobOptions<EnforcementReport> = {
  isExclusive: true,
  problemOf: ({ held }) => (held === null ? null : 'endings_held'),
  figuresOf: ({ ended, suspended, reopened, held, backlog }) => ({
    ended,
    suspended: suspended.devices,
    reopened: reopened.devices,
    held: held ?? 0,
    backlog,
  }),
};
