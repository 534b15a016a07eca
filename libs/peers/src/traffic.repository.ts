import { Injectable } from '@nestjs/common';
import { type Listing, type Page } from '#kernel';
import { PreparedQueries, UnitOfWork } from '#platform';
import { type Entitlement } from '#subscriptions';

/** When a server was asked, in the one order of all readings: a number taken before it was, and one taken after it had answered. */
export interface ReadingTime {
  readonly began: number;
  readonly ended: number;
}

/** What a server says of a key that has moved something since it was last asked. */
export interface Reading {
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

/** The server, the day (UTC), when it was asked, what it said, and the running periods by owner. */
type CountArguments = readonly [
  serverId: number,
  day: string,
  time: ReadingTime,
  readings: readonly Reading[],
  periods: ReadonlyMap<number, Counted>,
];
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
   * Adds what a server counted for its peers since the last time, in one statement: to the peers, to the day, and to the running
   * period of each owner who has one. A counter that is smaller than it was has begun anew (the interface or wg-easy restarted).
   * A reading that did not begin after the last one that counted had ended counts nothing: which of the two is the newer, nobody
   * knows. Answers what the periods that grew amount to, by subscription.
   */
  countPeers(...reading: CountArguments): Promise<ReadonlyMap<number, number>> {
    return this.count(COUNT_PEERS, reading);
  }

  /** The same for keys that are to leave. */
  countLeaving(...reading: CountArguments): Promise<ReadonlyMap<number, number>> {
    return this.count(COUNT_LEAVING, reading);
  }

  private async count(
    text: string,
    [serverId, day, { began, ended }, readings, periods]: CountArguments,
  ): Promise<ReadonlyMap<number, number>> {
    const rows = await this.uow.manager.query<{ id: number; bytes: string }[]>(text, [
      serverId,
      day,
      readings.map(({ publicKey }) => publicKey),
      readings.map(({ receivedBytes }) => receivedBytes),
      readings.map(({ sentBytes }) => sentBytes),
      readings.map(({ lastHandshakeAt }) => lastHandshakeAt),
      [...periods.keys()],
      [...periods.values()].map(({ subscriptionId }) => subscriptionId),
      [...periods.values()].map(({ period }) => period.startedAt),
      began,
      ended,
    ]);
    return new Map(rows.map(({ id, bytes }) => [id, Number(bytes)]));
  }

  /**
   * Notes that a server has begun to count these keys from nothing, because it was told to drop them. `readAt` is the number at
   * which they were last read before that: if somebody has read them since, that reading stands.
   */
  async begunAnew(serverId: number, publicKeys: readonly string[], readAt: number): Promise<void> {
    if (publicKeys.length === 0) return;
    await this.uow.manager.query(BEGUN_ANEW, [serverId, publicKeys, readAt]);
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

const LIVE = 'unnest($3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[]) AS live (key, rx, tx, handshake)';

/** What has passed since the row's last reading, and what is to be noted as its last reading. */
const stepOf = (row: string): string => `
  live.rx AS rx_seen, live.tx AS tx_seen, live.handshake,
  CASE WHEN live.rx >= ${row}.rx_seen THEN live.rx - ${row}.rx_seen ELSE live.rx END AS rx,
  CASE WHEN live.tx >= ${row}.tx_seen THEN live.tx - ${row}.tx_seen ELSE live.tx END AS tx`;

/** Adds the rows of `moved` up: by day, and by the running period of each owner. A period is written by the sweeps of all servers. */
const ADD_UP = `
  used AS (
    SELECT user_id, sum(rx) AS rx, sum(tx) AS tx FROM moved GROUP BY user_id HAVING sum(rx) + sum(tx) > 0
  ), days AS (
    INSERT INTO vpn_traffic_days AS known (day, server_id, user_id, rx_bytes, tx_bytes)
    SELECT $2::date, $1, user_id, rx, tx FROM used ORDER BY user_id
    ON CONFLICT (day, server_id, user_id) DO UPDATE SET
      rx_bytes = known.rx_bytes + EXCLUDED.rx_bytes, tx_bytes = known.tx_bytes + EXCLUDED.tx_bytes
  ), periods AS (
    INSERT INTO vpn_traffic_periods AS known (subscription_id, started_at, bytes)
    SELECT running.subscription_id, running.started_at, used.rx + used.tx
    FROM unnest($7::int[], $8::int[], $9::timestamptz[]) AS running (user_id, subscription_id, started_at)
    JOIN used ON used.user_id = running.user_id
    ORDER BY running.subscription_id
    ON CONFLICT (subscription_id, started_at) DO UPDATE SET bytes = known.bytes + EXCLUDED.bytes
    RETURNING subscription_id, bytes
  )
  SELECT subscription_id AS id, bytes FROM periods`;

/** Rows are locked in the order of their ids, as whoever else writes several of them does. */
const COUNT_PEERS = `
  WITH steps AS (
    SELECT q.id, ${stepOf('q')}
    FROM ${LIVE} JOIN vpn_peers q ON q.server_id = $1 AND q.wg_public_key = live.key AND q.read_seq < $10::bigint
    ORDER BY q.id
    FOR NO KEY UPDATE OF q
  ), moved AS (
    UPDATE vpn_peers p SET
      rx_bytes = p.rx_bytes + step.rx, tx_bytes = p.tx_bytes + step.tx, rx_seen = step.rx_seen, tx_seen = step.tx_seen,
      read_seq = $11::bigint,
      last_handshake_at = COALESCE(step.handshake, p.last_handshake_at)
    FROM steps step
    WHERE p.id = step.id
    RETURNING p.user_id, step.rx, step.tx
  ), ${ADD_UP}`;

/** A key that is noted twice is counted once, by the older note; whose peer is still there adds to its totals. */
const COUNT_LEAVING = `
  WITH steps AS (
    SELECT l.id, l.peer_id, l.user_id, ${stepOf('l')}
    FROM ${LIVE} JOIN vpn_peer_leftovers l ON l.server_id = $1 AND l.public_key = live.key AND l.read_seq < $10::bigint
    JOIN users owner ON owner.id = l.user_id
    WHERE NOT EXISTS (
      SELECT 1 FROM vpn_peer_leftovers o WHERE o.server_id = $1 AND o.public_key = l.public_key AND o.id < l.id)
    ORDER BY l.id
    FOR NO KEY UPDATE OF l
  ), moved AS (
    UPDATE vpn_peer_leftovers l SET rx_seen = step.rx_seen, tx_seen = step.tx_seen, read_seq = $11::bigint
    FROM steps step
    WHERE l.id = step.id
    RETURNING step.peer_id, step.user_id, step.rx, step.tx
  ), parted AS (
    SELECT p.id FROM vpn_peers p WHERE p.id IN (SELECT peer_id FROM steps) ORDER BY p.id FOR NO KEY UPDATE
  ), totals AS (
    UPDATE vpn_peers p SET rx_bytes = p.rx_bytes + part.rx, tx_bytes = p.tx_bytes + part.tx
    FROM (SELECT peer_id, sum(rx) AS rx, sum(tx) AS tx FROM moved GROUP BY peer_id) AS part
    JOIN parted ON parted.id = part.peer_id
    WHERE p.id = parted.id
  ), ${ADD_UP}`;

const BEGUN_ANEW = `
  UPDATE vpn_peers SET rx_seen = 0, tx_seen = 0, read_seq = nextval('vpn_reading_seq')
  WHERE id IN (
    SELECT id FROM vpn_peers WHERE server_id = $1 AND wg_public_key = ANY($2) AND read_seq <= $3::bigint
    ORDER BY id FOR NO KEY UPDATE)`;

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
