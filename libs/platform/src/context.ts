import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * One storage for all that travels with a chain of calls (request, transaction, idempotency key): on Node 20 each further
 * AsyncLocalStorage has every promise of every request carry one more store.
 */
const storage = new AsyncLocalStorage<ReadonlyMap<object, unknown>>();

/** A place in that storage, for values of one type. */
export class ContextSlot<T> {
  /** What was given to the innermost `run` around the caller; undefined outside of any. */
  get current(): T | undefined {
    return storage.getStore()?.get(this) as T | undefined;
  }

  /** Runs `work`, and all it starts, with a value in this place; undefined empties it. */
  run<R>(value: T | undefined, work: () => R): R {
    const outer = storage.getStore();
    return storage.run(outer === undefined ? new Map([[this, value]]) : new Map([...outer, [this, value]]), work);
  }
}
