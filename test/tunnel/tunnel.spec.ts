import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ServerExport } from '#peers';
import { generateKeyPair } from '#wireguard';
import { type Account, expectOk, TestApi } from '../support/api.js';
import { cable, lackOfMeans, Machine } from '../support/namespaces.js';
import { poll } from '../support/service.js';

jest.setTimeout(120_000);

const lack = lackOfMeans();
if (lack !== undefined)
  console.warn(
    `THE TUNNEL TEST IS SKIPPED: ${lack}. It needs root, wireguard-go, wireguard-tools, openresolv, iptables and iproute2.`,
  );

const GREETING = 'hello through the tunnel';
const HTTP_SERVER = `require('node:http').createServer((_, answer) => answer.end('${GREETING}')).listen(8080, '10.8.0.1')`;

(lack === undefined ? describe : describe.skip)('a stock WireGuard client, with the text of our config', () => {
  let api: TestApi;
  let admin: Account;
  let server: Machine;
  let client: Machine;

  beforeAll(async () => {
    api = await TestApi.start({ environment: { WG_ENDPOINT: '192.0.2.1:51820' } });
    admin = await api.admin();
    [server, client] = [await Machine.make(), await Machine.make()];
    await cable(server, '192.0.2.1/24', client, '192.0.2.2/24');
    await server.run('wireguard-go', 'wg0');
    await server.run('ip', 'addr', 'add', '10.8.0.1/22', 'dev', 'wg0');
    await server.run('ip', 'link', 'set', 'wg0', 'up');
    server.start(process.execPath, '-e', HTTP_SERVER);
  });

  afterAll(async () => {
    await server.destroy();
    await client.destroy();
  });

  /** Gives the server exactly the peers that the export names. */
  async function applyExport(): Promise<void> {
    const path = join(server.folder, 'export.conf');
    await writeFile(path, await api.app.get(ServerExport).render(1));
    await server.run('wg', 'syncconf', 'wg0', path);
  }

  async function connectWith(config: string): Promise<void> {
    const path = join(client.folder, 'wg0.conf');
    await writeFile(path, config, { mode: 0o600 });
    await client.run('wg-quick', 'up', path);
  }

  async function disconnect(): Promise<void> {
    await client.run('wg-quick', 'down', join(client.folder, 'wg0.conf'));
  }

  /** What comes back through the tunnel within two seconds; undefined when nothing does. */
  async function fetchThrough(): Promise<string | undefined> {
    try {
      return await client.run('curl', '-s', '--max-time', '2', 'http://10.8.0.1:8080/');
    } catch {
      return undefined;
    }
  }

  it('connects, carries traffic, and is cut off when the device is deleted', async () => {
    const user = await api.subscriber(admin);
    const peer = expectOk(await api.post('/vpn_peers/self', { device_name: 'phone' }, user.token));
    await applyExport();
    await connectWith(expectOk(await api.get('/vpn_peers/self/config', user.token)).wg_quick);

    expect(await poll(fetchThrough)).toBe(GREETING);
    const [, handshake] = (await client.run('wg', 'show', 'wg0', 'latest-handshakes')).trim().split('\t');
    expect(Number(handshake)).toBeGreaterThan(0);
    expect(await client.run('ip', '-4', 'addr', 'show', 'wg0')).toContain(peer.wg_ip);
    expect(await client.run('cat', '/etc/resolv.conf')).toContain('nameserver 1.1.1.1');

    expectOk(await api.delete(`/vpn_peers/${peer.id}`, user.token));
    await applyExport();
    expect(await fetchThrough()).toBeUndefined();
    expect(await server.run('wg', 'show', 'wg0', 'peers')).toBe('');
    await disconnect();
  });

  it('connects with a key that never left the device', async () => {
    const user = await api.subscriber(admin);
    const privateKey = (await client.run('wg', 'genkey')).trim();
    const publicKey = (await client.run('sh', '-c', `echo ${privateKey} | wg pubkey`)).trim();
    expectOk(await api.post('/vpn_peers/self', { wg_public_key: publicKey }, user.token));
    await applyExport();
    const config: string = expectOk(await api.get('/vpn_peers/self/config', user.token)).wg_quick;
    await connectWith(config.replace(/^# PrivateKey = .*$/m, `PrivateKey = ${privateKey}`));
    expect(await poll(fetchThrough)).toBe(GREETING);
    await disconnect();
  });

  it('is cut off when access ends, and back with the same text when it is renewed', async () => {
    const user = await api.subscriber(admin);
    expectOk(await api.post('/vpn_peers/self', {}, user.token));
    await applyExport();
    await connectWith(expectOk(await api.get('/vpn_peers/self/config', user.token)).wg_quick);
    expect(await poll(fetchThrough)).toBe(GREETING);

    expectOk(await api.put(`/admin/users/${user.id}/status`, { status: 'blocked' }, admin.token));
    await applyExport();
    expect(await fetchThrough()).toBeUndefined();

    expectOk(await api.put(`/admin/users/${user.id}/status`, { status: 'active' }, admin.token));
    await applyExport();
    expect(await poll(fetchThrough)).toBe(GREETING);
    await disconnect();
  });
});

(lack === undefined ? describe : describe.skip)('the recipe of docs/wireguard-server.md', () => {
  it('keeps the host as it is, and takes away a preshared key that a peer should not have (G2)', async () => {
    const page = await readFile('docs/wireguard-server.md', 'utf8');
    const recipe = /^# on the host\n(.+)$/m.exec(page)?.[1];
    if (recipe === undefined) throw new Error('The page has no recipe');
    const host = await Machine.make();
    const inFolder = (script: string): Promise<string> => host.run('sh', '-ec', `cd ${host.folder} && ${script}`);
    await host.run('wireguard-go', 'wg0');
    const keys = generateKeyPair();
    await writeFile(join(host.folder, 'key'), keys.privateKey);
    await inFolder('wg set wg0 listen-port 51820 private-key key');
    const own = await TestApi.start({
      environment: { WG_ENDPOINT: '192.0.2.1:51820', WG_SERVER_PUBLIC_KEY: keys.publicKey },
    });
    try {
      const boss = await own.admin();
      const { wg_public_key: key, wg_ip } = expectOk(
        await own.post('/vpn_peers/self', {}, (await own.subscriber(boss)).token),
      );
      await writeFile(join(host.folder, 'psk'), generateKeyPair().privateKey);
      await inFolder(`wg set wg0 peer ${key} preshared-key psk allowed-ips ${wg_ip}`);
      await inFolder(`wg set wg0 peer ${generateKeyPair().publicKey} allowed-ips 10.8.3.3/32`); // made by hand
      const text = await own.app.get(ServerExport).render(1);
      expect(text).not.toContain('[Interface]');
      await writeFile(join(host.folder, 'peers.conf'), text);
      await inFolder(recipe);
      expect(await host.run('wg', 'show', 'wg0', 'private-key')).toBe(`${keys.privateKey}\n`);
      expect(await host.run('wg', 'show', 'wg0', 'listen-port')).toBe('51820\n');
      expect(await host.run('wg', 'show', 'wg0', 'preshared-keys')).toBe(`${key}\t(none)\n`);
      expect(await host.run('wg', 'show', 'wg0', 'allowed-ips')).toBe(`${key}\t${wg_ip}\n`);
    } finally {
      await own.stop();
      await host.destroy();
    }
  });
});
