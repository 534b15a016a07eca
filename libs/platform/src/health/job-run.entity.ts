import { Column, Entity, PrimaryColumn } from 'typeorm';

/** When a job last ran, whichever instance ran it: one row a job. */
@Entity('job_runs')
export class JobRunEntity {
  @PrimaryColumn('varchar', { length: 64, primaryKeyConstraintName: 'job_runs_pkey' })
  name: string;

  /** So old its last success may be. */
  @Column('integer', { name: 'limit_seconds' })
  limitSeconds: number;

  /** Since when a process that runs jobs has known of it: what never succeeded is as old as this. */
  @Column('timestamptz', { name: 'known_since' })
  knownSince: Date;

  @Column('timestamptz', { name: 'started_at', nullable: true })
  startedAt: Date | null;

  @Column('timestamptz', { name: 'succeeded_at', nullable: true })
  succeededAt: Date | null;

  @Column('timestamptz', { name: 'failed_at', nullable: true })
  failedAt: Date | null;

  /** Why the last failure was one, as a code. */
  @Column('varchar', { length: 64, nullable: true })
  error: string | null;

  /** Of the last run that ended. */
  @Column('integer', { name: 'duration_ms', nullable: true })
  durationMs: number | null;

  /** What the last run counted. */
  @Column('jsonb', { nullable: true })
  figures: Readonly<Record<string, number>> | null;
}
