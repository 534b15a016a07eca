import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Metrics } from '../telemetry/metrics.js';
import { type JobRun, JobRunsRepository } from './job-runs.repository.js';

type ValueOf = (run: JobRun, sinceRead: number) => number | null;

const GAUGES: readonly (readonly [name: string, help: string, valueOf: ValueOf])[] = [
  [
    'job_last_success_age_seconds',
    'Since a job last did its work, on whichever instance; since it was first known of, if it never did',
    ({ successAgeSeconds }, sinceRead) => successAgeSeconds + sinceRead,
  ],
  [
    'job_last_success_limit_seconds',
    'How old the last success of a job may be: more is an alert',
    ({ limitSeconds }) => limitSeconds,
  ],
  ['job_last_duration_seconds', 'How long the last run of a job took', ({ durationSeconds }) => durationSeconds],
  ['job_failing', '1 when the last run of a job failed', ({ error }) => (error === null ? 0 : 1)],
];

/** When each job last did its work, read when it is asked for. While the database does not answer, ages go on growing. */
@Injectable()
export class JobRunsMetrics {
  private last: { readonly runs: readonly JobRun[]; readonly at: number } = { runs: [], at: performance.now() };
  private reading: Promise<void> | undefined;

  constructor(
    { registry }: Metrics,
    private readonly repository: JobRunsRepository,
  ) {
    for (const [name, help, valueOf] of GAUGES) {
      const gauge = new Gauge({
        name,
        help,
        labelNames: ['job'],
        registers: [registry],
        collect: async () => {
          await this.read();
          gauge.reset();
          const sinceRead = (performance.now() - this.last.at) / 1000;
          for (const run of this.last.runs) {
            const value = valueOf(run, sinceRead);
            if (value !== null) gauge.set({ job: run.name }, value);
          }
        },
      });
    }
  }

  /** One query for all gauges, which are asked together. */
  private read(): Promise<void> {
    this.reading ??= this.repository
      .list()
      .then(
        (runs) => void (this.last = { runs, at: performance.now() }),
        () => undefined,
      )
      .finally(() => (this.reading = undefined));
    return this.reading;
  }
}
