import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { type Principal, type User } from '#auth';
import { DomainError } from '#kernel';
import { type OpenRooms, openRooms } from '../../../test/support/rooms.js';
import { PeersModule } from './peers.module.js';
import { Peers } from './peers.service.js';

const MANY = 40;

let open: OpenRooms;
let data: DataSource;
/** How many transactions the database can run at a time. */
let atOnce: number;

beforeAll(async () => {
  open = await openRooms([PeersModule], { WG_SUBNET: '10.8.0.0/22' });
  data = open.rooms.get(DataSource);
  const [setting] = await data.query<{ max_connections: string }[]>('SHOW max_connections');
  atOnce = Number(setting?.max_connections);
  await data.query(
    `INSERT INTO users (email, status, created_at)
     SELECT 'user-' || n || '@example.com', 'active', now() FROM generate_series(1, ${MANY}) AS n;
     INSERT INTO tariffs (name, price, created_at) VALUES ('Any', 1, now());
     INSERT INTO user_tariffs (user_id, tariff_id, started_at, state, source)
     SELECT id, 1, '2026-01-01', 'active', 'admin' FROM users`,
  );
});
afterAll(() => open.close());
beforeEach(() => data.query(`DELETE FROM vpn_peers; UPDATE vpn_server_addresses SET free_at = '-infinity'`));

/** A device for each of the first so many users, all at once; answers how many were placed. */
async function create(count: number): Promise<number> {
  const draft = { deviceName: null, publicKey: undefined, address: undefined, allowedIps: undefined };
  const results = await Promise.allSettled(
    Array.from({ length: count }, (_, index) => {
      const by = { user: { id: index + 1, isAdmin: false } as User, sessionId: '' } satisfies Principal;
      return open.rooms.get(Peers).create(by, by.user.id, { ...draft, serverId: undefined, region: undefined });
    }),
  );
  for (const result of results) {
    const isFull = result.status === 'rejected' && result.reason instanceof DomainError;
    if (isFull) expect(result.reason).toMatchObject({ code: 'no_server_available' });
    else if (result.status === 'rejected') throw result.reason;
  }
  return results.filter(({ status }) => status === 'fulfilled').length;
}

async function peers(): Promise<number> {
  const [row] = await data.query<{ total: number }[]>('SELECT count(*)::int AS total FROM vpn_peers');
  return row?.total ?? 0;
}

/** Peers of somebody, until the server has no more than this many places left. */
async function fillUp(capacity: number, left: number): Promise<void> {
  await data.query(
    `WITH taken AS (
       UPDATE vpn_server_addresses SET free_at = NULL WHERE address IN (
         SELECT address FROM vpn_server_addresses WHERE free_at IS NOT NULL ORDER BY address DESC LIMIT $1)
       RETURNING server_id, address)
     INSERT INTO vpn_peers (user_id, server_id, wg_public_key, wg_ip, allowed_ips, status, created_at)
     SELECT 1, server_id, encode(sha256(text(address)::bytea), 'base64'), address, '0.0.0.0/0', 'active', now() FROM taken`,
    [capacity - left - (await peers())],
  );
}

describe('a server with a capacity', () => {
  const limit = (capacity: number) => data.query('UPDATE vpn_servers SET capacity = $1', [capacity]);

  it('is not filled beyond it by those who come at once, when places are scarce', async () => {
    await limit(13);
    expect(await create(MANY)).toBe(13);
    expect(await peers()).toBe(13);
  });

  it('nor when there were plenty a moment ago', async () => {
    await limit(atOnce + 500);
    expect(await create(5)).toBe(5); // from here on it is known to have plenty
    expect(await create(5)).toBe(5);
    await fillUp(atOnce + 500, 3);
    expect(await create(MANY)).toBe(3);
    expect(await peers()).toBe(atOnce + 500);
  });

  it('nor when plenty turns into few under the hands of those who come', async () => {
    await limit(atOnce + 500);
    expect(await create(2)).toBe(2);
    await fillUp(atOnce + 500, atOnce + 10);
    expect(await create(MANY)).toBe(MANY);
    expect(await peers()).toBe(490 + MANY);
  });
});
