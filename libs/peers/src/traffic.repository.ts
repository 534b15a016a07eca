import { Injectable } from '@nestjs/common';
import { type Listing, type Page } from '#kernel';
import { PreparedQueries, UnitOfWork } from '#platform';
import { type Entitlement } from '#subscriptions';

/** What a server says of a peer that has moved something since it was last asked. */
export interface Reading {
  readonly peerId: number;
  readonly publicKey: string;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly lastHandshakeAt: Date | null;
}

/** Which days (UTC, `2026-11-22`, both included) of whom and where. */
export interface TrafficFilter {
  readonly from: string;
  readonly to: string;
  readonly userId?: number | undefined;
  readonly serverId?: number | undefined;
}

/** What passed on a day. */
export interface TrafficDay {
  readonly day: string;
  /** From devices. */
  readonly receivedBytes: number;
  /** To devices. */
  readonly sentBytes: number;
}

type Counted = Pick<Entitlement, 'subscriptionId' | 'period'>;

interface DayRow {
  day: string;
  rx_bytes: string;
  tx_bytes: string;
}

/** What peers have moved: by peer, by user, server and day, and by period of a subscription. */
@Injectable()
export class TrafficRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly queries: PreparedQueries,
  ) {}

  /**
   * Adds what a server counted since the last time, in one statement: to the peers, to the day, and to the running period of each
   * owner who has one. A counter that is smaller than it was has begun anew (the interface or wg-easy restarted, the peer was put
   * again). Answers what the periods that grew amount to, by subscription.
   */
  async count(
    serverId: number,
    day: string,
    readings: readonly Reading[],
    periods: ReadonlyMap<number, Counted>,
  ): Promise<ReadonlyMap<number, number>> {
    const rows = await this.uow.manager.query<{ id: number; bytes: string }[]>(COUNT, [
      serverId,
      day,
      readings.map(({ peerId }) => peerId),
      readings.map(({ receivedBytes }) => receivedBytes),
      readings.map(({ sentBytes }) => sentBytes),
      readings.map(({ lastHandshakeAt }) => lastHandshakeAt),
      readings.map(({ publicKey }) => publicKey),
      [...periods.keys()],
      [...periods.values()].map(({ subscriptionId }) => subscriptionId),
      [...periods.values()].map(({ period }) => period.startedAt),
    ]);
    return new Map(rows.map(({ id, bytes }) => [id, Number(bytes)]));
  }

  /** The bytes used in these periods, by subscription; none where nothing was. */
  async usedIn(periods: readonly Counted[]): Promise<ReadonlyMap<number, number>> {
    if (periods.length === 0) return new Map();
    const rows = await this.uow.manager.query<{ id: number; bytes: string }[]>(USED, [
      periods.map(({ subscriptionId }) => subscriptionId),
      periods.map(({ period }) => period.startedAt),
    ]);
    return new Map(rows.map(({ id, bytes }) => [id, Number(bytes)]));
  }

  /** A page of days on which something passed, oldest first. */
  async days({ from, to, userId, serverId }: TrafficFilter, page: Page): Promise<Listing<TrafficDay>> {
    const [list, count] = DAYS[`${userId === undefined ? '' : 'user'}${serverId === undefined ? '' : 'server'}`];
    const values = [from, to, userId, serverId].filter((value) => value !== undefined);
    const { items, total } = await this.queries.page<DayRow>(list, count, values, page);
    return { items: items.map(toDay), total };
  }
}

/**
 * Rows are locked in the order of their ids, as whoever else writes several of them does; a period is written by the sweeps of all
 * servers its owner has peers on.
 */
const COUNT = `
  WITH steps AS (
    SELECT q.id, live.rx AS rx_seen, live.tx AS tx_seen, live.handshake,
      CASE WHEN live.rx >= q.rx_seen THEN live.rx - q.rx_seen ELSE live.rx END AS rx,
      CASE WHEN live.tx >= q.tx_seen THEN live.tx - q.tx_seen ELSE live.tx END AS tx
    FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::timestamptz[], $7::text[]) AS live (id, rx, tx, handshake, key)
    JOIN vpn_peers q ON q.id = live.id AND q.server_id = $1 AND q.wg_public_key = live.key
    ORDER BY q.id
    FOR NO KEY UPDATE OF q
  ), moved AS (
    UPDATE vpn_peers p SET
      rx_bytes = p.rx_bytes + step.rx, tx_bytes = p.tx_bytes + step.tx, rx_seen = step.rx_seen, tx_seen = step.tx_seen,
      last_handshake_at = GREATEST(p.last_handshake_at, step.handshake)
    FROM steps step
    WHERE p.id = step.id
    RETURNING p.user_id, step.rx, step.tx
  ), used AS (
    SELECT user_id, sum(rx) AS rx, sum(tx) AS tx FROM moved GROUP BY user_id HAVING sum(rx) + sum(tx) > 0
  ), days AS (
    INSERT INTO vpn_traffic_days AS known (day, server_id, user_id, rx_bytes, tx_bytes)
    SELECT $2::date, $1, user_id, rx, tx FROM used
    ON CONFLICT (day, server_id, user_id) DO UPDATE SET
      rx_bytes = known.rx_bytes + EXCLUDED.rx_bytes, tx_bytes = known.tx_bytes + EXCLUDED.tx_bytes
  ), periods AS (
    INSERT INTO vpn_traffic_periods AS known (subscription_id, started_at, bytes)
    SELECT running.subscription_id, running.started_at, used.rx + used.tx
    FROM unnest($8::int[], $9::int[], $10::timestamptz[]) AS running (user_id, subscription_id, started_at)
    JOIN used ON used.user_id = running.user_id
    ORDER BY running.subscription_id
    ON CONFLICT (subscription_id, started_at) DO UPDATE SET bytes = known.bytes + EXCLUDED.bytes
    RETURNING subscription_id, bytes
  )
  SELECT subscription_id AS id, bytes FROM periods`;

const USED = `
  SELECT used.subscription_id AS id, used.bytes
  FROM unnest($1::int[], $2::timestamptz[]) AS asked (subscription_id, started_at)
  JOIN vpn_traffic_periods used
    ON used.subscription_id = asked.subscription_id AND used.started_at = asked.started_at`;

/** Each choice of filters is a statement of its own, because each has an index of its own. */
const DAYS = {
  '': daysOf('traffic_days', ''),
  user: daysOf('traffic_days_of_user', 'AND user_id = $3'),
  server: daysOf('traffic_days_of_server', 'AND server_id = $3'),
  userserver: daysOf('traffic_days_of_user_on_server', 'AND user_id = $3 AND server_id = $4'),
};

function daysOf(name: string, condition: string) {
  const from = `FROM vpn_traffic_days WHERE day BETWEEN $1 AND $2 ${condition}`;
  const next = 3 + (condition.match(/\$/g) ?? []).length;
  return [
    {
      name,
      text: `SELECT day::text, sum(rx_bytes) AS rx_bytes, sum(tx_bytes) AS tx_bytes ${from}
        GROUP BY vpn_traffic_days.day ORDER BY vpn_traffic_days.day LIMIT $${next} OFFSET $${next + 1}`,
    },
    { name: `${name}_count`, text: `SELECT count(DISTINCT day)::int AS total ${from}` },
  ] as const;
}

function toDay({ day, rx_bytes, tx_bytes }: DayRow): TrafficDay {
  return { day, receivedBytes: Number(rx_bytes), sentBytes: Number(tx_bytes) };
}
