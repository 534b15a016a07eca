import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { parseEnv } from 'node:util';
import { type Store, StoreSimulator } from '../simulator/store-simulator.js';
import { playYear } from '../simulator/year.js';
import { call, dataFolder, Service } from '../support/service.js';

jest.setTimeout(180_000);

const PRODUCT = 'com.example.vpn.monthly';
const ADMIN = { email: 'admin@example.com', password: 'Operator-2026' };

let simulator: StoreSimulator;
let service: string;
let folder: string;

/** One that is free now, as are the two after it most likely. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('There is no port');
  return address.port;
}

beforeAll(async () => {
  folder = await dataFolder();
  const servicePort = await freePort();
  service = `http://127.0.0.1:${servicePort}`;
  simulator = await StoreSimulator.start({ port: await freePort(), service, folder, say: () => undefined });
  const environment = { ...readSettings(), PORT: String(servicePort), PROMOTE_SECRET: 'b7Qm2xVt9LzR4kPw8NcY5hJd' };
  await Service.start({ dataDirectory: folder, environment });
  const { id } = await call(service, 'POST', '/auth/register', { body: ADMIN });
  const promote = `/auth/admin/promote?user_id=${id}&secret=${environment.PROMOTE_SECRET}`;
  await call(service, 'POST', promote);
  const { access_token: token } = await call(service, 'POST', '/auth/login', { body: ADMIN });
  const sold = (['apple', 'google'] as const).map((provider) => ({
    provider,
    product_id: PRODUCT,
    kind: 'subscription',
  }));
  const body = { name: 'Monthly', price: '9.99', duration_days: 30, store_products: sold };
  await call(service, 'POST', '/tariffs/', { token, body });
});

afterAll(() => simulator.close());

/** As a shell and as a `.env` file read them. */
function readSettings(): Record<string, string> {
  return parseEnv(readFileSync(`${folder}/stores-fake.env`, 'utf8')) as Record<string, string>;
}

describe('a service that is started with the settings of the fake stores', () => {
  it.each<Store>(['apple', 'google'])('says through a whole year of %s what the subscriber has', async (store) => {
    const lines: string[] = [];
    const say = (line: string): void => void lines.push(line);
    const wrong = await playYear({
      service,
      store,
      productId: PRODUCT,
      say,
      tell: (verb, words) => simulator.do(verb, words),
    });
    expect({ wrong, lines: lines.filter((line) => line.includes('NOT AS')) }).toEqual({ wrong: 0, lines: [] });
  });

  it('finds the same keys when the stores are started again', async () => {
    const before = readSettings();
    const key = readFileSync(before['APPLE_PRIVATE_KEY_PATH'] ?? '', 'utf8');
    const root = readFileSync(before['APPLE_ROOT_CA_PATHS'] ?? '');
    const port = Number(new URL(before['GOOGLE_API_ROOT_URL'] ?? '').port) - 1;
    await simulator.close();
    simulator = await StoreSimulator.start({ port, service, folder, say: () => undefined });
    expect(readSettings()).toEqual(before);
    expect(readFileSync(before['APPLE_PRIVATE_KEY_PATH'] ?? '', 'utf8')).toBe(key);
    expect(readFileSync(before['APPLE_ROOT_CA_PATHS'] ?? '')).toEqual(root);
    expect(await simulator.do('test', { store: 'apple' })).toEqual({ lines: ['the service took it'] });
    expect(await simulator.do('test', { store: 'google' })).toEqual({ lines: ['the service took it'] });
  });

  it('hears at once of a purchase, and the stores refuse what cannot happen', async () => {
    const { lines } = await simulator.do('buy', { store: 'google', product: PRODUCT });
    expect(lines[0]).toContain('purchased (the service was told)');
    await expect(simulator.do('reverse')).rejects.toThrow('there is no "reverse" at Google Play');
    await expect(simulator.do('renew', { purchase: '99' })).rejects.toThrow('there is no #99');
    await expect(simulator.do('clock', { by: '-1d' })).rejects.toThrow('-1d is no step forward');
  });
});
