import { Injectable } from '@nestjs/common';
import { And, type FindOperator, LessThan, MoreThanOrEqual } from 'typeorm';
import { type Listing, type Page } from '#kernel';
import { UnitOfWork } from '../database/unit-of-work.js';
import { AuditEntryEntity } from './audit-entry.entity.js';
import { type AuditEntry, type AuditFilter } from './audit-entry.js';

@Injectable()
export class AuditRepository {
  constructor(private readonly uow: UnitOfWork) {}

  async insert(entry: Omit<AuditEntry, 'id'>): Promise<void> {
    await this.uow.manager.query(
      `INSERT INTO audit_log (at, actor_id, actor_kind, action, target, ip_trunc, request_id, data)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        entry.at,
        entry.actorId,
        entry.actorKind,
        entry.action,
        entry.target,
        entry.network,
        entry.requestId,
        JSON.stringify(entry.data),
      ],
    );
  }

  async list({ actorId, action, target, from, to }: AuditFilter, { skip, limit }: Page): Promise<Listing<AuditEntry>> {
    const [items, total] = await this.uow.repository(AuditEntryEntity).findAndCount({
      where: {
        ...(actorId === undefined ? {} : { actorId }),
        ...(action === undefined ? {} : { action }),
        ...(target === undefined ? {} : { target }),
        ...(from === undefined && to === undefined ? {} : { at: between(from, to) }),
      },
      order: { id: 'ASC' },
      skip,
      take: limit,
    });
    return { items, total };
  }

  /**
   * Deletes at most this many that are a year old; answers how many. A year by the database's own clock, as the trigger has it:
   * otherwise an instance whose clock is ahead would be refused.
   */
  async deleteOld(limit: number): Promise<number> {
    const [, deleted] = await this.uow.manager.query<[unknown, number]>(
      `DELETE FROM audit_log WHERE id IN (
         SELECT id FROM audit_log WHERE at < now() - interval '1 year' ORDER BY at LIMIT $1)`,
      [limit],
    );
    return deleted;
  }
}

function between(from: Date | undefined, to: Date | undefined): FindOperator<Date> {
  const bounds = [...(from === undefined ? [] : [MoreThanOrEqual(from)]), ...(to === undefined ? [] : [LessThan(to)])];
  return And(...bounds);
}
