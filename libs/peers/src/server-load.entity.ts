import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

/** By how many a statement changed the peers of a server: the sum is how many it has. Written by triggers on `vpn_peers`. */
@Entity('vpn_server_loads')
@Index('vpn_server_loads_server_id', ['serverId'])
export class ServerLoadEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'vpn_server_loads_pkey',
  })
  id: string;

  @Column('integer', { name: 'server_id' })
  serverId: number;

  @Column('integer')
  peers: number;
}
