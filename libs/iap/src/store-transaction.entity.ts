import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { type AppleTransaction } from './apple-facts.js';
import { type GoogleOrder } from './google-facts.js';

/** One transaction of Apple's, or one order of Google's. */
@Entity('store_transactions')
@Index('store_transactions_payment_key', ['paymentKey'])
export class StoreTransactionEntity {
  @PrimaryColumn('integer', { name: 'purchase_id', primaryKeyConstraintName: 'store_transactions_pkey' })
  purchaseId: number;

  @ManyToOne('StorePurchaseEntity', { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'purchase_id', foreignKeyConstraintName: 'store_transactions_purchase_id_fkey' })
  purchase?: object;

  /** Apple's transaction id or Google's order id. */
  @PrimaryColumn('varchar', { name: 'payment_key', length: 255, primaryKeyConstraintName: 'store_transactions_pkey' })
  paymentKey: string;

  /** Of two forms of the same one the greater counts: Apple's signing time, our counter of questions to Google. */
  @Column('bigint')
  version: string;

  @Column('jsonb')
  facts: AppleTransaction | GoogleOrder;

  /** When Apple's question how much of it was used was answered: that is done once. */
  @Column('timestamptz', { name: 'consumption_told_at', nullable: true })
  consumptionToldAt: Date | null;
}
