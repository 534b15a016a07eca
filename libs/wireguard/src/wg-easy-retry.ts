import { DomainError, type Randomness } from '#kernel';

/** How often a change that was answered 500 is asked for in all: another one may just have held the database. */
export const TRIES = 4;
/** How long to wait before the next try, in milliseconds; up to twice that, so that two who met do not meet again. */
const PAUSE_MS = 80;

/** Before another try. */
export function pause(attempt: number, randomness: Randomness): Promise<void> {
  const ms = PAUSE_MS * attempt * (1 + randomness.bytes(1).readUInt8() / 255);
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether nothing was answered, so that asking again would only take as long again. */
export function isSilence(error: DomainError | undefined): boolean {
  const kind = error?.params['kind'];
  return kind === 'network' || kind === 'timeout';
}

/** Whether it may be otherwise in a moment: the database was locked, or the interface is only coming up. */
export function isPassing(error: DomainError | undefined): boolean {
  return error?.params['kind'] === 'status';
}

/** What the server, or its silence, said no with; anything else is a fault of ours and thrown on. */
export async function refusalOf(work: () => Promise<unknown>): Promise<DomainError | undefined> {
  const outcome = await outcomeOf(work());
  return outcome instanceof DomainError ? outcome : undefined;
}

/** What came of something: its result, or the refusal. */
export async function outcomeOf<Result>(work: Promise<Result>): Promise<Result | DomainError> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
}
