import { Injectable } from '@nestjs/common';
import { addDays, addSeconds, Clock, DomainError, type Listing, type Page } from '#kernel';
import { SecretBox, inBatches, UnitOfWork } from '#platform';
import { type StoreProvider } from '#tariffs';
import { type StoreEnvironment } from './store.js';
import { type StoreEvent, type StoreEventStatus } from './store-event.js';

export interface NewStoreEvent {
  readonly provider: StoreProvider;
  readonly eventId: string;
  readonly type: string;
  readonly subtype: string | null;
  readonly environment: StoreEnvironment | null;
  readonly eventAt: Date;
  /** As it was sent. */
  readonly payload: string;
}

/** An event whose turn it is. */
export interface LeasedEvent {
  readonly id: number;
  readonly provider: StoreProvider;
  readonly type: string;
  readonly attempts: number;
  /** See `payloadOf`. */
  readonly sealedPayload: string;
}

interface LeasedRow {
  id: string;
  provider: StoreProvider;
  type: string;
  attempts: number;
  sealed_payload: string;
}

interface Row extends Omit<StoreEvent, 'id'> {
  id: string;
}

/** Longer than an event takes, in seconds: after it another instance takes over. */
const LEASE_SECONDS = 60;
const KEPT_DAYS = 180;
/** An event whose turn was this long ago, in seconds, is forgotten by whoever should deal with it. */
const OVERDUE_SECONDS = 3600;

const LISTED = `id, provider, event_id AS "eventId", type, subtype, environment, event_at AS "eventAt",
  received_at AS "receivedAt", status, attempts, next_try_at AS "nextTryAt", error, purchase_id AS "purchaseId"`;

