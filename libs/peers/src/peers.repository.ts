import { Injectable } from '@nestjs/common';
import { DomainError, type Listing, type Page } from '#kernel';
import { PreparedQueries, refusing, UnitOfWork } from '#platform';
import { type Server } from '#wireguard';
import { type Judgement, type PeersStanding } from './access.rules.js';
import { type Counter } from './counter.js';
import { type Peer, type PeerStatus, type SuspendedReason } from './peer.js';
import { VpnPeerEntity } from './vpn-peer.entity.js';

/** The first change of a row is its creation. */
export const FIRST_GENERATION = 1;

/** A peer's key, sealed, and what its server calls it; null where servers have no names of their own. */
export interface PeerKeyColumns {
  readonly publicKey: string;
  readonly sealedPrivateKey: string | null;
  readonly sealedPresharedKey: string | null;
  readonly remoteId: string | null;
}

export interface PeerRow
  extends
    Omit<Peer, 'id' | 'suspendedReason' | 'lastHandshakeAt' | 'receivedBytes' | 'sentBytes'>,
    PeerKeyColumns,
    Counter {
  /** Given where the server was told of it before the row was written. */
  readonly id?: number;
  readonly appliedGeneration: number;
}
export type PeerChange = Partial<
  Omit<PeerRow, 'id' | 'userId' | 'status' | 'appliedGeneration' | 'createdAt'> & Counter
>;

const COLUMNS = `id, user_id, server_id, device_name, wg_public_key, host(wg_ip) AS wg_ip,
  host(wg_ip6) AS wg_ip6, allowed_ips, status, suspended_reason, last_handshake_at, rx_bytes, tx_bytes, created_at`;
const OF_USER = {
  name: 'peers_of_user',
  text: `SELECT ${COLUMNS} FROM vpn_peers WHERE user_id = $1 ORDER BY id LIMIT $2 OFFSET $3`,
};
const OF_ALL = { name: 'peers_of_all', text: `SELECT ${COLUMNS} FROM vpn_peers ORDER BY id LIMIT $1 OFFSET $2` };
const COUNT_OF_USER = {
  name: 'peer_count_of_user',
  text: 'SELECT count(*)::int AS total FROM vpn_peers WHERE user_id = $1',
};
const COUNT_OF_ALL = { name: 'peer_count_of_all', text: 'SELECT count(*)::int AS total FROM vpn_peers' };

/** A peer that was suspended, or is wanted again. */
export interface FollowedPeer {
  readonly userId: number;
  readonly serverId: number;
  /** Whether its server is to be told. */
  readonly applies: boolean;
  /** Whether it is wanted on its server now; suspended otherwise. */
  readonly isWanted: boolean;
  /** False for one that was suspended already, for another reason. */
  readonly isMoved: boolean;
}

/** Somebody who has peers, and what those are. */
export interface Owner extends PeersStanding {
  readonly userId: number;
}

const OWNERS = `
  SELECT user_id AS "userId", count(*)::int AS total, count(*) FILTER (WHERE status <> 'suspended')::int AS wanted,
    COALESCE(array_agg(DISTINCT COALESCE(suspended_reason, 'no_access')::text) FILTER (WHERE status = 'suspended'), '{}')
      AS reasons
  FROM vpn_peers WHERE user_id > $1 AND status <> 'removing'
  GROUP BY user_id ORDER BY user_id LIMIT $2`;

/**
 * Of more peers than a tariff's limit those are let in that were used last; to be chosen by its owner, and to be made, is to be used.
 * One that is shut out shakes no hands, so whoever is in stays in. A suspended peer whose reason changes is no news to its server.
 * Rows are locked in the order of their ids; the owners are locked, so their ranks do not change meanwhile.
 */
