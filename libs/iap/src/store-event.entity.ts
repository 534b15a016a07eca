import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { type StoreProvider } from '#tariffs';
import { type StoreEnvironment } from './store.js';
import { type StoreEventStatus } from './store-event.js';

/** The inbox: what a store told us, kept before it was answered. */
@Entity('store_events')
@Unique('store_events_provider_event_id_key', ['provider', 'eventId'])
@Index('store_events_next_try_at', ['nextTryAt'], { where: `status = 'received'` })
@Index('store_events_status_id', ['status', 'id'])
@Index('store_events_purchase_id', ['purchaseId'])
@Index('store_events_received_at', ['receivedAt'])
@Check('store_events_provider', `provider IN ('apple', 'google')`)
@Check('store_events_status', `status IN ('received', 'done', 'ignored', 'failed')`)
@Check('store_events_next_try', `(status = 'received') = (next_try_at IS NOT NULL)`)
export class StoreEventEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'store_events_pkey',
  })
  id: string;

  @Column('varchar', { length: 16 })
  provider: StoreProvider;

  /** The store's own id of it: a repetition has the same. */
  @Column('varchar', { name: 'event_id', length: 255 })
  eventId: string;

  @Column('varchar', { length: 64 })
  type: string;

  @Column('varchar', { length: 64, nullable: true })
  subtype: string | null;

  @Column('varchar', { length: 16, nullable: true })
  environment: StoreEnvironment | null;

  @Column('timestamptz', { name: 'event_at' })
  eventAt: Date;

  @Column('timestamptz', { name: 'received_at' })
  receivedAt: Date;

  /** What was sent, as it was sent, sealed: it may hold a purchase token. */
  @Column('text', { name: 'sealed_payload' })
  sealedPayload: string;

  @Column('varchar', { length: 16 })
  status: StoreEventStatus;

  @Column('integer', { default: 0 })
  attempts: number;

  @Column('timestamptz', { name: 'next_try_at', nullable: true })
  nextTryAt: Date | null;

  @Column('timestamptz', { name: 'leased_until', nullable: true })
  leasedUntil: Date | null;

  /** The code of what went wrong last. */
  @Column('varchar', { length: 64, nullable: true })
  error: string | null;

  @Column('integer', { name: 'purchase_id', nullable: true })
  purchaseId: number | null;

  @ManyToOne('StorePurchaseEntity', { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'purchase_id', foreignKeyConstraintName: 'store_events_purchase_id_fkey' })
  purchase?: object;
}
