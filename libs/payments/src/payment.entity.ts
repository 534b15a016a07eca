import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn } from 'typeorm';
import { type Money } from '#kernel';
import { type Payment, type PaymentKind, type PaymentStatus } from './payment.js';

@Entity('payments')
@Index('payments_user_id_id', ['userId', 'id'])
@Index('payments_tariff_id', ['tariffId'])
// What people write down and what stores report never meet in one index: nobody can claim a store's transaction beforehand.
@Index('payments_manual_reference', ['provider', 'providerPaymentId'], {
  unique: true,
  where: `kind = 'manual' AND provider_payment_id IS NOT NULL`,
})
@Index('payments_store_reference', ['provider', 'providerPaymentId'], {
  unique: true,
  where: `kind <> 'manual' AND provider_payment_id IS NOT NULL`,
})
@Check('payments_amount', `amount >= 0`)
@Check('payments_kind', `kind IN ('manual', 'purchase', 'renewal', 'upgrade', 'one_time')`)
@Check('payments_period', `subscription_id IS NOT NULL OR (period_start IS NULL AND period_end IS NULL)`)
export class PaymentEntity implements Payment {
  @PrimaryGeneratedColumn('identity', { generatedIdentity: 'BY DEFAULT', primaryKeyConstraintName: 'payments_pkey' })
  id: number;

  @Column('integer', { name: 'user_id' })
  userId: number;

  @ManyToOne('UserEntity', { nullable: false })
  @JoinColumn({ name: 'user_id', foreignKeyConstraintName: 'payments_user_id_fkey' })
  user?: object;

  @Column('numeric', { precision: 10, scale: 2 })
  amount: Money;

  @Column('varchar', { length: 8, default: 'USD' })
  currency: string;

  @Column('enum', { enum: ['pending', 'completed', 'failed', 'refunded'], enumName: 'paymentstatus' })
  status: PaymentStatus;

  @Column('varchar', { length: 16, default: 'manual' })
  kind: PaymentKind;

  @Column('varchar', { length: 32, nullable: true })
  provider: string | null;

  @Column('varchar', { name: 'provider_payment_id', length: 255, nullable: true })
  providerPaymentId: string | null;

  @Column('integer', { name: 'tariff_id', nullable: true })
  tariffId: number | null;

  @ManyToOne('TariffEntity')
  @JoinColumn({ name: 'tariff_id', foreignKeyConstraintName: 'payments_tariff_id_fkey' })
  tariff?: object;

  /** What it bought once it was completed: which subscription, and which part of its time. */
  @Column('integer', { name: 'subscription_id', nullable: true })
  subscriptionId: number | null;

  @ManyToOne('UserTariffEntity')
  @JoinColumn({ name: 'subscription_id', foreignKeyConstraintName: 'payments_subscription_id_fkey' })
  subscription?: object;

  @Column('timestamptz', { name: 'period_start', nullable: true })
  periodStart: Date | null;

  @Column('timestamptz', { name: 'period_end', nullable: true })
  periodEnd: Date | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
