import { ApiExtraModels, ApiProperty, type OpenAPIObject } from '@nestjs/swagger';
import { type ErrorCode, ERRORS } from '#kernel';
import { ShownChoice, ShownList, ShownText } from './shown.decorator.js';

type Schemas = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>;

const CODES = Object.keys(ERRORS) as ErrorCode[];
/** Those whose `detail` is a list of fields. */
const CODES_OF_FIELDS = CODES.filter((code) => ERRORS[code].kind === 'unprocessable');
const REQUEST_ID = '5f0d7c1e-6f2f-4b0e-8f62-5f6f3f0f8f11';

/** One field at fault, as FastAPI reports it. */
export class FieldIssueOut {
  @ApiProperty({
    type: 'array',
    items: {},
    description: 'Where: body, query or path, then the way to the field: names as text, places in a list as numbers',
    example: ['body', 'email'],
  })
  loc: (string | number)[];

  @ShownText({ example: 'value is not a valid email address' })
  msg: string;

  @ShownText({ example: 'value_error.email' })
  type: string;
}

/** Any refusal. */
export class ErrorOut {
  @ShownText({ description: 'A fixed English text; the app compares it', example: 'Not authenticated' })
  detail: string;

  @ShownChoice('ErrorCode', CODES, { description: 'A stable code for programs', example: 'not_authenticated' })
  code: string;

  @ShownText({ description: "The same for people, in the caller's language", example: 'Please sign in' })
  message: string;

  @ShownText({ description: 'To be told to support', example: REQUEST_ID })
  request_id: string;
}

/** A request with fields at fault. */
@ApiExtraModels(FieldIssueOut)
export class ValidationErrorOut {
  @ShownList(() => FieldIssueOut)
  detail: FieldIssueOut[];

  @ShownChoice('ErrorCode', CODES_OF_FIELDS)
  code: string;

  @ShownText({ example: 'Some fields are not valid' })
  message: string;

  @ShownText({ example: REQUEST_ID })
  request_id: string;
}

/**
 * Either of the two, where one status is used for both: `detail` without a type. No `oneOf`, of which half of the generators make a
 * class that does not compile; and no DTO, whose fields have a type each.
 */
export const UNPROCESSABLE_OUT = 'UnprocessableOut';

export function describeUnprocessable(schemas: Schemas): Schemas {
  const error = schemas[ErrorOut.name];
  if (error === undefined || '$ref' in error) throw new Error('The document does not describe errors');
  const codes = CODES_OF_FIELDS.map((code) => `\`${code}\``).join(', ');
  const description = `The code tells: a list of FieldIssueOut with ${codes}; a text with every other`;
  const properties = { ...error.properties, detail: { description, example: 'receipt_invalid' } };
  return { ...schemas, [UNPROCESSABLE_OUT]: { ...error, properties } };
}
