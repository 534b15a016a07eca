import { Injectable } from '@nestjs/common';
import { addDays, Clock, dayOf, DomainError, invalidField, type Listing, type Page } from '#kernel';
import { type LivePeer, type WireGuardProvider } from '#wireguard';
import { grantsAccess, periodAt, type Subscription, Subscriptions } from '#subscriptions';
import { isExhausted } from './access.rules.js';
import { plausibleHandshake } from './traffic.rules.js';
import { type Counter } from './counter.js';
import { type DesiredRow, DesiredPeersRepository, type Leftover } from './desired-peers.repository.js';
import {
  type Reading,
  type ReadingTime,
  type TrafficDay,
  type TrafficFilter,
  TrafficRepository,
} from './traffic.repository.js';

/** How many days are shown when nobody says which, and how many at most. */
const SHOWN_DAYS = 30;
const MOST_DAYS = 366;

/** The last reading before a removal, and the number at which it ended. */
export interface LastReading {
  readonly serverId: number;
  readonly endedAt: number;
}

const NOTHING_COUNTED = { receivedBytes: 0, sentBytes: 0, lastHandshakeAt: null };

/** All peers of a server, and when they were read. */
export interface Snapshot {
  readonly serverId: number;
  readonly time: ReadingTime;
  readonly live: readonly LivePeer[];
}

/** Whose counters are to be read. */
interface Counted {
  readonly peers: readonly DesiredRow[];
  readonly leaving: readonly Leftover[];
}

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
    private readonly desired: DesiredPeersRepository,
    private readonly subscriptions: Subscriptions,
    private readonly clock: Clock,
  ) {}

  /** Reads what a server holds, so that it can be counted in the order in which it was read. @throws as `list` */
  async read(serverId: number, provider: WireGuardProvider): Promise<Snapshot> {
    const began = await this.desired.nextReading();
    const live = await provider.list();
    return { serverId, live, time: { began, ended: await this.desired.nextReading() } };
  }

  /**
   * Counts what a server said of these keys, and answers those owners who have nothing left of their period's traffic. What is
   * counted belongs to the day (UTC) and the period of this moment.
   */
  async count({ serverId, time, live }: Snapshot, { peers, leaving }: Counted): Promise<readonly number[]> {
    const liveByKey = new Map(live.map((peer) => [peer.publicKey, peer]));
    const now = this.clock.now();
    const ofPeers = readingsOf(peers, liveByKey, now);
    const ofLeaving = readingsOf(leaving, liveByKey, now);
    if (ofPeers.length + ofLeaving.length === 0) return [];
    const day = dayOf(now);
    const owners = new Set([...ofPeers, ...ofLeaving].flatMap(({ userId }) => userId ?? []));
    const entitled = await this.subscriptions.entitledAmong([...owners]);
    const used = new Map([
      ...(ofPeers.length === 0 ? [] : await this.repository.countPeers(serverId, day, time, ofPeers, entitled)),
      ...(ofLeaving.length === 0 ? [] : await this.repository.countLeaving(serverId, day, time, ofLeaving, entitled)),
    ]);
    return [...entitled]
      .filter(([, entitlement]) => isExhausted(entitlement, used.get(entitlement.subscriptionId) ?? 0))
      .map(([userId]) => userId);
  }

  /**
   * Counts what these keys have moved, for the last time before their server is told to drop them. A server whose answer cannot
   * be read is told all the same: that access ends matters more than a few bytes.
   * @throws DomainError server_unavailable
   */
  async countBeforeRemoval(serverId: number, provider: WireGuardProvider, counted: Counted): Promise<LastReading> {
    try {
      const snapshot = await this.read(serverId, provider);
      await this.count(snapshot, counted);
      return { serverId, endedAt: snapshot.time.ended };
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'server_refused') throw error;
      return { serverId, endedAt: await this.desired.nextReading() };
    }
  }

  /** Notes that a server was told to drop these peers: when they are put there again, it counts them from nothing. */
  dropped(peers: readonly Pick<DesiredRow, 'publicKey'>[], { serverId, endedAt }: LastReading): Promise<void> {
    return this.repository.begunAnew(
      serverId,
      peers.map(({ publicKey }) => publicKey),
      endedAt,
    );
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

interface CountedKey extends Counter {
  readonly publicKey: string;
  readonly userId: number | null;
  /** Undefined: nobody wants to know. */
  readonly lastHandshakeAt?: Date | null;
}

/** What is new of these keys. What is not there is counted from nothing when it is there again. */
function readingsOf(
  keys: readonly CountedKey[],
  liveByKey: ReadonlyMap<string, LivePeer>,
  now: Date,
): readonly (Reading & Pick<CountedKey, 'userId'>)[] {
  return keys.flatMap(({ publicKey, userId, receivedSeen, sentSeen, lastHandshakeAt: known }) => {
    const { receivedBytes, sentBytes, ...live } = liveByKey.get(publicKey) ?? NOTHING_COUNTED;
    const lastHandshakeAt = plausibleHandshake(live.lastHandshakeAt, now);
    const hasShaken = known !== undefined && lastHandshakeAt !== null && lastHandshakeAt.getTime() !== known?.getTime();
    if (receivedBytes === receivedSeen && sentBytes === sentSeen && !hasShaken) return [];
    return [{ publicKey, userId, receivedBytes, sentBytes, lastHandshakeAt }];
  });
}
