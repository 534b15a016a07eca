import { type LoggerService } from '@nestjs/common';
import { type DestinationStream, type Logger, pino, type LevelWithSilent } from 'pino';
import { isError } from '#kernel';
import { currentRequest } from './request-context.js';
import { scrub } from './scrub.js';

/** The token under which rooms inject the log (`@Inject(LOG) private readonly log: Logger`). */
export const LOG = Symbol('LOG');

/** Names under which a secret could be logged by mistake, at the top of a line or one level below (security page 3.2). */
const SECRET_NAMES: ReadonlySet<string> = new Set([
  'password',
  'new_password',
  'current_password',
  'hashedPassword',
  'token',
  'access_token',
  'refresh_token',
  'authorization',
  'cookie',
  'secret',
  'wg_private_key',
  'privateKey',
  'wg_quick',
  'receipt',
  'signedPayload',
  'purchaseToken',
]);
const HIDDEN = '[redacted]';

/**
 * Lines are written together, a tenth of a second late at most (what a kill -9 costs): a write for each takes a tenth of the CPU of
 * a whole request (measured). An orderly end of the process writes what is left.
 */
const BATCHED = { dest: 1, sync: false, minLength: 8192, periodicFlush: 100 };

export interface LogOptions {
  readonly level: LevelWithSilent;
  /** Lines for a person at a terminal instead of JSON; needs the development dependency pino-pretty. */
  readonly pretty: boolean;
}

/** The log of this process: one JSON object a line on standard output. */
export async function createLog({ level, pretty }: LogOptions, destination?: DestinationStream): Promise<Logger> {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }), log: hideSecrets },
    mixin: requestIdOf,
    serializers: { err: describeError },
  };
  return pino(options, destination ?? (pretty ? await prettyStream() : pino.destination(BATCHED)));
}

function requestIdOf(): object {
  const request = currentRequest();
  return request === undefined ? {} : { requestId: request.requestId };
}

/** The same line without its secrets; mostly the very same object (pino's own redaction copies it, for a tenth of a request's CPU). */
function hideSecrets(line: Record<string, unknown>): Record<string, unknown> {
  let shown = line;
  for (const [name, value] of Object.entries(line)) {
    const replacement = SECRET_NAMES.has(name) ? HIDDEN : isPlainObject(value) ? hideNames(value) : value;
    if (replacement !== value) shown = { ...shown, [name]: replacement };
  }
  return shown;
}

function hideNames(object: object): object {
  const secret = Object.keys(object).filter((name) => SECRET_NAMES.has(name));
  return secret.length === 0 ? object : { ...object, ...Object.fromEntries(secret.map((name) => [name, HIDDEN])) };
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

async function prettyStream(): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty');
  return pretty({ ignore: 'hostname,pid', translateTime: 'SYS:HH:MM:ss', sync: true, singleLine: true });
}

interface ErrorDescription {
  readonly type: string;
  readonly message: string;
  readonly code?: unknown;
  readonly constraint?: unknown;
  readonly stack?: string;
  readonly cause?: ErrorDescription;
}

/**
 * What is logged of an error: never its other properties, since a database error carries the statement's parameters, and an
 * error of an HTTP client carries headers.
 */
export function describeError(error: unknown): ErrorDescription {
  if (!isError(error)) return { type: typeof error, message: scrub(String(error)) };
  return {
    type: error.name,
    message: scrub(error.message),
    ...('code' in error ? { code: error.code } : {}),
    ...('constraint' in error ? { constraint: error.constraint } : {}),
    ...(error.stack === undefined ? {} : { stack: scrub(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}

/** Has what Node and libraries warn of be lines of the log like all others, each once. */
export function logWarnings(log: Logger): void {
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message }) => log.warn({ warning: name }, scrub(message.replace(/\s+/g, ' '))));
}

/** Lets Nest speak through the same log. What Nest tells of its own start-up is only of interest when debugging. */
export class NestLog implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, context?: unknown): void {
    this.logger.debug({ context }, String(message));
  }

  debug(message: unknown, context?: unknown): void {
    this.logger.debug({ context }, String(message));
  }

  verbose(message: unknown, context?: unknown): void {
    this.logger.trace({ context }, String(message));
  }

  warn(message: unknown, context?: unknown): void {
    this.logger.warn({ context }, scrub(String(message)));
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.logger.error({ context: rest.at(-1), ...(isError(message) ? { err: message } : {}) }, scrub(String(message)));
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.logger.fatal({ context: rest.at(-1) }, scrub(String(message)));
  }
}
