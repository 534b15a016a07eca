/** Which part of a list is asked for: `skip` >= 0 rows left out, then at most `limit` rows, by id ascending. */
export interface Page {
  readonly skip: number;
  readonly limit: number;
}

/** One page of a list, and how many rows there are in all. */
export interface Listing<T> {
  readonly items: readonly T[];
  readonly total: number;
}
