import { Injectable } from '@nestjs/common';
import { Clock, DomainError } from '#kernel';
import { refusing, UnitOfWork } from '#platform';
import { ServerEntity } from './server.entity.js';
import { LOGIN_REFUSALS } from './server-health.repository.js';
import {
  type Server,
  type ServerOverview,
  type ServerProvider,
  type ServerState,
  type ServerStatus,
} from './server.js';

/** What the settings say of the first server. */
export interface DescribedServer {
  readonly endpoint: string;
  readonly subnet: string;
  readonly dns: readonly string[];
  readonly mtu: number;
  readonly provider: ServerProvider;
  readonly applies: boolean;
  readonly presharedKeys: boolean;
  /** Undefined: it stays as it is. */
  readonly sealedAccess: string | null | undefined;
  readonly adopted: false | undefined;
  /** Undefined: the keys stay as they are. */
  readonly keys: { readonly publicKey: string; readonly sealedPrivateKey: string | null } | undefined;
}

/** Where a peer is to go: a server by its id, or any of a region; nothing said means anywhere. */
export interface Placement {
  readonly serverId?: number | undefined;
  readonly region?: string | undefined;
  /** Servers that are known to have no room. */
  readonly without?: readonly number[];
}

/** What an operator may write of a server. */
export type ServerColumns = Omit<Server, 'id' | 'fromSettings'> & { readonly sealedAccess: string | null };

const FIRST_NAME = 'default';

/**
 * A server that failed this often in a row, or turned our login down, is shown as unreachable, and gets new peers only where there is no other: they wait for
 * it.
 */
const UNREACHABLE_AFTER = 5;

/** All addresses of the subnet but the network's, the server's and the broadcast one. */
const MAX_PEERS = 'LEAST(s.capacity, 2 ^ (32 - masklen(s.subnet)) - 3)';
/** What nobody speaks to cannot fail; what an operator has switched off is not asked. */
const IS_UNREACHABLE = `(s.applies AND s.status <> 'disabled' AND (COALESCE(h.failures, 0) >= ${UNREACHABLE_AFTER}
  OR h.failure IN (${LOGIN_REFUSALS.map((kind) => `'${kind}'`).join(', ')})))`;

/** Where the server chooses addresses, whoever else is on it takes some of them: as many as the last sweep saw in all. */
const OTHERS_COUNT = `CASE WHEN s.provider = 'wg-easy' THEN COALESCE(h.live_peers, 0) ELSE 0 END`;

/** How many peers a server has; kept by triggers, so that no peer is counted one by one. */
const LOAD = '(SELECT COALESCE(sum(l.peers), 0)::int FROM vpn_server_loads l WHERE l.server_id = s.id)';

const ROOMIEST = `
  WITH possible AS (
    SELECT s.id, s.capacity, ${IS_UNREACHABLE} AS is_unreachable, ${MAX_PEERS} AS max_peers, ${OTHERS_COUNT} AS live
    FROM vpn_servers s
    LEFT JOIN vpn_server_health h ON h.server_id = s.id
    WHERE s.status = 'active' AND ($1::int IS NULL OR s.id = $1) AND ($2::text IS NULL OR s.region = $2)
      AND s.id <> ALL ($3::int[])
  )
  SELECT s.id FROM possible s
  CROSS JOIN LATERAL (SELECT ${LOAD} AS peers) AS taken
  WHERE s.capacity IS NULL OR taken.peers < s.capacity
  ORDER BY s.is_unreachable, GREATEST(taken.peers, s.live) / s.max_peers, s.id
  LIMIT 1`;

/** How many more peers may come, and how many transactions there can be that write one each. */
const FREE_PLACES = `
  SELECT s.capacity - ${LOAD} AS free,
    current_setting('max_connections')::int AS others
  FROM vpn_servers s WHERE s.id = $1`;

const OVERVIEW = `
  SELECT s.id, s.name, s.from_settings, s.status, s.region, s.country, s.provider, s.applies, s.endpoint, s.public_key,
    s.subnet, s.subnet6, s.capacity, s.preshared_keys, s.adopted, s.dns, s.mtu,
    CASE WHEN ${IS_UNREACHABLE} THEN 'unreachable' ELSE s.status END AS state, ${MAX_PEERS}::int AS max_peers, ${OTHERS_COUNT} AS live, on_it.*
  FROM vpn_servers s
  LEFT JOIN vpn_server_health h ON h.server_id = s.id
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE p.status = 'pending')::int AS pending,
      count(*) FILTER (WHERE p.status = 'active')::int AS active,
      count(*) FILTER (WHERE p.status = 'suspended')::int AS suspended,
      count(*) FILTER (WHERE p.status = 'removing')::int AS removing
    FROM vpn_peers p WHERE p.server_id = s.id) AS on_it
  WHERE ($1::int IS NULL OR s.id = $1)
  ORDER BY s.id`;

