import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { ServerEntity } from './server.entity.js';

/**
 * Every address of every server's pool, one row each. Taking one is one indexed step, however full the pool is, and two takers
 * never get the same.
 */
@Entity('vpn_server_addresses')
@Index('vpn_server_addresses_free', ['serverId', 'freeAt', 'address'], { where: 'free_at IS NOT NULL' })
export class ServerAddressEntity {
  @PrimaryColumn('integer', { name: 'server_id', primaryKeyConstraintName: 'vpn_server_addresses_pkey' })
  serverId: number;

  @ManyToOne(() => ServerEntity, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'server_id', foreignKeyConstraintName: 'vpn_server_addresses_server_id_fkey' })
  server?: Relation<ServerEntity>;

  @PrimaryColumn('inet', { primaryKeyConstraintName: 'vpn_server_addresses_pkey' })
  address: string;

  /** From when on it may be given to a peer; null while a peer has it. */
  @Column('timestamptz', { name: 'free_at', nullable: true })
  freeAt: Date | null;
}
