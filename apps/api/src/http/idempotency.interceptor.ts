import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { type FastifyReply } from 'fastify';
import { createHash } from 'node:crypto';
import { from, lastValueFrom, type Observable } from 'rxjs';
import { DomainError } from '#kernel';
import { Idempotency } from '#platform';
import { type ApiRequest } from './request.js';

const HEADER = 'idempotency-key';
const PRINTABLE = /^[\x20-\x7e]{1,128}$/;

/** Gives a repeated POST the first answer, where the caller marks it with an `Idempotency-Key`. */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(private readonly idempotency: Idempotency) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<ApiRequest>();
    const key = request.headers[HEADER];
    if (key === undefined || request.user === undefined) return next.handle();
    if (typeof key !== 'string' || !PRINTABLE.test(key)) {
      const msg = 'value must be 1 to 128 printable ASCII characters';
      const issue = { loc: ['header', HEADER], msg, type: 'value_error.idempotency_key' };
      throw new DomainError('validation_error', { issues: [issue] });
    }
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return from(this.answer(request, request.user.user.id, key, reply, next));
  }

  private async answer(
    request: ApiRequest,
    userId: number,
    key: string,
    reply: FastifyReply,
    next: CallHandler,
  ): Promise<unknown> {
    const repeatable = { userId, key, fingerprint: fingerprintOf(request) };
    const { body, replayed } = await this.idempotency.once(repeatable, () => lastValueFrom(next.handle()));
    if (replayed) void reply.header('idempotency-replayed', 'true');
    return body;
  }
}

/** The same for the same request, in whatever order its JSON has the keys: programs write them as they like. */
function fingerprintOf({ method, url, body }: ApiRequest): string {
  const path = url.replace(/\/(?=$|\?)/, ''); // with and without the trailing slash is the same request
  return createHash('sha256')
    .update(`${method} ${path}\n${body === undefined ? '' : JSON.stringify(body, inOrder)}`)
    .digest('base64url');
}

/** For `JSON.stringify`: objects with their keys in order. */
function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)));
}
