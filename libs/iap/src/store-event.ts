import { type StoreProvider } from '#tariffs';
import { type StoreEnvironment } from './store.js';

/** `received`: waits for its turn, or for its next try. `ignored`: nothing follows from it. `failed`: given up, a person must look. */
export const STORE_EVENT_STATUSES = ['received', 'done', 'ignored', 'failed'] as const;
export type StoreEventStatus = (typeof STORE_EVENT_STATUSES)[number];

/** Something a store told us, without what it said: that may hold secrets. */
export interface StoreEvent {
  readonly id: number;
  readonly provider: StoreProvider;
  readonly eventId: string;
  readonly type: string;
  readonly subtype: string | null;
  readonly environment: StoreEnvironment | null;
  readonly eventAt: Date;
  readonly receivedAt: Date;
  readonly status: StoreEventStatus;
  readonly attempts: number;
  readonly nextTryAt: Date | null;
  readonly error: string | null;
  readonly purchaseId: number | null;
}
