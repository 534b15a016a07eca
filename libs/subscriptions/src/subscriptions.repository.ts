import { Injectable } from '@nestjs/common';
import { type Money } from '#kernel';
import { UnitOfWork } from '#platform';
import { GRANTING_STATES } from './subscription.rules.js';
import { type Subscription, type SubscriptionSource, type SubscriptionState } from './subscription.js';
import { UserTariffEntity } from './user-tariff.entity.js';

export interface NewSubscription {
  readonly userId: number;
  readonly tariffId: number;
  readonly source: SubscriptionSource;
  readonly state: SubscriptionState;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

interface SubscriptionRow {
  id: number;
  user_id: number;
  started_at: Date;
  ended_at: Date | null;
  access_until: Date | null;
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

const OF_USER = `
  SELECT s.id, s.user_id, s.started_at, s.ended_at, s.access_until, s.state, s.source, s.auto_renewing, s.is_trial,
         t.id AS tariff_id, t.name AS tariff_name, t.duration_days, t.price, t.rank, t.device_limit, t.traffic_limit_gb
  FROM user_tariffs s
  JOIN tariffs t ON t.id = s.tariff_id
  WHERE s.user_id = $1
  ORDER BY s.id`;

/** `grantsAccess` of `subscription.rules.ts`, in SQL, for many users at once. */
const ENTITLED_AMONG = `
  SELECT DISTINCT s.user_id
  FROM user_tariffs s
  JOIN users u ON u.id = s.user_id
  WHERE s.user_id = ANY($1) AND u.status = 'active'
    AND s.state = ANY($2) AND s.started_at <= $3 AND (s.access_until IS NULL OR $3 < s.access_until)`;

@Injectable()
export class SubscriptionsRepository {
  constructor(private readonly uow: UnitOfWork) {}

  /** All a user ever had, by id. */
  async ofUser(userId: number): Promise<readonly Subscription[]> {
    const rows = await this.uow.manager.query<SubscriptionRow[]>(OF_USER, [userId]);
    return rows.map(toSubscription);
  }

  /** Of these users, those who are active and have access at an instant. */
  async entitledAmong(userIds: readonly number[], at: Date): Promise<ReadonlySet<number>> {
    const rows = await this.uow.manager.query<{ user_id: number }[]>(ENTITLED_AMONG, [userIds, GRANTING_STATES, at]);
    return new Set(rows.map((row) => row.user_id));
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
}

function toSubscription(row: SubscriptionRow): Subscription {
  return {
    id: row.id,
    userId: row.user_id,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    accessUntil: row.access_until,
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
