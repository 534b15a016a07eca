import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '#platform';

/** Told, inside the transaction, that these users' access may have begun or ended. */
export type AccessObserver = (userIds: readonly number[]) => Promise<void>;

/**
 * The one thread from what decides access (a user's status, his subscriptions) up to what depends on it (his tunnels), which the
 * deciding rooms must not know. The observer runs in the transaction of the change: both are kept, or neither, so nothing is
 * lost by a crash in between.
 */
@Injectable()
export class AccessChanges {
  private observer: AccessObserver | undefined;

  constructor(private readonly uow: UnitOfWork) {}

  /** Called once, at start-up, by the room that depends on access. */
  observe(observer: AccessObserver): void {
    if (this.observer !== undefined) throw new Error('Access changes already have their observer');
    this.observer = observer;
  }

  /** Called by whoever changed a user's status or subscriptions, in the same transaction. */
  announce(userId: number): Promise<void> {
    return this.announceAll([userId]);
  }

  /** The same for many at once, whose rows the caller has locked. */
  async announceAll(userIds: readonly number[]): Promise<void> {
    this.uow.assertOpen();
    if (this.observer === undefined)
      throw new Error('Nobody observes access changes: tunnels would outlive subscriptions');
    await this.observer(userIds);
  }
}
