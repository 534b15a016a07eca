/**
 * Of two forms of the same thing, the one that counts: the later version, and of equal versions always the same one, whichever came
 * first. So the outcome of merging does not depend on order or on repetition.
 */
export function later<T extends object>(left: T | null, right: T | null, version: (value: T) => number): T | null {
  if (left === null || right === null) return left ?? right;
  if (version(left) !== version(right)) return version(left) > version(right) ? left : right;
  return canonical(left) >= canonical(right) ? left : right;
}

/** Merges two sets of things that are known by an id; the result is in the order of the ids. */
export function mergeById<T extends object>(
  left: readonly T[],
  right: readonly T[],
  id: (value: T) => string,
  version: (value: T) => number,
): readonly T[] {
  const merged = new Map<string, T>();
  for (const value of [...left, ...right]) {
    merged.set(id(value), later(merged.get(id(value)) ?? null, value, version) ?? value);
  }
  return [...merged.values()].toSorted((one, other) => (id(one) < id(other) ? -1 : 1));
}

/** JSON with the keys in order: equal things give equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([left], [right]) => (left < right ? -1 : 1)))
      : inner,
  );
}
