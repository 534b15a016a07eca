import { Injectable } from '@nestjs/common';
import { addDays, Clock, dayOf, invalidField, type Listing, type Page } from '#kernel';
import { grantsAccess, periodAt, type Subscription, Subscriptions } from '#subscriptions';
import { isExhausted } from './access.rules.js';
import { type DesiredRow } from './desired-peers.repository.js';
import { type Difference } from './reconciliation.rules.js';
import { type TrafficDay, type TrafficFilter, TrafficRepository } from './traffic.repository.js';

/** How many days are shown when nobody says which, and how many at most. */
const SHOWN_DAYS = 30;
const MOST_DAYS = 366;

const NOTHING_COUNTED = { receivedBytes: 0, sentBytes: 0, lastHandshakeAt: null };

type Found = Pick<Difference<DesiredRow>, 'matched' | 'missing'>;

/** How much of a period's traffic is used. */
export interface Allowance {
  readonly usedBytes: number;
  /** When the count begins anew, or access ends; null: neither is known. */
  readonly resetsAt: Date | null;
}

/** What devices send and receive. It is counted by the sweep, so it may be half a minute old. */
@Injectable()
export class Traffic {
  constructor(
    private readonly repository: TrafficRepository,
    private readonly subscriptions: Subscriptions,
    private readonly clock: Clock,
  ) {}

  /**
   * Counts what a server says of its peers, and answers those owners who have nothing left of their period's traffic. What is
   * counted belongs to the day (UTC) and the period of this moment.
   */
  async count(serverId: number, { matched, missing }: Found): Promise<readonly number[]> {
    const moved = matched.filter(
      ({ desired, live }) =>
        desired.receivedSeen !== live.receivedBytes ||
        desired.sentSeen !== live.sentBytes ||
        (live.lastHandshakeAt !== null && live.lastHandshakeAt.getTime() !== desired.lastHandshakeAt?.getTime()),
    );
    // What is not there is counted from nothing when it is there again.
    const gone = missing.filter(({ receivedSeen, sentSeen }) => receivedSeen + sentSeen > 0);
    if (moved.length + gone.length === 0) return [];
    const owners = [...new Set(moved.map(({ desired }) => desired.userId))];
    const entitled = await this.subscriptions.entitledAmong(owners);
    const readings = [
      ...moved.map(({ desired, live }) => ({ ...live, peerId: desired.id })),
      ...gone.map(({ id, publicKey }) => ({ ...NOTHING_COUNTED, peerId: id, publicKey })),
    ];
    const used = await this.repository.count(serverId, dayOf(this.clock.now()), readings, entitled);
    return [...entitled]
      .filter(([, entitlement]) => isExhausted(entitlement, used.get(entitlement.subscriptionId) ?? 0))
      .map(([userId]) => userId);
  }

  /** What is used of the running period of a subscription; null when it grants no access now. */
  async allowance(subscription: Subscription): Promise<Allowance | null> {
    const now = this.clock.now();
    if (!grantsAccess(subscription, now)) return null;
    const period = periodAt(subscription, now);
    const used = await this.repository.usedIn([{ subscriptionId: subscription.id, period }]);
    return { usedBytes: used.get(subscription.id) ?? 0, resetsAt: period.endsAt };
  }

  /**
   * A page of what passed, by day (UTC): of one user or all, on one server or all; the last thirty days, unless others are asked
   * for.
   * @throws DomainError validation_error
   */
  days(wanted: Partial<TrafficFilter>, page: Page): Promise<Listing<TrafficDay>> {
    const to = wanted.to ?? dayOf(this.clock.now());
    const from = wanted.from ?? dayOf(addDays(new Date(to), 1 - SHOWN_DAYS));
    if (from > to) throw invalidField(['query', 'from'], 'from is later than to');
    if (dayOf(addDays(new Date(from), MOST_DAYS)) <= to)
      throw invalidField(['query', 'from'], `these are more than ${MOST_DAYS} days`);
    return this.repository.days({ ...wanted, from, to }, page);
  }
}
