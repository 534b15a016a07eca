import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';

/** A key that was seen on a server and is not ours: no device may have it. */
@Entity('vpn_foreign_keys')
@Index('vpn_foreign_keys_public_key', ['publicKey'])
export class ForeignKeyEntity {
  @PrimaryColumn('integer', { name: 'server_id', primaryKeyConstraintName: 'vpn_foreign_keys_pkey' })
  serverId: number;

  @ManyToOne('ServerEntity', { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'server_id', foreignKeyConstraintName: 'vpn_foreign_keys_server_id_fkey' })
  server?: object;

  @PrimaryColumn('varchar', { name: 'public_key', length: 44, primaryKeyConstraintName: 'vpn_foreign_keys_pkey' })
  publicKey: string;

  @Column('timestamptz', { name: 'seen_at' })
  seenAt: Date;
}
