import { Injectable } from '@nestjs/common';
import { addSeconds, Clock, DomainError, invalidField } from '#kernel';
import { UnitOfWork } from '#platform';
import { parseSubnet, peerRange } from './networks.js';
import { type Server } from './server.js';

/** How long a freed address rests, so that a device that has not noticed yet does not meet a stranger under its old address. */
export const COOL_DOWN_SECONDS = 600;

/** The oldest free address: those never used first, then the one that has rested longest. Rows others are taking are skipped. */
const TAKE_ANY = `
  UPDATE vpn_server_addresses SET free_at = NULL
  WHERE (server_id, address) = (
    SELECT server_id, address FROM vpn_server_addresses
    WHERE server_id = $1 AND free_at <= $2
    ORDER BY free_at, address
    LIMIT 1
    FOR UPDATE SKIP LOCKED)
  RETURNING host(address) AS address`;

const TAKE_ONE = `
  UPDATE vpn_server_addresses SET free_at = NULL
  WHERE server_id = $1 AND address = $2 AND free_at IS NOT NULL
  RETURNING host(address) AS address`;

const FILL = `
  INSERT INTO vpn_server_addresses (server_id, address, free_at)
  SELECT $1, $2::inet + step, '-infinity'
  FROM generate_series(0, $3::inet - $2::inet) AS step
  ON CONFLICT DO NOTHING`;

const DROP_STRANGERS = `
  DELETE FROM vpn_server_addresses
  WHERE server_id = $1 AND free_at IS NOT NULL AND address NOT BETWEEN $2::inet AND $3::inet`;

/** The first address of the network that is reserved for future use (RFC 1112 4): no device has one of it. */
const RESERVED = '240.0.0.0';

/** What TypeORM answers to an UPDATE ... RETURNING: the rows, and how many. */
type Updated = [{ address: string }[], number];

/** The address pool of each server. */
@Injectable()
export class AddressesRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly clock: Clock,
  ) {}

  /** Makes the pool what the server's subnet says. Addresses that peers have stay theirs, inside it or not. */
  async fill(server: Server): Promise<void> {
    const subnet = parseSubnet(server.subnet);
    if (subnet === undefined) throw new Error(`Server ${server.id} has no usable subnet`);
    const { from, to } = peerRange(subnet);
    await this.uow.manager.query(DROP_STRANGERS, [server.id, from, to]);
    await this.uow.manager.query(FILL, [server.id, from, to]);
  }

  /** A server that is being removed has no address free, nor will it have: waits for the end of that. */
  private async assertServer(serverId: number): Promise<void> {
    const rows: unknown[] = await this.uow.manager.query('SELECT 1 FROM vpn_servers WHERE id = $1 FOR KEY SHARE', [
      serverId,
    ]);
    if (rows.length === 0) throw new DomainError('server_not_found');
  }

  /** Takes a free address for a peer, within the caller's transaction. @throws DomainError address_pool_exhausted | server_not_found */
  async take(serverId: number): Promise<string> {
    this.uow.assertOpen();
    const [rows] = await this.uow.manager.query<Updated>(TAKE_ANY, [serverId, this.clock.now()]);
    if (rows[0] === undefined) {
      await this.assertServer(serverId);
      throw new DomainError('address_pool_exhausted', { retryAfterSeconds: COOL_DOWN_SECONDS });
    }
    return rows[0].address;
  }

  /** Takes this very address, resting or not. @throws DomainError address_taken | validation_error (not of this server) */
  async takeThis(serverId: number, address: string): Promise<string> {
    this.uow.assertOpen();
    const [rows] = await this.uow.manager.query<Updated>(TAKE_ONE, [serverId, address]);
    if (rows[0] !== undefined) return rows[0].address;
    const known: unknown[] = await this.uow.manager.query(
      'SELECT 1 FROM vpn_server_addresses WHERE server_id = $1 AND address = $2',
      [serverId, address],
    );
    if (known.length > 0) throw new DomainError('address_taken');
    throw invalidField(['body', 'wg_ip'], 'address is not one of this server');
  }

  /** Notes an address that a server has chosen by itself as taken, whether it was in the pool or not. */
  async adopt(serverId: number, address: string): Promise<void> {
    await this.uow.manager.query(
      `INSERT INTO vpn_server_addresses (server_id, address, free_at) VALUES ($1, $2, NULL)
       ON CONFLICT (server_id, address) DO UPDATE SET free_at = NULL`,
      [serverId, address],
    );
  }

  /**
   * An address for a peer whose own one its server has given to another: any free one of the pool, or where there is none one that
   * nobody is ever given, so that its row can wait for the server's next choice.
   */
  async takeStandIn(serverId: number, peerId: number): Promise<string> {
    this.uow.assertOpen();
    const [rows] = await this.uow.manager.query<Updated>(TAKE_ANY, [serverId, this.clock.now()]);
    if (rows[0] !== undefined) return rows[0].address;
    const [row] = await this.uow.manager.query<{ address: string }[]>(
      'INSERT INTO vpn_server_addresses (server_id, address, free_at) VALUES ($1, $2::inet + $3::int, NULL) RETURNING host(address) AS address',
      [serverId, RESERVED, peerId],
    );
    if (row === undefined) throw new Error('An address was not written');
    return row.address;
  }

  /** How many of a server's addresses peers have, and how many there are. */
  async usage(serverId: number): Promise<{ readonly taken: number; readonly total: number }> {
    const [row] = await this.uow.manager.query<{ taken: number; total: number }[]>(
      `SELECT count(*) FILTER (WHERE free_at IS NULL)::int AS taken, count(*)::int AS total
       FROM vpn_server_addresses WHERE server_id = $1`,
      [serverId],
    );
    return row ?? { taken: 0, total: 0 };
  }

  /** Gives an address back; it rests before the next peer gets it. */
  async release(serverId: number, address: string): Promise<void> {
    await this.uow.manager.query('UPDATE vpn_server_addresses SET free_at = $3 WHERE server_id = $1 AND address = $2', [
      serverId,
      address,
      addSeconds(this.clock.now(), COOL_DOWN_SECONDS),
    ]);
  }
}
