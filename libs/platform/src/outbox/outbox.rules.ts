const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** Seconds between one attempt and the next: six attempts in fifteen hours, which outlast an outage over night. */
const PAUSES: readonly number[] = [MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 12 * HOUR];

/** Seconds to wait after that many attempts that failed; null when it was the last one. */
export function pauseAfter(attempts: number): number | null {
  return PAUSES[attempts - 1] ?? null;
}

/** Whether an attempt of this number is one too many: those before it were neither finished nor given up, but lost. */
export function isBeyondLast(attempt: number): boolean {
  return attempt > PAUSES.length + 1;
}
