/**
 * kernel: the few words that every room speaks (time, randomness, refusals, money, pages).
 * It promises to stay tiny and to know nothing: no framework, no database, no room.
 */
export * from './clock.js';
export * from './domain-error.js';
export { ERRORS, type ErrorCode, type ErrorKind } from './error-codes.js';
export * from './ids.js';
export * from './money.js';
export * from './paging.js';
export * from './randomness.js';
export * from './text.js';
export * from './thrown.js';
export * from './turns.js';
