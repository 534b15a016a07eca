/** Rows that are deleted by one statement: far below what its limit of 5 s allows, on a slow disk too. */
export const BATCH_ROWS = 1000;

/**
 * Has all be deleted that is too old, some rows at a time: whatever has piled up, each statement stays within its limit and holds its
 * locks for a moment. Answers how many they were.
 */
export async function inBatches(deleteSome: (limit: number) => Promise<number>, limit = BATCH_ROWS): Promise<number> {
  for (let total = 0; ;) {
    const deleted = await deleteSome(limit);
    total += deleted;
    if (deleted < limit) return total;
  }
}
