import { ERRORS, type ErrorCode, type ErrorKind } from './error-codes.js';

/** Values for the places in a message's text ("{limit}") and for clients; never a secret, never an internal name. */
export type ErrorParams = Readonly<Record<string, string | number>>;

/** One field at fault: where (`["body", "email"]`), what is wrong with it, and FastAPI's name for that kind of fault. */
export interface FieldIssue {
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly type: string;
}

interface DomainErrorOptions {
  readonly params?: ErrorParams;
  readonly issues?: readonly FieldIssue[];
  /** Seconds after which trying again makes sense, for `unavailable`, `too_many_requests` and `conflict`. */
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

/**
 * The one error class: a refusal that the caller is told about, by a stable code.
 * What has no code stays what it is (a bug, a broken disk): it is logged with its cause and answered as `internal_error`.
 */
export class DomainError extends Error {
  readonly kind: ErrorKind;
  readonly params: ErrorParams;
  readonly issues: readonly FieldIssue[];
  readonly retryAfterSeconds: number | undefined;

  constructor(
    readonly code: ErrorCode,
    options: DomainErrorOptions = {},
  ) {
    super(code, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DomainError';
    this.kind = ERRORS[code].kind;
    this.params = options.params ?? {};
    this.issues = options.issues ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** A `validation_error` about one field. */
export function invalidField(loc: FieldIssue['loc'], msg: string, type = 'value_error'): DomainError {
  return new DomainError('validation_error', { issues: [{ loc, msg, type }] });
}
