import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';

/**
 * What passed both ways in one period of a subscription, while it was the one that sets its owner's limits. It is counted by
 * owner, so no server, peer or key that goes takes any of it along.
 */
@Entity('vpn_traffic_periods')
export class TrafficPeriodEntity {
  @PrimaryColumn('integer', { name: 'subscription_id', primaryKeyConstraintName: 'vpn_traffic_periods_pkey' })
  subscriptionId: number;

  @ManyToOne('UserTariffEntity', { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'subscription_id', foreignKeyConstraintName: 'vpn_traffic_periods_subscription_id_fkey' })
  subscription?: object;

  @PrimaryColumn('timestamptz', { name: 'started_at', primaryKeyConstraintName: 'vpn_traffic_periods_pkey' })
  startedAt: Date;

  @Column('bigint')
  bytes: string;
}
