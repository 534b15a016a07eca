import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { UnitOfWork } from '#platform';
import { type OpenRooms, openRooms } from '../../../test/support/rooms.js';
import { AddressesRepository } from './addresses.repository.js';
import { FirstServer } from './first-server.service.js';
import { Servers } from './servers.service.js';
import { WireGuardModule } from './wireguard.module.js';

let open: OpenRooms;
let addresses: AddressesRepository;
let serverId: number;

beforeAll(async () => {
  open = await openRooms([WireGuardModule], { WG_SUBNET: '10.8.0.0/24' });
  addresses = open.rooms.get(AddressesRepository);
  serverId = (await open.rooms.get(Servers).list())[0]!.id;
});
afterAll(() => open.close());

const take = (): Promise<string> => open.rooms.get(UnitOfWork).run(() => addresses.take(serverId));
const release = (address: string): Promise<void> => addresses.release(serverId, address);

describe('the address pool', () => {
  it('gives 200 takers 200 addresses at once, none of them the network, server or broadcast address', async () => {
    const taken = await Promise.all(Array.from({ length: 200 }, take));
    expect(new Set(taken).size).toBe(200);
    expect(taken).not.toEqual(expect.arrayContaining(['10.8.0.0']));
    expect(taken).not.toEqual(expect.arrayContaining(['10.8.0.1']));
    expect(taken).not.toEqual(expect.arrayContaining(['10.8.0.255']));
    await Promise.all(taken.map(release));
    open.clock.advance({ minutes: 11 });
  });

  it('gives back what an undone creation took', async () => {
    const undone = open.rooms.get(UnitOfWork).run(async () => {
      await addresses.take(serverId);
      throw new Error('no');
    });
    await expect(undone).rejects.toThrow('no');
    const first = await take();
    await release(first);
    open.clock.advance({ minutes: 11 });
  });

  it('lets a freed address rest for ten minutes, even when nothing else is left', async () => {
    const all = await Promise.all(Array.from({ length: 253 }, take));
    await expect(take()).rejects.toMatchObject({ code: 'address_pool_exhausted', kind: 'unavailable' });
    await release(all[7]!);
    open.clock.advance({ minutes: 9 });
    await expect(take()).rejects.toMatchObject({ code: 'address_pool_exhausted' });
    open.clock.advance({ minutes: 1 });
    expect(await take()).toBe(all[7]);
    await Promise.all(all.map(release));
    open.clock.advance({ minutes: 11 });
  });

  it('hands a wanted address out, resting or not, but never one that is taken or not its own', async () => {
    const takeThis = (address: string): Promise<string> =>
      open.rooms.get(UnitOfWork).run(() => addresses.takeThis(serverId, address));
    expect(await takeThis('10.8.0.77')).toBe('10.8.0.77');
    await expect(takeThis('10.8.0.77')).rejects.toMatchObject({ code: 'address_taken' });
    await release('10.8.0.77');
    expect(await takeThis('10.8.0.77')).toBe('10.8.0.77');
    await expect(takeThis('10.8.0.1')).rejects.toMatchObject({ code: 'validation_error' });
    await expect(takeThis('10.9.0.1')).rejects.toMatchObject({ code: 'validation_error' });
    await release('10.8.0.77');
  });

  it('follows a subnet that is changed, and keeps what peers have', async () => {
    const data = open.rooms.get(DataSource);
    const kept = await take();
    const server = await open.rooms.get(Servers).get(serverId);
    await addresses.fill({ ...server, subnet: '10.9.0.0/29' });
    const rows = await data.query<{ address: string }[]>(
      'SELECT host(address) AS address FROM vpn_server_addresses WHERE server_id = $1 ORDER BY vpn_server_addresses.address',
      [serverId],
    );
    expect(rows.map(({ address }) => address)).toEqual([kept, ...[2, 3, 4, 5, 6].map((host) => `10.9.0.${host}`)]);
    await addresses.fill(server);
  });

  it('is asked by index, however full it is', async () => {
    const server = await open.rooms.get(Servers).get(serverId);
    await addresses.fill({ ...server, subnet: '10.10.0.0/16' });
    const data = open.rooms.get(DataSource);
    await data.query(`UPDATE vpn_server_addresses SET free_at = NULL WHERE address < '10.10.195.0'`);
    await data.query('VACUUM ANALYZE vpn_server_addresses');
    const plan = await data.query<{ 'QUERY PLAN': string }[]>(
      `EXPLAIN SELECT address FROM vpn_server_addresses WHERE server_id = $1 AND free_at <= now()
       ORDER BY free_at, address LIMIT 1 FOR UPDATE SKIP LOCKED`,
      [serverId],
    );
    expect(JSON.stringify(plan)).toContain('vpn_server_addresses_free');
    expect(JSON.stringify(plan)).not.toMatch(/Seq Scan|Sort/);
    const taken = await Promise.all(Array.from({ length: 50 }, take));
    expect(new Set(taken).size).toBe(50);
  });
});

describe('the first server', () => {
  it('has a key pair made for it once when none is set', async () => {
    const servers = open.rooms.get(Servers);
    const before = await servers.get(serverId);
    await open.rooms.get(FirstServer).update();
    expect(await servers.get(serverId)).toEqual(before);
    expect(await servers.privateKey(serverId)).toMatch(/=$/);
    const stored = await open.rooms
      .get(DataSource)
      .query<{ sealed_private_key: string }[]>('SELECT * FROM vpn_servers');
    expect(stored[0]?.sealed_private_key).toMatch(/^gAAAA/);
  });
});
