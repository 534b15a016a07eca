import { Injectable } from '@nestjs/common';
import { codeOf, isError } from '#kernel';
import { Leases } from '../database/leases.service.js';
import { type JobRun, JobRunsRepository, type Outcome } from './job-runs.repository.js';

export interface JobOptions<T> {
  /** On one instance at a time. */
  readonly isExclusive?: boolean;
  /** Why a run that came to its end has not done what it was for, as a code; null when it has. */
  readonly problemOf?: (result: T) => string | null;
  /** What operators are told of a run, as figures. */
  readonly figuresOf?: (result: T) => Readonly<Record<string, number>>;
}

/** A job that runs more often is noted so often at most, in milliseconds; a change from well to not, or back, at once. */
const NOTE_EVERY_MS = 10_000;
/** A run that takes longer is noted before it ends. */
const LONG_MS = 10_000;
/** How old the last success of a job may be that only operators run. */
const DEFAULT_LIMIT_SECONDS = 600;

interface Noted {
  readonly at: number;
  readonly error: string | null;
}

/** Runs jobs and keeps in the database when each last began, succeeded and failed: the sign that it is done, not that it is tried. */
@Injectable()
export class JobRuns {
  private readonly noted = new Map<string, Noted>();

  constructor(
    private readonly leases: Leases,
    private readonly repository: JobRunsRepository,
  ) {}

  /** Makes jobs known before they have run. */
  know(jobs: readonly { readonly name: string; readonly limitSeconds: number }[]): Promise<void> {
    return this.repository.know(jobs);
  }

  list(): Promise<readonly JobRun[]> {
    return this.repository.list();
  }

  /** Runs a job and notes how that went; null when it is exclusive, and being run somewhere. */
  async run<T>(
    name: string,
    work: () => Promise<T>,
    { isExclusive = false, problemOf, figuresOf }: JobOptions<T> = {},
  ): Promise<{ readonly result: T } | null> {
    const began = performance.now();
    const age = (): number => performance.now() - began;
    const long = setTimeout(() => {
      void this.note({ name, beganMsAgo: age(), durationMs: null, error: null, figures: null });
    }, LONG_MS).unref();
    try {
      const done = isExclusive ? await this.leases.run(name, work) : { result: await work() };
      if (done === null) return null;
      const error = problemOf?.(done.result) ?? null;
      const figures = figuresOf?.(done.result) ?? null;
      await this.noteEnd({ name, beganMsAgo: age(), durationMs: age(), error, figures });
      return done;
    } catch (error) {
      const code = codeOf(error) ?? (isError(error) ? error.name : 'unknown');
      await this.noteEnd({ name, beganMsAgo: age(), durationMs: age(), error: code, figures: null });
      throw error;
    } finally {
      clearTimeout(long);
    }
  }

  private async noteEnd(outcome: Outcome): Promise<void> {
    const { name, error } = outcome;
    const last = this.noted.get(name);
    if (last?.error === error && performance.now() - last.at < NOTE_EVERY_MS) return;
    if (await this.note(outcome)) this.noted.set(name, { at: performance.now(), error });
  }

  /** False when the database does not take it: the age goes on growing, and the next run notes itself. */
  private async note(outcome: Outcome): Promise<boolean> {
    return this.repository.note(outcome, DEFAULT_LIMIT_SECONDS).then(
      () => true,
      () => false,
    );
  }
}
