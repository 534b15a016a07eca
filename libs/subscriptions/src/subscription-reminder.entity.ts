import { Check, Column, Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { type ReminderKind } from './reminder.rules.js';

/** That a subscription's owner was reminded of one of its ends. Another end is another row: a renewal arms the reminders again. */
@Entity('subscription_reminders')
@Check('subscription_reminders_kind', `kind IN ('three_days', 'one_day', 'ended', 'payment_failed', 'payment_stopped')`)
export class SubscriptionReminderEntity {
  @PrimaryColumn('integer', { name: 'subscription_id', primaryKeyConstraintName: 'subscription_reminders_pkey' })
  subscriptionId: number;

  @ManyToOne('UserTariffEntity', { nullable: false, onDelete: 'CASCADE' })
  @JoinColumn({
    name: 'subscription_id',
    foreignKeyConstraintName: 'subscription_reminders_subscription_id_fkey',
  })
  subscription?: object;

  @PrimaryColumn('varchar', { length: 16, primaryKeyConstraintName: 'subscription_reminders_pkey' })
  kind: ReminderKind;

  /** The end it speaks of. */
  @PrimaryColumn('timestamptz', { name: 'ends_at', primaryKeyConstraintName: 'subscription_reminders_pkey' })
  endsAt: Date;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