interface OverviewRow {
  id: number;
  name: string;
  from_settings: boolean;
  status: ServerStatus;
  region: string;
  country: string | null;
  provider: ServerProvider;
  applies: boolean;
  endpoint: string;
  public_key: string;
  subnet: string;
  subnet6: string | null;
  capacity: number | null;
  preshared_keys: boolean;
  adopted: boolean;
  dns: string[];
  mtu: number;
  state: ServerState;
  max_peers: number;
  live: number;
  pending: number;
  active: number;
  suspended: number;
  removing: number;
}

@Injectable()
export class ServersRepository {
  /** By how many places a server had more than could be taken at once, when it was last asked: how it is asked the next time. */
  private readonly ample = new Map<number, number>();

  constructor(
    private readonly uow: UnitOfWork,
    private readonly clock: Clock,
  ) {}

  find(id: number): Promise<Server | null> {
    return this.uow.repository(ServerEntity).findOneBy({ id });
  }

  /** @throws DomainError server_not_found */
  async get(id: number): Promise<Server> {
    const server = await this.find(id);
    if (server === null) throw new DomainError('server_not_found');
    return server;
  }

  /** The server, which nobody else changes or deletes until this transaction ends. @throws DomainError server_not_found */
  async lock(id: number): Promise<Server> {
    this.uow.assertOpen();
    const lock = { mode: 'pessimistic_write' } as const;
    const server = await this.uow.repository(ServerEntity).findOne({ where: { id }, lock });
    if (server === null) throw new DomainError('server_not_found');
    return server;
  }

  /** All servers as they stand, by id, or one of them. */
  async overviews(id: number | null): Promise<readonly ServerOverview[]> {
    return (await this.uow.manager.query<OverviewRow[]>(OVERVIEW, [id])).map(toOverview);
  }

  /** @throws DomainError server_already_exists */
  async insert({ dns, ...columns }: ServerColumns): Promise<number> {
    const rows = this.uow.repository(ServerEntity);
    const row = rows.create({ ...columns, dns: [...dns], createdAt: this.clock.now() });
    return (await refusing(() => rows.save(row))).id;
  }

  /** @throws DomainError server_already_exists */
  async update(id: number, { dns, ...columns }: Partial<ServerColumns>): Promise<void> {
    const change = { ...columns, ...(dns === undefined ? {} : { dns: [...dns] }) };
    if (Object.keys(change).length === 0) return;
    await refusing(() => this.uow.repository(ServerEntity).update({ id }, change));
  }

  /** @throws DomainError server_in_use */
  async delete(id: number): Promise<void> {
    await refusing(() => this.uow.repository(ServerEntity).delete({ id }));
  }

  /** Whether any peer has its place there, suspended ones too. */
  async hasPeers(id: number): Promise<boolean> {
    const rows: unknown[] = await this.uow.manager.query('SELECT 1 FROM vpn_peers WHERE server_id = $1 LIMIT 1', [id]);
    return rows.length > 0;
  }

  /**
   * Whether a server may have one more peer, for a transaction that writes it next. Where places are scarce, one transaction after
   * another asks and writes. Where there are more than all transactions together could take, they do so side by side, and those
   * who find them scarce wait for all of these. False may also mean that it was asked in the wrong way: to ask again, in another
   * transaction, is to ask in the right one.
   *
   * The locks are not the row's: that would wait for whoever changes the server, and he for us.
   */
  async hasRoom(id: number): Promise<boolean> {
    this.uow.assertOpen();
    const isAmple = (this.ample.get(id) ?? 0) > 0;
    const lock = isAmple ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock';
    await this.uow.manager.query(`SELECT ${lock}(hashtext('server capacity'), $1)`, [id]);
    const [row] = await this.uow.manager.query<{ free: number | null; others: number }[]>(FREE_PLACES, [id]);
    if (row === undefined || row.free === null) return true;
    this.ample.set(id, row.free - row.others);
    return row.free > (isAmple ? row.others : 0);
  }

  /** Whether a peer has this key, on any server. */
  async hasPeerWithKey(publicKey: string): Promise<boolean> {
    const rows: unknown[] = await this.uow.manager.query('SELECT 1 FROM vpn_peers WHERE wg_public_key = $1', [
      publicKey,
    ]);
    return rows.length > 0;
  }

  /** Whether any peer there has an IPv6 address, suspended ones too. */
  async hasIpv6Peers(id: number): Promise<boolean> {
    const rows: unknown[] = await this.uow.manager.query(
      'SELECT 1 FROM vpn_peers WHERE server_id = $1 AND wg_ip6 IS NOT NULL LIMIT 1',
      [id],
    );
    return rows.length > 0;
  }

