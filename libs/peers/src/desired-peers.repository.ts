import { Injectable } from '@nestjs/common';
import { addSeconds, Clock } from '#kernel';
import { SecretBox, UnitOfWork } from '#platform';
import { Addresses, COOL_DOWN_SECONDS, type PeerMaterial } from '#wireguard';
import { networksOf } from './peer.js';
import { PeerLeftoverEntity } from './peer-leftover.entity.js';
import { UNCOUNTED } from './peers.repository.js';
import { type DesiredPeer } from './reconciliation.rules.js';
import { VpnPeerEntity } from './vpn-peer.entity.js';

/** A row, as its server is to be told of it. */
export interface DesiredRow extends DesiredPeer {
  readonly userId: number;
  readonly remoteId: string | null;
  /** Which change of the row this is. */
  readonly generation: number;
  readonly receivedSeen: number;
  readonly sentSeen: number;
  readonly lastHandshakeAt: Date | null;
}

/** A key that is to leave a server. */
export interface Leftover {
  readonly id: number;
  readonly publicKey: string;
  readonly remoteId: string | null;
}

/** What is to be watched of one server. */
export interface ServerFigures {
  readonly serverId: number;
  readonly pending: number;
  readonly active: number;
  readonly suspended: number;
  readonly unapplied: number;
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
  desired_gen: number;
  rx_seen: string;
  tx_seen: string;
  last_handshake_at: Date | null;
}

