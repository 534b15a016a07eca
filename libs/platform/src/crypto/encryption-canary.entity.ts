import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

/** A text that the first process that served sealed: whoever cannot open it has another key. One row. */
@Entity('encryption_canary')
@Check('encryption_canary_one_row', 'id = 1')
export class EncryptionCanaryEntity {
  @PrimaryColumn('smallint', { primaryKeyConstraintName: 'encryption_canary_pkey' })
  id: number;

  @Column('text')
  sealed: string;
}
