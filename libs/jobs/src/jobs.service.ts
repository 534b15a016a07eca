import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { setTimeout as delay } from 'node:timers/promises';
import { type Logger } from 'pino';
import { Accounts } from '#auth';
import { Acknowledging, Asking, Inbox, Repair } from '#iap';
import { Applying, Enforcement, Reconciliation, Retention } from '#peers';
import { Audit, Idempotency, Leases, LOG, Outbox } from '#platform';
import { Reminders } from '#subscriptions';

/** A use case that runs by itself. */
export interface Job {
  readonly name: string;
  readonly everySeconds: number;
  /** On one instance at a time; other jobs are safe on all of them at once. */
  readonly isExclusive?: boolean;
  run(): Promise<unknown>;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
/** How long the end of the process waits for a job, in milliseconds: each finds its work again from the rows. */
const PATIENCE_MS = 2000;

/** Runs the use cases that nobody asks for. Each finds its work in the rows, so a run that is lost is made up by the next. */
@Injectable()
export class Jobs implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly running = new Map<string, Promise<void>>();
  private readonly failing = new Set<string>();
  private readonly jobs: readonly Job[];
  private isStopping = false;

  constructor(
    private readonly registry: SchedulerRegistry,
    private readonly leases: Leases,
    applying: Applying,
    reconciliation: Reconciliation,
    enforcement: Enforcement,
    retention: Retention,
    accounts: Accounts,
    idempotency: Idempotency,
    audit: Audit,
    outbox: Outbox,
    reminders: Reminders,
    inbox: Inbox,
    asking: Asking,
    acknowledging: Acknowledging,
    repair: Repair,
    @Inject(LOG) private readonly log: Logger,
  ) {
    this.jobs = [
      { name: 'apply-peers', everySeconds: 1, run: () => applying.applyAll() },
      { name: 'sweep-servers', everySeconds: 5, run: () => reconciliation.sweepDue() },
      { name: 'enforce-access', everySeconds: MINUTE, isExclusive: true, run: () => enforcement.run() },
      { name: 'forget-peers', everySeconds: HOUR, isExclusive: true, run: () => retention.forgetSuspended() },
      { name: 'add-up-loads', everySeconds: MINUTE, isExclusive: true, run: () => retention.addUpLoads() },
      { name: 'forget-sessions', everySeconds: HOUR, isExclusive: true, run: () => accounts.forgetEndedSessions() },
      { name: 'forget-answers', everySeconds: HOUR, isExclusive: true, run: () => idempotency.forgetOld() },
      // Once a day would do, but no process has to live that long.
      { name: 'forget-audit', everySeconds: HOUR, isExclusive: true, run: () => audit.forgetOld() },
      { name: 'deliver-outbox', everySeconds: 5, run: () => outbox.deliver() },
      { name: 'forget-outbox', everySeconds: HOUR, isExclusive: true, run: () => outbox.forgetFailed() },
      { name: 'process-store-events', everySeconds: 2, run: () => inbox.process() },
      { name: 'ask-stores', everySeconds: 5, run: () => asking.askDue() },
      { name: 'acknowledge-purchases', everySeconds: 10, isExclusive: true, run: () => acknowledging.acknowledgeDue() },
      { name: 'repair-stores', everySeconds: 10 * MINUTE, isExclusive: true, run: () => repair.repairDue() },
      { name: 'forget-store-events', everySeconds: HOUR, isExclusive: true, run: () => inbox.forgetOld() },
      { name: 'remind', everySeconds: MINUTE, isExclusive: true, run: () => reminders.remind() },
    ];
  }

  onApplicationBootstrap(): void {
    for (const job of this.jobs) {
      this.registry.addInterval(
        job.name,
        setInterval(() => this.start(job), job.everySeconds * 1000),
      );
    }
  }

  /** Before anything that jobs use is destroyed: this module is, before those it imports. */
  async onModuleDestroy(): Promise<void> {
    this.isStopping = true;
    for (const { name } of this.jobs) if (this.registry.doesExist('interval', name)) this.registry.deleteInterval(name);
    await Promise.race([Promise.all(this.running.values()), delay(PATIENCE_MS, undefined, { ref: false })]);
  }

  private start(job: Job): void {
    if (this.isStopping || this.running.has(job.name)) return;
    const run = this.attempt(job).finally(() => this.running.delete(job.name));
    this.running.set(job.name, run);
  }

  /** A job that goes on failing is told of once, and once more when it is well again. */
  private async attempt(job: Job): Promise<void> {
    const { name, isExclusive = false } = job;
    try {
      if (isExclusive) await this.leases.run(name, () => job.run());
      else await job.run();
      if (this.failing.delete(name)) this.log.info({ job: name }, 'a job is well again');
    } catch (error) {
      if (!this.failing.has(name)) this.log.error({ err: error, job: name }, 'a job failed; it will be tried again');
      this.failing.add(name);
    }
  }
}
