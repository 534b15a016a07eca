import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { type OpenRooms, openRooms } from '../../../test/support/rooms.js';
import { SETTLE, UNAPPLIED, WORK } from './desired-peers.repository.js';
import { PeersModule } from './peers.module.js';
import { Retention } from './retention.service.js';

const PEERS = 20_000;

let open: OpenRooms;
let data: DataSource;

beforeAll(async () => {
  open = await openRooms([PeersModule], { WG_APPLY_ENABLED: '1', WG_SUBNET: '10.8.0.0/16' });
  data = open.rooms.get(DataSource);
  await data.query(
    `INSERT INTO users (email, status, created_at) VALUES ('many@example.com', 'active', now());
     UPDATE vpn_server_addresses SET free_at = NULL;
     INSERT INTO vpn_servers (name, region, applies, endpoint, public_key, subnet, dns, created_at)
     SELECT 'second', 'second', false, endpoint, public_key, '10.9.0.0/16', dns, created_at FROM vpn_servers;
     INSERT INTO vpn_peers (user_id, server_id, wg_public_key, wg_ip, allowed_ips, status, applied_gen, created_at)
     SELECT 1, 1, lpad(n::text, 43, 'A') || '=', '10.8.0.1'::inet + n, '0.0.0.0/0', 'active', 1, now()
     FROM generate_series(1, ${PEERS}) AS n`,
  );
});
afterAll(() => open.close());

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Plans?: readonly Plan[];
}

/** How a statement reads peers: `Seq Scan`, or the name of an index. */
async function readsOf(text: string, values: readonly unknown[]): Promise<readonly string[]> {
  const [row] = await data.query<{ 'QUERY PLAN': [{ Plan: Plan }] }[]>(`EXPLAIN (FORMAT JSON) ${text}`, [...values]);
  const reads = (plan: Plan): readonly string[] => [
    ...(plan['Index Name']?.startsWith('vpn_peers_') === true ? [plan['Index Name']] : []),
    ...(plan['Relation Name'] === 'vpn_peers' && plan['Node Type'] === 'Seq Scan' ? ['Seq Scan'] : []),
    ...(plan.Plans ?? []).flatMap(reads),
  ];
  return row === undefined ? [] : reads(row['QUERY PLAN'][0].Plan);
}

describe.each([
  ['before the planner knows the table', ''],
  ['after it was analysed', 'ANALYZE'],
])('what is asked every second, %s,', (_, prepare) => {
  beforeAll(async () => {
    if (prepare !== '') await data.query(prepare);
  });

  it('looks into the index of what is not applied, and reads no table (F13)', async () => {
    expect(await readsOf(WORK, [])).toEqual(['vpn_peers_unapplied']);
    expect(await readsOf(UNAPPLIED, [1, 500])).toEqual(['vpn_peers_unapplied']);
    expect(await readsOf(SETTLE, [1000])).toEqual(expect.arrayContaining(['vpn_peers_unapplied']));
    expect(await readsOf(SETTLE, [1000])).not.toContain('Seq Scan');
  });
});

it('knows how many peers a server has without counting them (F13)', async () => {
  const loads = async (): Promise<readonly number[]> => {
    const rows = await data.query<{ peers: number }[]>(
      'SELECT sum(peers)::int AS peers FROM vpn_server_loads GROUP BY server_id ORDER BY server_id',
    );
    return rows.map(({ peers }) => peers);
  };
  expect(await loads()).toEqual([PEERS]);
  await data.query(
    `INSERT INTO vpn_server_addresses (server_id, address) VALUES (2, '10.9.0.2');
     UPDATE vpn_peers SET server_id = 2, wg_ip = '10.9.0.2' WHERE id = (SELECT min(id) FROM vpn_peers);
     DELETE FROM vpn_peers WHERE server_id = 1 AND id % 2 = 0`,
  );
  const counted = await data.query<{ peers: number }[]>(
    'SELECT count(*)::int AS peers FROM vpn_peers GROUP BY server_id ORDER BY server_id',
  );
  expect(await loads()).toEqual(counted.map(({ peers }) => peers));
  await open.rooms.get(Retention).addUpLoads();
  expect(await loads()).toEqual(counted.map(({ peers }) => peers));
  expect(await data.query('SELECT 1 FROM vpn_server_loads')).toHaveLength(2);
});
