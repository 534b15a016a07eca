import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { type SubscriptionSource, type SubscriptionState } from './subscription.js';

/** Named as the older service named it: a subscription is a user's hold on a tariff. */
@Entity('user_tariffs')
@Unique('user_tariffs_user_id_tariff_id_started_at_key', ['userId', 'tariffId', 'startedAt'])
@Index('user_tariffs_tariff_id', ['tariffId'])
@Check(
  'user_tariffs_state',
  `state IN ('pending', 'trial', 'active', 'cancelled', 'grace', 'retry', 'paused', 'expired', 'refunded', 'revoked', 'superseded', 'void')`,
)
@Check('user_tariffs_source', `source IN ('admin', 'manual', 'promo', 'apple', 'google')`)
export class UserTariffEntity {
  @PrimaryGeneratedColumn('identity', {
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'user_tariffs_pkey',
  })
  id: number;

  @Column('integer', { name: 'user_id' })
  userId: number;

  @ManyToOne('UserEntity', { nullable: false })
  @JoinColumn({ name: 'user_id', foreignKeyConstraintName: 'user_tariffs_user_id_fkey' })
  user?: object;

  @Column('integer', { name: 'tariff_id' })
  tariffId: number;

  @ManyToOne('TariffEntity', { nullable: false })
  @JoinColumn({ name: 'tariff_id', foreignKeyConstraintName: 'user_tariffs_tariff_id_fkey' })
  tariff?: object;

  @Column('timestamptz', { name: 'started_at' })
  startedAt: Date;

  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt: Date | null;

  @Column('timestamptz', { name: 'access_until', nullable: true })
  accessUntil: Date | null;

  @Column('varchar', { length: 16 })
  state: SubscriptionState;

  @Column('varchar', { length: 16 })
  source: SubscriptionSource;

  @Column('boolean', { name: 'auto_renewing', default: false })
  autoRenewing: boolean;

  @Column('boolean', { name: 'is_trial', default: false })
  isTrial: boolean;
}
