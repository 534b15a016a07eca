import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { AccessChanges } from '#auth';
import { DatabaseClock, LOG, UnitOfWork } from '#platform';
import { isTooMany, UNSUSPICIOUS } from './ending.rules.js';
import { EndingsRepository } from './endings.repository.js';
import { SubscriptionsRepository } from './subscriptions.repository.js';

const BATCH = 500;
/** How many purchases are asked about in one run: the rest has its turn a minute later. */
const MOST_ASKED = 2000;

/** What a run did. */
export interface EndingsReport {
  readonly ended: number;
  /** How many were over and were left because they were too many; null = none were held back. */
  readonly held: number | null;
  /** What is over and still grants on paper: held back, or its owner was being changed. */
  readonly backlog: number;
}

/** Who knows the stores. */
export interface StoreKeeper {
  /**
   * Asks the stores about purchases whose time is over, so that what was renewed unheard goes on. Where a store cannot be asked,
   * what renews itself goes on for a while (`IAP_OUTAGE_LEEWAY`). Ends nothing.
   */
  askBeforeEnding(purchaseIds: readonly number[], now: Date): Promise<void>;
  /** Ends what is over by what is known; returns for how many that was so. */
  end(purchaseIds: readonly number[], now: Date): Promise<number>;
}

/** Ends what is over. Every step finds its work again from the rows, so a run that dies is made up for by the next. */
@Injectable()
export class Endings {
  private stores: StoreKeeper | undefined;

  constructor(
    private readonly uow: UnitOfWork,
    private readonly repository: EndingsRepository,
    private readonly subscriptions: SubscriptionsRepository,
    private readonly changes: AccessChanges,
    private readonly clock: DatabaseClock,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Called once, at start-up, by the room that knows the stores. */
  keepStores(keeper: StoreKeeper): void {
    if (this.stores !== undefined) throw new Error('The stores already have their keeper');
    this.stores = keeper;
  }

  /**
   * Asks the stores about theirs first, then ends what is over, unless that is so much that it must be a fault: then it waits for
   * `force`. By the database's clock.
   */
  async endDue({ force = false }: { readonly force?: boolean } = {}): Promise<EndingsReport> {
    const now = await this.clock.now();
    const purchases = await this.repository.duePurchases(now, MOST_ASKED);
    if (purchases.length > 0) await this.stores?.askBeforeEnding(purchases, now);
    const due = await this.repository.countDue(now);
    if (!force && due > UNSUSPICIOUS) {
      const running = await this.repository.countRunning();
      if (isTooMany(due, running)) return this.hold(due, running);
    }
    if (due === 0) return { ended: 0, held: null, backlog: 0 };
    const ended = await this.endAll(now);
    return { ended, held: null, backlog: await this.repository.countDue(now) };
  }

  private hold(due: number, running: number): EndingsReport {
    this.log.error(
      { due, running },
      'too many subscriptions would end at once: nothing was ended. If it is right: cli enforce-access --force',
    );
    return { ended: 0, held: due, backlog: due };
  }

  private async endAll(now: Date): Promise<number> {
    let ended = 0;
    let last = 0;
    for (;;) {
      const due = await this.repository.due(now, last, BATCH);
      const ofStores = due.flatMap(({ storePurchaseId }) => (storePurchaseId === null ? [] : [storePurchaseId]));
      ended += ofStores.length === 0 ? 0 : ((await this.stores?.end(ofStores, now)) ?? 0);
      ended += await this.endByHand(
        due.filter(({ storePurchaseId }) => storePurchaseId === null),
        now,
      );
      last = due.at(-1)?.id ?? last;
      if (due.length < BATCH) return ended;
    }
  }

  private async endByHand(
    due: readonly { readonly id: number; readonly userId: number }[],
    now: Date,
  ): Promise<number> {
    if (due.length === 0) return 0;
    return this.uow.run(async () => {
      const owners = await this.repository.lockOwners([...new Set(due.map(({ userId }) => userId))]);
      const ended = await this.repository.end(
        due.map(({ id }) => id),
        owners,
        now,
      );
      if (ended.length === 0) return 0;
      await this.subscriptions.remember(
        ended.map(({ id, fromState, tariffId, accessUntil }) => ({
          subscriptionId: id,
          fromState,
          toState: 'expired',
          tariffId,
          accessUntil,
          cause: 'clock',
        })),
      );
      await this.changes.announceAll([...new Set(ended.map(({ userId }) => userId))]);
      return ended.length;
    });
  }
}
