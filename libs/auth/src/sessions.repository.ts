import { Injectable } from '@nestjs/common';
import { inBatches, UnitOfWork } from '#platform';
import { SessionEntity } from './session.entity.js';

export interface NewSession {
  readonly id: string;
  readonly userId: number;
  readonly userAgent: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

const DELETE_ENDED = `DELETE FROM sessions WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2))`;

@Injectable()
export class SessionsRepository {
  constructor(private readonly uow: UnitOfWork) {}

  async insert(session: NewSession): Promise<void> {
    await this.uow.repository(SessionEntity).insert(session);
  }

  /** Deletes sessions that ran out before `before`, those that were ended earlier too; answers how many. */
  deleteEndedBefore(before: Date): Promise<number> {
    return inBatches(async (limit) => {
      const [, deleted] = await this.uow.manager.query<[unknown, number]>(DELETE_ENDED, [before, limit]);
      return deleted;
    });
  }
}
