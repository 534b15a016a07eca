import { Check, Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { type ActorKind, type AuditAction, type AuditEntry } from './audit-entry.js';

/** Rows are only ever added: triggers of the table refuse everything else, but for what is older than a year. */
@Entity('audit_log')
@Index('audit_log_at', ['at'])
@Index('audit_log_actor_id_id', ['actorId', 'id'])
@Index('audit_log_action_id', ['action', 'id'])
@Index('audit_log_target_id', ['target', 'id'])
@Check('audit_log_actor_kind', `actor_kind IN ('user', 'admin', 'system', 'store')`)
export class AuditEntryEntity implements AuditEntry {
  @PrimaryGeneratedColumn('identity', { generatedIdentity: 'BY DEFAULT', primaryKeyConstraintName: 'audit_log_pkey' })
  id: number;

  @Column('timestamptz')
  at: Date;

  /** Without a foreign key: what somebody did stays known after his account is gone. */
  @Column('integer', { name: 'actor_id', nullable: true })
  actorId: number | null;

  @Column('varchar', { name: 'actor_kind', length: 8 })
  actorKind: ActorKind;

  @Column('varchar', { length: 32 })
  action: AuditAction;

  @Column('varchar', { length: 32 })
  target: string;

  @Column('cidr', { name: 'ip_trunc', nullable: true })
  network: string | null;

  @Column('varchar', { name: 'request_id', length: 128, nullable: true })
  requestId: string | null;

  @Column('jsonb')
  data: Readonly<Record<string, unknown>>;
}
