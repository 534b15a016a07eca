import { Injectable } from '@nestjs/common';
import { addSeconds, Clock } from '#kernel';
import { SecretBox, UnitOfWork, UnreadableSecretError } from '#platform';
import { Addresses, COOL_DOWN_SECONDS, type PeerMaterial } from '#wireguard';
import { type Counter } from './counter.js';
import { networksOf } from './peer.js';
import { PeerLeftoverEntity } from './peer-leftover.entity.js';
import { type DesiredPeer } from './reconciliation.rules.js';
import { VpnPeerEntity } from './vpn-peer.entity.js';

/** A row, as its server is to be told of it. */
export interface DesiredRow extends DesiredPeer, Counter {
  readonly userId: number;
  readonly remoteId: string | null;
  /** Which change of the row this is. */
  readonly generation: number;
  readonly lastHandshakeAt: Date | null;
}

/** A key that is to leave a server. */
export interface Leftover extends Counter {
  readonly id: number;
  readonly publicKey: string;
  readonly remoteId: string | null;
  /** Whose traffic passes until it has left; null: nobody's that is known. */
  readonly userId: number | null;
  /** False while its peer, which moved, has not arrived where it went (make before break). */
  readonly isDue: boolean;
}

/** What is to be watched of one server. */
export interface ServerFigures {
  readonly serverId: number;
  readonly pending: number;
  readonly active: number;
  readonly suspended: number;
  readonly unapplied: number;
  /** How many its server cannot be told of, each for a reason of its own. */
  readonly faulty: number;
  readonly leftovers: number;
  /** How many of its peers were made since a given time. */
  readonly recent: number;
  /** How many addresses it has for peers. */
  readonly addresses: number;
  readonly failures: number;
  readonly strangers: number;
  readonly heldRemovals: number | null;
  /** Null when it never was. */
  readonly sweptSecondsAgo: number | null;
}

interface Row {
  id: number;
  user_id: number;
  wg_public_key: string;
  wg_ip: string;
  wg_ip6: string | null;
  wanted: boolean;
  wg_client_id: string | null;
  has_preshared_key: boolean;
  desired_gen: number;
  rx_seen: string;
  tx_seen: string;
  read_seq: string;
  last_handshake_at: Date | null;
}

interface LeftoverRow {
  id: number;
  public_key: string;
  wg_client_id: string | null;
  user_id: number | null;
  is_due: boolean;
  rx_seen: string;
  tx_seen: string;
  read_seq: string;
}

const COLUMNS = `id, user_id, wg_public_key, host(wg_ip) AS wg_ip, host(wg_ip6) AS wg_ip6, status IN ('pending', 'active') AS wanted,
  wg_client_id, wg_preshared_key IS NOT NULL AS has_preshared_key, desired_gen, rx_seen, tx_seen, read_seq, last_handshake_at`;

/**
 * What servers are to hold, and which of it they do. Every change of a row counts up `desired_gen`; `applied_gen` is set to the
 * generation that a server was told. So a change that comes while a server is being told is never taken for done.
 */
