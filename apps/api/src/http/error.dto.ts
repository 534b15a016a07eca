import { ApiExtraModels, ApiProperty } from '@nestjs/swagger';
import { ShownList, ShownText } from './shown.decorator.js';

/** One field at fault, as FastAPI reports it. */
export class FieldIssueOut {
  @ApiProperty({
    type: 'array',
    items: { oneOf: [{ type: 'string' }, { type: 'integer' }] },
    description: 'Where: body, query or path, then the way to the field',
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

  @ShownText({ description: 'A stable code for programs', example: 'not_authenticated' })
  code: string;

  @ShownText({ description: "The same for people, in the caller's language", example: 'Please sign in' })
  message: string;

  @ShownText({ description: 'To be told to support', example: '5f0d7c1e-6f2f-4b0e-8f62-5f6f3f0f8f11' })
  request_id: string;
}

/** A request with fields at fault: what every 422 carries. */
@ApiExtraModels(FieldIssueOut)
export class ValidationErrorOut {
  @ShownList(() => FieldIssueOut)
  detail: FieldIssueOut[];

  @ShownText({ example: 'validation_error' })
  code: string;

  @ShownText({ example: 'Some fields are not valid' })
  message: string;

  @ShownText({ example: '5f0d7c1e-6f2f-4b0e-8f62-5f6f3f0f8f11' })
  request_id: string;
}
