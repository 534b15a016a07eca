import { ContextSlot } from '../context.js';

/** What is known of a request wherever it leads to. */
export interface RequestContext {
  /** Every line that is logged on behalf of the request carries it. */
  readonly requestId: string;
  /** Where it came from (see `clientAddress`); undefined when its connection was gone before it was looked at. */
  readonly address: string | undefined;
}

const slot = new ContextSlot<RequestContext>();

/** Runs `work`, and all it starts, as part of one request. */
export function inRequest<T>(context: RequestContext, work: () => T): T {
  return slot.run(context, work);
}

export function currentRequest(): RequestContext | undefined {
  return slot.current;
}
