import { Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { UnitOfWork } from './unit-of-work.js';

/** Which lease, and as which of its holders. */
export interface LeaseKey {
  readonly name: string;
  readonly fence: number;
}

/** SKIP LOCKED: while a holder's transaction keeps the row (`HOLD`), the lease is not free, and nobody waits for it. */
const ACQUIRE = `
  WITH taken AS (
    UPDATE leases SET holder = $2, fence = fence + 1, acquired_at = clock_timestamp(),
      expires_at = clock_timestamp() + $3 * interval '1 second'
    WHERE name IN (SELECT name FROM leases WHERE name = $1 AND expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED)
    RETURNING fence
  ), made AS (
    INSERT INTO leases (name, holder, fence, acquired_at, expires_at)
    SELECT $1, $2, 1, clock_timestamp(), clock_timestamp() + $3 * interval '1 second'
    WHERE NOT EXISTS (SELECT FROM leases WHERE name = $1)
    ON CONFLICT (name) DO NOTHING
    RETURNING fence
  )
  SELECT fence::float8 AS fence FROM taken UNION ALL SELECT fence::float8 FROM made`;

const RENEW = `
  WITH renewed AS (
    UPDATE leases SET expires_at = clock_timestamp() + $3 * interval '1 second' WHERE name = $1 AND fence = $2 RETURNING 1
  )
  SELECT count(*)::int AS count FROM renewed`;

/** Nobody can take the lease over until the transaction that asks this has ended. */
const HOLD = 'SELECT 1 FROM leases WHERE name = $1 AND fence = $2 AND expires_at > clock_timestamp() FOR SHARE';

/** Single statements, each a transaction of its own: they need no session, so a pooler in transaction mode may stand between. */
@Injectable()
export class LeasesRepository {
  constructor(private readonly uow: UnitOfWork) {}

  /** The new holder's number; null while somebody holds it. */
  async acquire(name: string, holder: string, seconds: number): Promise<number | null> {
    const rows = await this.uow.outside(() =>
      this.uow.manager.query<{ fence: number }[]>(ACQUIRE, [name, holder, seconds]),
    );
    return rows[0]?.fence ?? null;
  }

  /** False when somebody else has it by now. */
  async renew({ name, fence }: LeaseKey, seconds: number): Promise<boolean> {
    const [row] = await this.uow.outside(() =>
      this.uow.manager.query<{ count: number }[]>(RENEW, [name, fence, seconds]),
    );
    return row?.count === 1;
  }

  async release({ name, fence }: LeaseKey): Promise<void> {
    await this.uow.outside(() =>
      this.uow.manager.query('UPDATE leases SET expires_at = clock_timestamp() WHERE name = $1 AND fence = $2', [
        name,
        fence,
      ]),
    );
  }

  /** Keeps the lease for the length of this transaction; false when it is not the holder's any more. */
  async hold(manager: EntityManager, { name, fence }: LeaseKey): Promise<boolean> {
    const rows = await manager.query<unknown[]>(HOLD, [name, fence]);
    return rows.length === 1;
  }
}
