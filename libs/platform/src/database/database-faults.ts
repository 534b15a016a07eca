import { codeOf, DomainError, type ErrorCode, isError } from '#kernel';

/**
 * SQLSTATE classes and codes that mean "not now": the connection failed (08), the server is short of something (53), it is
 * going down or was told to stop us (57P0x, 57014), a lock was not had in time (55P03), two transactions collided (40001, 40P01),
 * or we sat idle too long in a transaction (25P03). https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const TRANSIENT_STATE = /^(08...|53...|57P0[0-9]|57014|55P03|40001|40P01|25P03)$/;
const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);
/** What `pg` and its pool say, without a code, when the server goes away or no connection becomes free in time. */
const TRANSIENT_MESSAGE =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Query read timeout|timeout expired)/;

/** Whether an error says that the database cannot answer now, though it may later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!isError(error)) return false;
  if ('driverError' in error && error.driverError !== error && isDatabaseUnavailable(error.driverError)) return true;
  // Node tries all addresses of a name and reports all failures together.
  if ('errors' in error && Array.isArray(error.errors)) return error.errors.some(isDatabaseUnavailable);
  const code = codeOf(error) ?? '';
  return TRANSIENT_STATE.test(code) || NETWORK_CODES.has(code) || TRANSIENT_MESSAGE.test(error.message);
}

/** The name of the constraint that a write ran into; undefined for any other error. */
export function violatedConstraint(error: unknown): string | undefined {
  if (!isError(error)) return undefined;
  const source = 'driverError' in error && isError(error.driverError) ? error.driverError : error;
  const constraint = 'constraint' in source ? source.constraint : undefined;
  return codeOf(source)?.startsWith('23') === true && typeof constraint === 'string' ? constraint : undefined;
}

/** Turns the violation of a named constraint into the refusal it stands for; anything else is thrown on as it is. */
export async function refuseOn<T>(refusals: Readonly<Record<string, ErrorCode>>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = refusals[violatedConstraint(error) ?? ''];
    throw code === undefined ? error : new DomainError(code, { cause: error });
  }
}
