import { codeOf, isError } from '#kernel';

/**
 * SQLSTATEs that mean "not now", with what they stand for. A key of two characters is a whole class.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const UNAVAILABLE_STATES: Readonly<Record<string, string>> = {
  '08': 'the connection failed, or a pooler lost its server',
  '53': 'the server is short of connections, memory or disk',
  '25006': 'the server takes no writes: a standby, or a primary that was just demoted',
  '25P02': 'an earlier statement of the transaction failed',
  '25P03': 'the transaction was idle for too long',
  '25P04': 'the transaction took too long',
  '28000': 'the server does not let us in',
  '28P01': 'the server does not take the password',
  '3D000': 'the database is not there',
  '40001': 'two transactions collided, or a standby had to end a read',
  '40003': 'the end of a statement is unknown',
  '40P01': 'two transactions waited for each other',
  '55P03': 'a lock was not had in time',
  '57014': 'the statement took too long, or somebody cancelled it',
  '57P01': 'the server ends our connection',
  '57P02': 'another process of the server crashed',
  '57P03': 'the server is starting or shutting down',
  '57P04': 'the database was dropped',
  '57P05': 'the connection was idle for too long',
  '58': 'the server cannot read or write a file',
};

/** SQLSTATEs after which it is not known what became of the statement: the connection is gone before the answer was sure. */
const LOST_STATES = /^(08...|57P0[1-5]|40003)$/;

/** Error codes of Node's sockets and name resolution. */
const NETWORK_CODES: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'ENOTCONN',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'ERR_SOCKET_CLOSED',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);

/** What Node says, in a code, of a certificate that it does not take. */
const TLS_CODES = /^(CERT_|DEPTH_ZERO_|ERR_SSL_|ERR_TLS_|HOSTNAME_MISMATCH|SELF_SIGNED_|UNABLE_TO_)/;

/** What `pg` and its pool say, without a code, when there is no connection, or none became free in time. */
const LOST_MESSAGES: readonly string[] = [
  'Connection terminated',
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
  'Received unexpected',
  'Query read timeout',
];
const NOT_CONNECTED_MESSAGES: readonly string[] = [
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Cannot use a pool after calling end on the pool',
  'The server does not support SSL connections',
  'There was an error establishing an SSL connection',
  'Driver not Connected',
];

/** TypeORM's words, without a code or a cause, for a connection that ended between two statements of a transaction. */
const RELEASED_NAMES: ReadonlySet<string> = new Set([
  'QueryRunnerAlreadyReleasedError',
  'QueryRunnerProviderAlreadyReleasedError',
]);

/** The connection was given up by ourselves, because no answer came in time, or was lost. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
}

/** Too many writes wait already; this one was not begun. */
export class WritesBusyError extends Error {
  override readonly name = 'WritesBusyError';
}

/** What was to be committed may be committed, or not: the answer did not come, or says that no standby has it. */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError';
}

/** The settings are at fault, not the moment: waiting does not help. */
export function isRefusedConnection(error: unknown): boolean {
  return someFault(
    error,
    (fault) =>
      ['28000', '28P01', '3D000'].includes(codeOf(fault) ?? '') ||
      TLS_CODES.test(codeOf(fault) ?? '') ||
      fault.message === 'The server does not support SSL connections',
  );
}

/** Whether an error says that the database cannot answer now, though it may later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  return someFault(error, (fault) => {
    if (fault instanceof ConnectionLostError || fault instanceof WritesBusyError) return true;
    if (RELEASED_NAMES.has(fault.name)) return true;
    const code = codeOf(fault) ?? '';
    return (
      isUnavailableState(code) ||
      NETWORK_CODES.has(code) ||
      TLS_CODES.test(code) ||
      [...LOST_MESSAGES, ...NOT_CONNECTED_MESSAGES].some((text) => fault.message.startsWith(text))
    );
  });
}

/** Whether an error says that the connection ended under a statement, so that its outcome is not known. */
export function isConnectionLost(error: unknown): boolean {
  return someFault(error, (fault) => {
    const code = codeOf(fault) ?? '';
    return (
      fault instanceof ConnectionLostError ||
      LOST_STATES.test(code) ||
      NETWORK_CODES.has(code) ||
      LOST_MESSAGES.some((text) => fault.message.startsWith(text))
    );
  });
}

/** Whether it is not known if a commit took place. */
export function isOutcomeUnknown(error: unknown): boolean {
  return someFault(error, (fault) => fault instanceof OutcomeUnknownError);
}

/** The connection leads to a server that takes no writes. */
export function isReadOnlyServer(error: unknown): boolean {
  return someFault(error, (fault) => codeOf(fault) === '25006');
}

/** A named statement was planned before a migration changed what it answers; a fresh connection plans it anew. */
export function isStalePlan(error: unknown): boolean {
  return someFault(
    error,
    (fault) => codeOf(fault) === '0A000' && fieldOf(fault, 'routine') === 'RevalidateCachedQuery',
  );
}

/** The SQLSTATEs of the table, for tests and pages. */
export const unavailableStates = UNAVAILABLE_STATES;

function isUnavailableState(code: string): boolean {
  return code.length === 5 && (code in UNAVAILABLE_STATES || code.slice(0, 2) in UNAVAILABLE_STATES);
}

/** Looks at an error and at those inside it: the driver's under TypeORM's, and all that Node reports of one name's addresses. */
function someFault(error: unknown, matches: (fault: Error) => boolean): boolean {
  if (!isError(error)) return false;
  if (matches(error)) return true;
  if ('driverError' in error && error.driverError !== error && someFault(error.driverError, matches)) return true;
  return 'errors' in error && Array.isArray(error.errors) && error.errors.some((one) => someFault(one, matches));
}

function fieldOf(error: Error, name: string): unknown {
  return Object.entries(error).find(([key]) => key === name)?.[1];
}