  /** Whether a key is still on the server that is to leave it. */
  async hasLeftovers(id: number): Promise<boolean> {
    const rows: unknown[] = await this.uow.manager.query(
      'SELECT 1 FROM vpn_peer_leftovers WHERE server_id = $1 LIMIT 1',
      [id],
    );
    return rows.length > 0;
  }

  list(): Promise<readonly Server[]> {
    return this.uow.repository(ServerEntity).find({ order: { id: 'ASC' } });
  }

  /**
   * The server for one more peer: active and with room; of those a reachable one, and of those the least full.
   */
  async findRoomiest({ serverId, region, without = [] }: Placement): Promise<Server | null> {
    const values = [serverId ?? null, region ?? null, without];
    const [row] = await this.uow.manager.query<{ id: number }[]>(ROOMIEST, values);
    return row === undefined ? null : this.get(row.id);
  }

  hasRegion(region: string): Promise<boolean> {
    return this.uow.repository(ServerEntity).existsBy({ region });
  }

  async adopt(id: number): Promise<void> {
    await this.uow.repository(ServerEntity).update({ id }, { adopted: true });
  }

  /** How it is spoken to, sealed; null where nobody speaks to it. */
  async sealedAccess(id: number): Promise<string | null> {
    const { sealedAccess } = await this.uow
      .repository(ServerEntity)
      .findOneOrFail({ where: { id }, select: { id: true, sealedAccess: true } });
    return sealedAccess;
  }

  /** What our clients there are called, to tell them from all others: chosen once. */
  async clientPrefix(id: number, chosen: string): Promise<string> {
    const [rows] = await this.uow.manager.query<[{ client_prefix: string }[], number]>(
      'UPDATE vpn_servers SET client_prefix = COALESCE(client_prefix, $2) WHERE id = $1 RETURNING client_prefix',
      [id, chosen],
    );
    if (rows[0] === undefined) throw new DomainError('server_not_found');
    return rows[0].client_prefix;
  }

  /** Sealed; null where only the host has it. */
  async sealedPrivateKey(id: number): Promise<string | null> {
    const { sealedPrivateKey } = await this.uow
      .repository(ServerEntity)
      .findOneOrFail({ where: { id }, select: { id: true, sealedPrivateKey: true } });
    return sealedPrivateKey;
  }

  /** Takes the right to write the server that the settings describe, until this transaction ends; false while another has it. */
  async tryLockFirst(): Promise<boolean> {
    this.uow.assertOpen();
    const [row] = await this.uow.manager.query<{ locked: boolean }[]>(
      `SELECT pg_try_advisory_xact_lock(hashtext('first server')) AS locked`,
    );
    return row?.locked === true;
  }

  /** The server that the settings describe. */
  findFirst(): Promise<Server | null> {
    return this.uow.repository(ServerEntity).findOneBy({ fromSettings: true });
  }

  /** Writes the server that the settings describe. */
  async saveFirst(existing: Server | null, described: DescribedServer): Promise<Server> {
    const { keys, dns, sealedAccess, adopted, ...columns } = described;
    const rows = this.uow.repository(ServerEntity);
    const row = rows.create({
      ...(existing === null
        ? { name: FIRST_NAME, fromSettings: true, createdAt: this.clock.now() }
        : { id: existing.id }),
      ...(keys ?? {}),
      ...(sealedAccess === undefined ? {} : { sealedAccess }),
      ...(adopted === undefined ? {} : { adopted }),
      ...columns,
      dns: [...dns],
    });
    const { id } = await rows.save(row);
    return this.get(id);
  }
}

function toOverview(row: OverviewRow): ServerOverview {
  const { pending, active, suspended, removing, live, max_peers: maxPeers } = row;
  return {
    id: row.id,
    name: row.name,
    fromSettings: row.from_settings,
    status: row.status,
    region: row.region,
    country: row.country,
    provider: row.provider,
    applies: row.applies,
    endpoint: row.endpoint,
    publicKey: row.public_key,
    subnet: row.subnet,
    subnet6: row.subnet6,
    capacity: row.capacity,
    presharedKeys: row.preshared_keys,
    adopted: row.adopted,
    dns: row.dns,
    mtu: row.mtu,
    state: row.state,
    peers: { pending, active, suspended, removing },
    maxPeers,
    load: Math.min(100, Math.round((100 * Math.max(live, pending + active + suspended + removing)) / maxPeers)) / 100,
    isOnline: row.state !== 'unreachable' && row.state !== 'disabled',
  };
}
