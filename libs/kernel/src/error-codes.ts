/** What a refusal means to a caller; the HTTP door maps each to one status. */
export type ErrorKind =
  | 'invalid'
  | 'unauthenticated'
  | 'payment_required'
  | 'forbidden'
  | 'not_found'
  | 'wrong_method'
  | 'conflict'
  | 'too_large'
  | 'unsupported'
  | 'unprocessable'
  | 'too_many_requests'
  | 'unverified'
  | 'unavailable'
  | 'bad_gateway'
  | 'internal';

interface ErrorEntry {
  readonly kind: ErrorKind;
  /** The fixed English text that the app in the field compares; it never changes (contract 1). */
  readonly detail: string;
}

/** Every refusal this service can give: stable code, kind, fixed text. Texts for people are in `platform/i18n`. */
export const ERRORS = {
  // any request
  malformed_json: { kind: 'invalid', detail: 'Request body is not valid JSON' },
  malformed_request: { kind: 'invalid', detail: 'Malformed request' },
  body_too_large: { kind: 'too_large', detail: 'Request body is too large' },
  unsupported_media_type: { kind: 'unsupported', detail: 'Content-Type must be application/json' },
  validation_error: { kind: 'unprocessable', detail: 'Validation error' },
  route_not_found: { kind: 'not_found', detail: 'Not Found' },
  method_not_allowed: { kind: 'wrong_method', detail: 'Method Not Allowed' },
  idempotency_key_in_use: { kind: 'conflict', detail: 'A request with this Idempotency-Key is still running' },
  idempotency_key_reused: {
    kind: 'unprocessable',
    detail: 'Idempotency-Key was already used with another request',
  },
  too_many_requests: { kind: 'too_many_requests', detail: 'Too many requests' },
  database_unavailable: { kind: 'unavailable', detail: 'Service temporarily unavailable' },
  overloaded: { kind: 'unavailable', detail: 'Server is busy, try again later' },
  outcome_unknown: { kind: 'unavailable', detail: 'outcome_unknown' },
  internal_error: { kind: 'internal', detail: 'Internal server error' },

  // who is calling
  not_authenticated: { kind: 'unauthenticated', detail: 'Not authenticated' },
  invalid_token: { kind: 'unauthenticated', detail: 'Could not validate credentials' },
  invalid_credentials: { kind: 'unauthenticated', detail: 'Invalid credentials' },
  user_not_active: { kind: 'forbidden', detail: 'User not active' },
  not_allowed: { kind: 'forbidden', detail: 'Not allowed' },
  admin_required: { kind: 'forbidden', detail: 'Admin privileges required' },
  promotion_refused: { kind: 'forbidden', detail: 'Admin privileges required to promote' },

  // accounts
  email_already_registered: { kind: 'invalid', detail: 'Email already registered' },
  password_required: { kind: 'invalid', detail: 'Password is required for registration' },
  password_too_short: { kind: 'invalid', detail: 'Password must be at least 8 characters' },
  password_too_common: {
    kind: 'invalid',
    detail: 'Password must be at least 8 characters and not one of the most common passwords',
  },
  user_not_found: { kind: 'not_found', detail: 'User not found' },

  // tariffs and subscriptions
  tariff_not_found: { kind: 'not_found', detail: 'Tariff not found' },
  tariff_already_exists: { kind: 'invalid', detail: 'Tariff already exists' },
  tariff_in_use: { kind: 'invalid', detail: 'Tariff is assigned to users and cannot be deleted' },
  store_product_taken: { kind: 'conflict', detail: 'Store product already belongs to another tariff' },
  tariff_already_assigned: { kind: 'invalid', detail: 'Tariff already assigned to user' },
  payment_required: { kind: 'payment_required', detail: 'Payment required' },
  already_has_active_subscription: { kind: 'invalid', detail: 'already_has_active_subscription' },
  free_tariff_already_used: { kind: 'invalid', detail: 'free_tariff_already_used' },
  no_active_subscription: { kind: 'forbidden', detail: 'no_active_subscription' },
  traffic_exhausted: { kind: 'forbidden', detail: 'traffic_exhausted' },

  // payments
  payment_not_found: { kind: 'not_found', detail: 'Payment not found' },
  payment_already_recorded: { kind: 'conflict', detail: 'Payment already recorded' },
  payment_not_editable: { kind: 'conflict', detail: 'Payment can no longer be changed' },
  payment_status_not_allowed: { kind: 'conflict', detail: 'Payment status cannot change this way' },
  payment_provider_unknown: { kind: 'not_found', detail: 'Payment provider not found' },
  payment_amount_differs: { kind: 'unprocessable', detail: 'payment_amount_differs' },
  webhook_signature_invalid: { kind: 'unauthenticated', detail: 'webhook_signature_invalid' },
  webhook_event_reused: { kind: 'unprocessable', detail: 'webhook_event_reused' },

  // purchases in the stores
  store_not_configured: { kind: 'unavailable', detail: 'store_not_configured' },
  store_unavailable: { kind: 'unavailable', detail: 'store_unavailable' },
  receipt_malformed: { kind: 'invalid', detail: 'receipt_malformed' },
  receipt_invalid: { kind: 'unverified', detail: 'receipt_invalid' },
  proof_required: { kind: 'unverified', detail: 'proof_required' },
  wrong_app: { kind: 'unverified', detail: 'wrong_app' },
  sandbox_not_allowed: { kind: 'unverified', detail: 'sandbox_not_allowed' },
  purchase_belongs_to_another_account: { kind: 'conflict', detail: 'purchase_belongs_to_another_account' },
  purchase_not_found: { kind: 'not_found', detail: 'Purchase not found' },
  refund_not_possible: { kind: 'conflict', detail: 'refund_not_possible' },
  store_event_not_found: { kind: 'not_found', detail: 'Store event not found' },
  store_signature_invalid: { kind: 'unauthenticated', detail: 'store_signature_invalid' },

  // peers and servers
  peer_not_found: { kind: 'not_found', detail: 'Peer not found' },
  no_peer_for_user: { kind: 'not_found', detail: 'No peer found for user' },
  device_limit_reached: { kind: 'conflict', detail: 'device_limit_reached' },
  public_key_taken: { kind: 'conflict', detail: 'public_key_taken' },
  peer_key_unreadable: { kind: 'conflict', detail: 'peer_key_unreadable' },
  private_key_not_held: { kind: 'conflict', detail: 'private_key_not_held' },
  config_too_long_for_qr: { kind: 'conflict', detail: 'config_too_long_for_qr' },
  address_taken: { kind: 'conflict', detail: 'address_taken' },
  server_not_found: { kind: 'not_found', detail: 'Server not found' },
  server_already_exists: { kind: 'conflict', detail: 'Server already exists' },
  server_in_use: { kind: 'conflict', detail: 'Server still has peers' },
  server_from_settings: { kind: 'conflict', detail: 'Server is described by the WG_* settings' },
  no_server_available: { kind: 'unavailable', detail: 'no_server_available' },
  address_pool_exhausted: { kind: 'unavailable', detail: 'address_pool_exhausted' },
  server_unavailable: { kind: 'unavailable', detail: 'server_unavailable' },
  server_refused: { kind: 'bad_gateway', detail: 'server_refused' },
  remote_client_failed: { kind: 'bad_gateway', detail: 'failed to create remote wg-easy client' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;
