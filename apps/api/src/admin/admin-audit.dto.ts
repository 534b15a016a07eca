import { ACTOR_KINDS, AUDIT_ACTIONS, type AuditAction, type AuditEntry, type AuditFilter } from '#platform';
import { GivenChoice, GivenQueryId, GivenQueryInstant, GivenText } from '../http/given.decorator.js';
import { ListQuery } from '../http/listing.js';
import { ShownChoice, ShownData, ShownId, ShownInstant, ShownText } from '../http/shown.decorator.js';

/** `?actor_id=&action=&target=&from=&to=`: what all of them match. */
export class AuditQuery extends ListQuery {
  @GivenQueryId({ optional: true, description: 'Who did it' })
  actor_id?: number;

  @GivenChoice('AuditAction', AUDIT_ACTIONS, { optional: true })
  action?: AuditAction;

  @GivenText({ max: 32, optional: true, example: 'user:5', description: 'What it was done to' })
  target?: string;

  @GivenQueryInstant({ optional: true, description: 'From this instant on' })
  from?: Date;

  @GivenQueryInstant({ optional: true, description: 'Before this instant' })
  to?: Date;

  static toFilter({ actor_id, action, target, from, to }: AuditQuery): AuditFilter {
    return { actorId: actor_id, action, target, from, to };
  }
}

export class AuditEntryOut {
  @ShownId({ example: 1 })
  id: number;

  @ShownInstant()
  at: string;

  @ShownId({ nullable: true, description: 'A user; null: nobody was signed in' })
  actor_id: number | null;

  @ShownChoice('ActorKind', ACTOR_KINDS, { example: 'admin' })
  actor_kind: string;

  @ShownChoice('AuditAction', AUDIT_ACTIONS)
  action: string;

  @ShownText({ example: 'user:7' })
  target: string;

  @ShownText({ nullable: true, example: '203.0.113.0/24', description: 'The network it came from: IPv4 /24, IPv6 /48' })
  ip_trunc: string | null;

  @ShownText({ nullable: true, example: '5f0d7c1e-6f2f-4b0e-8f62-5f6f3f0f8f11' })
  request_id: string | null;

  @ShownData({ example: { from: 'active', to: 'blocked' }, description: 'What else there is to know, by action' })
  data: Readonly<Record<string, unknown>>;

  static from({ id, at, actorId, actorKind, action, target, network, requestId, data }: AuditEntry): AuditEntryOut {
    return {
      id,
      at: at.toISOString(),
      actor_id: actorId,
      actor_kind: actorKind,
      action,
      target,
      ip_trunc: network,
      request_id: requestId,
      data,
    };
  }
}
