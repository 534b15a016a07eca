import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Account, expectOk, TestApi } from '../support/api.js';
import { cable, Machine } from '../support/namespaces.js';
import { poll } from '../support/service.js';
import { lackOfHosts, SshHost } from '../support/ssh-host.js';

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

interface Place {
  readonly region: string;
  readonly inside: string;
  readonly subnet: string;
  readonly outside: string;
  readonly client: string;
}
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

  /** A host that routes and greets; its public key. */
  async function openHost(place: Place): Promise<string> {
    const host = await SshHost.open();
    hosts.set(place, host);
    const { machine } = host;
    await cable(machine, `${place.outside}/24`, client, `${place.client}/24`);
    await machine.run('sh', '-c', `umask 077; wg genkey > ${machine.folder}/key`);
    await machine.run('wg', 'set', 'wg0', 'private-key', `${machine.folder}/key`, 'listen-port', '51820');
    await machine.run('ip', 'addr', 'add', `${place.inside}/22`, 'dev', 'wg0');
    const greet = `require('node:http').createServer((_, answer) => answer.end('${place.region}')).listen(8080, '${place.inside}')`;
    machine.start(process.execPath, '-e', greet);
    return (await machine.run('wg', 'show', 'wg0', 'public-key')).trim();
  }

  beforeAll(async () => {
    client = await Machine.make();
    const european = await openHost(EUROPE);
    const american = await openHost(AMERICA);
    const [europe, america] = [hosts.get(EUROPE)!, hosts.get(AMERICA)!];
    api = await TestApi.start({
      environment: {
        ROLES: 'api,jobs',
        ALLOW_PRIVATE_TARGETS: '1',
        WG_KEY_POLICY: 'host',
        WG_HOST_SSH: `root@127.0.0.1:${europe.port}`,
        WG_HOST_SSH_KEY: europe.rootKey,
        WG_HOST_FINGERPRINT: europe.fingerprint,
        WG_SERVER_PUBLIC_KEY: european,
        WG_ENDPOINT: `${EUROPE.outside}:51820`,
        WG_SUBNET: EUROPE.subnet,
      },
    });
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
        public_key: american,
        subnet: AMERICA.subnet,
        access: {
          kind: 'ssh',
          host: '127.0.0.1',
          port: america.port,
          user: 'root',
          private_key: america.gatedKey,
          fingerprint: america.fingerprint,
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

  /** What comes back through the tunnel; undefined when nothing does. */
  function fetchThrough({ inside }: Place): Promise<string | undefined> {
    return client.run('curl', '-s', '--max-time', '0.5', `http://${inside}:8080/`).catch(() => undefined);
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
    expect(await within(`${region}: traffic`, AT_ONCE_MS, () => fetchThrough(place))).toBe(region);

    expectOk(await api.put(`/admin/users/${user.id}/status`, { status: 'blocked' }, admin.token));
    const stopped = async () => ((await fetchThrough(place)) === undefined ? true : undefined);
    await within(`${region}: cut off`, AT_ONCE_MS, stopped);
    expect(await held()).toBe(false);

    expectOk(await api.put(`/admin/users/${user.id}/status`, { status: 'active' }, admin.token));
    expect(await within(`${region}: back`, BY_ITSELF_MS, () => fetchThrough(place))).toBe(region);

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
    expect(await poll(() => fetchThrough(AMERICA), AT_ONCE_MS)).toBe(AMERICA.region);
    await poll(async () => ((await hosts.get(EUROPE)!.held()).length === 0 ? true : undefined));
    await disconnect();
  });
});