@Injectable()
export class DesiredPeersRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly addresses: Addresses,
    private readonly box: SecretBox,
    private readonly clock: Clock,
  ) {}

  /** All rows of a server. */
  async ofServer(serverId: number): Promise<readonly DesiredRow[]> {
    return (await this.query(`SELECT ${COLUMNS} FROM vpn_peers WHERE server_id = $1`, [serverId])).map(toDesired);
  }

  /** The row of one peer; none when it is gone. */
  async ofPeer(id: number): Promise<readonly DesiredRow[]> {
    return (await this.query(`SELECT ${COLUMNS} FROM vpn_peers WHERE id = $1`, [id])).map(toDesired);
  }

  /**
   * The rows of a server that it was not told of in their latest form, oldest first, without those that it could not be told of in
   * that form.
   */
  async unapplied(serverId: number, limit: number): Promise<readonly DesiredRow[]> {
    return (await this.query(UNAPPLIED, [serverId, limit])).map(toDesired);
  }

  /** Servers that we apply to and that have something to be told. */
  async serversWithWork(): Promise<readonly number[]> {
    const rows = await this.uow.manager.query<{ id: number }[]>(WORK);
    return rows.map(({ id }) => id);
  }

  /** How many peers are suspended and may still be on a server that we apply to. */
  async unsuspended(): Promise<number> {
    const [row] = await this.uow.manager.query<{ count: number }[]>(
      `SELECT count(*)::int AS count FROM vpn_peers p JOIN vpn_servers s ON s.id = p.server_id
       WHERE p.applied_gen <> p.desired_gen AND p.status = 'suspended' AND s.applies AND s.status <> 'disabled'`,
    );
    return row?.count ?? 0;
  }

  /** The preshared keys of those peers that have one; null where no key of ours opens it. */
  async presharedKeys(ids: readonly number[]): Promise<ReadonlyMap<number, string | null>> {
    const rows = await this.uow.manager.query<{ id: number; sealed: string }[]>(
      `SELECT id, wg_preshared_key AS sealed FROM vpn_peers WHERE id = ANY($1) AND wg_preshared_key IS NOT NULL`,
      [ids],
    );
    return new Map(rows.map(({ id, sealed }) => [id, this.read(sealed)]));
  }

  /** Notes why a server cannot be told of these peers, each by itself. */
  async markFaulty(faults: ReadonlyMap<number, string>): Promise<void> {
    if (faults.size === 0) return;
    await this.uow.manager.query(
      `UPDATE vpn_peers p SET fault = found.fault FROM unnest($1::int[], $2::text[]) AS found (id, fault)
       WHERE p.id = found.id AND p.fault IS DISTINCT FROM found.fault`,
      [[...faults.keys()], [...faults.values()].map((fault) => fault.slice(0, 32))],
    );
  }

  /**
   * Notes that a server holds these rows in the form that was read. A row that changed meanwhile is marked as not applied, whatever
   * somebody else told the server in between: which of the two came last there, nobody knows.
   */
  async markApplied(rows: readonly Pick<DesiredRow, 'id' | 'generation'>[]): Promise<void> {
    if (rows.length === 0) return;
    await this.uow.manager.query(
      `UPDATE vpn_peers p SET
         applied_gen = CASE WHEN p.desired_gen = told.gen THEN told.gen ELSE p.desired_gen - 1 END,
         status = CASE WHEN p.desired_gen = told.gen AND p.status = 'pending' THEN 'active' ELSE p.status END,
         fault = NULL
       FROM unnest($1::int[], $2::int[]) AS told (id, gen)
       WHERE p.id = told.id AND (p.desired_gen <> told.gen OR p.applied_gen <> told.gen OR p.status = 'pending'
         OR p.fault IS NOT NULL)`,
      [rows.map(({ id }) => id), rows.map(({ generation }) => generation)],
    );
  }

  /** Where an operator applies the export, wanted is as good as there; so it is on a server that we have stopped applying to. */
  async settleWhereNobodyApplies(): Promise<void> {
    await this.uow.manager.query(SETTLE, [SETTLED_AT_ONCE]);
    const rest = addSeconds(this.clock.now(), COOL_DOWN_SECONDS);
    await this.uow.manager.query(
      `WITH gone AS (
         DELETE FROM vpn_peer_leftovers l USING vpn_servers s WHERE s.id = l.server_id AND NOT s.applies
         RETURNING l.server_id, l.address)
       UPDATE vpn_server_addresses a SET free_at = $1 FROM gone
       WHERE a.server_id = gone.server_id AND a.address = gone.address`,
      [rest],
    );
  }

  /** Those of these peers that are on this server with this key no more. */
  async vanished(serverId: number, rows: readonly DesiredRow[]): Promise<readonly DesiredRow[]> {
    if (rows.length === 0) return [];
    const left = await this.uow.manager.query<{ id: number }[]>(
      `SELECT told.id FROM unnest($2::int[], $3::text[]) AS told (id, key)
       WHERE NOT EXISTS (
         SELECT 1 FROM vpn_peers p WHERE p.id = told.id AND p.server_id = $1 AND p.wg_public_key = told.key)`,
      [serverId, rows.map(({ id }) => id), rows.map(({ publicKey }) => publicKey)],
    );
    const ids = new Set(left.map(({ id }) => id));
    return rows.filter(({ id }) => ids.has(id));
  }

  /**
   * Notes that a peer's key must leave its server, before the peer is deleted, moved or gets another key; `address` is given back
   * when it has. The peer is locked until the transaction ends, so that no reading counts for it and for the leftover.
   */
  async leave(peerId: number, address: string | null): Promise<void> {
    this.uow.assertOpen();
    await this.uow.manager.query(LEAVE, [peerId, address, this.clock.now()]);
  }

  /** Notes a key that a server has made for a peer that was not written. */
  async leaveUnwritten(serverId: number, key: Pick<Leftover, 'publicKey' | 'remoteId'>): Promise<void> {
    await this.uow.repository(PeerLeftoverEntity).insert({ serverId, ...key, createdAt: this.clock.now() });
  }

  /**
   * Keys that are to leave a server, oldest first. Due is each whose peer is gone, or has arrived where it went, or went there half
   * a minute ago (make before break). A key that a peer has there again stays.
   */
  async leftovers(serverId: number): Promise<readonly Leftover[]> {
    const movedBefore = new Date(this.clock.now().getTime() - MOVE_MS);
    const rows = await this.uow.manager.query<LeftoverRow[]>(LEFTOVERS, [serverId, movedBefore]);
    return rows.map(toLeftover);
  }

  /** Those that are due, so many at most. */
  async dueLeftovers(serverId: number, limit: number): Promise<readonly Leftover[]> {
    const movedBefore = new Date(this.clock.now().getTime() - MOVE_MS);
    const rows = await this.uow.manager.query<LeftoverRow[]>(DUE_LEFTOVERS, [serverId, movedBefore, limit]);
    return rows.map(toLeftover);
  }

  /** Forgets that keys are to leave, because they have, and remembers them: they were ours. Answers which addresses they had. */
  async forgetLeftovers(ids: readonly number[]): Promise<readonly string[]> {
    if (ids.length === 0) return [];
    const rows = await this.uow.manager.query<{ address: string | null }[]>(
      `WITH gone AS (DELETE FROM vpn_peer_leftovers WHERE id = ANY($1) RETURNING public_key, server_id, host(address) AS address
       ), remembered AS (
         INSERT INTO vpn_departed_keys (public_key, server_id, left_at) SELECT DISTINCT public_key, server_id, $2::timestamptz FROM gone ORDER BY 1, 2
         ON CONFLICT (public_key, server_id) DO UPDATE SET left_at = EXCLUDED.left_at
       )
       SELECT address FROM gone`,
      [ids, this.clock.now()],
    );
    return rows.flatMap(({ address }) => address ?? []);
  }

  /**
   * Deletes peers whose owner has had no access since before `before`, oldest first, and answers how many. One whose traffic is used
   * up has access, and gets it back. Their addresses are free: at once where nobody is told, otherwise when the key was seen to
   * leave.
   */
  async deleteSuspendedBefore(before: Date, limit: number): Promise<number> {
    const now = this.clock.now();
    const rest = addSeconds(now, COOL_DOWN_SECONDS);
    const [row] = await this.uow.manager.query<{ total: number }[]>(DELETE_SUSPENDED, [before, limit, now, rest]);
    return row?.total ?? 0;
  }

  /**
   * Has a peer have a key on a server, within the transaction that writes it: a key that it has again is no leftover, and the
   * address it left with is given back. Answers the key's counter there. That of a key which is new there begins with nothing, and
   * no reading that began before now counts for it.
   */
  async reclaim(serverId: number, publicKey: string): Promise<Counter> {
    this.uow.assertOpen();
    const [rows] = await this.uow.manager.query<[ReclaimedRow[], number]>(
      `DELETE FROM vpn_peer_leftovers WHERE server_id = $1 AND public_key = $2
       RETURNING host(address) AS address, rx_seen, tx_seen, read_seq`,
      [serverId, publicKey],
    );
    for (const { address } of rows) if (address !== null) await this.addresses.release(serverId, address);
    const [known] = rows;
    if (known !== undefined) return toCounter(known);
    return { receivedSeen: 0, sentSeen: 0, readSequence: await this.nextReading() };
  }

  /** The next number in the order of readings, which is one for all instances. */
  async nextReading(): Promise<number> {
    const [row] = await this.uow.manager.query<{ number: string }[]>(`SELECT nextval('vpn_reading_seq') AS number`);
    return Number(row?.number);
  }

  /** Writes what a server that makes its own keys has made anew for a row: another key, and perhaps another address. */
  async remake(serverId: number, material: PeerMaterial): Promise<void> {
    const { peerId, publicKey, privateKey, presharedKey, remoteId } = material;
    await this.uow.run(async () => {
      const rows = this.uow.repository(VpnPeerEntity);
      const before = await rows.findOneOrFail({ where: { id: peerId }, lock: { mode: 'pessimistic_write' } });
      const counter = await this.reclaim(serverId, publicKey);
      const addresses = await this.follow(serverId, before, material);
      await rows.update(
        { id: peerId },
        {
          publicKey,
          sealedPrivateKey: privateKey === null ? null : this.box.seal(privateKey),
          sealedPresharedKey: presharedKey === null ? null : this.box.seal(presharedKey),
          remoteId,
          ...addresses,
          ...counter,
        },
      );
    });
  }

  /** Writes the addresses that a server which chooses them has for a row now, unless the row has another key by now. */
  async followAddresses(serverId: number, row: DesiredRow, live: Pick<PeerMaterial, 'addresses'>): Promise<void> {
    await this.uow.run(async () => {
      const rows = this.uow.repository(VpnPeerEntity);
      const where = { id: row.id, serverId, publicKey: row.publicKey };
      const before = await rows.findOne({ where, lock: { mode: 'pessimistic_write' } });
      if (before !== null) await rows.update({ id: row.id }, await this.follow(serverId, before, live));
    });
  }

  /**
   * Takes the addresses that a server has chosen, within the caller's transaction. A row that has one of them still is of the past:
   * its client does not live there any more, or the server would not have given the address away. It gives it up, and is told to its
   * server again.
   */
  async claim(serverId: number, chosen: Addressed, peerId: number | null): Promise<void> {
    this.uow.assertOpen();
    const rows = this.uow.repository(VpnPeerEntity);
    const lock = { mode: 'pessimistic_write' } as const;
    const former = await rows.findOne({ where: { serverId, address: chosen.address }, lock });
    if (former !== null && former.id !== peerId) {
      const address = await this.addresses.takeStandIn(serverId, former.id);
      await rows.update({ id: former.id }, { address, address6: null });
      await this.uow.manager.query(
        `UPDATE vpn_peers SET desired_gen = desired_gen + 1, status = CASE WHEN status = 'active' THEN 'pending' ELSE status END
         WHERE id = $1`,
        [former.id],
      );
    }
    if (chosen.address6 !== null) {
      const former6 = await rows.findOne({ where: { serverId, address6: chosen.address6 }, lock });
      if (former6 !== null && former6.id !== peerId) await rows.update({ id: former6.id }, { address6: null });
    }
    await this.addresses.adopt(serverId, chosen.address);
  }

  private async follow(
    serverId: number,
    before: { readonly id: number; readonly address: string },
    live: Pick<PeerMaterial, 'addresses'>,
  ): Promise<Addressed> {
    const chosen = addressesOf(live);
    await this.claim(serverId, chosen, before.id);
    if (before.address !== chosen.address) await this.addresses.release(serverId, before.address);
    return chosen;
  }

  /** The figures of every server; `recent` counts from `since`. */
  figures(since: Date, now: Date): Promise<readonly ServerFigures[]> {
    return this.uow.manager.query<ServerFigures[]>(FIGURES, [since, now]);
  }

  private read(sealed: string): string | null {
    try {
      return this.box.open(sealed);
    } catch (error) {
      if (error instanceof UnreadableSecretError) return null;
      throw error;
    }
  }

  private query(text: string, values: readonly unknown[]): Promise<Row[]> {
    return this.uow.manager.query<Row[]>(text, [...values]);
  }
}

