import { ContextSlot } from '../context.js';

/** What every line that is logged on behalf of one request carries. */
export interface RequestContext {
  readonly requestId: string;
}

const slot = new ContextSlot<RequestContext>();

/** Runs `work`, and all it starts, as part of one request. */
export function inRequest<T>(context: RequestContext, work: () => T): T {
  return slot.run(context, work);
}

export function currentRequest(): RequestContext | undefined {
  return slot.current;
}
