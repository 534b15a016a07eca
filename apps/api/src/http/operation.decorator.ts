import { applyDecorators, HttpCode, UseInterceptors } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiExtension,
  ApiExtraModels,
  ApiHeader,
  ApiOperation,
  ApiResponse,
  ApiSecurity,
  getSchemaPath,
  type OpenAPIObject,
} from '@nestjs/swagger';
import { type ErrorCode, ERRORS } from '#kernel';
import { messageFor } from '#platform';
import { Access, type AccessLevel } from './access.guard.js';
import { STATUS_OF } from './error.filter.js';
import { ErrorOut, UNPROCESSABLE_OUT, ValidationErrorOut } from './error.dto.js';
import { IdempotencyInterceptor } from './idempotency.interceptor.js';
import { RateLimited } from './rate-limit.guard.js';
import { RATE_LIMIT_HEADERS, type RateLimitName } from './rate-limit.rules.js';

type Dto = new () => object;
type HeadersObject = Record<string, { readonly description: string; readonly schema: { readonly type: 'integer' } }>;
type ResponsesObject = NonNullable<NonNullable<OpenAPIObject['paths'][string]['get']>['responses']>;

/** An answer that is no JSON: its schema for each media type that it may have. */
export interface Media {
  readonly content: Readonly<
    Record<string, { readonly schema: { readonly type: 'string'; readonly format?: 'binary' } }>
  >;
}

export interface OperationOptions {
  readonly access: AccessLevel;
  readonly summary: string;
  readonly description?: string;
  /** What a 200 carries: one DTO, a bare array of them, or what is no JSON. */
  readonly answer: Dto | readonly [Dto] | Media;
  /** Whether the answer may be JSON `null`. */
  readonly nullable?: boolean;
  /** A list that is paged: says so in X-Total-Count. */
  readonly paged?: boolean;
  /** A POST that creates something: heeds `Idempotency-Key`. */
  readonly creates?: boolean;
  /** How often it may be called; more is answered with 429. */
  readonly limit?: RateLimitName;
  /** False: answers without the database, also when there is none. */
  readonly needsDatabase?: boolean;
  /** The refusals of its own; those of authentication and validation are added. */
  readonly errors?: readonly ErrorCode[];
}

const OF_EVERY_CALLER: Readonly<Record<AccessLevel, readonly ErrorCode[]>> = {
  public: [],
  optional: ['invalid_token', 'user_not_active'],
  user: ['not_authenticated', 'invalid_token', 'user_not_active'],
  admin: ['not_authenticated', 'invalid_token', 'user_not_active', 'admin_required'],
};

/** Who may call, for the description. */
const CALLERS: Readonly<Record<AccessLevel, string>> = {
  public: 'Anybody may call it.',
  optional: 'Anybody may call it; a token is looked at where there is one.',
  user: 'For users who are signed in and active.',
  admin: 'For administrators.',
};
const REPEATABLE = 'May be repeated with the same `Idempotency-Key`: it creates nothing twice.';

/** A request that was one too many is also told when to come again. */
const REFUSED_HEADERS = { 'Retry-After': 'Seconds after which to try again', ...RATE_LIMIT_HEADERS };

const EXAMPLES = '#/components/examples/';
const REQUEST_ID_EXAMPLE = '5f0d7c1e-6f2f-4b0e-8f62-5f6f3f0f8f11';

/**
 * Says of a route who may call it, what it answers and how it refuses: for the guard, for the document, and for the reader. Every
 * success is 200.
 */
export function Operation(options: OperationOptions): MethodDecorator {
  const { access, summary, description, creates = false, limit, needsDatabase = true, errors = [] } = options;
  const codes: readonly ErrorCode[] = [
    'malformed_request',
    ...OF_EVERY_CALLER[access],
    ...errors,
    ...(creates ? (['idempotency_key_in_use', 'idempotency_key_reused'] as const) : []),
    ...(limit === undefined ? [] : (['too_many_requests'] as const)),
    'internal_error',
    ...(needsDatabase ? (['database_unavailable'] as const) : []),
  ];
  return applyDecorators(
    HttpCode(200),
    Access(access),
    ApiExtension('x-access', access),
    ApiOperation({
      summary,
      description: [description, CALLERS[access], creates ? REPEATABLE : undefined].filter(Boolean).join(' '),
    }),
    ...(access === 'public' ? [] : [ApiBearerAuth('bearer')]),
    ...(access === 'optional' ? [ApiSecurity({})] : []),
    ...(creates ? [UseInterceptors(IdempotencyInterceptor), idempotencyHeader()] : []),
    ...(limit === undefined ? [] : [RateLimited(limit)]),
    success(options),
    ApiExtraModels(ErrorOut, ValidationErrorOut),
    ...refusals(codes),
  );
}

