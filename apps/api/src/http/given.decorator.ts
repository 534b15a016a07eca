import { applyDecorators, Injectable, Param, type PipeTransform } from '@nestjs/common';
import { ApiParam, ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import { IsOptional, ValidateBy, ValidateNested } from 'class-validator';
import { normaliseEmail } from '#auth';
import { countCharacters, DomainError, invalidField, isDay, isId, MAX_ID, parseMoney } from '#kernel';
import { isKey, MAX_ALLOWED_IPS, parseAllowedIps, parsePeerAddress } from '#wireguard';

/**
 * The fields of requests. Each decorator says both what is accepted and what the OpenAPI document says of it, so that the two
 * cannot part. A constraint's name is FastAPI's `type`, its message FastAPI's `msg`: the app in the field parses them.
 */
export interface GivenOptions {
  readonly description?: string;
  readonly example?: unknown;
  /** May be left out, or null. */
  readonly optional?: boolean;
  /** What it is when left out; for the document only. */
  readonly default?: unknown;
}

interface Check {
  readonly type: string;
  readonly msg: string;
  readonly test: (value: unknown) => boolean;
}

function field(schema: ApiPropertyOptions, checks: readonly Check[], options: GivenOptions): PropertyDecorator {
  const { optional = false, ...documented } = options;
  const present: Check = {
    type: 'value_error.missing',
    msg: 'field required',
    test: (value) => value !== undefined && value !== null,
  };
  const all = optional ? checks : [present, ...checks]; // in this order: the first fault found is the one reported
  // null counts as left out; an enum is documented by reference, beside which OpenAPI 3.0 has no place for `nullable`
  const nullable = optional && !('enumName' in schema) ? { nullable: true } : {};
  const property = { ...schema, ...documented, ...nullable, required: !optional };
  return applyDecorators(
    ApiProperty(property as ApiPropertyOptions),
    ...(optional ? [IsOptional()] : []),
    ...all.map(({ type, msg, test }) =>
      ValidateBy({ name: type, validator: { validate: test, defaultMessage: () => msg } }),
    ),
  );
}

/** RFC 3339, from the year 2000 on: what PostgreSQL can hold too. */
const INSTANT = /^2\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

const isText: Check = { type: 'type_error.str', msg: 'str type expected', test: (value) => typeof value === 'string' };
const isInteger: Check = {
  type: 'type_error.integer',
  msg: 'value is not a valid integer',
  test: (value) => Number.isSafeInteger(value),
};

/** Whole numbers arrive from a query as text; anything but digits stays text and is then refused. */
const FromQuery = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value,
  );

function between(min: number, max: number): readonly Check[] {
  return [
    isInteger,
    {
      type: 'value_error.number.not_ge',
      msg: `ensure this value is greater than or equal to ${min}`,
      test: (value) => typeof value === 'number' && value >= min,
    },
    {
      type: 'value_error.number.not_le',
      msg: `ensure this value is less than or equal to ${max}`,
      test: (value) => typeof value === 'number' && value <= max,
    },
  ];
}

export function GivenText({
  min = 0,
  max,
  ...options
}: GivenOptions & { min?: number; max: number }): PropertyDecorator {
  const lengths: readonly Check[] = [
    {
      type: 'value_error.any_str.min_length',
      msg: `ensure this value has at least ${min} characters`,
      test: (value) => typeof value === 'string' && countCharacters(value.trim()) >= min,
    },
    {
      type: 'value_error.any_str.max_length',
      msg: `ensure this value has at most ${max} characters`,
      test: (value) => typeof value === 'string' && countCharacters(value) <= max,
    },
  ];
  return field({ type: 'string', minLength: min, maxLength: max }, [isText, ...lengths], options);
}

export function GivenInteger({ min, max, ...options }: GivenOptions & { min: number; max: number }): PropertyDecorator {
  return field({ type: 'integer', minimum: min, maximum: max }, between(min, max), options);
}

export function GivenQueryInteger(options: GivenOptions & { min: number; max: number }): PropertyDecorator {
  return applyDecorators(GivenInteger(options), FromQuery());
}

/** A day such as 2026-11-22, in a query. */
export function GivenQueryDay(options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'value_error.date',
    msg: 'value is not a day such as 2026-11-22',
    test: (value: unknown) => typeof value === 'string' && isDay(value),
  };
  return field({ type: 'string', format: 'date', example: '2026-11-22' }, [check], options);
}

export function GivenId(options: GivenOptions = {}): PropertyDecorator {
  return GivenInteger({ min: 1, max: MAX_ID, example: 5, ...options });
}

