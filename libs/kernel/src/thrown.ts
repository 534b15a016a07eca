import { types } from 'node:util';

/** Whether what was thrown is an error; unlike `instanceof`, also one made by another realm (Jest runs tests in one of their own). */
export function isError(thrown: unknown): thrown is Error {
  return types.isNativeError(thrown);
}

/** The `code` of an error as Node, drivers and PostgreSQL set it (`ENOENT`, `23505`); undefined when there is none. */
export function codeOf(thrown: unknown): string | undefined {
  return isError(thrown) && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}
