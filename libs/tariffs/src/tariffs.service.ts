import { Injectable } from '@nestjs/common';
import { addSeconds, Clock, type Listing, type Page } from '#kernel';
import { type Actor, Audit, type AuditRecord, differences, Idempotency, UnitOfWork } from '#platform';
import { type MappedProduct, type NewTariff, type StoreProvider, type Tariff } from './tariff.js';
import { TariffsRepository } from './tariffs.repository.js';

/** How long a page of the public list may be old on another instance; on this one a change shows at once. */
const CACHE_SECONDS = 1;
/** Pages kept at a time: the app asks for one or two; whoever asks for many gets no memory for it. */
const CACHED_PAGES = 50;

interface CachedPage {
  readonly listing: Promise<Listing<Tariff>>;
  readonly until: Date;
}

/** The catalogue: what can be had. */
@Injectable()
export class Tariffs {
  private readonly pages = new Map<string, CachedPage>();

  constructor(
    private readonly uow: UnitOfWork,
    private readonly repository: TariffsRepository,
    private readonly idempotency: Idempotency,
    private readonly audit: Audit,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError tariff_already_exists | store_product_taken */
  create(by: Actor, tariff: NewTariff): Promise<Tariff> {
    return this.idempotency.creating(
      () =>
        this.change(async () => {
          const created = await this.repository.insert(tariff);
          await this.record(by, 'tariff_create', created, { price: created.price, currency: created.currency });
          return created;
        }),
      (id) => this.repository.get(id),
    );
  }

  /**
   * Changes what is given and leaves the rest.
   * @throws DomainError tariff_not_found | tariff_already_exists | store_product_taken
   */
  update(by: Actor, id: number, change: Partial<NewTariff>): Promise<Tariff> {
    return this.change(async () => {
      const before = await this.repository.get(id);
      const after = await this.repository.update(id, change);
      const changed = differences(before, after, Object.keys(change) as (keyof NewTariff)[]);
      if (Object.keys(changed).length > 0) await this.record(by, 'tariff_update', after, { changed });
      return after;
    });
  }

  /** @throws DomainError tariff_not_found | tariff_in_use */
  delete(by: Actor, id: number): Promise<void> {
    return this.change(async () => {
      const tariff = await this.repository.get(id);
      await this.repository.delete(id);
      await this.record(by, 'tariff_delete', tariff, {});
    });
  }

  /** Any tariff, also one that can no longer be taken: its subscribers look it up. @throws DomainError tariff_not_found */
  get(id: number): Promise<Tariff> {
    return this.repository.get(id);
  }

  /** A page of the tariffs that can be taken now. The answer may be one second old. */
  list(page: Page): Promise<Listing<Tariff>> {
    const now = this.clock.now();
    const name = `${page.skip}:${page.limit}`;
    const cached = this.pages.get(name);
    if (cached !== undefined && now < cached.until) return cached.listing;
    if (this.pages.size >= CACHED_PAGES) this.pages.clear();
    const listing = this.repository.listActive(page);
    this.pages.set(name, { listing, until: addSeconds(now, CACHE_SECONDS) });
    listing.catch(() => this.pages.delete(name)); // a failure is not worth remembering
    return listing;
  }

  /** What these products of a store stand for; a product without a tariff is left out. */
  ofStoreProducts(provider: StoreProvider, productIds: readonly string[]): Promise<readonly MappedProduct[]> {
    return this.repository.ofStoreProducts(provider, productIds);
  }

  private record(
    by: Actor,
    action: AuditRecord['action'],
    { id, name }: Tariff,
    data: AuditRecord['data'],
  ): Promise<void> {
    return this.audit.record({ ...by, action, target: `tariff:${id}`, data: { name, ...data } });
  }

  private change<T>(work: () => Promise<T>): Promise<T> {
    return this.uow.run(async () => {
      this.uow.afterCommit(() => this.pages.clear());
      return work();
    });
  }
}
