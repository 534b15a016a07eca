import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn } from 'typeorm';
import { type Money, storedMoney } from '#kernel';
import { type LedgerEntry, type PaymentKind, type PaymentStatus } from './payment.js';

/** numeric(18,6) holds Apple's thousandths of a unit and Google's billionths, as far as anybody charges. */
export const MONEY = {
  precision: 18,
  scale: 6,
  transformer: {
    from: (numeric: string | null): Money | null => (numeric === null ? null : storedMoney(numeric)),
    to: (amount: Money | null | undefined): Money | null | undefined => amount,
  },
};

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
@Index('payments_store_purchase_id', ['storePurchaseId'], { where: 'store_purchase_id IS NOT NULL' })
@Index('payments_subscription_id', ['subscriptionId'], { where: 'subscription_id IS NOT NULL' })
@Index('payments_superseded_by', ['supersededBy'], { where: 'superseded_by IS NOT NULL' })
@Index('payments_created_at', ['createdAt'])
@Index('payments_refunded_at', ['refundedAt'], { where: 'refunded_at IS NOT NULL' })
@Check('payments_amount', `amount >= 0`)
@Check('payments_kind', `kind IN ('manual', 'purchase', 'renewal', 'upgrade', 'one_time')`)
@Check(
  'payments_period',
  `kind <> 'manual' OR subscription_id IS NOT NULL OR (period_start IS NULL AND period_end IS NULL)`,
)
@Check('payments_owner', `user_id IS NOT NULL OR kind <> 'manual'`)
@Check('payments_refund', `(refunded_at IS NULL) = (refunded_amount IS NULL)`)
@Check('payments_refunded', `status <> 'refunded' OR refunded_at IS NOT NULL`)
@Check('payments_refunded_amount', `refunded_amount >= 0`)
export class PaymentEntity implements LedgerEntry {
  @PrimaryGeneratedColumn('identity', { generatedIdentity: 'BY DEFAULT', primaryKeyConstraintName: 'payments_pkey' })
  id: number;

  @Column('integer', { name: 'user_id', nullable: true })
  userId: number | null;

  @ManyToOne('UserEntity')
  @JoinColumn({ name: 'user_id', foreignKeyConstraintName: 'payments_user_id_fkey' })
  user?: object;

  @Column('numeric', MONEY)
  amount: Money;

  @Column('varchar', { length: 8, default: 'USD' })
  currency: string;

  @Column('enum', { enum: ['pending', 'completed', 'failed', 'refunded'], enumName: 'paymentstatus' })
  status: PaymentStatus;

  @Column('varchar', { length: 16, default: 'manual' })
  kind: PaymentKind;

  @Column('varchar', { length: 32, nullable: true })
  provider: string | null;

  /** As it is stored: see `store-reference.rules.ts`. */
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

  /** How much went back; all of it, unless a store gave back a part. */
  @Column('numeric', { name: 'refunded_amount', nullable: true, ...MONEY })
  refundedAmount: Money | null;

  @Column('timestamptz', { name: 'refunded_at', nullable: true })
  refundedAt: Date | null;

  /** In a word of the store's. */
  @Column('varchar', { name: 'refund_reason', length: 64, nullable: true })
  refundReason: string | null;

  /** When the customer last asked the store for this money back. */
  @Column('timestamptz', { name: 'refund_requested_at', nullable: true })
  refundRequestedAt: Date | null;

  /** What it is called in the store. */
  @Column('varchar', { name: 'product_id', length: 255, nullable: true })
  productId: string | null;

  @Column('boolean', { name: 'is_trial', default: false })
  isTrial: boolean;

  /** From a sandbox: no money moved. */
  @Column('boolean', { name: 'is_test', default: false })
  isTest: boolean;

  /** The store has not said yet what was charged: the amount is the tariff's. */
  @Column('boolean', { name: 'amount_estimated', default: false })
  amountEstimated: boolean;

  /** ISO 3166: two letters (Google), three (Apple). */
  @Column('varchar', { length: 3, nullable: true })
  country: string | null;

  /** The purchase that it is a payment of, by its id in the room above, which never deletes one. */
  @Column('integer', { name: 'store_purchase_id', nullable: true })
  storePurchaseId: number | null;

  /** The payment of the upgrade that took its place. */
  @Column('integer', { name: 'superseded_by', nullable: true })
  supersededBy: number | null;

  @ManyToOne('PaymentEntity', { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'superseded_by', foreignKeyConstraintName: 'payments_superseded_by_fkey' })
  supersededByPayment?: object;

  /** When it was written down; of a store's payment, when it was charged. */
  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