export function GivenQueryId(options: GivenOptions = {}): PropertyDecorator {
  return applyDecorators(GivenId(options), FromQuery());
}

/** An instant of a query, ISO 8601 with its offset; the DTO holds the Date. */
export function GivenQueryInstant(options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'value_error.datetime',
    msg: 'value is not an instant such as 2026-11-22T10:00:00Z',
    test: (value: unknown) => value instanceof Date && !Number.isNaN(value.getTime()),
  };
  const parse = Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && INSTANT.test(value) ? new Date(value) : value,
  );
  const schema = { type: 'string', format: 'date-time', example: '2026-11-22T10:00:00Z' } as const;
  return applyDecorators(field(schema, [check], options), parse);
}

export function GivenBoolean(options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'type_error.bool',
    msg: 'value could not be parsed to a boolean',
    test: (value: unknown) => typeof value === 'boolean',
  };
  return field({ type: 'boolean' }, [check], options);
}

export function GivenChoice(name: string, choices: readonly string[], options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'type_error.enum',
    msg: `value is not a valid enumeration member; permitted: ${choices.map((choice) => `'${choice}'`).join(', ')}`,
    test: (value: unknown) => typeof value === 'string' && choices.includes(value),
  };
  return field({ enum: [...choices], enumName: name }, [check], options);
}

export function GivenEmail(options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'value_error.email',
    msg: 'value is not a valid email address',
    test: (value: unknown) => typeof value === 'string' && normaliseEmail(value) !== undefined,
  };
  const schema = { type: 'string', format: 'email', maxLength: 254, example: 'ann@example.com' } as const;
  return field(schema, [isText, check], options);
}

/** A password is only checked for being text here: what makes a good one is the auth room's business. */
export function GivenPassword(options: GivenOptions = {}): PropertyDecorator {
  const schema = { type: 'string', format: 'password', maxLength: 256, example: 'correct horse battery' } as const;
  return field(schema, [isText], options);
}

/** An amount as a decimal string or a number; the DTO holds the string, and the document shows no other way. */
export function GivenMoney(options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'value_error.decimal',
    msg: 'value is not an amount from 0 to 99999999.99 with at most two decimals',
    test: (value: unknown) => parseMoney(value) !== undefined,
  };
  const schema = { type: 'string', pattern: String.raw`^\d{1,8}(\.\d{1,2})?$`, example: '9.99' } as const;
  const parse = Transform(({ value }: { value: unknown }) => parseMoney(value) ?? value);
  return applyDecorators(field(schema, [check], options), parse);
}

/** An ISO 4217 code, in upper case as it is stored. */
export function GivenCurrency(options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'value_error.currency',
    msg: 'value is not an ISO 4217 currency code',
    test: (value: unknown) => typeof value === 'string' && /^[A-Z]{3}$/.test(value),
  };
  const parse = Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.toUpperCase() : value));
  const schema = { type: 'string', pattern: '^[A-Za-z]{3}$', example: 'USD' } as const;
  return applyDecorators(field(schema, [isText, check], options), parse);
}

export function GivenPublicKey(options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'value_error.wg_public_key',
    msg: 'value is not a WireGuard public key',
    test: (value: unknown) => typeof value === 'string' && isKey(value),
  };
  const example = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';
  return field({ type: 'string', minLength: 44, maxLength: 44, example }, [isText, check], options);
}

/** A peer's address, with or without /32; the DTO holds it without. */
export function GivenPeerAddress(options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'value_error.ipv4address',
    msg: 'value is not a valid IPv4 address',
    test: (value: unknown) => typeof value === 'string' && parsePeerAddress(value) !== undefined,
  };
  const parse = Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' ? (parsePeerAddress(value) ?? value) : value,
  );
  return applyDecorators(field({ type: 'string', example: '10.8.0.7/32' }, [isText, check], options), parse);
}

/** 256 IPv6 networks in their longest form, with a comma and a blank each. */
const MAX_ALLOWED_IPS_CHARACTERS = MAX_ALLOWED_IPS * 45;

