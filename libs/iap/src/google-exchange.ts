import { DomainError } from '#kernel';
import { at, isObject, items, text } from './google-json.rules.js';
import { type StoreMetrics } from './store.metrics.js';

/**
 * Why Google gave no answer: nobody there, too late, a status that asks to come again, an answer that is not Google's, too many
 * questions, or our account is refused.
 */
export type GoogleFailure = 'network' | 'timeout' | 'status' | 'answer' | 'rate_limit' | 'refused';

/** How long one call may take, from the first byte to the last, in milliseconds. The app waits 10 s for its answer. */
export const CALL_LIMIT_MS = 4000;
/** When trying again makes sense if Google does not say, in seconds. */
export const RETRY_SECONDS = 30;

/**
 * Worth another try. It has no cause on purpose: errors of an HTTP client carry addresses with purchase tokens in them, and headers
 * with ours.
 */
export function unavailable(kind: GoogleFailure, retryAfterSeconds = RETRY_SECONDS): DomainError {
  return new DomainError('store_unavailable', { params: { kind }, retryAfterSeconds });
}

/**
 * Times and counts one exchange with Google, and says in our words why there was no answer. `exchange` tells the status as soon as
 * there is one.
 */
export async function exchanged<T>(
  op: string,
  metrics: StoreMetrics,
  exchange: (tell: (status: number) => void) => Promise<T>,
): Promise<T> {
  const began = performance.now();
  let status = 'network';
  try {
    return await exchange((code) => (status = String(code)));
  } catch (error) {
    if (error instanceof DomainError) throw error;
    const failure = failureOf(error);
    status = failure;
    throw unavailable(failure);
  } finally {
    metrics.asked('google', op, status, (performance.now() - began) / 1000);
  }
}

/** Which of them a thrown error of fetch is. */
function failureOf(thrown: unknown): 'timeout' | 'network' {
  const names = [nameOf(thrown), nameOf(causeOf(thrown))];
  return names.some((name) => name === 'TimeoutError' || name === 'AbortError') ? 'timeout' : 'network';
}

function nameOf(thrown: unknown): unknown {
  return typeof thrown === 'object' && thrown !== null && 'name' in thrown ? thrown.name : undefined;
}

function causeOf(thrown: unknown): unknown {
  return typeof thrown === 'object' && thrown !== null && 'cause' in thrown ? thrown.cause : undefined;
}

/**
 * After how many seconds Google wants to be asked again, wherever it says so: in the header, which is an object of its own or a plain one
 * depending on who fetches, as seconds or as a date; or in the body (`google.rpc.RetryInfo`). Null when it does not say.
 */
export function retryAfterOf(headers: unknown, data: unknown, now: Date): number | null {
  const header = headerOf(headers, 'retry-after')?.trim() ?? '';
  const delays = items(at(data, 'error', 'details')).flatMap((detail) => text(at(detail, 'retryDelay')) ?? []);
  const date = Date.parse(header);
  const seconds = /^\d+(\.\d+)?$/.test(header)
    ? Number(header)
    : Number.isNaN(date)
      ? Number(/^(\d+(?:\.\d+)?)s$/.exec(delays[0] ?? '')?.[1] ?? Number.NaN)
      : (date - now.getTime()) / 1000;
  return seconds > 0 ? Math.ceil(seconds) : null;
}

function headerOf(headers: unknown, name: string): string | null {
  if (!isObject(headers)) return null;
  const { get } = headers;
  const found: unknown =
    typeof get === 'function'
      ? Reflect.apply(get, headers, [name])
      : Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return text(Array.isArray(found) ? found[0] : found);
}
