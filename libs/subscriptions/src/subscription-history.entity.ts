import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn } from 'typeorm';
import { type SubscriptionState } from './subscription.js';

/** How a subscription came to be what it is. */
@Entity('subscription_history')
@Index('subscription_history_subscription_id', ['subscriptionId', 'id'])
export class SubscriptionHistoryEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'subscription_history_pkey',
  })
  id: string;

  @Column('integer', { name: 'subscription_id' })
  subscriptionId: number;

  @ManyToOne('UserTariffEntity', { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'subscription_id', foreignKeyConstraintName: 'subscription_history_subscription_id_fkey' })
  subscription?: object;

  /** Null at its beginning. */
  @Column('varchar', { name: 'from_state', length: 16, nullable: true })
  fromState: SubscriptionState | null;

  @Column('varchar', { name: 'to_state', length: 16 })
  toState: SubscriptionState;

  @Column('integer', { name: 'tariff_id' })
  tariffId: number;

  @Column('timestamptz', { name: 'access_until', nullable: true })
  accessUntil: Date | null;

  /** What moved it, such as an event's id or `clock`. */
  @Column('varchar', { length: 128 })
  cause: string;

  @Column('timestamptz')
  at: Date;
}