/** Networks separated by commas; the DTO holds them in their canonical form. */
export function GivenAllowedIps(options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'value_error.allowed_ips',
    msg: `value is not a list of at most ${MAX_ALLOWED_IPS} networks such as 0.0.0.0/0, ::/0 (no IPv4 inside IPv6)`,
    test: (value: unknown) => typeof value === 'string' && parseAllowedIps(value) !== undefined,
  };
  const parse = Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' ? (parseAllowedIps(value) ?? value) : value,
  );
  const description = `${options.description ?? 'What the device sends through the tunnel'}. At most ${MAX_ALLOWED_IPS} networks, without IPv4 inside IPv6`;
  const schema = { type: 'string', maxLength: MAX_ALLOWED_IPS_CHARACTERS, example: '0.0.0.0/0, ::/0' } as const;
  const short = {
    type: 'value_error.any_str.max_length',
    msg: `ensure this value has at most ${MAX_ALLOWED_IPS_CHARACTERS} characters`,
    test: (value: unknown) => typeof value === 'string' && value.length <= MAX_ALLOWED_IPS_CHARACTERS,
  };
  return applyDecorators(field(schema, [isText, short, check], { ...options, description }), parse);
}

/** A list of texts; what each has to be is the description's to say. */
export function GivenTexts({ max, ...options }: GivenOptions & { max: number }): PropertyDecorator {
  const check = {
    type: 'type_error.list',
    msg: `value is not a valid list of at most ${max} texts`,
    test: (value: unknown) =>
      Array.isArray(value) && value.length <= max && value.every((item) => typeof item === 'string'),
  };
  return field({ type: 'array', items: { type: 'string' }, maxItems: max }, [check], options);
}

/**
 * What a PUT takes away, by the names of its fields. Nothing else takes anything away: a generated client sends null or an empty
 * list for whatever its caller left out (docs/decisions/0023).
 */
export function GivenClear(name: string, clearable: readonly string[]): PropertyDecorator {
  const check = {
    type: 'type_error.enum',
    msg: `value is not a list of fields that can be cleared; permitted: ${clearable.map((field) => `'${field}'`).join(', ')}`,
    test: (value: unknown) =>
      Array.isArray(value) &&
      value.length <= clearable.length &&
      value.every((item) => typeof item === 'string' && clearable.includes(item)),
  };
  const schema = { enum: [...clearable], enumName: name, isArray: true, maxItems: clearable.length };
  const description = 'Fields to take the value away from. Null or an empty list in a field itself changes nothing.';
  return field(schema, [check], { optional: true, description, example: [clearable[0]] });
}

/**
 * The fields that a body clears.
 * @throws DomainError validation_error for one that it also gives a value
 */
export function readClear<Field extends string>(
  body: Readonly<Partial<Record<Field, unknown>>> & { readonly clear?: readonly Field[] | null },
): ReadonlySet<Field> {
  const cleared = new Set(body.clear ?? []);
  for (const name of cleared) {
    if (isGiven(body[name])) throw invalidField(['body', name], 'a field is either given or cleared, not both');
  }
  return cleared;
}

/** Whether a client meant something by a field: null and an empty list are what generated clients send for what was left out. */
export function isGiven<T>(value: T): value is NonNullable<T> {
  return value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object of one class. */
export function GivenObject(type: () => new () => object, options: GivenOptions = {}): PropertyDecorator {
  const check = {
    type: 'type_error.dict',
    msg: 'value is not a valid dict',
    test: isObject,
  };
  return applyDecorators(field({ type: type() }, [check], options), Type(type), ValidateNested());
}

/** A list of objects of one class. */
export function GivenList(
  type: () => new () => object,
  { max, ...options }: GivenOptions & { max: number },
): PropertyDecorator {
  const check = {
    type: 'type_error.list',
    msg: `value is not a valid list of at most ${max} items`,
    test: (value: unknown) => Array.isArray(value) && value.length <= max && value.every(isObject),
  };
  const schema = { type: type(), isArray: true, maxItems: max } as ApiPropertyOptions;
  return applyDecorators(field(schema, [check], options), Type(type), ValidateNested({ each: true }));
}

@Injectable()
class IdPipe implements PipeTransform<string, number> {
  transform(value: string): number {
    const id = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
    if (isId(id)) return id;
    const issue = { loc: ['path', 'id'], msg: 'value is not a valid integer', type: 'type_error.integer' };
    throw new DomainError('validation_error', { issues: [issue] });
  }
}

/** The `{id}` of a path: a whole number that can be a row's id. */
export function PathId(): ParameterDecorator {
  return (target, method, index) => {
    Param('id', IdPipe)(target, method, index);
    const descriptor = method === undefined ? undefined : Object.getOwnPropertyDescriptor(target, method);
    if (method === undefined || descriptor === undefined) return;
    const schema = { type: 'integer', format: 'int32', minimum: 1, maximum: MAX_ID } as const;
    ApiParam({ name: 'id', schema, example: 7 })(target, method, descriptor);
  };
}