@Injectable()
export class StoreEventsRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly box: SecretBox,
    private readonly clock: Clock,
  ) {}

  /** Keeps an event; false when it is known. */
  async insert(event: NewStoreEvent): Promise<boolean> {
    const now = this.clock.now();
    const rows = await this.uow.manager.query<unknown[]>(
      `INSERT INTO store_events (provider, event_id, type, subtype, environment, event_at, received_at, sealed_payload,
         status, next_try_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'received', $7)
       ON CONFLICT (provider, event_id) DO NOTHING RETURNING id`,
      [
        event.provider,
        event.eventId,
        event.type.slice(0, 64),
        event.subtype?.slice(0, 64) ?? null,
        event.environment,
        event.eventAt,
        now,
        this.box.seal(event.payload),
      ],
    );
    return rows.length > 0;
  }

  /** Takes events whose turn it is, the oldest first; nobody else has them meanwhile. */
  async lease(limit: number): Promise<readonly LeasedEvent[]> {
    const now = this.clock.now();
    const [rows] = await this.uow.manager.query<[LeasedRow[], number]>(
      `UPDATE store_events SET leased_until = $2, attempts = attempts + 1 WHERE id IN (
         SELECT id FROM store_events
         WHERE status = 'received' AND next_try_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
         ORDER BY next_try_at, id LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING id, provider, type, attempts, sealed_payload`,
      [now, addSeconds(now, LEASE_SECONDS), limit],
    );
    return rows
      .map((row) => ({
        id: Number(row.id),
        provider: row.provider,
        type: row.type,
        attempts: row.attempts,
        sealedPayload: row.sealed_payload,
      }))
      .toSorted((left, right) => left.id - right.id);
  }

  /** What was told, opened for one event at a time: one that cannot be opened stops no other. @throws UnreadableSecretError */
  payloadOf({ sealedPayload }: LeasedEvent): string {
    return this.box.open(sealedPayload);
  }

  /** Gives an event back that was not looked at. */
  async release(id: number): Promise<void> {
    await this.uow.manager.query(`UPDATE store_events SET leased_until = NULL, attempts = attempts - 1 WHERE id = $1`, [
      id,
    ]);
  }

  async finish(id: number, status: 'done' | 'ignored', purchaseId: number | null): Promise<void> {
    await this.uow.manager.query(
      `UPDATE store_events SET status = $2, next_try_at = NULL, leased_until = NULL, error = NULL, purchase_id = $3
       WHERE id = $1`,
      [id, status, purchaseId],
    );
  }

  /** It could not be dealt with: it is tried again then, or given up (null). */
  async postpone(id: number, nextTryAt: Date | null, error: string): Promise<void> {
    await this.uow.manager.query(
      `UPDATE store_events SET status = CASE WHEN $2::timestamptz IS NULL THEN 'failed' ELSE 'received' END,
         next_try_at = $2, leased_until = NULL, error = $3 WHERE id = $1`,
      [id, nextTryAt, error.slice(0, 64)],
    );
  }

  /** Has an event dealt with once more, whatever became of it. @throws DomainError store_event_not_found */
  async rearm(id: number): Promise<StoreEvent> {
    const [rows] = await this.uow.manager.query<[Row[], number]>(
      `UPDATE store_events SET status = 'received', attempts = 0, next_try_at = $2, leased_until = NULL, error = NULL
       WHERE id = $1 RETURNING ${LISTED}`,
      [id, this.clock.now()],
    );
    const [row] = rows;
    if (row === undefined) throw new DomainError('store_event_not_found');
    return toEvent(row);
  }

  /** The same for all that were given up; returns how many. */
  async rearmFailed(): Promise<number> {
    const [, count] = await this.uow.manager.query<[unknown[], number]>(
      `UPDATE store_events SET status = 'received', attempts = 0, next_try_at = $1, leased_until = NULL
       WHERE status = 'failed'`,
      [this.clock.now()],
    );
    return count;
  }

  /** A page of events, newest first. */
  async list(
    filter: { readonly status?: StoreEventStatus | undefined; readonly purchaseId?: number | undefined },
    { skip, limit }: Page,
  ): Promise<Listing<StoreEvent>> {
    const where = `($1::text IS NULL OR status = $1) AND ($2::int IS NULL OR purchase_id = $2)`;
    const values = [filter.status ?? null, filter.purchaseId ?? null];
    const items = await this.uow.manager.query<Row[]>(
      `SELECT ${LISTED} FROM store_events WHERE ${where} ORDER BY id DESC LIMIT $3 OFFSET $4`,
      [...values, limit, skip],
    );
    const [counted] = await this.uow.manager.query<{ total: number }[]>(
      `SELECT count(*)::int AS total FROM store_events WHERE ${where}`,
      values,
    );
    return { items: items.map(toEvent), total: counted?.total ?? 0 };
  }

  /** Forgets what is older than half a year; returns how many. */
  forgetOld(): Promise<number> {
    const before = addDays(this.clock.now(), -KEPT_DAYS);
    return inBatches(async (limit) => {
      const [, deleted] = await this.uow.manager.query<[unknown[], number]>(
        `DELETE FROM store_events WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM store_events WHERE received_at < $1 AND status <> 'received' ORDER BY received_at LIMIT $2))`,
        [before, limit],
      );
      return deleted;
    });
  }

  /** How many wait, how many were given up, and for how long the oldest has waited (seconds). */
  async figures(): Promise<{ readonly waiting: number; readonly failed: number; readonly lagSeconds: number }> {
    const [row] = await this.uow.manager.query<{ waiting: number; failed: number; oldest: Date | null }[]>(
      `SELECT count(*) FILTER (WHERE status = 'received')::int AS waiting,
         count(*) FILTER (WHERE status = 'failed')::int AS failed,
         min(received_at) FILTER (WHERE status = 'received') AS oldest
       FROM store_events WHERE status IN ('received', 'failed')`,
    );
    const oldest = row?.oldest ?? null;
    return {
      waiting: row?.waiting ?? 0,
      failed: row?.failed ?? 0,
      lagSeconds: oldest === null ? 0 : (this.clock.now().getTime() - oldest.getTime()) / 1000,
    };
  }

  /**
   * How many events are neither dealt with, nor given up, nor about to be tried: those whose turn was an hour ago. None is ever
   * waiting without a next time, which the table itself sees to.
   */
  async violations(): Promise<number> {
    const [row] = await this.uow.manager.query<{ total: number }[]>(
      `SELECT count(*)::int AS total FROM store_events WHERE status = 'received' AND next_try_at < $1`,
      [addSeconds(this.clock.now(), -OVERDUE_SECONDS)],
    );
    return row?.total ?? 0;
  }

  /** Until when a record of the store's was read. */
  async watermark(name: string): Promise<Date | null> {
    const [row] = await this.uow.manager.query<{ reached_at: Date }[]>(
      `SELECT reached_at FROM store_watermarks WHERE name = $1`,
      [name],
    );
    return row?.reached_at ?? null;
  }

  /** Until when each record was read. */
  async watermarks(): Promise<readonly { readonly name: string; readonly reachedAt: Date }[]> {
    return this.uow.manager.query<{ name: string; reachedAt: Date }[]>(
      `SELECT name, reached_at AS "reachedAt" FROM store_watermarks ORDER BY name`,
    );
  }

  async reach(name: string, at: Date): Promise<void> {
    await this.uow.manager.query(
      `INSERT INTO store_watermarks (name, reached_at) VALUES ($1, $2)
       ON CONFLICT (name) DO UPDATE SET reached_at = excluded.reached_at`,
      [name, at],
    );
  }
}

function toEvent(row: Row): StoreEvent {
  return { ...row, id: Number(row.id) };
}
