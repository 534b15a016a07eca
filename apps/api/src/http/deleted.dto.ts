import { ShownText } from './shown.decorator.js';

export class DeletedOut {
  @ShownText({ example: 'deleted' })
  msg: string;
}

export const DELETED: DeletedOut = { msg: 'deleted' };
