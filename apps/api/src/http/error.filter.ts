import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Inject, Injectable } from '@nestjs/common';
import { type FastifyReply } from 'fastify';
import { type Logger } from 'pino';
import { DomainError, type ErrorCode, type ErrorKind, ERRORS } from '#kernel';
import {
  chooseLocale,
  isDatabaseUnavailable,
  describeError,
  isOutcomeUnknown,
  LOG,
  messageFor,
  refusalOf,
} from '#platform';
import { type ApiRequest } from './request.js';

export const STATUS_OF: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  unauthenticated: 401,
  payment_required: 402,
  forbidden: 403,
  not_found: 404,
  wrong_method: 405,
  conflict: 409,
  too_large: 413,
  unsupported: 415,
  unprocessable: 422,
  too_many_requests: 429,
  unverified: 422, // understood, and not believed: with one text, as the app reads it (not FastAPI's list of fields)
  internal: 500,
  unavailable: 503,
  bad_gateway: 502,
};

/** What the framework refuses by itself, by status. */
const FRAMEWORK_REFUSALS: Readonly<Record<number, ErrorCode>> = {
  400: 'malformed_request',
  404: 'route_not_found',
  413: 'body_too_large',
  414: 'malformed_request',
  415: 'unsupported_media_type',
};

/** No fault of ours, and as frequent as requests: said in a line, without a stack. */
const OUTAGES: ReadonlySet<ErrorCode> = new Set(['database_unavailable', 'outcome_unknown']);

const RETRY_AFTER_SECONDS = 5;

/** Refusals, beside those of kind `unauthenticated`, of requests that did not prove who sends them. */
const UNPROVED: ReadonlySet<ErrorCode> = new Set(['receipt_malformed', 'payment_provider_unknown']);

/** The body of a refusal. */
export function errorBody(error: DomainError, acceptLanguage: string | undefined, requestId: string): object {
  return {
    detail: error.kind === 'unprocessable' ? error.issues : ERRORS[error.code].detail,
    code: error.code,
    message: messageFor(error.code, error.params, chooseLocale(acceptLanguage)),
    request_id: requestId,
  };
}

/** Every error of every request ends here: one shape, nothing internal, and the cause in the log where it was not the caller's. */
@Catch()
@Injectable()
export class ErrorFilter implements ExceptionFilter {
  constructor(@Inject(LOG) private readonly log: Logger) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<ApiRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const error = asDomainError(thrown);
    const isUnproved = error.kind === 'unauthenticated' || UNPROVED.has(error.code);
    if (!isUnproved || request.countFailure === undefined) this.answer(request, reply, error);
    else void request.countFailure().then((tooMany) => this.answer(request, reply, tooMany ?? error));
  }

  private answer(request: ApiRequest, reply: FastifyReply, thrown: DomainError): void {
    const allowed = thrown.code === 'route_not_found' ? (request.allowedMethods?.() ?? []) : [];
    const error = allowed.length > 0 ? new DomainError('method_not_allowed', { cause: thrown }) : thrown;
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '));
    const status = STATUS_OF[error.kind];
    if (error.kind === 'internal') this.log.error({ err: error.cause }, 'request failed');
    else if (OUTAGES.has(error.code))
      this.log.warn({ code: error.code, reason: reasonOf(error) }, 'request could not be served');
    else if (status > 500) this.log.warn({ err: error }, 'request could not be served');
    if (status === 401) void reply.header('www-authenticate', 'Bearer');
    const retryAfter = error.retryAfterSeconds ?? (status === 503 ? RETRY_AFTER_SECONDS : undefined);
    if (retryAfter !== undefined) void reply.header('retry-after', retryAfter);
    void reply.status(status).send(errorBody(error, request.headers['accept-language'], request.id));
  }
}

function reasonOf({ cause }: DomainError): string {
  return describeError(cause).message;
}

function asDomainError(thrown: unknown): DomainError {
  if (thrown instanceof DomainError) return thrown;
  if (thrown instanceof HttpException) {
    const code = FRAMEWORK_REFUSALS[thrown.getStatus()];
    if (code !== undefined) return new DomainError(code, { cause: thrown });
  }
  const cause = thrown ?? new Error('nothing was thrown');
  if (isOutcomeUnknown(thrown)) return new DomainError('outcome_unknown', { cause });
  const refusal = refusalOf(thrown);
  if (refusal !== undefined) return new DomainError(refusal, { cause });
  return new DomainError(isDatabaseUnavailable(thrown) ? 'database_unavailable' : 'internal_error', { cause });
}
