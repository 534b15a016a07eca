import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { type Money } from '#kernel';
import { type PaymentEvent, type PaymentEventStatus } from './payment-event.js';
import { MONEY } from './payment.entity.js';
import { type PaymentStatus } from './payment.js';

/** What a provider told us of a payment, once. */
@Entity('payment_events')
@Index('payment_events_payment_id', ['paymentId'])
@Check('payment_events_status', `status <> 'pending'`)
export class PaymentEventEntity implements PaymentEvent {
  @PrimaryColumn('varchar', { length: 32, primaryKeyConstraintName: 'payment_events_pkey' })
  provider: string;

  /** The provider's own id of it: a repetition has the same. */
  @PrimaryColumn('varchar', { name: 'event_id', length: 255, primaryKeyConstraintName: 'payment_events_pkey' })
  eventId: string;

  @Column('integer', { name: 'payment_id' })
  paymentId: number;

  @ManyToOne('PaymentEntity', { nullable: false })
  @JoinColumn({ name: 'payment_id', foreignKeyConstraintName: 'payment_events_payment_id_fkey' })
  payment?: object;

  @Column('varchar', { name: 'provider_payment_id', length: 255 })
  providerPaymentId: string;

  /** What the provider said. */
  @Column('enum', { enum: ['pending', 'completed', 'failed', 'refunded'], enumName: 'paymentstatus' })
  status: PaymentEventStatus;

  /** Null where the provider did not say. */
  @Column('numeric', { nullable: true, ...MONEY })
  amount: Money | null;

  @Column('varchar', { length: 8, nullable: true })
  currency: string | null;

  /** What the payment was after it: a repetition is answered the same. */
  @Column('enum', { enum: ['pending', 'completed', 'failed', 'refunded'], enumName: 'paymentstatus' })
  outcome: PaymentStatus;

  @Column('timestamptz', { name: 'received_at' })
  receivedAt: Date;
}
