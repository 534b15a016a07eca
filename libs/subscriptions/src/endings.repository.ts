import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '#platform';
import { GRANTING_STATES } from './subscription.rules.js';
import { type SubscriptionState } from './subscription.js';

/** A subscription whose time is over. */
export interface DueSubscription {
  readonly id: number;
  readonly userId: number;
  readonly storePurchaseId: number | null;
}

export interface EndedSubscription {
  readonly id: number;
  readonly userId: number;
  readonly tariffId: number;
  readonly fromState: SubscriptionState;
  readonly accessUntil: Date;
}

/** Finds and ends what is over. Reads go by the partial index `user_tariffs_due`, so they cost what is due, not what there is. */
@Injectable()
export class EndingsRepository {
  constructor(private readonly uow: UnitOfWork) {}

  /** How many are over by `now`. */
  async countDue(now: Date): Promise<number> {
    const [row] = await this.uow.manager.query<{ due: number }[]>(
      `SELECT count(*)::int AS due FROM user_tariffs WHERE state = ANY($1) AND access_until <= $2`,
      [GRANTING_STATES, now],
    );
    return row?.due ?? 0;
  }

  /** How many grant access, those that are over included: looks at all of them. */
  async countRunning(): Promise<number> {
    const [row] = await this.uow.manager.query<{ running: number }[]>(
      `SELECT count(*)::int AS running FROM user_tariffs WHERE state = ANY($1)`,
      [GRANTING_STATES],
    );
    return row?.running ?? 0;
  }

  /** What is over by `now`, from an id on, in the order of ids. */
  due(now: Date, afterId: number, limit: number): Promise<readonly DueSubscription[]> {
    return this.uow.manager.query<DueSubscription[]>(
      `SELECT id, user_id AS "userId", store_purchase_id AS "storePurchaseId" FROM user_tariffs
       WHERE state = ANY($1) AND access_until <= $2 AND id > $3 ORDER BY id LIMIT $4`,
      [GRANTING_STATES, now, afterId, limit],
    );
  }

  /** Purchases of stores whose subscriptions are over by `now`. */
  async duePurchases(now: Date, limit: number): Promise<readonly number[]> {
    const rows = await this.uow.manager.query<{ id: number }[]>(
      `SELECT store_purchase_id AS id FROM user_tariffs
       WHERE state = ANY($1) AND access_until <= $2 AND store_purchase_id IS NOT NULL ORDER BY access_until LIMIT $3`,
      [GRANTING_STATES, now, limit],
    );
    return rows.map(({ id }) => id);
  }

  /** Locks the owners, skipping those who are being changed right now: they are found again by the next run. */
  async lockOwners(userIds: readonly number[]): Promise<readonly number[]> {
    this.uow.assertOpen();
    const rows = await this.uow.manager.query<{ id: number }[]>(
      `SELECT id FROM users WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`,
      [userIds],
    );
    return rows.map(({ id }) => id);
  }

  /** Ends those of these that are still over, made by hand, and whose owner is locked. */
  async end(ids: readonly number[], owners: readonly number[], now: Date): Promise<readonly EndedSubscription[]> {
    this.uow.assertOpen();
    const [rows] = await this.uow.manager.query<[EndedSubscription[], number]>(
      `UPDATE user_tariffs s SET state = 'expired', auto_renewing = false FROM user_tariffs was
       WHERE was.id = s.id AND s.id = ANY($1) AND s.user_id = ANY($2) AND s.state = ANY($3) AND s.access_until <= $4
         AND s.store_purchase_id IS NULL
       RETURNING s.id, s.user_id AS "userId", s.tariff_id AS "tariffId", was.state AS "fromState",
         s.access_until AS "accessUntil"`,
      [ids, owners, GRANTING_STATES, now],
    );
    return rows;
  }
}
