import { RouteConfig } from '@nestjs/platform-fastify';
import { type FastifyInstance, type FastifyRequest } from 'fastify';
import { DomainError, invalidField, isError } from '#kernel';
import { type ApiRequest } from './request.js';

/** Deeper nesting and more keys than any of our requests has, but few enough to look at cheaply. */
const MAX_DEPTH = 20;
const MAX_KEYS = 1000;

/** Names that reach an object's prototype when they are copied; no field of ours is called so. */
const PROTOTYPE_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** RFC 8259 8.1: JSON is UTF-8. Of another encoding we would read other words than the sender wrote. */
const CHARSET = /;\s*charset\s*=\s*"?([^\s;"]*)/i;
const READABLE_CHARSETS = new Set(['utf-8', 'utf8', 'us-ascii']);

const KEEPS_BYTES = 'keepsBytes';

/** Marks a route whose body is signed: `request.bytes` is then what arrived, to the byte. Other routes drop it once it is read. */
export function KeepsBytes(): MethodDecorator {
  return RouteConfig({ [KEEPS_BYTES]: true });
}

/** Takes JSON and nothing else; an empty body is no body, whatever it calls itself. */
export function installBodyParser(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  const asBuffer = { parseAs: 'buffer' } as const;
  fastify.addContentTypeParser('application/json', asBuffer, (request: ApiRequest, body, done) => {
    if (KEEPS_BYTES in request.routeOptions.config) request.bytes = body as Buffer;
    answer(done, () => (body.length === 0 ? undefined : parseJson(request, body as Buffer)));
  });
  fastify.addContentTypeParser('*', asBuffer, (_request, body, done) => {
    answer(done, () => {
      if (body.length > 0) throw new DomainError('unsupported_media_type');
      return undefined;
    });
  });
}

function answer(done: (error: Error | null, body?: unknown) => void, parse: () => unknown): void {
  let body: unknown;
  try {
    body = parse();
  } catch (error) {
    done(isError(error) ? error : new Error(String(error)));
    return;
  }
  done(null, body);
}

function parseJson(request: FastifyRequest, bytes: Buffer): unknown {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw new DomainError('unsupported_media_type');
  const charset = CHARSET.exec(request.headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !READABLE_CHARSETS.has(charset.toLowerCase())) {
    throw new DomainError('unsupported_media_type');
  }
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new DomainError('malformed_json'); // without the cause: a parser's message quotes the text, which may hold a password
  }
  assertStorable(body);
  return body;
}

/**
 * Refuses what PostgreSQL cannot store or a program cannot copy safely, wherever in the body it hides: NUL characters, lone
 * surrogates, absurd nesting. Keys that would reach a prototype are dropped, like any unknown field.
 * @throws DomainError validation_error
 */
function assertStorable(body: unknown): void {
  const pending: { value: unknown; depth: number }[] = [{ value: body, depth: 0 }];
  let keys = 0;
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value, depth } = next;
    if (typeof value === 'string') assertText(value);
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= MAX_DEPTH) throw invalidField(['body'], `nesting is deeper than ${MAX_DEPTH} levels`);
    for (const key of Object.keys(value)) {
      if (++keys > MAX_KEYS) throw invalidField(['body'], `there are more than ${MAX_KEYS} values`);
      if (PROTOTYPE_KEYS.has(key)) Reflect.deleteProperty(value, key);
      else pending.push({ value: Reflect.get(value, key), depth: depth + 1 });
    }
  }
}

function assertText(text: string): void {
  if (text.includes('\0')) throw invalidField(['body'], 'text must not contain NUL characters', 'value_error.str.nul');
  if (!text.isWellFormed()) {
    throw invalidField(['body'], 'text must not contain lone surrogates', 'value_error.str.surrogate');
  }
}
