import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Who may do a piece of work alone, and until when, by the database's clock. A row is never deleted, so that its fence only grows. */
@Entity('leases')
export class LeaseEntity {
  @PrimaryColumn('varchar', { length: 100, primaryKeyConstraintName: 'leases_pkey' })
  name: string;

  /** For operators: the machine and the process. */
  @Column('varchar', { length: 100 })
  holder: string;

  /** Counts the holders: whoever has an older number than this has lost the lease. */
  @Column('bigint')
  fence: string;

  @Column('timestamptz', { name: 'acquired_at' })
  acquiredAt: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;
}
