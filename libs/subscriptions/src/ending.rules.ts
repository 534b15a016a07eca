/** More than this many, and more than this share of what runs, is no ordinary minute. */
const BRAKE_COUNT = 20;
const BRAKE_SHARE = 0.05;

/**
 * Whether so many endings at once look like a fault rather than like life: a clock that jumped, a column that was emptied, a backup
 * that was restored. `running` counts what is about to end too.
 */
export function isTooMany(ending: number, running: number): boolean {
  return ending > BRAKE_COUNT && ending > running * BRAKE_SHARE;
}
