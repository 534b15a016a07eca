import { DomainError, invalidField } from '#kernel';
import { COMMON_PASSWORDS } from './common-passwords.js';

const MIN_CHARACTERS = 8;
const MAX_CHARACTERS = 256;
const MAX_BYTES = 1024;

/**
 * Refuses a password nobody should choose; any characters are welcome, and their exact bytes count.
 * @throws DomainError password_required | password_too_short | password_too_common | validation_error
 */
export function assertAcceptablePassword(password: string | undefined): asserts password is string {
  if (password === undefined || password === '') throw new DomainError('password_required');
  const characters = [...password].length;
  if (characters < MIN_CHARACTERS) throw new DomainError('password_too_short');
  if (characters > MAX_CHARACTERS || Buffer.byteLength(password) > MAX_BYTES) {
    const msg = `ensure this value has at most ${MAX_CHARACTERS} characters`;
    throw invalidField(['body', 'password'], msg, 'value_error.any_str.max_length');
  }
  if (COMMON_PASSWORDS.has(password.toLowerCase())) throw new DomainError('password_too_common');
}
