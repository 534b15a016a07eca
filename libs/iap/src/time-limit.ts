import { DomainError } from '#kernel';

/** When whoever was refused is to come again, in seconds. */
const RETRY_AFTER_SECONDS = 10;

/** That a store is not there for now, and when to ask again. */
export function unavailable(): DomainError {
  return new DomainError('store_unavailable', { retryAfterSeconds: RETRY_AFTER_SECONDS });
}

/**
 * The answer, unless it takes longer than who waits for it has time (`endsAt`, of `performance.now()`). What comes later is dropped:
 * it is for work that may be repeated and whose outcome is in the rows.
 * @throws DomainError store_unavailable
 */
export async function within<T>(answer: Promise<T>, endsAt: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable()), Math.max(endsAt - performance.now(), 0));
  });
  try {
    return await Promise.race([answer, patience]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => undefined); // too late to be told to anybody
  }
}
