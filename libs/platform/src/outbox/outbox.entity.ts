import { Check, Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

/** A message that is still to be delivered, or was given up. A delivered one has no row. */
@Entity('outbox')
@Index('outbox_due', ['nextTryAt', 'id'], { where: 'failed_at IS NULL' })
@Index('outbox_failed_at', ['failedAt'], { where: 'failed_at IS NOT NULL' })
@Check('outbox_one_payload', 'num_nonnulls(payload, sealed_payload) = 1')
export class OutboxEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'outbox_pkey',
  })
  id: string;

  @Column('varchar', { length: 32 })
  kind: string;

  @Column('jsonb', { nullable: true })
  payload: unknown;

  @Column('text', { name: 'sealed_payload', nullable: true })
  sealedPayload: string | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'next_try_at' })
  nextTryAt: Date;

  /** Attempts begun, also those that never came to an end. */
  @Column('integer', { default: 0 })
  attempts: number;

  /** Until when somebody is at it, if he is still alive. */
  @Column('timestamptz', { name: 'leased_until', nullable: true })
  leasedUntil: Date | null;

  /** When it was given up. */
  @Column('timestamptz', { name: 'failed_at', nullable: true })
  failedAt: Date | null;

  /** Why the last attempt failed. */
  @Column('varchar', { length: 64, nullable: true })
  error: string | null;
}
