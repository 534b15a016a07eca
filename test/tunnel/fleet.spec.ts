import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Account, expectOk, TestApi } from '../support/api.js';
import { type Greeter, greetingThrough, openGreeter, type Place, settingsOf } from '../support/greeter.js';
import { Machine } from '../support/namespaces.js';
import { poll } from '../support/service.js';
import { lackOfHosts, type SshHost } from '../support/ssh-host.js';

jest.setTimeout(120_000);

const lack = lackOfHosts();
if (lack !== undefined) {
  console.warn(
    `THE TEST OF A FLEET IS SKIPPED: ${lack}. It needs root, openssh-server, wireguard-go, wireguard-tools.`,
  );
}

/** How long the tunnel may take to know of a change, in milliseconds. 2 s is the promise, and the figures are printed. */
const AT_ONCE_MS = 10_000;
/** A client that was cut off tries again by itself; 8 to 13 s were seen. */
const BY_ITSELF_MS = 30_000;

const EUROPE: Place = {
  region: 'default',
  inside: '10.8.0.1',
  subnet: '10.8.0.0/22',
  outside: '192.0.2.1',
  client: '192.0.2.2',
};
const AMERICA: Place = {
  region: 'us-east',
  inside: '10.8.16.1',
  subnet: '10.8.16.0/22',
  outside: '198.51.100.1',
  client: '198.51.100.2',
};

(lack === undefined ? describe : describe.skip)('two hosts in two regions, told over SSH', () => {
  let api: TestApi;
  let admin: Account;
  let client: Machine;
  const hosts = new Map<Place, SshHost>();
  const figures: Record<string, number> = {};

  async function openHost(place: Place): Promise<Greeter> {
    const greeter = await openGreeter(place, client);
    hosts.set(place, greeter.host);
    return greeter;
  }

  beforeAll(async () => {
    client = await Machine.make();
    const european = await openHost(EUROPE);
    const american = await openHost(AMERICA);
    api = await TestApi.start({ environment: settingsOf(european, EUROPE) });
    admin = await api.admin();
    const added = await api.post(
      '/admin/servers',
      {
        name: 'Virginia 1',
        region: AMERICA.region,
        country: 'US',
        provider: 'db',
        preshared_keys: true,
        endpoint: `${AMERICA.outside}:51820`,
        public_key: american.publicKey,
        subnet: AMERICA.subnet,
        access: {
          kind: 'ssh',
          host: '127.0.0.1',
          port: american.host.port,
          user: 'root',
          private_key: american.host.gatedKey,
          fingerprint: american.host.fingerprint,
        },
      },
      admin.token,
    );
    expectOk(added);
  });

  afterAll(async () => {
    await api.stop();
    for (const host of hosts.values()) await host.close();
    await client.destroy();
    console.info(`after the answer, in ms: ${JSON.stringify(figures)}`);
  });

  async function connectWith(config: string): Promise<void> {
    const path = join(client.folder, 'wg0.conf');
    await writeFile(path, config, { mode: 0o600 });
    await client.run('wg-quick', 'up', path);
  }

  async function disconnect(): Promise<void> {
    await client.run('wg-quick', 'down', join(client.folder, 'wg0.conf'));
  }

  async function within<T>(what: string, limitMs: number, ask: () => Promise<T | undefined>): Promise<T> {
    const began = performance.now();
    const answer = await poll(ask, limitMs);
    figures[what] = Math.round(performance.now() - began);
    return answer;
  }

  it.each([
    ['with keys of the host', EUROPE],
    ['through the gate, with preshared keys', AMERICA],
  ])('%s: a device connects, is cut off, comes back, moves out', async (_, place) => {
    const { region } = place;
    const user = await api.subscriber(admin);
    const peer = expectOk(await api.post('/vpn_peers/self', { region }, user.token));
    expect(peer).toMatchObject({ status: 'active', active: true });
    const held = async (): Promise<boolean> =>
      (await hosts.get(place)!.held()).some((line) => line.startsWith(peer.wg_public_key));
    expect(await held()).toBe(true);
    const config = expectOk(await api.get('/vpn_peers/self/config', user.token)).wg_quick;
    await connectWith(config);
    expect(await within(`${region}: traffic`, AT_ONCE_MS, () => greetingThrough(client, place))).toBe(region);

    expectOk(await api.put(`/admin/users/${user.id}/status`, { status: 'blocked' }, admin.token));
    const stopped = async () => ((await greetingThrough(client, place)) === undefined ? true : undefined);
    await within(`${region}: cut off`, AT_ONCE_MS, stopped);
    expect(await held()).toBe(false);

    expectOk(await api.put(`/admin/users/${user.id}/status`, { status: 'active' }, admin.token));
    expect(await within(`${region}: back`, BY_ITSELF_MS, () => greetingThrough(client, place))).toBe(region);

    expectOk(await api.delete(`/vpn_peers/${peer.id}`, user.token));
    expect(await held()).toBe(false);
    await disconnect();
  });

  it('a device moves to the other region with its key, and its traffic with it', async () => {
    const user = await api.subscriber(admin);
    const peer = expectOk(await api.post('/vpn_peers/self', { region: EUROPE.region }, user.token));
    const moved = expectOk(await api.post(`/vpn_peers/${peer.id}/move`, { region: AMERICA.region }, user.token));
    expect(moved).toMatchObject({ wg_public_key: peer.wg_public_key, status: 'active' });
    await connectWith(expectOk(await api.get(`/vpn_peers/${peer.id}/config`, user.token)).wg_quick);
    expect(await poll(() => greetingThrough(client, AMERICA), AT_ONCE_MS)).toBe(AMERICA.region);
    await poll(async () => ((await hosts.get(EUROPE)!.held()).length === 0 ? true : undefined));
    await disconnect();
  });
});
