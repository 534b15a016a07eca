import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { setTimeout as delay } from 'node:timers/promises';
import { type Logger } from 'pino';
import { Accounts } from '#auth';
import { Acknowledging, Asking, Inbox, Repair } from '#iap';
import { Applying, ENFORCE_ACCESS, Enforcement, Reconciliation, Retention } from '#peers';
import { Audit, Idempotency, type JobOptions, JobRuns, LOG, Outbox } from '#platform';
import { Reminders } from '#subscriptions';

/** A use case that runs by itself. */
export interface Job {
  readonly name: string;
  readonly everySeconds: number;
  /** Runs it, and answers null when another instance is at it. */
  readonly run: (runs: JobRuns) => Promise<unknown>;
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
    private readonly runs: JobRuns,
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
      everywhere('apply-peers', 1, () => applying.applyAll()),
      everywhere('sweep-servers', 5, () => reconciliation.sweepDue()),
      job('enforce-access', MINUTE, () => enforcement.run(), ENFORCE_ACCESS),
      alone('forget-peers', HOUR, () => retention.forgetSuspended()),
      alone('add-up-loads', MINUTE, () => retention.addUpLoads()),
      alone('forget-sessions', HOUR, () => accounts.forgetEndedSessions()),
      alone('forget-answers', HOUR, () => idempotency.forgetOld()),
      // Once a day would do, but no process has to live that long.
      alone('forget-audit', HOUR, () => audit.forgetOld()),
      everywhere('deliver-outbox', 5, () => outbox.deliver()),
      alone('forget-outbox', HOUR, () => outbox.forgetFailed()),
      everywhere('process-store-events', 2, () => inbox.process()),
      everywhere('ask-stores', 5, () => asking.askDue()),
      alone('acknowledge-purchases', 10, () => acknowledging.acknowledgeDue()),
      alone('repair-stores', 10 * MINUTE, () => repair.repairDue()),
      alone('forget-store-events', HOUR, () => inbox.forgetOld()),
      alone('remind', MINUTE, () => reminders.remind()),
    ];
  }

  /** A job that runs less often than each minute runs for the first time after one: few processes live for many hours. */
  async onApplicationBootstrap(): Promise<void> {
    await this.runs.know(this.jobs.map(({ name, everySeconds }) => ({ name, limitSeconds: limitOf(everySeconds) })));
    for (const job of this.jobs) {
      const start = (): void => this.start(job);
      this.registry.addInterval(job.name, setInterval(start, job.everySeconds * 1000));
      if (job.everySeconds > MINUTE) this.registry.addTimeout(job.name, setTimeout(start, MINUTE * 1000));
    }
  }

  /** Before anything that jobs use is destroyed: this module is, before those it imports. */
  async onModuleDestroy(): Promise<void> {
    this.isStopping = true;
    for (const name of this.registry.getIntervals()) this.registry.deleteInterval(name);
    for (const name of this.registry.getTimeouts()) this.registry.deleteTimeout(name);
    await Promise.race([Promise.all(this.running.values()), delay(PATIENCE_MS, undefined, { ref: false })]);
  }

  private start(job: Job): void {
    if (this.isStopping || this.running.has(job.name)) return;
    const run = this.attempt(job).finally(() => this.running.delete(job.name));
    this.running.set(job.name, run);
  }

  /** A job that goes on failing is told of once, and once more when it is well again. */
  private async attempt({ name, run }: Job): Promise<void> {
    try {
      if ((await run(this.runs)) === null) return; // another instance is at it
      if (this.failing.delete(name)) this.log.info({ job: name }, 'a job is well again');
    } catch (error) {
      if (!this.failing.has(name)) this.log.error({ err: error, job: name }, 'a job failed; it will be tried again');
      this.failing.add(name);
    }
  }
}

/** How old the last success of a job may be: ten minutes, and three turns of what is rarer. */
function limitOf(everySeconds: number): number {
  return Math.max(10 * MINUTE, 3 * everySeconds);
}

function job<T>(name: string, everySeconds: number, work: () => Promise<T>, options: JobOptions<T> = {}): Job {
  return { name, everySeconds, run: (runs) => runs.run(name, work, options) };
}

/** A job that is safe on all instances at once. */
function everywhere(name: string, everySeconds: number, work: () => Promise<unknown>): Job {
  return job(name, everySeconds, work);
}

/** A job that runs on one instance at a time. */
function alone(name: string, everySeconds: number, work: () => Promise<unknown>): Job {
  return job(name, everySeconds, work, { isExclusive: true });
}
