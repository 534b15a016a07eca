import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DataSource } from 'typeorm';
import { Reconciliation } from '#peers';
import { generateKeyPair, Providers, Servers } from '#wireguard';
import { expectOk, TestApi } from '../support/api.js';
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
const CREATIONS = 200;

const lack = lackOfHosts();
if (lack !== undefined) console.warn(`THE TEST OF MANY PEERS IS SKIPPED: ${lack}.`);

/** Figures are printed, not judged: what a machine is busy with is no fault of ours. */
(lack === undefined ? describe : describe.skip)(`${MANY} peers on one host`, () => {
  let host: SshHost;
  let api: TestApi;

  beforeAll(async () => {
    host = await SshHost.open();
    api = await TestApi.start({
      environment: {
        WG_APPLY_ENABLED: '1',
        WG_SUBNET: '10.8.0.0/16',
        WG_HOST_SSH: `root@127.0.0.1:${host.port}`,
        WG_HOST_SSH_KEY: host.rootKey,
        WG_HOST_FINGERPRINT: host.fingerprint,
      },
    });
    const data = api.app.get(DataSource);
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
    await api.stop();
    await host.close();
  });

  it('are built up by one sweep, and looked over by the next hundred in no more memory', async () => {
    const reconciliation = api.app.get(Reconciliation);
    const sweep = async (): Promise<number> => Math.round(await timed(() => reconciliation.sweep(1)));
    const buildUp = await sweep();
    expect(await host.held()).toHaveLength(MANY);
    const first = await sweep();
    const before = heapInUse();
    const all: number[] = [];
    for (let count = 0; count < SWEEPS; count++) all.push(await sweep());
    const grown = (heapInUse() - before).toFixed(1);
    all.sort((a, b) => a - b);
    const [rows] = await api.app
      .get(DataSource)
      .query<{ total: number }[]>(`SELECT count(*)::int AS total FROM vpn_peers WHERE status = 'active'`);
    expect(rows?.total).toBe(MANY);
    console.info(
      `${MANY} peers: build-up ${buildUp} ms; sweep without drift: first ${first} ms, median ${all[SWEEPS / 2]} ms, ` +
        `slowest ${all.at(-1)} ms; heap after ${SWEEPS} more: ${grown} MB bigger`,
    );
  });

  it('are joined by another as fast as the host takes it, and a little', async () => {
    const [provider, owner] = [await providerOf(api), await api.subscriber(await api.admin())];
    const alone: number[] = [];
    const asked: number[] = [];
    for (let count = 0; count < CREATIONS; count++) {
      // In turn, so that whatever else the machine is busy with slows both.
      const spec = {
        peerId: MANY + count,
        publicKey: generateKeyPair().publicKey,
        addresses: [`10.8.255.${count + 1}/32`],
        presharedKey: null,
        remoteId: null,
      };
      alone.push(await timed(() => provider.put([spec])));
      const create = async () => expectOk(await api.post('/vpn_peers/self', {}, owner.token));
      asked.push(await timed(async () => expect(await create()).toMatchObject({ status: 'active' })));
    }
    const [hosts, ours] = [p95(alone), p95(asked)];
    console.info(
      `${CREATIONS} more beside ${MANY}: p95 of POST /vpn_peers/self ${ours.toFixed(1)} ms, of the host alone ` +
        `${hosts.toFixed(1)} ms: ${(ours - hosts).toFixed(1)} ms beyond it`,
    );
  });
});

async function providerOf(api: TestApi) {
  const provider = await api.app.get(Providers).of(await api.app.get(Servers).get(1));
  if (provider === null) throw new Error('The service does not apply to this host');
  return provider;
}

/** How long it took, in milliseconds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function p95(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.95)] ?? Number.NaN;
}