/**
 * Both are asked every second. The planner takes `applied_gen <> desired_gen` for true of nearly every row, whatever the truth, and
 * would read the whole table for the first one. In the order of the partial index, which holds those rows only, and with a limit,
 * it is a look into that index. A range of servers, because one server alone would leave the order to the primary key.
 */
export const WORK = `
  SELECT s.id FROM vpn_servers s
  LEFT JOIN LATERAL (
    SELECT p.server_id FROM vpn_peers p
    WHERE p.server_id BETWEEN s.id AND s.id AND p.applied_gen <> p.desired_gen AND p.fault IS NULL
    ORDER BY p.server_id, p.id LIMIT 1) AS work ON true
  WHERE s.applies AND s.status <> 'disabled'
    AND (work.server_id IS NOT NULL OR EXISTS (SELECT 1 FROM vpn_peer_leftovers l WHERE l.server_id = s.id))
  ORDER BY s.id`;

export const UNAPPLIED = `
  SELECT ${COLUMNS} FROM vpn_peers
  WHERE server_id BETWEEN $1 AND $1 AND applied_gen <> desired_gen AND fault IS NULL
  ORDER BY server_id, id LIMIT $2`;

const SETTLED_AT_ONCE = 1000;
export const SETTLE = `
  UPDATE vpn_peers p SET applied_gen = p.desired_gen,
    status = CASE WHEN p.status = 'pending' THEN 'active' ELSE p.status END
  WHERE p.id = ANY(ARRAY(
    SELECT work.id FROM vpn_servers s CROSS JOIN LATERAL (
      SELECT q.id FROM vpn_peers q WHERE q.server_id BETWEEN s.id AND s.id AND q.applied_gen <> q.desired_gen
      ORDER BY q.server_id, q.id LIMIT $1) AS work
    WHERE NOT s.applies))
    AND p.applied_gen <> p.desired_gen`;

