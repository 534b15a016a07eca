import { Injectable } from '@nestjs/common';
import { Clock, DomainError, type Listing, type Money, type Page } from '#kernel';
import { PreparedQueries, refusing, UnitOfWork } from '#platform';
import { TariffStoreProductEntity } from './tariff-store-product.entity.js';
import { TariffEntity } from './tariff.entity.js';
import { type MappedProduct, type NewTariff, type StoreProduct, type StoreProvider, type Tariff } from './tariff.js';

/** Tariffs with their products: a join would repeat each tariff, and an ORM's paging then counts products (it did). */
const SELECT = `
  SELECT t.id, t.name, t.description, t.duration_days, t.price, t.currency, t.device_limit, t.traffic_limit_gb, t.rank,
    t.is_active, ARRAY(
      SELECT json_build_object(
        'provider', p.provider, 'productId', p.product_id, 'basePlanId', nullif(p.base_plan_id, ''), 'kind', p.kind)
      FROM tariff_store_products p WHERE p.tariff_id = t.id ORDER BY p.id) AS store_products
  FROM tariffs t`;
const ACTIVE = { name: 'active_tariffs', text: `${SELECT} WHERE t.is_active ORDER BY t.id LIMIT $1 OFFSET $2` };
const ACTIVE_COUNT = {
  name: 'active_tariff_count',
  text: 'SELECT count(*)::int AS total FROM tariffs WHERE is_active',
};

interface Row {
  id: number;
  name: string;
  description: string | null;
  duration_days: number;
  price: Money;
  currency: string;
  device_limit: number | null;
  traffic_limit_gb: number | null;
  rank: number;
  is_active: boolean;
  store_products: StoreProduct[];
}

@Injectable()
export class TariffsRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly queries: PreparedQueries,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError tariff_already_exists | store_product_taken */
  async insert({ storeProducts, ...tariff }: NewTariff): Promise<Tariff> {
    const tariffs = this.uow.repository(TariffEntity);
    const row = tariffs.create({ ...tariff, createdAt: this.clock.now() });
    const { id } = await refusing(() => tariffs.save(row));
    await this.replaceProducts(id, storeProducts);
    return this.get(id);
  }

  /** @throws DomainError tariff_not_found | tariff_already_exists | store_product_taken */
  async update(id: number, { storeProducts, ...change }: Partial<NewTariff>): Promise<Tariff> {
    await this.get(id);
    if (Object.keys(change).length > 0) {
      const tariffs = this.uow.repository(TariffEntity);
      await refusing(() => tariffs.update({ id }, change));
    }
    if (storeProducts !== undefined) await this.replaceProducts(id, storeProducts);
    return this.get(id);
  }

  /** @throws DomainError tariff_not_found | tariff_in_use */
  async delete(id: number): Promise<void> {
    const { affected } = await refusing(() => this.uow.repository(TariffEntity).delete({ id }));
    if (affected === 0) throw new DomainError('tariff_not_found');
  }

  /** @throws DomainError tariff_not_found */
  async get(id: number): Promise<Tariff> {
    const [row] = await this.uow.manager.query<Row[]>(`${SELECT} WHERE t.id = $1`, [id]);
    if (row === undefined) throw new DomainError('tariff_not_found');
    return toTariff(row);
  }

  /** A page of the tariffs that can be taken now. */
  async listActive(page: Page): Promise<Listing<Tariff>> {
    const { items, total } = await this.queries.page<Row>(ACTIVE, ACTIVE_COUNT, [], page);
    return { items: items.map(toTariff), total };
  }

  /** What these products of a store stand for. A product may stand for several tariffs, by Google's base plans. */
  async ofStoreProducts(provider: StoreProvider, productIds: readonly string[]): Promise<readonly MappedProduct[]> {
    return this.uow.manager.query<MappedProduct[]>(
      `SELECT p.product_id AS "productId", nullif(p.base_plan_id, '') AS "basePlanId", p.kind, t.id AS "tariffId",
         t.duration_days AS "durationDays", t.rank, t.price, t.currency
       FROM tariff_store_products p JOIN tariffs t ON t.id = p.tariff_id
       WHERE p.provider = $1 AND p.product_id = ANY($2)`,
      [provider, productIds],
    );
  }

  private async replaceProducts(tariffId: number, products: readonly StoreProduct[]): Promise<void> {
    const rows = this.uow.repository(TariffStoreProductEntity);
    await rows.delete({ tariffId });
    await refusing(() =>
      rows.insert(products.map((product) => ({ ...product, tariffId, basePlanId: product.basePlanId ?? '' }))),
    );
  }
}

function toTariff(row: Row): Tariff {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    durationDays: row.duration_days,
    price: row.price,
    currency: row.currency,
    deviceLimit: row.device_limit,
    trafficLimitGb: row.traffic_limit_gb,
    rank: row.rank,
    isActive: row.is_active,
    storeProducts: row.store_products,
  };
}
