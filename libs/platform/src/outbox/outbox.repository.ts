import { Injectable } from '@nestjs/common';
import { inBatches } from '../database/in-batches.js';
import { UnitOfWork } from '../database/unit-of-work.js';

export interface NewOutboxRow {
  readonly kind: string;
  /** JSON; of the two, one is set. */
  readonly payload: string | null;
  readonly sealedPayload: string | null;
}

/** A message that is ours until the lease runs out. */
export interface LeasedRow {
  readonly id: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly sealedPayload: string | null;
  readonly createdAt: Date;
  /** Which attempt this is, from 1; it also tells a lease from the one after it. */
  readonly attempt: number;
}

export interface OutboxFigures {
  readonly waiting: number;
  readonly failed: number;
  /** Age of the oldest that waits, 0 when none does. */
  readonly oldestSeconds: number;
}

const INSERT = `
  INSERT INTO outbox (kind, payload, sealed_payload, created_at, next_try_at)
  SELECT new.kind, new.payload::jsonb, new.sealed_payload, $4, $4
  FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS new (kind, payload, sealed_payload, place)
  ORDER BY new.place`;

const LEASE = `
  WITH due AS MATERIALIZED (
    SELECT id FROM outbox
    WHERE failed_at IS NULL AND next_try_at <= $1 AND (leased_until IS NULL OR leased_until <= $1) AND kind = ANY($3)
    ORDER BY next_try_at, id
    LIMIT $4
    FOR UPDATE SKIP LOCKED
  ), leased AS (
    UPDATE outbox SET attempts = attempts + 1, leased_until = $2
    FROM due WHERE outbox.id = due.id
    RETURNING outbox.*
  )
  SELECT id, kind, payload, sealed_payload AS "sealedPayload", created_at AS "createdAt", attempts AS attempt
  FROM leased ORDER BY next_try_at, id`;

const FIGURES = `
  SELECT count(*) FILTER (WHERE failed_at IS NULL)::int AS waiting,
    count(*) FILTER (WHERE failed_at IS NOT NULL)::int AS failed,
    coalesce(extract(epoch FROM $1 - min(created_at) FILTER (WHERE failed_at IS NULL)), 0)::float8 AS "oldestSeconds"
  FROM outbox`;

@Injectable()
export class OutboxRepository {
  constructor(private readonly uow: UnitOfWork) {}

  async insert(rows: readonly NewOutboxRow[], at: Date): Promise<void> {
    await this.uow.manager.query(INSERT, [
      rows.map(({ kind }) => kind),
      rows.map(({ payload }) => payload),
      rows.map(({ sealedPayload }) => sealedPayload),
      at,
    ]);
  }

  /** Takes messages of these kinds that are due and nobody else's, the longest due first. One statement, and so one transaction. */
  lease(kinds: readonly string[], limit: number, at: Date, until: Date): Promise<readonly LeasedRow[]> {
    return this.uow.manager.query<LeasedRow[]>(LEASE, [at, until, kinds, limit]);
  }

  /** What is delivered is delivered, whoever's turn it is by now. */
  async remove(id: string): Promise<void> {
    await this.uow.manager.query('DELETE FROM outbox WHERE id = $1', [id]);
  }

  /** Nothing is changed when the lease ran out and the message is in other hands. */
  async putOff({ id, attempt }: LeasedRow, error: string, nextTryAt: Date): Promise<void> {
    await this.uow.manager.query(
      'UPDATE outbox SET error = $3, next_try_at = $4, leased_until = NULL WHERE id = $1 AND attempts = $2',
      [id, attempt, error, nextTryAt],
    );
  }

  async giveUp({ id, attempt }: LeasedRow, error: string, at: Date): Promise<void> {
    await this.uow.manager.query(
      'UPDATE outbox SET error = $3, failed_at = $4, leased_until = NULL WHERE id = $1 AND attempts = $2',
      [id, attempt, error, at],
    );
  }

  /** Deletes what was given up before an instant; answers how many that were. */
  forgetFailed(before: Date): Promise<number> {
    return inBatches(async (limit) => {
      const [, deleted] = await this.uow.manager.query<[unknown, number]>(
        `DELETE FROM outbox WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM outbox WHERE failed_at < $1 ORDER BY failed_at LIMIT $2))`,
        [before, limit],
      );
      return deleted;
    });
  }

  async figures(at: Date): Promise<OutboxFigures> {
    const [figures] = await this.uow.manager.query<[OutboxFigures]>(FIGURES, [at]);
    return figures;
  }
}