const FOLLOW = `
  WITH ranked AS (
    SELECT p.id, judged.reason, judged.device_limit, row_number() OVER (
      PARTITION BY p.user_id ORDER BY GREATEST(p.chosen_at, p.last_handshake_at, p.created_at) DESC, p.id DESC) AS place
    FROM unnest($1::int[], $2::text[], $4::int[]) AS judged (user_id, reason, device_limit)
    JOIN vpn_peers p ON p.user_id = judged.user_id AND p.status <> 'removing'
  ), verdict AS (
    SELECT id, CASE WHEN reason IS NULL AND place > device_limit THEN 'device_limit' ELSE reason END AS reason FROM ranked
  ), judged AS (
    SELECT p.id, verdict.reason, s.applies,
      CASE WHEN p.status = 'suspended' AND verdict.reason IS NOT NULL THEN 0 ELSE 1 END AS step
    FROM verdict
    JOIN vpn_peers p ON p.id = verdict.id
    JOIN vpn_servers s ON s.id = p.server_id
    WHERE CASE WHEN verdict.reason IS NULL THEN p.status = 'suspended'
      ELSE p.status IN ('pending', 'active')
        OR (p.status = 'suspended' AND p.suspended_reason IS DISTINCT FROM verdict.reason) END
    ORDER BY p.id
    FOR NO KEY UPDATE OF p
  )
  UPDATE vpn_peers p SET
    fault = NULL, status = (CASE WHEN reason IS NOT NULL THEN 'suspended' WHEN applies THEN 'pending' ELSE 'active' END)::peerstatus,
    suspended_reason = reason,
    suspended_at = CASE WHEN reason IS NOT NULL THEN $3::timestamptz END,
    desired_gen = p.desired_gen + step,
    applied_gen = CASE WHEN applies THEN p.applied_gen ELSE p.desired_gen + step END
  FROM judged WHERE p.id = judged.id
  RETURNING p.user_id AS "userId", p.server_id AS "serverId", applies, reason IS NULL AS "isWanted", step > 0 AS "isMoved"`;

interface Row {
  id: number;
  user_id: number;
  server_id: number;
  device_name: string | null;
  wg_public_key: string;
  wg_ip: string;
  wg_ip6: string | null;
  allowed_ips: string;
  status: PeerStatus;
  suspended_reason: SuspendedReason | null;
  last_handshake_at: Date | null;
  rx_bytes: string;
  tx_bytes: string;
  created_at: Date;
}

