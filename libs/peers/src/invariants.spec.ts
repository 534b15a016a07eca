import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { type OpenRooms, openRooms } from '../../../test/support/rooms.js';
import { Access } from './access.service.js';
import { Invariants } from './invariants.service.js';
import { PeersModule } from './peers.module.js';

const WELL = { I2: 0, I3: 0, I4: 0, I5: 0, I6: 0 };

let open: OpenRooms;
let data: DataSource;

beforeAll(async () => {
  open = await openRooms([PeersModule]);
  data = open.rooms.get(DataSource);
  await data.query(
    `INSERT INTO users (email, status, created_at) VALUES ('a@example.com', 'active', now());
     INSERT INTO tariffs (name, price, created_at) VALUES ('Any', 1, now())`,
  );
});
afterAll(() => open.close());

/** One user with access for another hour, and one peer that is as it should be. */
beforeEach(async () => {
  await data.query(
    `DELETE FROM vpn_peers; DELETE FROM user_tariffs; DELETE FROM vpn_server_health; UPDATE vpn_servers SET applies = false;
     ALTER TABLE vpn_peers DROP CONSTRAINT IF EXISTS vpn_peers_server_id_wg_ip_key;
     ALTER TABLE vpn_peers DROP CONSTRAINT IF EXISTS vpn_peers_wg_public_key_key`,
  );
  await subscribe(0);
  await peer('first', '10.8.0.2');
  open.clock.advance({ minutes: 5 });
});

async function subscribe(startedSecondsAgo: number): Promise<void> {
  await data.query(
    `INSERT INTO user_tariffs (user_id, tariff_id, started_at, access_until, state, source)
     VALUES (1, 1, $1::timestamptz - make_interval(secs => $2), $1::timestamptz + interval '1 hour', 'active', 'admin')`,
    [open.clock.now(), startedSecondsAgo],
  );
}

async function peer(key: string, address: string): Promise<void> {
  await data.query(
    `INSERT INTO vpn_peers (user_id, server_id, wg_public_key, wg_ip, allowed_ips, status, applied_gen, created_at)
     VALUES (1, 1, $1, $2, '0.0.0.0/0', 'active', 1, now())`,
    [key, address],
  );
}

const counted = () => open.rooms.get(Invariants).violations();

describe('what must always be true', () => {
  it('is', async () => {
    expect(await counted()).toEqual(WELL);
  });

  it('is counted every five minutes at most', async () => {
    expect(await counted()).toEqual(WELL);
    await peer('first', '10.8.0.3');
    open.clock.advance({ minutes: 4 });
    expect(await counted()).toEqual(WELL);
    open.clock.advance({ minutes: 1 });
    expect(await counted()).toEqual({ ...WELL, I4: 1 });
  });

  it('is not, when two peers have an address or a key', async () => {
    await peer('second', '10.8.0.2');
    expect(await counted()).toEqual({ ...WELL, I3: 1 });
  });

  it('is not, when a server that answers is not told of a peer from one count to the next', async () => {
    await data.query('UPDATE vpn_servers SET applies = true; UPDATE vpn_peers SET desired_gen = 2');
    expect(await counted()).toEqual(WELL);
    open.clock.advance({ minutes: 5 });
    expect(await counted()).toEqual({ ...WELL, I2: 1 });
    await data.query('UPDATE vpn_peers SET desired_gen = 3');
    open.clock.advance({ minutes: 5 });
    expect(await counted()).toEqual(WELL);
    await data.query('INSERT INTO vpn_server_health (server_id, next_sweep_at, failures) VALUES (1, now(), 3)');
    open.clock.advance({ minutes: 5 });
    expect(await counted()).toEqual(WELL);
  });

  it('is not, when a peer is wanted two minutes after the end of access', async () => {
    open.clock.advance({ minutes: 56 });
    expect(await counted()).toEqual(WELL);
    open.clock.advance({ minutes: 5 });
    expect(await counted()).toEqual({ ...WELL, I5: 1 });
    await open.rooms.get(Access).enforce();
    open.clock.advance({ minutes: 5 });
    expect(await counted()).toEqual(WELL);
  });

  it('is not, when a tariff runs twice by hand', async () => {
    await subscribe(60);
    expect(await counted()).toEqual({ ...WELL, I6: 1 });
  });
});
