import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { type QueryResultRow } from 'pg';
import { DataSource } from 'typeorm';
import { type Listing, type Page } from '#kernel';
import { isStalePlan } from './database-faults.js';
import { GuardedPool, poolOf } from './guarded-pool.js';

/** A statement that PostgreSQL plans once per connection; `name` is its identity, so one name has one text. */
export interface PreparedQuery {
  readonly name: string;
  readonly text: string;
}

/**
 * The hottest reads, as named prepared statements on the driver's own pool: a third of the CPU that a repository's find costs
 * (measured). They see what is committed, never the caller's open transaction.
 */
@Injectable()
export class PreparedQueries {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  async rows<Row extends QueryResultRow>(
    { name, text }: PreparedQuery,
    values: readonly unknown[],
  ): Promise<readonly Row[]> {
    const pool = poolOf(this.dataSource);
    const isNamed = !(pool instanceof GuardedPool && pool.isPooled);
    const ask = (): Promise<readonly Row[]> =>
      pool.query<Row>({ ...(isNamed ? { name } : {}), text, values: [...values] }).then(({ rows }) => rows);
    try {
      return await ask();
    } catch (error) {
      // A migration changed a table under this plan, so under those of all connections: new ones plan anew.
      if (!isStalePlan(error) || !(pool instanceof GuardedPool)) throw error;
      pool.renew();
      return ask();
    }
  }

  /** Has what is asked next go over new connections. */
  reconnect(): void {
    const pool = poolOf(this.dataSource);
    if (pool instanceof GuardedPool) pool.renew();
  }

  /**
   * A page of `list` (whose last two parameters are LIMIT and OFFSET) and how many rows there are in all. `count` (a query for
   * one row with `total`) is only asked when the page itself cannot tell.
   */
  async page<Row extends QueryResultRow>(
    list: PreparedQuery,
    count: PreparedQuery,
    values: readonly unknown[],
    { skip, limit }: Page,
  ): Promise<Listing<Row>> {
    const items = await this.rows<Row>(list, [...values, limit, skip]);
    const isLastPage = items.length < limit && (items.length > 0 || skip === 0);
    if (isLastPage) return { items, total: skip + items.length };
    const [counted] = await this.rows<{ total: number }>(count, values);
    return { items, total: counted?.total ?? 0 };
  }
}
