import { type ErrorCode } from '#kernel';

/** What is shown to people, in English. Places like {limit} are filled from the error's parameters. */
export const en: Readonly<Record<ErrorCode, string>> = {
  malformed_json: 'The request body is not valid JSON',
  malformed_request: 'The request is malformed',
  body_too_large: 'The request is too large',
  unsupported_media_type: 'Send the request body as application/json',
  validation_error: 'Some fields are not valid',
  route_not_found: 'There is nothing at this address',
  idempotency_key_in_use: 'This request is already being processed',
  idempotency_key_reused: 'This Idempotency-Key was already used with another request',
  database_unavailable: 'The service is temporarily unavailable. Please try again shortly.',
  overloaded: 'The service is busy. Please try again shortly.',
  internal_error: 'Something went wrong on our side. If it happens again, tell support the request id.',

  not_authenticated: 'Please sign in',
  invalid_token: 'Your session has ended. Please sign in again.',
  invalid_credentials: 'Wrong email or password',
  user_not_active: 'This account is not active',
  not_allowed: 'You may not do this',
  admin_required: 'Only administrators may do this',
  promotion_refused: 'Only administrators may promote users',

  email_already_registered: 'This email is already registered',
  password_required: 'Please enter a password',
  password_too_short: 'The password must be at least 8 characters long',
  password_too_common: 'This password is too common. Choose one of at least 8 characters that is hard to guess.',
  user_not_found: 'There is no such user',

  tariff_not_found: 'There is no such plan',
  tariff_already_exists: 'There is already a plan with this name',
  tariff_in_use: 'This plan is in use and cannot be deleted',
  store_product_taken: 'This store product already belongs to another plan',
  tariff_already_assigned: 'The user already has this plan',
  payment_required: 'This plan has to be paid for',
  already_has_active_subscription: 'You already have an active subscription',
  free_tariff_already_used: 'You have already used this free plan',
  no_active_subscription: 'You have no active subscription',

  payment_not_found: 'There is no such payment',
  payment_already_recorded: 'This payment is already recorded',
  payment_not_editable: 'This payment can no longer be changed',
  payment_status_not_allowed: 'The payment cannot get this status',

  peer_not_found: 'There is no such device',
  no_peer_for_user: 'You have not added a device yet',
  device_limit_reached: 'Your plan allows {limit} devices. Remove one to add another.',
  public_key_taken: 'This key is already in use',
  address_taken: 'This address is already in use',
  no_server_available: 'No server is available right now. Please try again later.',
  address_pool_exhausted: 'The server is full. Please try again later.',
};
