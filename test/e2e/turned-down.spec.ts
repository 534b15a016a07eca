import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DomainError } from '#kernel';
import { Applying, Reconciliation } from '#peers';
import { HostProvider, type HostShell, Providers, type Server, type WireGuardProvider } from '#wireguard';
import { type Account, expectOk, TestApi } from '../support/api.js';

/** A host that turns every login down, and counts them. */
class TurningDown implements HostShell {
  logins = 0;

  run(): Promise<string> {
    this.logins++;
    return Promise.reject(new DomainError('server_refused', { params: { kind: 'authentication' } }));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const host = new TurningDown();
const fleet = {
  of: ({ applies }: Server): Promise<WireGuardProvider | null> =>
    Promise.resolve(applies ? new HostProvider(host, { interface: 'wg0', keysFrom: 'host', sudo: false }) : null),
};

let api: TestApi;
let admin: Account;
let id: number;

beforeAll(async () => {
  api = await TestApi.start({
    environment: { WG_KEY_POLICY: 'host' },
    override: (builder) => builder.overrideProvider(Providers).useValue(fleet),
  });
  admin = await api.admin();
  [{ id }] = expectOk(await api.get('/admin/servers', admin.token));
});
afterAll(() => api.stop());

/** What the jobs do, with time going by. */
async function pass(minutes: number): Promise<void> {
  for (let second = 0; second < minutes * 60; second += 5) {
    api.clock.advance({ seconds: 5 });
    await api.app.get(Applying).applyAll();
    await api.app.get(Reconciliation).sweepDue();
  }
}

describe('a host that turns our login down', () => {
  it('is tried a few times in ten minutes, whatever waits for it and whoever asks (C7)', async () => {
    const user = await api.subscriber(admin);
    await pass(1);
    for (let device = 0; device < 10; device++) {
      expect(await api.post('/vpn_peers/self', {}, user.token)).toMatchObject({ status: 503 });
    }
    await pass(9);
    expect(host.logins).toBeGreaterThan(1);
    expect(host.logins).toBeLessThanOrEqual(4); // fail2ban bans at five
    admin = { ...admin, token: await api.login(admin) };
    expect((await api.get(`/admin/servers/${id}`, admin.token)).body).toMatchObject({ status: 'unreachable' });
  });

  it('is tried at once when an operator edits the server (C7)', async () => {
    const before = host.logins;
    await pass(0.5);
    expect(host.logins).toBe(before);
    expectOk(await api.put(`/admin/servers/${id}`, { country: 'DE' }, admin.token));
    await pass(0.1);
    expect(host.logins).toBe(before + 1);
  });
});
