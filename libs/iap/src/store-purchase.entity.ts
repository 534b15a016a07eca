import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { type SubscriptionState } from '#subscriptions';
import { type StoreProvider } from '#tariffs';
import { type BoundBy, type StoredFacts } from './purchase.js';
import { type StoreEnvironment } from './store.js';

@Entity('store_purchases')
@Unique('store_purchases_provider_environment_key_key', ['provider', 'environment', 'key'])
@Index('store_purchases_user_id', ['userId'])
@Index('store_purchases_tariff_id', ['tariffId'])
@Index('store_purchases_linked_purchase_id', ['linkedPurchaseId'])
@Index('store_purchases_account_token', ['accountToken'], { where: 'user_id IS NULL' })
@Index('store_purchases_product_id', ['provider', 'productId'])
@Index('store_purchases_unclaimed', ['createdAt'], { where: 'user_id IS NULL' })
@Index('store_purchases_dirty', ['id'], { where: 'dirty_seq <> clean_seq' })
@Index('store_purchases_next_check_at', ['nextCheckAt'], { where: 'next_check_at IS NOT NULL' })
@Index('store_purchases_acknowledge_by', ['acknowledgeBy'], { where: 'acknowledge_by IS NOT NULL' })
@Index('store_purchases_unanswered', ['checkFailures'], { where: 'check_failures >= 5' })
@Check('store_purchases_provider', `provider IN ('apple', 'google')`)
@Check('store_purchases_environment', `environment IN ('production', 'sandbox')`)
@Check('store_purchases_bound_by', `bound_by IN ('token', 'claim', 'link', 'admin', 'transfer')`)
@Check('store_purchases_owner', `user_id IS NULL OR bound_by IS NOT NULL`)
export class StorePurchaseEntity {
  @PrimaryGeneratedColumn('identity', {
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'store_purchases_pkey',
  })
  id: number;

  @Column('varchar', { length: 16 })
  provider: StoreProvider;

  @Column('varchar', { length: 16 })
  environment: StoreEnvironment;

  /** See `PurchaseKey`. */
  @Column('varchar', { length: 64 })
  key: string;

  /** Play's purchase token, sealed: it is asked with, and it is a bearer secret. */
  @Column('text', { name: 'sealed_token', nullable: true })
  sealedToken: string | null;

  /** The one owner; null = nobody has claimed it yet. */
  @Column('integer', { name: 'user_id', nullable: true })
  userId: number | null;

  @ManyToOne('UserEntity', { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'user_id', foreignKeyConstraintName: 'store_purchases_user_id_fkey' })
  user?: object;

  @Column('varchar', { name: 'bound_by', length: 16, nullable: true })
  boundBy: BoundBy | null;

  @Column('timestamptz', { name: 'bound_at', nullable: true })
  boundAt: Date | null;

  @Column('timestamptz', { name: 'transferred_at', nullable: true })
  transferredAt: Date | null;

  /** Whose the purchase says it is. */
  @Column('uuid', { name: 'account_token', nullable: true })
  accountToken: string | null;

  /** What is known of it, without its transactions. */
  @Column('jsonb')
  facts: StoredFacts;

  /** What follows from the facts, as of the last look; kept for lists and searches. */
  @Column('varchar', { length: 16 })
  state: SubscriptionState;

  /** Null while the product belongs to no tariff. */
  @Column('integer', { name: 'tariff_id', nullable: true })
  tariffId: number | null;

  @ManyToOne('TariffEntity')
  @JoinColumn({ name: 'tariff_id', foreignKeyConstraintName: 'store_purchases_tariff_id_fkey' })
  tariff?: object;

  @Column('varchar', { name: 'product_id', length: 255, nullable: true })
  productId: string | null;

  @Column('varchar', { name: 'base_plan_id', length: 255, nullable: true })
  basePlanId: string | null;

  @Column('timestamptz', { name: 'access_until', nullable: true })
  accessUntil: Date | null;

  @Column('boolean', { name: 'auto_renewing', default: false })
  autoRenewing: boolean;

  @Column('boolean', { name: 'is_test', default: false })
  isTest: boolean;

  /** The purchase that this one took the place of. */
  @Column('integer', { name: 'linked_purchase_id', nullable: true })
  linkedPurchaseId: number | null;

  @ManyToOne('StorePurchaseEntity', { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'linked_purchase_id', foreignKeyConstraintName: 'store_purchases_linked_purchase_id_fkey' })
  linkedPurchase?: object;

  /** Counts the hints that something changed; unequal to `clean_seq` = the store must be asked. */
  @Column('integer', { name: 'dirty_seq', default: 0 })
  dirtySeq: number;

  /** The hint that the last question came after. */
  @Column('integer', { name: 'clean_seq', default: 0 })
  cleanSeq: number;

  /** Who asks the store about it holds it until then. */
  @Column('timestamptz', { name: 'leased_until', nullable: true })
  leasedUntil: Date | null;

  /** When the store is to be asked without a hint; null = not by itself. */
  @Column('timestamptz', { name: 'next_check_at', nullable: true })
  nextCheckAt: Date | null;

  /** How often in a row the store could not be asked. */
  @Column('integer', { name: 'check_failures', default: 0 })
  checkFailures: number;

  /** Access that goes on because the store could not be asked; null as soon as it could. */
  @Column('timestamptz', { name: 'leeway_until', nullable: true })
  leewayUntil: Date | null;

  /** When the store was last asked about it, successfully. */
  @Column('timestamptz', { name: 'asked_at', nullable: true })
  askedAt: Date | null;

  /** The store knows it no more (410): what we know stays, and it is asked no more. */
  @Column('boolean', { name: 'is_gone', default: false })
  isGone: boolean;

  /** Play takes a purchase back that is not acknowledged by then; null = there is nothing to acknowledge. */
  @Column('timestamptz', { name: 'acknowledge_by', nullable: true })
  acknowledgeBy: Date | null;

  /** How often in a row the acknowledgement failed, and when it is tried again; null = at once. */
  @Column('integer', { name: 'acknowledge_failures', default: 0 })
  acknowledgeFailures: number;

  @Column('timestamptz', { name: 'acknowledge_retry_at', nullable: true })
  acknowledgeRetryAt: Date | null;

  /** Drawn from the counter of questions once Play had accepted the acknowledgement: what it answered before does not know of it. */
  @Column('bigint', { name: 'acknowledged_seq', nullable: true })
  acknowledgedSeq: string | null;

  /** The account token that this service, not the app, gave the purchase at its store. */
  @Column('uuid', { name: 'given_account_token', nullable: true })
  givenAccountToken: string | null;

  /** When the customer last asked the store for his money. */
  @Column('timestamptz', { name: 'refund_requested_at', nullable: true })
  refundRequestedAt: Date | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
