import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { MAX_ID } from '#kernel';

/** The fields of answers: what the OpenAPI document says of each. A field without a value is there, and null. */
export interface ShownOptions {
  readonly description?: string;
  readonly example?: unknown;
  readonly nullable?: boolean;
}

function shown(schema: ApiPropertyOptions, options: ShownOptions): PropertyDecorator {
  return ApiProperty({ ...schema, ...options });
}

export function ShownText(options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: 'string' }, options);
}

export function ShownInteger(options: ShownOptions & { minimum?: number } = {}): PropertyDecorator {
  return shown({ type: 'integer' }, options);
}

export function ShownBoolean(options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: 'boolean', example: true }, options);
}

export function ShownId(options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: 'integer', format: 'int32', minimum: 1, maximum: MAX_ID, example: 5 }, options);
}

/** ISO 8601 UTC, ending in Z. */
export function ShownInstant(options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: 'string', format: 'date-time', example: '2026-11-22T10:00:00.000Z' }, options);
}

/** A decimal string with two digits after the point; with `digits`, as many as that where there is more to say. */
export function ShownMoney({ digits = 2, ...options }: ShownOptions & { digits?: number } = {}): PropertyDecorator {
  const fraction = digits === 2 ? '2' : `2,${digits}`;
  return shown({ type: 'string', pattern: String.raw`^\d+\.\d{${fraction}}$`, example: '9.99' }, options);
}

/** A day: `2026-11-22`. */
export function ShownDay(options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: 'string', format: 'date', example: '2026-11-22' }, options);
}

export function ShownUuid(options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: 'string', format: 'uuid', example: '6f1c3f0e-2f1a-4a53-9d8f-0a4f5f6b7c8d' }, options);
}

/** A number of bytes: beyond 2 GB, so 64 bits wide for those who ask for a width. */
export function ShownBytes(options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: 'integer', format: 'int64', minimum: 0 }, options);
}

/** More choices than this are not listed in a description. */
const LISTED_CHOICES = 12;

/**
 * One of some words, and of those that later versions add: an open enumeration. A closed one (`enum`) becomes a type in generated
 * clients, and they fail on every word that they do not know, so the words are listed beside the type.
 */
export function ShownChoice(name: string, choices: readonly string[], options: ShownOptions = {}): PropertyDecorator {
  const known =
    choices.length > LISTED_CHOICES ? 'see x-extensible-enum' : choices.map((choice) => `\`${choice}\``).join(', ');
  const description = [options.description, `Open, there may be others later: ${known}`].filter(Boolean).join('. ');
  const open = { type: 'string', title: name, 'x-extensible-enum': [...choices], example: choices[0] } as const;
  return shown(open, { ...options, description });
}

export function ShownList(type: () => new () => object, options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: type(), isArray: true }, options);
}

/** A part of something: 0 none, 1 all, in steps of a hundredth. */
export function ShownFraction(options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: 'number', format: 'double', minimum: 0, maximum: 1, example: 0.25 }, options);
}

export function ShownTexts(options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: 'array', items: { type: 'string' } }, options);
}

/** An object of whatever there is to say. */
export function ShownData(options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: 'object', additionalProperties: true }, options);
}

export function ShownObject(type: () => new () => object, options: ShownOptions = {}): PropertyDecorator {
  return shown({ type: type() }, options);
}
