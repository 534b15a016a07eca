import { isDeepStrictEqual } from 'node:util';

/**
 * All that is written down of. Like the codes of errors, these words are of every room, and stand together because they are what
 * somebody searches for later: none is ever renamed.
 */
export const AUDIT_ACTIONS = [
  'user_block',
  'user_unblock',
  'user_promote',
  'tariff_assign',
  'tariff_create',
  'tariff_update',
  'tariff_delete',
  'payment_status',
  'peer_create',
  'peer_update',
  'peer_rotate',
  'peer_move',
  'peer_delete',
  'peer_config',
  'server_add',
  'server_change',
  'server_drain',
  'server_adopt',
  'server_delete',
  'purchase_transfer',
  'purchase_refund',
  'store_event_replay',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

export const ACTOR_KINDS = ['user', 'admin', 'system', 'store'] as const;
export type ActorKind = (typeof ACTOR_KINDS)[number];

/** Whose act it is. */
export interface Actor {
  /** A user's id; null where nobody is signed in: the system, a store. */
  readonly actorId: number | null;
  readonly actorKind: ActorKind;
}

/** The service by itself, or an operator at its command line. */
export const SYSTEM: Actor = { actorId: null, actorKind: 'system' };

/** What it was done to. */
export type AuditTarget = `${'user' | 'tariff' | 'payment' | 'peer' | 'server' | 'purchase' | 'store_event'}:${number}`;

export interface AuditRecord extends Actor {
  readonly action: AuditAction;
  readonly target: AuditTarget;
  /** What there is to know later. Never a secret, a key or an address of mail: it is kept for a year and shown. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A record as it is kept: with when, and from where. */
export interface AuditEntry extends Actor {
  readonly id: number;
  readonly at: Date;
  readonly action: AuditAction;
  readonly target: string;
  /** The network the request came from, IPv4 /24 or IPv6 /48; null where there was no request. */
  readonly network: string | null;
  readonly requestId: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface AuditFilter {
  readonly actorId?: number | undefined;
  readonly action?: AuditAction | undefined;
  readonly target?: string | undefined;
  /** From this instant on. */
  readonly from?: Date | undefined;
  /** Before this one. */
  readonly to?: Date | undefined;
}

/** For a record: each of these fields that differs, with what it was and what it is; named as answers name fields. */
export function differences<T extends object>(
  before: T,
  after: T,
  fields: readonly (keyof T & string)[],
): Readonly<Record<string, { readonly from: unknown; readonly to: unknown }>> {
  const changed = fields.filter((field) => !isDeepStrictEqual(before[field], after[field]));
  return Object.fromEntries(changed.map((field) => [snakeCase(field), { from: before[field], to: after[field] }]));
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
