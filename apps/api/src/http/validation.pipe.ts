import { type ArgumentMetadata, Injectable, type PipeTransform, type Type } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { type ValidationError, validateSync } from 'class-validator';
import { DomainError, type FieldIssue } from '#kernel';

const RULES = {
  whitelist: true,
  stopAtFirstError: true,
  forbidUnknownValues: false,
  validationError: { target: false, value: false },
};

/**
 * Turns a body or query into its DTO, or refuses it with one entry for each field at fault. Fields that the DTO does not name are
 * dropped without a word. The DTO's own decorators say what is wrong and how FastAPI calls it (see `given.decorator.ts`).
 */
@Injectable()
export class ValidationPipe implements PipeTransform {
  /** What nothing at all becomes, for each DTO that accepts that: most lists are asked for without a query. */
  private readonly ofNothing = new Map<Type<object>, object>();

  transform(value: unknown, { type, metatype }: ArgumentMetadata & { metatype?: Type<object> | undefined }): unknown {
    if ((type !== 'body' && type !== 'query') || metatype === undefined || metatype === Object) return value;
    const fields = asFields(value, type);
    if (Object.keys(fields).length > 0) return validated(metatype, fields, type);
    const known = this.ofNothing.get(metatype) ?? Object.freeze(validated(metatype, fields, type));
    this.ofNothing.set(metatype, known);
    return known;
  }
}

function asFields(value: unknown, place: string): object {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value;
  const issue = { loc: [place], msg: 'value is not a valid dict', type: 'type_error.dict' };
  throw new DomainError('validation_error', { issues: [issue] });
}

function validated(metatype: Type<object>, fields: object, place: string): object {
  const dto = plainToInstance(metatype, fields, { exposeUnsetFields: false });
  const errors = validateSync(dto, RULES);
  if (errors.length === 0) return dto;
  throw new DomainError('validation_error', { issues: errors.flatMap((error) => issuesOf(error, [place])) });
}

function issuesOf(error: ValidationError, parent: FieldIssue['loc']): FieldIssue[] {
  const loc = [...parent, /^\d+$/.test(error.property) ? Number(error.property) : error.property];
  const own = Object.entries(error.constraints ?? {}).map(([type, msg]) => ({ loc, msg, type }));
  return [...own, ...(error.children ?? []).flatMap((child) => issuesOf(child, loc))];
}
