import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../database/unit-of-work.js';
import { type SealedColumn } from './sealed-columns.js';

/** How long one column may be searched for sealed texts, in milliseconds: it may be a large table with none. */
const LONGEST_SEARCH_MS = 60_000;

/** Reads what is sealed, whichever room's it is, and keeps the canary. */
@Injectable()
export class SealedTextsRepository {
  constructor(private readonly uow: UnitOfWork) {}

  async canary(): Promise<string | null> {
    const [row] = await this.uow.manager.query<{ sealed: string }[]>('SELECT sealed FROM encryption_canary');
    return row?.sealed ?? null;
  }

  /** False when there is one. */
  async insertCanary(sealed: string): Promise<boolean> {
    const rows = await this.uow.manager.query<unknown[]>(
      'INSERT INTO encryption_canary (id, sealed) VALUES (1, $1) ON CONFLICT DO NOTHING RETURNING id',
      [sealed],
    );
    return rows.length > 0;
  }

  /** Does nothing when another process has replaced it. */
  async replaceCanary(from: string, to: string): Promise<void> {
    await this.uow.manager.query('UPDATE encryption_canary SET sealed = $2 WHERE sealed = $1', [from, to]);
  }

  async setCanary(sealed: string): Promise<void> {
    await this.uow.manager.query(
      'INSERT INTO encryption_canary (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed',
      [sealed],
    );
  }

  /** The oldest and the newest sealed texts of a column, so many of each. */
  async find({ table, column }: SealedColumn, limit: number): Promise<readonly string[]> {
    const end = (order: string): string =>
      `(SELECT id, ${column} AS sealed FROM ${table} WHERE ${column} IS NOT NULL ORDER BY id ${order} LIMIT $1)`;
    const rows = await this.uow.runLong(LONGEST_SEARCH_MS, () =>
      this.uow.manager.query<{ sealed: string }[]>(`${end('ASC')} UNION ${end('DESC')}`, [limit]),
    );
    return rows.map(({ sealed }) => sealed);
  }

  /** The sealed texts of a column in the oldest and the newest rows of its table, so many of each: it never reads more. */
  async sample({ table, column }: SealedColumn, rowsAtEachEnd: number): Promise<readonly string[]> {
    const end = (order: string): string =>
      `(SELECT id, ${column} AS sealed FROM ${table} ORDER BY id ${order} LIMIT $1)`;
    const rows = await this.uow.manager.query<{ sealed: string }[]>(
      `SELECT sealed FROM (${end('ASC')} UNION ${end('DESC')}) AS ends WHERE sealed IS NOT NULL`,
      [rowsAtEachEnd],
    );
    return rows.map(({ sealed }) => sealed);
  }
}
