import { Injectable } from '@nestjs/common';
import { DomainError, type Listing, type Page } from '#kernel';
import { PreparedQueries, refuseOn, UnitOfWork } from '#platform';
import { type Peer, type PeerStatus } from './peer.js';
import { VpnPeerEntity } from './vpn-peer.entity.js';

export type PeerRow = Omit<Peer, 'id'> & { readonly sealedPrivateKey: string | null };
export type PeerChange = Partial<
  Pick<PeerRow, 'deviceName' | 'allowedIps' | 'publicKey' | 'address' | 'sealedPrivateKey'>
>;

const REFUSALS = { vpn_peers_wg_public_key_key: 'public_key_taken' } as const;

const COLUMNS = `id, user_id, server_id, device_name, wg_public_key, host(wg_ip) AS wg_ip, allowed_ips, status, created_at`;
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

interface Row {
  id: number;
  user_id: number;
  server_id: number;
  device_name: string | null;
  wg_public_key: string;
  wg_ip: string;
  allowed_ips: string;
  status: PeerStatus;
  created_at: Date;
}

@Injectable()
export class PeersRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly queries: PreparedQueries,
  ) {}

  /** @throws DomainError public_key_taken */
  async insert(row: PeerRow): Promise<Peer> {
    const rows = this.uow.repository(VpnPeerEntity);
    const entity = rows.create(row);
    await refuseOn(REFUSALS, () => rows.insert(entity));
    return entity;
  }

  /** @throws DomainError public_key_taken */
  async update(id: number, change: PeerChange): Promise<void> {
    if (Object.keys(change).length === 0) return;
    await refuseOn(REFUSALS, () => this.uow.repository(VpnPeerEntity).update({ id }, change));
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

  async sealedPrivateKey(id: number): Promise<string | null> {
    const { sealedPrivateKey } = await this.uow
      .repository(VpnPeerEntity)
      .findOneOrFail({ where: { id }, select: { id: true, sealedPrivateKey: true } });
    return sealedPrivateKey;
  }

  /** A page of one user's peers, or of everybody's. */
  async list(userId: number | null, page: Page): Promise<Listing<Peer>> {
    const { items, total } =
      userId === null
        ? await this.queries.page<Row>(OF_ALL, COUNT_OF_ALL, [], page)
        : await this.queries.page<Row>(OF_USER, COUNT_OF_USER, [userId], page);
    return { items: items.map(toPeer), total };
  }

  /** Wanted peers of a user become suspended, or suspended ones wanted again. */
  async setWanted(userId: number, wanted: boolean): Promise<void> {
    await this.uow.manager.query(
      wanted
        ? `UPDATE vpn_peers SET status = 'active' WHERE user_id = $1 AND status = 'suspended'`
        : `UPDATE vpn_peers SET status = 'suspended' WHERE user_id = $1 AND status IN ('pending', 'active')`,
      [userId],
    );
  }

  /** The owners of wanted peers, by id, after a given one. */
  async ownersOfWanted(afterUserId: number, limit: number): Promise<readonly number[]> {
    const rows = await this.uow.manager.query<{ user_id: number }[]>(
      `SELECT DISTINCT user_id FROM vpn_peers
       WHERE user_id > $1 AND status IN ('pending', 'active')
       ORDER BY user_id LIMIT $2`,
      [afterUserId, limit],
    );
    return rows.map((row) => row.user_id);
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
    allowedIps: row.allowed_ips,
    status: row.status,
    createdAt: row.created_at,
  };
}
