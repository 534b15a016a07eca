import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DataSource } from 'typeorm';
import { PeersModule, Reconciliation } from '#peers';
import { type OpenRooms, openRooms } from '../support/rooms.js';
import { lackOfHosts, SshHost } from '../support/ssh-host.js';

jest.setTimeout(180_000);

setFlagsFromString('--expose-gc');
const collectGarbage: unknown = runInNewContext('gc');

/** What is really held, in MB. */
function heapInUse(): number {
  if (typeof collectGarbage === 'function') collectGarbage();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

const MANY = 10_000;
const SWEEPS = 100;

const lack = lackOfHosts();
if (lack !== undefined) console.warn(`THE TEST OF MANY PEERS IS SKIPPED: ${lack}.`);

/** Figures are printed, not judged: what a machine is busy with is no fault of ours. */
(lack === undefined ? describe : describe.skip)(`${MANY} peers on one host`, () => {
  let host: SshHost;
  let open: OpenRooms;

  beforeAll(async () => {
    host = await SshHost.open();
    open = await openRooms([PeersModule], {
      WG_APPLY_ENABLED: '1',
      WG_SUBNET: '10.8.0.0/16',
      WG_HOST_SSH: `root@127.0.0.1:${host.port}`,
      WG_HOST_SSH_KEY: host.rootKey,
      WG_HOST_FINGERPRINT: host.fingerprint,
    });
    const data = open.rooms.get(DataSource);
    await data.query(`INSERT INTO users (email, status, created_at) VALUES ('many@example.com', 'active', now())`);
    await data.query(
      `WITH taken AS (
         UPDATE vpn_server_addresses SET free_at = NULL
         WHERE address IN (SELECT address FROM vpn_server_addresses ORDER BY address LIMIT ${MANY})
         RETURNING server_id, address)
       INSERT INTO vpn_peers (user_id, server_id, wg_public_key, wg_ip, allowed_ips, status, created_at)
       SELECT 1, server_id, encode(sha256(text(address)::bytea), 'base64'), address, '0.0.0.0/0', 'pending', now()
       FROM taken`,
    );
  });
  afterAll(async () => {
    await open.close();
    await host.close();
  });

  it('are built up by one sweep, and looked over by the next hundred in no more memory', async () => {
    const reconciliation = open.rooms.get(Reconciliation);
    const timed = async (): Promise<number> => {
      const began = performance.now();
      await reconciliation.sweep(1);
      return Math.round(performance.now() - began);
    };
    const buildUp = await timed();
    expect(await host.held()).toHaveLength(MANY);
    const first = await timed();
    const before = heapInUse();
    const all: number[] = [];
    for (let count = 0; count < SWEEPS; count++) all.push(await timed());
    const grown = (heapInUse() - before).toFixed(1);
    all.sort((a, b) => a - b);
    const [rows] = await open.rooms
      .get(DataSource)
      .query<{ total: number }[]>(`SELECT count(*)::int AS total FROM vpn_peers WHERE status = 'active'`);
    expect(rows?.total).toBe(MANY);
    console.info(
      `${MANY} peers: build-up ${buildUp} ms; sweep without drift: first ${first} ms, median ${all[SWEEPS / 2]} ms, ` +
        `slowest ${all.at(-1)} ms; heap after ${SWEEPS} more: ${grown} MB bigger`,
    );
  });
});
