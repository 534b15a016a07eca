import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** When each job, and each server's sweep, last began, succeeded and failed. */
export class JobRuns1795801000000 implements MigrationInterface {
  readonly name = 'JobRuns1795801000000';

  async up(runner: QueryRunner): Promise<void> {
    // Columns without a default: no row is rewritten, and the version before goes on without knowing them.
    await runner.query(`
      CREATE TABLE job_runs (
        name varchar(64) CONSTRAINT job_runs_pkey PRIMARY KEY,
        limit_seconds integer NOT NULL,
        known_since timestamptz NOT NULL,
        started_at timestamptz,
        succeeded_at timestamptz,
        failed_at timestamptz,
        error varchar(64),
        duration_ms integer,
        figures jsonb
      );
      ALTER TABLE vpn_server_health
        ADD COLUMN sweep_started_at timestamptz,
        ADD COLUMN sweep_ms integer,
        ADD COLUMN failed_at timestamptz;
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
