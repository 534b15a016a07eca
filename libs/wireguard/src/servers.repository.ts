import { Injectable } from '@nestjs/common';
import { Clock } from '#kernel';
import { UnitOfWork } from '#platform';
import { ServerEntity } from './server.entity.js';
import { type Server, type ServerProvider } from './server.js';

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
  /** Undefined: the keys stay as they are. */
  readonly keys: { readonly publicKey: string; readonly sealedPrivateKey: string | null } | undefined;
}

/** Where a peer is to go: a server by its id, or any of a region; nothing said means anywhere. */
export interface Placement {
  readonly serverId?: number | undefined;
  readonly region?: string | undefined;
}

const FIRST_NAME = 'default';

/** A server that failed this often in a row gets new peers only where there is no other: they wait for it. */
const UNREACHABLE_AFTER = 5;

const ROOMIEST = `
  SELECT s.id FROM vpn_servers s
  LEFT JOIN vpn_server_health h ON h.server_id = s.id
  CROSS JOIN LATERAL (SELECT count(*) AS peers FROM vpn_peers p WHERE p.server_id = s.id) AS taken
  WHERE s.status = 'active'
    AND ($1::int IS NULL OR s.id = $1) AND ($2::text IS NULL OR s.region = $2)
    AND (s.capacity IS NULL OR taken.peers < s.capacity)
  ORDER BY COALESCE(h.failures, 0) >= ${UNREACHABLE_AFTER}, taken.peers::float / COALESCE(s.capacity, 2 ^ (32 - masklen(s.subnet)) - 3), s.id
  LIMIT 1`;

@Injectable()
export class ServersRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly clock: Clock,
  ) {}

  find(id: number): Promise<Server | null> {
    return this.uow.repository(ServerEntity).findOneBy({ id });
  }

  get(id: number): Promise<Server> {
    return this.uow.repository(ServerEntity).findOneByOrFail({ id });
  }

  list(): Promise<readonly Server[]> {
    return this.uow.repository(ServerEntity).find({ order: { id: 'ASC' } });
  }

  /**
   * The server for one more peer: active and with room; of those a reachable one, and of those the least full.
   */
  async findRoomiest({ serverId, region }: Placement): Promise<Server | null> {
    const [row] = await this.uow.manager.query<{ id: number }[]>(ROOMIEST, [serverId ?? null, region ?? null]);
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

  /** Sealed; null where only the host has it. */
  async sealedPrivateKey(id: number): Promise<string | null> {
    const { sealedPrivateKey } = await this.uow
      .repository(ServerEntity)
      .findOneOrFail({ where: { id }, select: { id: true, sealedPrivateKey: true } });
    return sealedPrivateKey;
  }

  /** The server that the settings describe; other instances wait until this transaction ends. */
  async lockFirst(): Promise<Server | null> {
    this.uow.assertOpen();
    await this.uow.manager.query(`SELECT pg_advisory_xact_lock(hashtext('first server'))`);
    return this.uow.repository(ServerEntity).findOneBy({ fromSettings: true });
  }

  /** Writes the server that the settings describe. */
  async saveFirst(existing: Server | null, described: DescribedServer): Promise<Server> {
    const { keys, dns, sealedAccess, ...columns } = described;
    const rows = this.uow.repository(ServerEntity);
    const row = rows.create({
      ...(existing === null
        ? { name: FIRST_NAME, fromSettings: true, createdAt: this.clock.now() }
        : { id: existing.id }),
      ...(keys ?? {}),
      ...(sealedAccess === undefined ? {} : { sealedAccess }),
      ...columns,
      dns: [...dns],
    });
    const { id } = await rows.save(row);
    return this.get(id);
  }
}
