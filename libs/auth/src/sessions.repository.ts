import { Injectable } from '@nestjs/common';
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
}
