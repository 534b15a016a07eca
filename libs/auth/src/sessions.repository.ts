import { Injectable } from '@nestjs/common';
import { LessThan } from 'typeorm';
import { UnitOfWork } from '#platform';
import { SessionEntity } from './session.entity.js';

export interface NewSession {
  readonly id: string;
  readonly userId: number;
  readonly userAgent: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

@Injectable()
export class SessionsRepository {
  constructor(private readonly uow: UnitOfWork) {}

  async insert(session: NewSession): Promise<void> {
    await this.uow.repository(SessionEntity).insert(session);
  }

  /** Deletes sessions that ran out, or were ended, before `before`; answers how many. */
  async deleteEndedBefore(before: Date): Promise<number> {
    const { affected } = await this.uow
      .repository(SessionEntity)
      .delete([{ expiresAt: LessThan(before) }, { revokedAt: LessThan(before) }]);
    return affected ?? 0;
  }
}
