import { Injectable } from '@nestjs/common';
import { Clock, type Money } from '#kernel';
import { UnitOfWork } from '#platform';
import { CLOCK_TOLERANCE_SECONDS, GRANTING_STATES, type Remainder } from './subscription.rules.js';
import { type Subscription, type SubscriptionSource, type SubscriptionState } from './subscription.js';
import { SubscriptionHistoryEntity } from './subscription-history.entity.js';
import { UserTariffEntity } from './user-tariff.entity.js';

export interface NewSubscription {
  readonly userId: number;
  readonly tariffId: number;
  readonly source: SubscriptionSource;
  readonly state: SubscriptionState;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

/** A subscription of a store, as its purchase stands. */
export interface StoreStanding {
  readonly source: 'apple' | 'google';
  readonly tariffId: number;
  readonly state: SubscriptionState;
  readonly startedAt: Date;
  /** When the period that is paid for began: traffic is counted from there. */
  readonly periodStartedAt: Date | null;
  readonly nextPeriodAt: Date | null;
  readonly endedAt: Date | null;
  /** Until when it grants access, if its state does: the end, or later by grace. Null = for life. */
  readonly accessUntil: Date | null;
  readonly graceUntil: Date | null;
  readonly autoRenewing: boolean;
  readonly isTrial: boolean;
  readonly cancelledAt: Date | null;
  /** What it will be from the next renewal on. */
  readonly pendingTariffId: number | null;
  /** Why it ended, in a word of the store's. */
  readonly endedReason: string | null;
}

/** The row that follows a purchase, as far as its next change asks for it. */
export interface FollowingRow extends StoreStanding {
  readonly id: number;
  readonly userId: number;
}

/** What changed, for the history. */
export interface HistoryEntry {
  readonly subscriptionId: number;
  readonly fromState: SubscriptionState | null;
  readonly toState: SubscriptionState;
  readonly tariffId: number;
  readonly accessUntil: Date | null;
  /** What moved it, such as `apple:DID_RENEW` or `clock`. */
  readonly cause: string;
}

interface SubscriptionRow {
  id: number;
  user_id: number;
  started_at: Date;
  ended_at: Date | null;
  access_until: Date | null;
  period_started_at: Date | null;
  next_period_at: Date | null;
  state: SubscriptionState;
  source: SubscriptionSource;
  auto_renewing: boolean;
  is_trial: boolean;
  tariff_id: number;
  tariff_name: string;
  duration_days: number;
  price: Money;
  rank: number;
  device_limit: number | null;
  traffic_limit_gb: number | null;
}

const SELECT = `
  SELECT s.id, s.user_id, s.started_at, s.ended_at, s.access_until, s.period_started_at, s.next_period_at, s.state, s.source,
         s.auto_renewing, s.is_trial, t.id AS tariff_id, t.name AS tariff_name, t.duration_days, t.price, t.rank,
         t.device_limit, t.traffic_limit_gb
  FROM user_tariffs s
  JOIN tariffs t ON t.id = s.tariff_id`;

const OF_USER = `${SELECT} WHERE s.user_id = $1 ORDER BY s.id`;

const TOLERANCE = `interval '${CLOCK_TOLERANCE_SECONDS} seconds'`;

/** `grantsAccess` of `subscription.rules.ts`, in SQL, for many users at once. */
const GRANTING_AMONG = `${SELECT}
  JOIN users u ON u.id = s.user_id
  WHERE s.user_id = ANY($1) AND u.status = 'active'
    AND s.state = ANY($2) AND s.started_at <= $3::timestamptz + ${TOLERANCE} AND (s.access_until IS NULL OR $3 < s.access_until)`;

@Injectable()
export class SubscriptionsRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly clock: Clock,
  ) {}

  /** All a user ever had, by id. */
  async ofUser(userId: number): Promise<readonly Subscription[]> {
    const rows = await this.uow.manager.query<SubscriptionRow[]>(OF_USER, [userId]);
    return rows.map(toSubscription);
  }

  /** What grants access to these users at an instant, of those who are active. */
  async grantingAmong(userIds: readonly number[], at: Date): Promise<readonly Subscription[]> {
    const rows = await this.uow.manager.query<SubscriptionRow[]>(GRANTING_AMONG, [userIds, GRANTING_STATES, at]);
    return rows.map(toSubscription);
  }

  /** How many pairs of user and tariff have more than one subscription running that people gave. */
  async countDoubled(at: Date): Promise<number> {
    const [row] = await this.uow.manager.query<{ total: number }[]>(
      `SELECT count(*)::int AS total FROM (
         SELECT 1 FROM user_tariffs
         WHERE source IN ('admin', 'manual', 'promo') AND state = ANY($1)
           AND started_at <= $2::timestamptz + ${TOLERANCE} AND (access_until IS NULL OR $2 < access_until)
         GROUP BY user_id, tariff_id HAVING count(*) > 1) AS doubled`,
      [GRANTING_STATES, at],
    );
    return row?.total ?? 0;
  }

  /** Returns the new id. */
  async insert(subscription: NewSubscription): Promise<number> {
    const rows = this.uow.repository(UserTariffEntity);
    const saved = await rows.save(rows.create({ ...subscription, accessUntil: subscription.endedAt }));
    return saved.id;
  }

  async moveEnd(id: number, endedAt: Date | null): Promise<void> {
    await this.uow.repository(UserTariffEntity).update({ id }, { endedAt, accessUntil: endedAt });
  }

  /** The row that follows a purchase; null while there is none. */
  async ofPurchase(purchaseId: number): Promise<FollowingRow | null> {
    const row = await this.uow.repository(UserTariffEntity).findOneBy({ storePurchaseId: purchaseId });
    if (row === null) return null;
    const { source } = row;
    if (source !== 'apple' && source !== 'google') throw new Error(`Subscription ${row.id} is no store's`);
    return {
      id: row.id,
      userId: row.userId,
      source,
      tariffId: row.tariffId,
      state: row.state,
      startedAt: row.startedAt,
      periodStartedAt: row.periodStartedAt,
      nextPeriodAt: row.nextPeriodAt,
      endedAt: row.endedAt,
      accessUntil: row.accessUntil,
      graceUntil: row.graceUntil,
      autoRenewing: row.autoRenewing,
      isTrial: row.isTrial,
      cancelledAt: row.cancelledAt,
      pendingTariffId: row.pendingTariffId,
      endedReason: row.endedReason,
    };
  }

  /** Writes the row that follows a purchase; returns its id. */
  async follow(id: number | null, userId: number, purchaseId: number, standing: StoreStanding): Promise<number> {
    const rows = this.uow.repository(UserTariffEntity);
    if (id === null) {
      const saved = await rows.save(rows.create({ ...standing, userId, storePurchaseId: purchaseId }));
      return saved.id;
    }
    await rows.update({ id }, { ...standing, userId });
    return id;
  }

  async remember(entries: readonly HistoryEntry[]): Promise<void> {
    const at = this.clock.now();
    await this.uow.repository(SubscriptionHistoryEntity).insert(entries.map((entry) => ({ ...entry, at })));
  }

  /** Leaves of a subscription what is left of it. */
  async cutTo(id: number, { state, endedAt }: Remainder): Promise<void> {
    await this.uow.repository(UserTariffEntity).update({ id }, { state, endedAt, accessUntil: endedAt });
  }
}

function toSubscription(row: SubscriptionRow): Subscription {
  return {
    id: row.id,
    userId: row.user_id,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    accessUntil: row.access_until,
    periodStartedAt: row.period_started_at,
    nextPeriodAt: row.next_period_at,
    state: row.state,
    source: row.source,
    autoRenewing: row.auto_renewing,
    isTrial: row.is_trial,
    tariff: {
      id: row.tariff_id,
      name: row.tariff_name,
      durationDays: row.duration_days,
      price: row.price,
      rank: row.rank,
      deviceLimit: row.device_limit,
      trafficLimitGb: row.traffic_limit_gb,
    },
  };
}
