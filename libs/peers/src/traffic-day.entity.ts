import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';

/** What a user's devices sent and received on one server on one day (UTC). */
@Entity('vpn_traffic_days')
@Index('vpn_traffic_days_user_id', ['userId', 'day'])
@Index('vpn_traffic_days_server_id', ['serverId', 'day'])
export class TrafficDayEntity {
  @PrimaryColumn('date', { primaryKeyConstraintName: 'vpn_traffic_days_pkey' })
  day: string;

  /** Perhaps of a server that is gone: its totals outlive it. */
  @PrimaryColumn('integer', { name: 'server_id', primaryKeyConstraintName: 'vpn_traffic_days_pkey' })
  serverId: number;

  @PrimaryColumn('integer', { name: 'user_id', primaryKeyConstraintName: 'vpn_traffic_days_pkey' })
  userId: number;

  @ManyToOne('UserEntity', { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'user_id', foreignKeyConstraintName: 'vpn_traffic_days_user_id_fkey' })
  user?: object;

  @Column('bigint', { name: 'rx_bytes' })
  receivedBytes: string;

  @Column('bigint', { name: 'tx_bytes' })
  sentBytes: string;
}