/** How long a moved peer may need to arrive before it leaves, in milliseconds. */
const MOVE_MS = 30_000;

type ReclaimedRow = Pick<Row, 'rx_seen' | 'tx_seen' | 'read_seq'> & { readonly address: string | null };

const LEAVE = `
  WITH leaver AS (
    SELECT server_id, wg_public_key, wg_client_id, user_id, id, rx_seen, tx_seen, read_seq
    FROM vpn_peers WHERE id = $1 FOR UPDATE)
  INSERT INTO vpn_peer_leftovers
    (server_id, public_key, wg_client_id, address, created_at, user_id, peer_id, rx_seen, tx_seen, read_seq)
  SELECT server_id, wg_public_key, wg_client_id, $2, $3, user_id, id, rx_seen, tx_seen, read_seq FROM leaver`;

const LEFTOVERS = `
  SELECT l.id, l.public_key, l.wg_client_id, l.user_id, l.rx_seen, l.tx_seen, l.read_seq,
    NOT EXISTS (SELECT 1 FROM vpn_peers p WHERE p.wg_public_key = l.public_key
      AND (p.server_id = l.server_id OR (p.applied_gen <> p.desired_gen AND l.created_at > $2))) AS is_due
  FROM vpn_peer_leftovers l WHERE l.server_id = $1 ORDER BY l.id`;

