import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../database/unit-of-work.js';

/** What is known of a job, from whichever instance ran it. Ages are seconds by the database's clock. */
export interface JobRun {
  readonly name: string;
  readonly limitSeconds: number;
  /** Since the last success; since the job was first known of, if it never succeeded. */
  readonly successAgeSeconds: number;
  readonly hasSucceeded: boolean;
  readonly startAgeSeconds: number | null;
  readonly failureAgeSeconds: number | null;
  /** The code of the last failure; null when there was a success after it. */
  readonly error: string | null;
  readonly durationSeconds: number | null;
  readonly figures: Readonly<Record<string, number>> | null;
}

export interface Outcome {
  readonly name: string;
  /** How long ago it began, and how long it took; the latter null while it still runs. */
  readonly beganMsAgo: number;
  readonly durationMs: number | null;
  /** Null for a success. */
  readonly error: string | null;
  readonly figures: Readonly<Record<string, number>> | null;
}

const KNOW = `
  INSERT INTO job_runs (name, limit_seconds, known_since)
  SELECT name, seconds, clock_timestamp() FROM unnest($1::text[], $2::int[]) AS job (name, seconds)
  ORDER BY name
  ON CONFLICT (name) DO UPDATE SET limit_seconds = excluded.limit_seconds
    WHERE job_runs.limit_seconds <> excluded.limit_seconds`;

const NOTE = `
  INSERT INTO job_runs (name, limit_seconds, known_since, started_at, succeeded_at, failed_at, error, duration_ms, figures)
  VALUES ($1, $7, clock_timestamp(), clock_timestamp() - $2 * interval '1 ms',
    CASE WHEN $3::int IS NOT NULL AND $4::text IS NULL THEN clock_timestamp() END,
    CASE WHEN $4::text IS NOT NULL THEN clock_timestamp() END, $4, $3, $5::jsonb)
  ON CONFLICT (name) DO UPDATE SET started_at = greatest(job_runs.started_at, excluded.started_at),
    succeeded_at = greatest(job_runs.succeeded_at, excluded.succeeded_at),
    failed_at = greatest(job_runs.failed_at, excluded.failed_at), error = coalesce(excluded.error, job_runs.error),
    duration_ms = coalesce(excluded.duration_ms, job_runs.duration_ms),
    figures = CASE WHEN $6 THEN excluded.figures ELSE job_runs.figures END`;

const LIST = `
  SELECT name, limit_seconds AS "limitSeconds", succeeded_at IS NOT NULL AS "hasSucceeded",
    extract(epoch FROM clock_timestamp() - coalesce(succeeded_at, known_since))::float8 AS "successAgeSeconds",
    extract(epoch FROM clock_timestamp() - started_at)::float8 AS "startAgeSeconds",
    extract(epoch FROM clock_timestamp() - failed_at)::float8 AS "failureAgeSeconds",
    CASE WHEN failed_at > coalesce(succeeded_at, '-infinity') THEN error END AS error,
    duration_ms / 1000.0::float8 AS "durationSeconds", figures
  FROM job_runs ORDER BY name`;

@Injectable()
export class JobRunsRepository {
  constructor(private readonly uow: UnitOfWork) {}

  /** Makes jobs known before they have run, so that one that never does is seen. */
  async know(jobs: readonly { readonly name: string; readonly limitSeconds: number }[]): Promise<void> {
    await this.uow.manager.query(KNOW, [jobs.map(({ name }) => name), jobs.map(({ limitSeconds }) => limitSeconds)]);
  }

  /** Notes a run. `limitSeconds` is only taken of a job that no process knows yet. */
  async note(outcome: Outcome, limitSeconds: number): Promise<void> {
    const { name, beganMsAgo, durationMs, error, figures } = outcome;
    const hasFigures = figures !== null;
    await this.uow.outside(() =>
      this.uow.manager.query(NOTE, [
        name,
        beganMsAgo,
        durationMs === null ? null : Math.round(durationMs),
        error?.slice(0, 64) ?? null,
        hasFigures ? JSON.stringify(figures) : null,
        hasFigures,
        limitSeconds,
      ]),
    );
  }

  list(): Promise<readonly JobRun[]> {
    return this.uow.manager.query<JobRun[]>(LIST);
  }
}
