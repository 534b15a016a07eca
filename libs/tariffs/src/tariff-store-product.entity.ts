import {
  Check,
  Column,
  Entity,
  Index,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
  Unique,
} from 'typeorm';
import { TariffEntity } from './tariff.entity.js';
import { type StoreProductKind, type StoreProvider } from './tariff.js';

@Entity('tariff_store_products')
@Unique('tariff_store_products_product_key', ['provider', 'productId', 'basePlanId'])
@Index('tariff_store_products_tariff_id', ['tariffId'])
@Check('tariff_store_products_provider', `provider IN ('apple', 'google')`)
@Check('tariff_store_products_kind', `kind IN ('subscription', 'lifetime', 'nonrenewing')`)
export class TariffStoreProductEntity {
  @PrimaryGeneratedColumn('identity', {
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'tariff_store_products_pkey',
  })
  id: number;

  @Column('integer', { name: 'tariff_id' })
  tariffId: number;

  @ManyToOne(() => TariffEntity, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'tariff_id', foreignKeyConstraintName: 'tariff_store_products_tariff_id_fkey' })
  tariff?: Relation<TariffEntity>;

  @Column('varchar', { length: 16 })
  provider: StoreProvider;

  @Column('varchar', { name: 'product_id', length: 255 })
  productId: string;

  /** '' where there is none, so that the unique constraint counts it. */
  @Column('varchar', { name: 'base_plan_id', length: 255, default: '' })
  basePlanId: string;

  @Column('varchar', { length: 16 })
  kind: StoreProductKind;
}
