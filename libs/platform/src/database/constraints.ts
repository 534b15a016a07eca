import { codeOf, DomainError, type ErrorCode, isError } from '#kernel';

/** What it means that a write ran into a constraint. */
export type Constraint =
  /** Somebody has this already. */
  | { readonly taken: ErrorCode }
  /** What a row refers to is gone; and, where such rows keep it, it cannot go. */
  | { readonly missing: ErrorCode; readonly inUse?: ErrorCode }
  /** What is asked before every write: only a fault of ours can run into it. */
  | 'fault';

const USER = { missing: 'user_not_found' } as const;
const TARIFF = { missing: 'tariff_not_found', inUse: 'tariff_in_use' } as const;
const SERVER = { missing: 'server_not_found' } as const;

/** Every constraint of the schema but primary keys, by its name. A test compares it with the schema. */
export const CONSTRAINTS: Readonly<Record<string, Constraint>> = {
  users_email_key: { taken: 'email_already_registered' },
  tariffs_name_key: { taken: 'tariff_already_exists' },
  tariff_store_products_product_key: { taken: 'store_product_taken' },
  payments_manual_reference: { taken: 'payment_already_recorded' },
  payments_store_reference: { taken: 'payment_already_recorded' },
  user_tariffs_user_id_tariff_id_started_at_key: { taken: 'tariff_already_assigned' },
  vpn_servers_name_key: { taken: 'server_already_exists' },
  vpn_peers_wg_public_key_key: { taken: 'public_key_taken' },
  // Only a server that chooses addresses itself can choose one that is not free.
  vpn_peers_server_id_wg_ip_key: { taken: 'remote_client_failed' },
  vpn_peers_server_id_wg_ip6_key: { taken: 'remote_client_failed' },

  sessions_user_id_fkey: USER,
  user_tariffs_user_id_fkey: USER,
  payments_user_id_fkey: USER,
  vpn_peers_user_id_fkey: USER,
  vpn_traffic_days_user_id_fkey: USER,
  store_purchases_user_id_fkey: USER,
  tariff_store_products_tariff_id_fkey: TARIFF,
  user_tariffs_tariff_id_fkey: TARIFF,
  user_tariffs_pending_tariff_id_fkey: TARIFF,
  payments_tariff_id_fkey: TARIFF,
  store_purchases_tariff_id_fkey: TARIFF,
  vpn_server_addresses_server_id_fkey: SERVER,
  vpn_server_health_server_id_fkey: SERVER,
  vpn_peer_leftovers_server_id_fkey: SERVER,
  vpn_foreign_keys_server_id_fkey: SERVER,
  vpn_peers_address_fkey: { missing: 'server_not_found', inUse: 'server_in_use' },

  // Nothing deletes these.
  encryption_canary_one_row: 'fault',
  payments_subscription_id_fkey: 'fault',
  payments_superseded_by_fkey: 'fault',
  payment_events_payment_id_fkey: 'fault',
  store_events_purchase_id_fkey: 'fault',
  store_purchases_linked_purchase_id_fkey: 'fault',
  store_transactions_purchase_id_fkey: 'fault',
  subscription_history_subscription_id_fkey: 'fault',
  subscription_reminders_subscription_id_fkey: 'fault',
  vpn_traffic_periods_subscription_id_fkey: 'fault',

  // Made by ourselves, or written with ON CONFLICT.
  store_events_provider_event_id_key: 'fault',
  store_purchases_provider_environment_key_key: 'fault',
  user_tariffs_store_purchase_id_key: 'fault',
  users_app_account_token_key: 'fault',
  users_google_id_key: 'fault',
  vpn_servers_from_settings: 'fault',

  audit_log_actor_kind: 'fault',
  outbox_one_payload: 'fault',
  payment_events_status: 'fault',
  payments_amount: 'fault',
  payments_kind: 'fault',
  payments_owner: 'fault',
  payments_period: 'fault',
  payments_refund: 'fault',
  payments_refunded: 'fault',
  payments_refunded_amount: 'fault',
  store_events_next_try: 'fault',
  store_events_provider: 'fault',
  store_events_status: 'fault',
  store_purchases_bound_by: 'fault',
  store_purchases_environment: 'fault',
  store_purchases_owner: 'fault',
  store_purchases_provider: 'fault',
  subscription_reminders_kind: 'fault',
  tariff_store_products_kind: 'fault',
  tariff_store_products_provider: 'fault',
  tariffs_device_limit: 'fault',
  tariffs_duration_days: 'fault',
  tariffs_price: 'fault',
  tariffs_traffic_limit_gb: 'fault',
  user_tariffs_source: 'fault',
  user_tariffs_state: 'fault',
  user_tariffs_store: 'fault',
  users_email_normalised: 'fault',
  vpn_peers_suspended_reason: 'fault',
  vpn_servers_applies: 'fault',
  vpn_servers_capacity: 'fault',
  vpn_servers_mtu: 'fault',
  vpn_servers_provider: 'fault',
  vpn_servers_status: 'fault',
};

const FOREIGN_KEY_VIOLATION = '23503';
const DELETION = /^\s*DELETE\b/i;

/** What a statement was refused for by the schema; undefined for any other error, and for what is a fault of ours. */
export function refusalOf(error: unknown): ErrorCode | undefined {
  const violation = violationOf(error);
  const constraint = CONSTRAINTS[violation?.constraint ?? ''];
  if (violation === undefined || constraint === undefined || constraint === 'fault') return undefined;
  if ('taken' in constraint) return constraint.taken;
  return violation.isDeletion ? constraint.inUse : constraint.missing;
}

/** What a row was to refer to was removed since it was looked at: who looks again finds it gone. */
export function isMissingReference(error: unknown): boolean {
  const violation = violationOf(error);
  return violation?.state === FOREIGN_KEY_VIOLATION && !violation.isDeletion;
}

/** Turns the violation of a constraint into the refusal it stands for; anything else is thrown on as it is. */
export async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = refusalOf(error);
    throw code === undefined ? error : new DomainError(code, { cause: error });
  }
}

interface Violation {
  readonly state: string;
  readonly constraint: string;
  /** Whether a row was to go that others refer to. */
  readonly isDeletion: boolean;
}

function violationOf(error: unknown): Violation | undefined {
  if (!isError(error)) return undefined;
  const source = 'driverError' in error && isError(error.driverError) ? error.driverError : error;
  const state = codeOf(source) ?? '';
  const constraint = 'constraint' in source ? source.constraint : undefined;
  if (!state.startsWith('23') || typeof constraint !== 'string') return undefined;
  const text = 'query' in error && typeof error.query === 'string' ? error.query : '';
  return { state, constraint, isDeletion: DELETION.test(text) };
}
