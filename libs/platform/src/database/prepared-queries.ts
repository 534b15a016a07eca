import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { Pool, type QueryResultRow } from 'pg';
import { DataSource } from 'typeorm';
import { type Listing, type Page } from '#kernel';

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

  rows<Row extends QueryResultRow>(query: PreparedQuery, values: readonly unknown[]): Promise<readonly Row[]> {
    const { name, text } = query;
    return this.pool.query<Row>({ name, text, values: [...values] }).then(({ rows }) => rows);
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

  /** TypeORM's PostgreSQL driver keeps its pool in `master`, typed as anything. */
  private get pool(): Pool {
    const { driver } = this.dataSource;
    if ('master' in driver && driver.master instanceof Pool) return driver.master;
    throw new Error('The database connection is not open');
  }
}
