import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Until when a store's record of what it told us was read. */
@Entity('store_watermarks')
export class StoreWatermarkEntity {
  @PrimaryColumn('varchar', { length: 64, primaryKeyConstraintName: 'store_watermarks_pkey' })
  name: string;

  @Column('timestamptz', { name: 'reached_at' })
  reachedAt: Date;
}
