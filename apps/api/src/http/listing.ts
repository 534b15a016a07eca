import { type FastifyReply } from 'fastify';
import { type Listing, type Page } from '#kernel';
import { GivenQueryId, GivenQueryInteger } from './given.decorator.js';

const DEEPEST_SKIP = 1_000_000;

/** `?skip=&limit=` of most lists. */
export class ListQuery {
  @GivenQueryInteger({ min: 0, max: DEEPEST_SKIP, optional: true, default: 0, description: 'Rows to leave out' })
  skip?: number;

  @GivenQueryInteger({ min: 1, max: 1000, optional: true, default: 100, description: 'Rows at most' })
  limit?: number;
}

/** `?user_id=&skip=&limit=` of what belongs to users. */
export class OwnedListQuery extends ListQuery {
  @GivenQueryId({ optional: true, description: "One user's; anybody but an administrator may only name himself" })
  user_id?: number;
}

export function pageOf({ skip, limit }: ListQuery, defaultLimit = 100): Page {
  return { skip: skip ?? 0, limit: limit ?? defaultLimit };
}

/** The rows as a bare array; how many there are in all goes into X-Total-Count. */
export function answerListing<T, Dto>(
  reply: FastifyReply,
  { items, total }: Listing<T>,
  from: (item: T) => Dto,
): Dto[] {
  void reply.header('x-total-count', total);
  return items.map(from);
}