const DUE_LEFTOVERS = `SELECT * FROM (${LEFTOVERS}) AS known WHERE is_due LIMIT $3`;

/** What calls to a server found is told of those that are called: what stands of the others is history. */
const FIGURES = `
  SELECT s.id AS "serverId", (2 ^ (32 - masklen(s.subnet)) - 3)::int AS addresses,
    COALESCE(p.pending, 0) AS pending, COALESCE(p.active, 0) AS active, COALESCE(p.suspended, 0) AS suspended,
    COALESCE(p.unapplied, 0) AS unapplied, COALESCE(p.faulty, 0) AS faulty, COALESCE(p.recent, 0) AS recent, COALESCE(l.leftovers, 0) AS leftovers,
    COALESCE(h.failures, 0) AS failures, COALESCE(h.strangers, 0) AS strangers, h.held_removals AS "heldRemovals",
    extract(epoch FROM $2::timestamptz - h.swept_at)::float AS "sweptSecondsAgo"
  FROM vpn_servers s
  LEFT JOIN (
    SELECT server_id, count(*) FILTER (WHERE status = 'pending')::int AS pending,
      count(*) FILTER (WHERE status = 'active')::int AS active,
      count(*) FILTER (WHERE status = 'suspended')::int AS suspended,
      count(*) FILTER (WHERE applied_gen <> desired_gen)::int AS unapplied,
      count(*) FILTER (WHERE fault IS NOT NULL)::int AS faulty,
      count(*) FILTER (WHERE created_at > $1)::int AS recent
    FROM vpn_peers GROUP BY server_id) p ON p.server_id = s.id
  LEFT JOIN (SELECT server_id, count(*)::int AS leftovers FROM vpn_peer_leftovers GROUP BY server_id) l
    ON l.server_id = s.id
  LEFT JOIN vpn_server_health h ON h.server_id = s.id AND s.applies AND s.status <> 'disabled'
  ORDER BY s.id`;

