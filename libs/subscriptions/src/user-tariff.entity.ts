import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { type SubscriptionSource, type SubscriptionState } from './subscription.js';

/** Named as the older service named it: a subscription is a user's hold on a tariff. */
@Entity('user_tariffs')
@Unique('user_tariffs_store_purchase_id_key', ['storePurchaseId'])
// A store's row is one for each purchase; what people give is one for each beginning.
@Index('user_tariffs_user_id_tariff_id_started_at_key', ['userId', 'tariffId', 'startedAt'], {
  unique: true,
  where: 'store_purchase_id IS NULL',
})
@Index('user_tariffs_user_id', ['userId'])
@Index('user_tariffs_pending_tariff_id', ['pendingTariffId'])
@Index('user_tariffs_due', ['accessUntil'], {
  where: `state IN ('trial', 'active', 'cancelled', 'grace') AND access_until IS NOT NULL`,
})
@Index('user_tariffs_payment_failed', ['accessUntil'], { where: `state IN ('grace', 'retry')` })
@Check('user_tariffs_store', `(source IN ('apple', 'google')) = (store_purchase_id IS NOT NULL)`)
@Index('user_tariffs_tariff_id', ['tariffId'])
@Index('user_tariffs_access_until', ['accessUntil'], { where: 'access_until IS NOT NULL' })
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

  /** When a store last renewed it: traffic is counted from there on. Null: in blocks of the tariff's duration. */
  @Column('timestamptz', { name: 'period_started_at', nullable: true })
  periodStartedAt: Date | null;

  /** When a store's renewal begins that came before the running period was over. */
  @Column('timestamptz', { name: 'next_period_at', nullable: true })
  nextPeriodAt: Date | null;

  @Column('varchar', { length: 16 })
  state: SubscriptionState;

  @Column('varchar', { length: 16 })
  source: SubscriptionSource;

  @Column('boolean', { name: 'auto_renewing', default: false })
  autoRenewing: boolean;

  @Column('boolean', { name: 'is_trial', default: false })
  isTrial: boolean;

  /** The purchase that it follows, by its id in the room above, which never deletes one; null for what people give. */
  @Column('integer', { name: 'store_purchase_id', nullable: true })
  storePurchaseId: number | null;

  /** Until when a store grants access although a charge failed. */
  @Column('timestamptz', { name: 'grace_until', nullable: true })
  graceUntil: Date | null;

  /** When it was switched off for the time after its end. */
  @Column('timestamptz', { name: 'cancelled_at', nullable: true })
  cancelledAt: Date | null;

  /** What it becomes at the next renewal. */
  @Column('integer', { name: 'pending_tariff_id', nullable: true })
  pendingTariffId: number | null;

  @ManyToOne('TariffEntity', { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'pending_tariff_id', foreignKeyConstraintName: 'user_tariffs_pending_tariff_id_fkey' })
  pendingTariff?: object;

  /** Why it ended, where a store or an administrator said. */
  @Column('varchar', { name: 'ended_reason', length: 64, nullable: true })
  endedReason: string | null;
}
