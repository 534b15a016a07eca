import { type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CliModule } from '../../apps/cli/src/cli.module.js';
import { WorkerModule } from '../../apps/worker/src/worker.module.js';
import { createLog, type Environment, type PlatformOptions, SettingsError } from '#platform';
import { FirstServer } from '#wireguard';
import { type Account, expectOk, TestApi } from '../support/api.js';
import { testSettings } from '../support/settings.js';

const SETTINGS = { WG_ENDPOINT: 'vpn.example.com:51820', WG_SUBNET: '10.8.0.0/24' };

let api: TestApi;
let admin: Account;
let id: number;

beforeAll(async () => {
  api = await TestApi.start({ environment: SETTINGS });
  admin = await api.admin();
  [{ id }] = expectOk(await api.get('/admin/servers', admin.token));
});
afterAll(() => api.stop());

const row = async (): Promise<object> => (await api.get(`/admin/servers/${id}`, admin.token)).body;
const changes = async (): Promise<object[]> =>
  expectOk(await api.get(`/admin/audit?action=server_change&target=server:${id}`, admin.token));

/** Starts one more instance, and stops it again. */
async function startWith(environment: Environment, logLines: string[] = []): Promise<void> {
  const instance = await TestApi.start({
    environment: { ...SETTINGS, ...environment },
    databaseUrl: () => api.database.url,
    logLines,
  });
  await instance.stop();
}

async function refusal(environment: Environment): Promise<string> {
  return startWith(environment).then(
    () => 'started',
    (error: unknown) => (error instanceof SettingsError ? error.faults.join('\n') : String(error)),
  );
}

describe('the server of the WG_* settings, without devices', () => {
  it('follows the settings of an instance that starts; what was and what is are logged and audited (F1)', async () => {
    const logLines: string[] = [];
    await startWith({ WG_SUBNET: '10.9.0.0/24', WG_MTU: '1400' }, logLines);
    expect(await row()).toMatchObject({ subnet: '10.9.0.0/24', mtu: 1400 });
    const changed = { subnet: { from: '10.8.0.0/24', to: '10.9.0.0/24' }, mtu: { from: 1420, to: 1400 } };
    const line = logLines.find((text) => text.includes('the server of the WG_* settings was changed'));
    expect(JSON.parse(line ?? '')).toMatchObject({ level: 'warn', serverId: id, changed });
    expect((await changes())[0]).toMatchObject({ actor_kind: 'system', data: { name: 'default', changed } });
    await startWith({});
    expect(await row()).toMatchObject({ subnet: '10.8.0.0/24', mtu: 1420 });
  });

  it('leaves no line and no row where nothing changes (F1)', async () => {
    const [logLines, before]: [string[], object[]] = [[], await changes()];
    await startWith({}, logLines);
    expect(logLines.filter((text) => text.includes('settings was changed'))).toEqual([]);
    expect(await changes()).toEqual(before);
  });

  it.each<[string, (options: PlatformOptions) => DynamicModule]>([
    ['a command', (options) => CliModule.with(options)],
    ['a worker', (options) => WorkerModule.with(options)],
  ])('is not touched by %s, whatever settings that has (F1)', async (_what, moduleOf) => {
    const before = await row();
    const settings = testSettings({ WG_SUBNET: '10.7.0.0/24', WG_APPLY_ENABLED: '1', WG_MTU: '1300' });
    const log = await createLog({ level: 'silent', pretty: false });
    const module = moduleOf({ settings, databaseUrl: api.database.url, log, clock: api.clock });
    const rooms = await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
    await rooms.close();
    expect(await row()).toEqual(before);
  });
});

describe('the server of the WG_* settings, with a device', () => {
  beforeAll(async () => {
    const user = await api.subscriber(admin);
    expectOk(await api.post('/vpn_peers/self', {}, user.token));
  });

  it.each<[string, Environment, string]>([
    [
      'another subnet',
      { WG_SUBNET: '10.9.0.0/24' },
      'WG_SUBNET is 10.9.0.0/24, but the server has devices in 10.8.0.0/24',
    ],
    ['a wider subnet', { WG_SUBNET: '10.8.0.0/16' }, 'WG_SUBNET is 10.8.0.0/16'],
    [
      'wg-easy',
      { WG_KEY_POLICY: 'wg-easy', WG_EASY_URL: 'http://127.0.0.1:1', WG_EASY_PASSWORD: 'x' },
      'WG_KEY_POLICY is wg-easy, but the server has devices of db',
    ],
    ['applying', { WG_APPLY_ENABLED: '1' }, 'WG_APPLY_ENABLED would begin'],
    ['keys of the host', { WG_KEY_POLICY: 'host' }, 'WG_KEY_POLICY changes the server from db to host'],
  ])('refuses to start with %s, and says which setting it is (F1, E5)', async (_what, environment, message) => {
    const before = await row();
    expect(await refusal(environment)).toContain(message);
    expect(await row()).toEqual(before);
  });

  it('takes over whether we apply where that is confirmed, and never another subnet (F1, E5)', async () => {
    const withSettings = async (environment: Environment): Promise<void> => {
      const settings = testSettings({ ...SETTINGS, ...environment });
      const log = await createLog({ level: 'silent', pretty: false });
      const module = CliModule.with({ settings, databaseUrl: api.database.url, log, clock: api.clock });
      const rooms = await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
      await rooms
        .get(FirstServer)
        .update({ confirmed: true })
        .finally(() => rooms.close());
    };
    await withSettings({ WG_APPLY_ENABLED: '1' });
    expect(await row()).toMatchObject({ applies: true });
    expect((await changes()).at(-1)).toMatchObject({
      data: { changed: { applies: { from: false, to: true }, access: { from: null, to: 'local wg0' } } },
    });
    expect(await refusal({})).toContain('WG_APPLY_ENABLED would cease');
    await expect(withSettings({ WG_SUBNET: '10.9.0.0/24' })).rejects.toThrow('WG_SUBNET');
    expect(await row()).toMatchObject({ applies: true, subnet: '10.8.0.0/24' });
  });
});