const DELETE_SUSPENDED = `
  WITH gone AS (
    DELETE FROM vpn_peers WHERE id IN (
      SELECT id FROM vpn_peers WHERE status = 'suspended' AND suspended_at < $1 AND COALESCE(suspended_reason, 'no_access') = 'no_access'
      ORDER BY suspended_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING id, server_id, user_id, wg_public_key, wg_client_id, wg_ip, rx_seen, tx_seen, read_seq
  ), leaving AS (
    INSERT INTO vpn_peer_leftovers
      (server_id, public_key, wg_client_id, address, created_at, user_id, peer_id, rx_seen, tx_seen, read_seq)
    SELECT server_id, wg_public_key, wg_client_id, wg_ip, $3, user_id, gone.id, rx_seen, tx_seen, read_seq
    FROM gone JOIN vpn_servers s ON s.id = server_id AND s.applies
  ), freed AS (
    UPDATE vpn_server_addresses a SET free_at = $4
    FROM gone JOIN vpn_servers s ON s.id = gone.server_id AND NOT s.applies
    WHERE a.server_id = gone.server_id AND a.address = gone.wg_ip
  )
  SELECT count(*)::int AS total FROM gone`;

/** The addresses of a peer, without their prefixes. */
export interface Addressed {
  readonly address: string;
  readonly address6: string | null;
}

/** The addresses of a material. */
export function addressesOf({ addresses }: Pick<PeerMaterial, 'addresses'>): Addressed {
  const bare = addresses.map((network) => network.replace(/\/\d+$/, ''));
  const address = bare.find((text) => !text.includes(':'));
  if (address === undefined) throw new Error('A server made a peer without an IPv4 address');
  return { address, address6: bare.find((text) => text.includes(':')) ?? null };
}

function toDesired(row: Row): DesiredRow {
  return {
    id: row.id,
    userId: row.user_id,
    publicKey: row.wg_public_key,
    networks: networksOf({ address: row.wg_ip, address6: row.wg_ip6 }),
    isWanted: row.wanted,
    remoteId: row.wg_client_id,
    hasPresharedKey: row.has_preshared_key,
    generation: row.desired_gen,
    lastHandshakeAt: row.last_handshake_at,
    ...toCounter(row),
  };
}

function toLeftover(row: LeftoverRow): Leftover {
  return {
    id: row.id,
    publicKey: row.public_key,
    remoteId: row.wg_client_id,
    userId: row.user_id,
    isDue: row.is_due,
    ...toCounter(row),
  };
}

function toCounter({ rx_seen, tx_seen, read_seq }: Pick<Row, 'rx_seen' | 'tx_seen' | 'read_seq'>): Counter {
  return { receivedSeen: Number(rx_seen), sentSeen: Number(tx_seen), readSequence: Number(read_seq) };
}