const COLUMNS = `id, user_id, wg_public_key, host(wg_ip) AS wg_ip, host(wg_ip6) AS wg_ip6, status IN ('pending', 'active') AS wanted,
  wg_client_id, desired_gen, rx_seen, tx_seen, last_handshake_at`;

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

  /** The rows of a server that it was not told of in their latest form, oldest first. */
  async unapplied(serverId: number, limit: number): Promise<readonly DesiredRow[]> {
    const text = `SELECT ${COLUMNS} FROM vpn_peers WHERE server_id = $1 AND applied_gen <> desired_gen ORDER BY id LIMIT $2`;
    return (await this.query(text, [serverId, limit])).map(toDesired);
  }

  /** Servers that we apply to and that have something to be told. */
  async serversWithWork(): Promise<readonly number[]> {
    const rows = await this.uow.manager.query<{ id: number }[]>(
      `SELECT s.id FROM vpn_servers s
       WHERE s.applies AND s.status <> 'disabled' AND (
         EXISTS (SELECT 1 FROM vpn_peers p WHERE p.server_id = s.id AND p.applied_gen <> p.desired_gen)
         OR EXISTS (SELECT 1 FROM vpn_peer_leftovers l WHERE l.server_id = s.id))
       ORDER BY s.id`,
    );
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

  /** The preshared keys of those peers that have one. */
  async presharedKeys(ids: readonly number[]): Promise<ReadonlyMap<number, string>> {
    const rows = await this.uow.manager.query<{ id: number; sealed: string }[]>(
      `SELECT id, wg_preshared_key AS sealed FROM vpn_peers WHERE id = ANY($1) AND wg_preshared_key IS NOT NULL`,
      [ids],
    );
    return new Map(rows.map(({ id, sealed }) => [id, this.box.open(sealed)]));
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
         status = CASE WHEN p.desired_gen = told.gen AND p.status = 'pending' THEN 'active' ELSE p.status END
       FROM unnest($1::int[], $2::int[]) AS told (id, gen)
       WHERE p.id = told.id AND (p.desired_gen <> told.gen OR p.applied_gen <> told.gen OR p.status = 'pending')`,
      [rows.map(({ id }) => id), rows.map(({ generation }) => generation)],
    );
  }

  /** Where an operator applies the export, wanted is as good as there; so it is on a server that we have stopped applying to. */
  async settleWhereNobodyApplies(): Promise<void> {
    await this.uow.manager.query(
      `UPDATE vpn_peers p SET applied_gen = p.desired_gen,
         status = CASE WHEN p.status = 'pending' THEN 'active' ELSE p.status END
       FROM vpn_servers s WHERE s.id = p.server_id AND NOT s.applies AND p.applied_gen <> p.desired_gen`,
    );
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

  /** Notes a key that is still on a server and must leave it; `address` is given back when it has. */
  async leave(serverId: number, leaver: Omit<Leftover, 'id'> & { readonly address: string | null }): Promise<void> {
    await this.uow.repository(PeerLeftoverEntity).insert({ serverId, ...leaver, createdAt: this.clock.now() });
  }

  /**
   * Keys that are to leave a server. A key that a peer has there again stays; one whose peer moved stays until the other server
   * was told, or half a minute went by (make before break).
   */
  leftovers(serverId: number, limit: number): Promise<readonly Leftover[]> {
    return this.uow.manager.query<Leftover[]>(
      `SELECT l.id, l.public_key AS "publicKey", l.wg_client_id AS "remoteId" FROM vpn_peer_leftovers l
       WHERE l.server_id = $1 AND NOT EXISTS (
         SELECT 1 FROM vpn_peers p WHERE p.wg_public_key = l.public_key
         AND (p.server_id = l.server_id OR (p.applied_gen <> p.desired_gen AND l.created_at > $3)))
       ORDER BY l.id LIMIT $2`,
      [serverId, limit, new Date(this.clock.now().getTime() - MOVE_MS)],
    );
  }

  /** Forgets keys that have left, and answers which addresses they had. */
  async forgetLeftovers(ids: readonly number[]): Promise<readonly string[]> {
    if (ids.length === 0) return [];
    const [rows] = await this.uow.manager.query<[{ address: string | null }[], number]>(
      'DELETE FROM vpn_peer_leftovers WHERE id = ANY($1) RETURNING host(address) AS address',
      [ids],
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

  /** A key that a peer has again is no leftover; the address it left with is given back. */
  async reclaim(serverId: number, publicKey: string): Promise<void> {
    const [rows] = await this.uow.manager.query<[{ address: string | null }[], number]>(
      'DELETE FROM vpn_peer_leftovers WHERE server_id = $1 AND public_key = $2 RETURNING host(address) AS address',
      [serverId, publicKey],
    );
    for (const { address } of rows) if (address !== null) await this.addresses.release(serverId, address);
  }

  /** Writes what a server that makes its own keys has made anew for a row: another key, and perhaps another address. */
  async remake(serverId: number, material: PeerMaterial): Promise<void> {
    const { peerId, publicKey, privateKey, presharedKey, remoteId } = material;
    const chosen = addressesOf(material);
    await this.uow.run(async () => {
      const rows = this.uow.repository(VpnPeerEntity);
      const { address } = await rows.findOneOrFail({ where: { id: peerId }, lock: { mode: 'pessimistic_write' } });
      await this.reclaim(serverId, publicKey);
      if (address !== chosen.address) {
        await this.addresses.adopt(serverId, chosen.address);
        await this.addresses.release(serverId, address);
      }
      await rows.update(
        { id: peerId },
        {
          publicKey,
          sealedPrivateKey: privateKey === null ? null : this.box.seal(privateKey),
          sealedPresharedKey: presharedKey === null ? null : this.box.seal(presharedKey),
          remoteId,
          ...chosen,
          ...UNCOUNTED,
        },
      );
    });
  }

  /** The figures of every server; `recent` counts from `since`. */
  figures(since: Date, now: Date): Promise<readonly ServerFigures[]> {
    return this.uow.manager.query<ServerFigures[]>(FIGURES, [since, now]);
  }

  private query(text: string, values: readonly unknown[]): Promise<Row[]> {
    return this.uow.manager.query<Row[]>(text, [...values]);
  }
}

/** How long a moved peer may need to arrive before it leaves, in milliseconds. */
const MOVE_MS = 30_000;

const FIGURES = `
  SELECT s.id AS "serverId", (2 ^ (32 - masklen(s.subnet)) - 3)::int AS addresses,
    COALESCE(p.pending, 0) AS pending, COALESCE(p.active, 0) AS active, COALESCE(p.suspended, 0) AS suspended,
    COALESCE(p.unapplied, 0) AS unapplied, COALESCE(p.recent, 0) AS recent, COALESCE(l.leftovers, 0) AS leftovers,
    COALESCE(h.failures, 0) AS failures, COALESCE(h.strangers, 0) AS strangers, h.held_removals AS "heldRemovals",
    extract(epoch FROM $2::timestamptz - h.swept_at)::float AS "sweptSecondsAgo"
  FROM vpn_servers s
  LEFT JOIN (
    SELECT server_id, count(*) FILTER (WHERE status = 'pending')::int AS pending,
      count(*) FILTER (WHERE status = 'active')::int AS active,
      count(*) FILTER (WHERE status = 'suspended')::int AS suspended,
      count(*) FILTER (WHERE applied_gen <> desired_gen)::int AS unapplied,
      count(*) FILTER (WHERE created_at > $1)::int AS recent
    FROM vpn_peers GROUP BY server_id) p ON p.server_id = s.id
  LEFT JOIN (SELECT server_id, count(*)::int AS leftovers FROM vpn_peer_leftovers GROUP BY server_id) l
    ON l.server_id = s.id
  LEFT JOIN vpn_server_health h ON h.server_id = s.id
  ORDER BY s.id`;

const DELETE_SUSPENDED = `
  WITH gone AS (
    DELETE FROM vpn_peers WHERE id IN (
      SELECT id FROM vpn_peers WHERE status = 'suspended' AND suspended_at < $1 AND suspended_reason IS DISTINCT FROM 'traffic_exhausted'
      ORDER BY suspended_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING server_id, wg_public_key, wg_client_id, wg_ip
  ), leaving AS (
    INSERT INTO vpn_peer_leftovers (server_id, public_key, wg_client_id, address, created_at)
    SELECT server_id, wg_public_key, wg_client_id, wg_ip, $3 FROM gone JOIN vpn_servers s ON s.id = server_id AND s.applies
  ), freed AS (
    UPDATE vpn_server_addresses a SET free_at = $4
    FROM gone JOIN vpn_servers s ON s.id = gone.server_id AND NOT s.applies
    WHERE a.server_id = gone.server_id AND a.address = gone.wg_ip
  )
  SELECT count(*)::int AS total FROM gone`;

/** The addresses of a material, without their prefixes. */
export function addressesOf({ addresses }: Pick<PeerMaterial, 'addresses'>): {
  readonly address: string;
  readonly address6: string | null;
} {
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
    generation: row.desired_gen,
    receivedSeen: Number(row.rx_seen),
    sentSeen: Number(row.tx_seen),
    lastHandshakeAt: row.last_handshake_at,
  };
}