function idempotencyHeader(): MethodDecorator {
  return ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    description: 'The same key and body within 24 hours get the first answer again. 1 to 128 printable characters.',
    schema: { type: 'string', minLength: 1, maxLength: 128 },
    example: '0f8fad5b-d9cb-469f-a165-70867728950e',
  });
}

function success({ answer, nullable = false, paged = false, limit }: OperationOptions): MethodDecorator {
  const headers: HeadersObject = {
    ...(paged ? { 'X-Total-Count': { description: 'How many there are in all', schema: { type: 'integer' } } } : {}),
    ...(limit === undefined ? {} : describeHeaders(RATE_LIMIT_HEADERS)),
  };
  const done = { status: 200, description: 'Done', ...(Object.keys(headers).length === 0 ? {} : { headers }) };
  if ('content' in answer) return ApiResponse({ ...done, content: { ...answer.content } });
  const isArray = Array.isArray(answer);
  const dto = (isArray ? answer[0] : answer) as Dto;
  const ref = { $ref: getSchemaPath(dto) };
  const schema = isArray
    ? { type: 'array', items: ref }
    : nullable
      ? { type: 'object' as const, nullable: true, allOf: [ref] }
      : ref;
  return applyDecorators(ApiExtraModels(dto), ApiResponse({ ...done, schema }));
}

function describeHeaders(headers: Readonly<Record<string, string>>): HeadersObject {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'integer' } }]),
  );
}

/** One documented response a status, with an example for each code that it can carry. */
function refusals(codes: readonly ErrorCode[]): MethodDecorator[] {
  const responses: ResponsesObject = {};
  addRefusals(responses, codes);
  return Object.entries(responses).map(([status, response]) => ApiResponse({ status: Number(status), ...response }));
}

/** Adds to the documented responses of an operation what these refusals look like. */
export function addRefusals(responses: ResponsesObject, codes: readonly ErrorCode[]): void {
  for (const code of new Set(codes)) {
    const { kind, detail } = ERRORS[code];
    const status = STATUS_OF[kind];
    const documented = responses[status];
    const before = documented !== undefined && 'description' in documented ? documented : undefined;
    const examples = before?.content?.['application/json']?.examples ?? {};
    const ref = getSchemaPath(kind === 'unprocessable' ? ValidationErrorOut : ErrorOut);
    const known = refOf(before?.content?.['application/json']?.schema) ?? ref;
    const schema = { $ref: known === ref ? ref : getSchemaPath(UNPROCESSABLE_OUT) };
    responses[status] = {
      ...(status === STATUS_OF.too_many_requests ? { headers: describeHeaders(REFUSED_HEADERS) } : {}),
      description: before === undefined ? detail : `${before.description} · ${detail}`,
      content: {
        'application/json': { schema, examples: { ...examples, [code]: { $ref: EXAMPLES + code } } },
      },
    };
  }
}

/** The schema that a documented answer has so far. */
function refOf(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null || !('$ref' in schema)) return undefined;
  return typeof schema.$ref === 'string' ? schema.$ref : undefined;
}

/** An example of every refusal that an operation of the document names, for its `components.examples`. */
export function refusalExamples({ paths }: OpenAPIObject): Record<string, { value: object }> {
  const named = JSON.stringify(paths);
  const codes = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => named.includes(`${EXAMPLES}${code}"`));
  return Object.fromEntries(codes.map((code) => [code, { value: exampleOf(code) }]));
}

function exampleOf(code: ErrorCode): object {
  const { kind, detail } = ERRORS[code];
  const issue = { loc: ['body', 'email'], msg: 'value is not a valid email address', type: 'value_error.email' };
  return {
    detail: kind === 'unprocessable' ? [issue] : detail,
    code,
    message: messageFor(code, {}, 'en'),
    request_id: REQUEST_ID_EXAMPLE,
  };
}