@Injectable()
export class PeersRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly queries: PreparedQueries,
  ) {}

  /** @throws DomainError public_key_taken | remote_client_failed (an address the server chose is another's) */
  async insert(row: PeerRow): Promise<Peer> {
    const rows = this.uow.repository(VpnPeerEntity);
    const entity = rows.create(row);
    await refusing(() => rows.insert(entity));
    return this.get(entity.id);
  }

  /** @throws DomainError public_key_taken | remote_client_failed (an address the server chose is another's) */
  async update(id: number, change: PeerChange): Promise<void> {
    if (Object.keys(change).length === 0) return;
    await refusing(() => this.uow.repository(VpnPeerEntity).update({ id }, change));
  }

  async delete(id: number): Promise<void> {
    await this.uow.repository(VpnPeerEntity).delete({ id });
  }

  /** @throws DomainError peer_not_found */
  async get(id: number): Promise<Peer> {
    const peer = await this.uow.repository(VpnPeerEntity).findOneBy({ id });
    if (peer === null) throw new DomainError('peer_not_found');
    return peer;
  }

  findByPublicKey(publicKey: string): Promise<Peer | null> {
    return this.uow.repository(VpnPeerEntity).findOneBy({ publicKey });
  }

  /** The user's newest peer that is wanted on its server; null when he has none. */
  findNewestWanted(userId: number): Promise<Peer | null> {
    return this.uow.repository(VpnPeerEntity).findOne({
      where: [
        { userId, status: 'active' },
        { userId, status: 'pending' },
      ],
      order: { id: 'DESC' },
    });
  }

  /** All that are wanted on a server, by id. */
  listWanted(serverId: number): Promise<readonly Peer[]> {
    return this.uow.repository(VpnPeerEntity).find({
      where: [
        { serverId, status: 'active' },
        { serverId, status: 'pending' },
      ],
      order: { id: 'ASC' },
    });
  }

  countOfUser(userId: number): Promise<number> {
    return this.uow.repository(VpnPeerEntity).countBy({ userId });
  }

  /** An id for a row that is yet to be written. */
  async nextId(): Promise<number> {
    const [row] = await this.uow.manager.query<{ id: string }[]>(
      `SELECT nextval(pg_get_serial_sequence('vpn_peers', 'id')) AS id`,
    );
    return Number(row?.id);
  }

  /** @throws DomainError peer_not_found */
  async keyColumns(id: number): Promise<PeerKeyColumns> {
    const row = await this.uow.repository(VpnPeerEntity).findOne({
      where: { id },
      select: { id: true, publicKey: true, sealedPrivateKey: true, sealedPresharedKey: true, remoteId: true },
    });
    if (row === null) throw new DomainError('peer_not_found');
    return row;
  }

  /** Counts a change of what a server is to hold for a peer; the server is told of it, or, where nobody tells it, it counts as told. */
  async changed(server: Server, id: number): Promise<void> {
    await this.uow.manager.query(
      `UPDATE vpn_peers SET fault = NULL, desired_gen = desired_gen + 1, applied_gen = CASE WHEN $2 THEN applied_gen ELSE desired_gen + 1 END,
         status = CASE WHEN status NOT IN ('pending', 'active') THEN status WHEN $2 THEN 'pending' ELSE 'active' END
       WHERE id = $1`,
      [id, server.applies],
    );
  }

  /** A page of one user's peers, or of everybody's. */
  async list(userId: number | null, page: Page): Promise<Listing<Peer>> {
    const { items, total } =
      userId === null
        ? await this.queries.page<Row>(OF_ALL, COUNT_OF_ALL, [], page)
        : await this.queries.page<Row>(OF_USER, COUNT_OF_USER, [userId], page);
    return { items: items.map(toPeer), total };
  }

  /**
   * Makes the peers of these users what was judged of them: wanted ones suspended, suspended ones wanted again. Answers those that
   * were not so already.
   */
  async follow(judgements: ReadonlyMap<number, Judgement>, now: Date): Promise<readonly FollowedPeer[]> {
    const judged = [...judgements.values()];
    const [rows] = await this.uow.manager.query<[FollowedPeer[], number]>(FOLLOW, [
      [...judgements.keys()],
      judged.map(({ verdict }) => (verdict === 'granted' ? null : verdict)),
      now,
      judged.map(({ deviceLimit }) => deviceLimit),
    ]);
    return rows;
  }

  /** Notes that its owner wants this peer let in rather than the one that was used longest ago. */
  async choose(id: number, now: Date): Promise<void> {
    await this.uow.manager.query(
      `UPDATE vpn_peers p SET chosen_at = GREATEST($2::timestamptz, (
         SELECT max(GREATEST(o.chosen_at, o.last_handshake_at, o.created_at)) + interval '1 millisecond'
         FROM vpn_peers o WHERE o.user_id = p.user_id))
       WHERE p.id = $1`,
      [id, now],
    );
  }

  /** Locks these users until the transaction ends, in one order for whoever does so. */
  async lockOwners(userIds: readonly number[]): Promise<void> {
    this.uow.assertOpen();
    await this.uow.manager.query('SELECT 1 FROM users WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE', [userIds]);
  }

  /** Those who have peers, by id, after a given one. */
  owners(afterUserId: number, limit: number): Promise<readonly Owner[]> {
    return this.uow.manager.query<Owner[]>(OWNERS, [afterUserId, limit]);
  }
}

function toPeer(row: Row): Peer {
  return {
    id: row.id,
    userId: row.user_id,
    serverId: row.server_id,
    deviceName: row.device_name,
    publicKey: row.wg_public_key,
    address: row.wg_ip,
    address6: row.wg_ip6,
    allowedIps: row.allowed_ips,
    status: row.status,
    suspendedReason: row.suspended_reason,
    lastHandshakeAt: row.last_handshake_at,
    receivedBytes: Number(row.rx_bytes),
    sentBytes: Number(row.tx_bytes),
    createdAt: row.created_at,
  };
}
