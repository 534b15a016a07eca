import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

@Entity('idempotency_keys')
@Index('idempotency_keys_created_at', ['createdAt'])
export class IdempotencyKeyEntity {
  @PrimaryColumn('integer', { name: 'user_id', primaryKeyConstraintName: 'idempotency_keys_pkey' })
  userId: number;

  @PrimaryColumn('varchar', { length: 128, primaryKeyConstraintName: 'idempotency_keys_pkey' })
  key: string;

  /** SHA-256, base64url, of method, path and body. */
  @Column('text')
  fingerprint: string;

  /** What the request created. */
  @Column('integer', { name: 'resource_id', nullable: true })
  resourceId: number | null;

  /** Null while the first request runs, and after it was killed. */
  @Column('text', { name: 'sealed_answer', nullable: true })
  sealedAnswer: string | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
