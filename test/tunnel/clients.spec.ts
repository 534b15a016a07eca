import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClientConfig, generateKeyPair, parseAllowedIps, renderClientConfig } from '#wireguard';
import { lackOfMeans, Machine } from '../support/namespaces.js';

jest.setTimeout(120_000);

const lack = lackOfMeans();
if (lack !== undefined) console.warn(`THE TEST OF THE CLIENTS' TEXTS IS SKIPPED: ${lack}.`);

const { privateKey } = generateKeyPair();
const { publicKey } = generateKeyPair();
const CONFIG: ClientConfig = {
  privateKey,
  addresses: ['10.8.0.7/32'],
  dns: ['1.1.1.1'],
  mtu: 1420,
  serverPublicKey: publicKey,
  presharedKey: null,
  endpoint: '192.0.2.1:51820',
  allowedIps: '0.0.0.0/0, ::/0',
};
const MANY = parseAllowedIps(
  Array.from({ length: 256 }, (_, n) => `100.${n >> 2}.${(n & 3) * 64}.0/${20 + (n % 12)}`).join(','),
)!;

/** The lines of docs/clients.md that a client here can be asked about. */
const TEXTS: [string, Partial<ClientConfig>][] = [
  ['what a device gets by default', {}],
  ['addresses of both families', { addresses: ['10.8.0.7/32', 'fd00:8::7/128'] }],
  ['an endpoint of IPv6', { endpoint: '[2001:db8::1]:51820' }],
  ['no resolver', { dns: [], allowedIps: '192.168.0.0/16' }],
  ['resolvers of both families', { dns: ['1.1.1.1', '2606:4700:4700::1111'] }],
  ['a preshared key', { presharedKey: generateKeyPair().privateKey }],
  ['256 networks', { allowedIps: MANY }],
  ['lists without blanks, as a long one has them in a QR code', { allowedIps: MANY.replaceAll(', ', ',') }],
  ['IPv4 at the end of IPv6, as we write it', { allowedIps: parseAllowedIps('::1.2.3.4, 64:ff9b::/96')! }],
];

(lack === undefined ? describe : describe.skip)('the text of a config', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await Machine.make();
    await machine.run('wireguard-go', 'wg0');
  });
  afterAll(() => machine.destroy());

  it.each(TEXTS)('is read by wg-quick and wg as it was meant: %s (G10)', async (_what, change) => {
    const config = { ...CONFIG, ...change };
    const path = join(machine.folder, 'wg0.conf');
    await writeFile(path, renderClientConfig(config), { mode: 0o600 });
    await writeFile(join(machine.folder, 'stripped'), await machine.run('wg-quick', 'strip', path), { mode: 0o600 });
    await machine.run('wg', 'setconf', 'wg0', join(machine.folder, 'stripped'));
    const shown = async (what: string): Promise<string> => (await machine.run('wg', 'show', 'wg0', what)).trim();
    expect(await shown('private-key')).toBe(privateKey);
    expect(await shown('endpoints')).toBe(`${publicKey}\t${config.endpoint}`);
    expect(await shown('preshared-keys')).toBe(`${publicKey}\t${config.presharedKey ?? '(none)'}`);
    expect(await shown('persistent-keepalive')).toBe(`${publicKey}\t25`);
    const routes = (await shown('allowed-ips'))
      .split('\t')[1]
      ?.split(' ')
      .map((network) => parseAllowedIps(network));
    expect(routes?.sort()).toEqual(config.allowedIps.split(/, ?/).sort());
  });

  it.each([['a port above 65535', { endpoint: '192.0.2.1:99999' }, '192.0.2.1:34463']])(
    'would be read as something else, which is why it is refused before: %s (G3)',
    async (_what, change, endpoint) => {
      const path = join(machine.folder, 'wg0.conf');
      await writeFile(path, renderClientConfig({ ...CONFIG, ...change }), { mode: 0o600 });
      await writeFile(join(machine.folder, 'stripped'), await machine.run('wg-quick', 'strip', path), { mode: 0o600 });
      await machine.run('wg', 'setconf', 'wg0', join(machine.folder, 'stripped'));
      expect((await machine.run('wg', 'show', 'wg0', 'endpoints')).trim()).toBe(`${publicKey}\t${endpoint}`);
    },
  );
});
