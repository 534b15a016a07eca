import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A key that was ours and has left: where it is seen again, it goes again. */
@Entity('vpn_departed_keys')
@Index('vpn_departed_keys_left_at', ['leftAt'])
export class DepartedKeyEntity {
  @PrimaryColumn('varchar', { name: 'public_key', length: 44, primaryKeyConstraintName: 'vpn_departed_keys_pkey' })
  publicKey: string;

  /** The server it left; perhaps one that is gone. */
  @PrimaryColumn('integer', { name: 'server_id', primaryKeyConstraintName: 'vpn_departed_keys_pkey' })
  serverId: number;

  @Column('timestamptz', { name: 'left_at' })
  leftAt: Date;
}
