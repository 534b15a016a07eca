/** So many may end at once, however few run: what runs need not be counted for them. */
export const UNSUSPICIOUS = 20;
/** More than that, and more than this share of what runs, is no ordinary minute. */
const BRAKE_SHARE = 0.05;

/**
 * Whether so many endings at once look like a fault rather than like life: a clock that jumped, a column that was emptied, a backup
 * that was restored. `running` counts what is about to end too.
 */
export function isTooMany(ending: number, running: number): boolean {
  return ending > UNSUSPICIOUS && ending > running * BRAKE_SHARE;
}
