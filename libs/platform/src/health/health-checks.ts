import { Injectable } from '@nestjs/common';
import { codeOf, isError } from '#kernel';
import { DatabaseHealth } from '../database/database-health.js';
import { JobRuns } from './job-runs.service.js';

/** What came of looking at one part of the service. */
export interface HealthFinding {
  readonly about: string;
  readonly isWell: boolean;
  /** One line for an operator, without any secret. */
  readonly says: string;
}

/** For people who operate the service: what is well, and what is not. Each room adds what it can look at by itself, without a wire. */
@Injectable()
export class HealthChecks {
  private readonly checks: (readonly [about: string, check: () => Promise<readonly HealthFinding[]>])[] = [];

  constructor(
    private readonly database: DatabaseHealth,
    private readonly jobs: JobRuns,
  ) {
    this.add('database', () => this.checkDatabase());
    this.add('jobs', () => this.checkJobs());
  }

  add(about: string, check: () => Promise<readonly HealthFinding[]>): void {
    this.checks.push([about, check]);
  }

  /** Looks at everything. Never throws: what cannot be looked at is not well. */
  async examine(): Promise<readonly HealthFinding[]> {
    const examined = await Promise.all(
      this.checks.map(([about, check]) =>
        check().catch((error: unknown) => [
          {
            about,
            isWell: false,
            says: `could not be looked at: ${codeOf(error) ?? (isError(error) ? error.name : '')}`,
          },
        ]),
      ),
    );
    return examined.flat();
  }

  private async checkDatabase(): Promise<readonly HealthFinding[]> {
    const state = await this.database.check();
    return [
      { about: 'database', isWell: state === 'ok', says: state === 'ok' ? 'answers, and has every migration' : state },
    ];
  }

  private async checkJobs(): Promise<readonly HealthFinding[]> {
    const runs = await this.jobs.list();
    if (runs.length === 0) return [{ about: 'jobs', isWell: false, says: 'no process has ever run them (ROLES)' }];
    return runs.map(({ name, hasSucceeded, successAgeSeconds: age, limitSeconds, error }) => {
      const when = hasSucceeded ? `done ${Math.round(age)} s ago` : `never done in ${Math.round(age)} s`;
      const why = error === null ? '' : `; the last run failed: ${error}`;
      const late = age > limitSeconds ? `; more than ${limitSeconds} s is too long` : '';
      return { about: `job ${name}`, isWell: age <= limitSeconds, says: `${when}${why}${late}` };
    });
  }
}
