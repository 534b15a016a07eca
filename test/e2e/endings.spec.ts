import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { Clock, ManualClock } from '#kernel';
import { Applying, ENFORCE_ACCESS, Enforcement, type EnforcementReport, PeersModule, Reconciliation } from '#peers';
import { createLog, JobRuns, Metrics, PlatformModule } from '#platform';
import { Endings } from '#subscriptions';
import { Providers } from '#wireguard';
import { FakeProviders } from '../fakes/providers.js';
import { type Account, expectOk } from '../support/api.js';
import { openInstance } from '../support/rooms.js';
import { testSettings } from '../support/settings.js';
import { MONTHLY, TestStores } from '../support/stores.js';

/** More than any test asks. */
const ALWAYS = 1_000_000;
const fleet = new FakeProviders();
const host = fleet.host(1);
const logLines: string[] = [];

interface Device {
  readonly id: number;
  readonly wg_public_key: string;
  readonly wg_ip: string;
}

let stores: TestStores;
beforeAll(async () => {
  stores = await TestStores.start({ WG_APPLY_ENABLED: '1' }, logLines, {
    override: (builder) => builder.overrideProvider(Providers).useValue(fleet),
  });
});
afterAll(() => stores.stop());
afterEach(() => {
  stores.apple.clearFaults();
  stores.google.heal();
  host.mood = 'well';
});

const run = (options?: { force: boolean }): Promise<EnforcementReport> => stores.api.app.get(Enforcement).run(options);

async function deviceOf(account: Account): Promise<Device> {
  await stores.api.app.get(Reconciliation).sweepDue();
  return expectOk(await stores.api.post('/vpn_peers/self', {}, await stores.signedIn(account)));
}

/** A user with the monthly tariff, given by hand, and one device. */
async function byHand(): Promise<{ user: Account; device: Device }> {
  const user = await stores.api.user();
  const admin = await stores.signedIn(stores.admin);
  const body = { tariff_id: stores.tariffs[MONTHLY] };
  expectOk(await stores.api.post(`/auth/assign_tariff?user_id=${user.id}`, body, admin));
  return { user, device: await deviceOf(user) };
}

async function byApple(): Promise<{ user: Account; device: Device; id: string }> {
  const user = await stores.api.user();
  const accountToken = await stores.tokenOf(user);
  const told = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', accountToken });
  await stores.tellApple(told);
  stores.apple.markDelivered(told);
  return { user, device: await deviceOf(user), id: told.originalTransactionId };
}

async function byGoogle(): Promise<{ user: Account; device: Device; token: string }> {
  const user = await stores.api.user();
  const accountToken = await stores.tokenOf(user);
  const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY, accountToken });
  stores.google.takeNotifications();
  await stores.verify(user, purchaseToken, 'google');
  return { user, device: await deviceOf(user), token: purchaseToken };
}

/** What a user has, by everybody who may be asked: his subscription, his config, his device, and its server. */
async function seen({ user, device }: { user: Account; device: Device }): Promise<object> {
  const { api } = stores;
  const admin = await stores.signedIn(stores.admin);
  const token = await stores.signedIn(user);
  const { status } = expectOk(await api.get(`/vpn_peers/${device.id}`, admin));
  const subscription = await api.get('/auth/me/subscription', token);
  return {
    status: subscription.body.status,
    config: (await api.get('/vpn_peers/self/config', token)).status,
    device: status,
    isOnServer: host.peers.has(device.wg_public_key),
  };
}
const HAS_ACCESS = { status: 'active', config: 200, device: 'active', isOnServer: true };
const SHUT_OUT = { status: 'expired', config: 403, device: 'suspended', isOnServer: false };

describe('what was given by hand', () => {
  it('ends at its end, once, however many instances run the job at once', async () => {
    const all = await Promise.all([byHand(), byHand(), byHand()]);
    const rooms = await openInstance([PeersModule], {
      databaseUrl: stores.api.database.url,
      clock: stores.api.clock,
      environment: { WG_APPLY_ENABLED: '1' },
      replacements: [{ provider: Providers, by: fleet }],
    });
    stores.api.clock.advance({ days: 30 });
    const reports = await Promise.all([run(), run(), run(), rooms.get(Enforcement).run()]);
    await rooms.close();
    expect(reports.reduce((sum, { ended }) => sum + ended, 0)).toBe(3);
    expect(await run()).toEqual({
      ended: 0,
      suspended: { users: 0, devices: 0 },
      reopened: { users: 0, devices: 0 },
      held: null,
      backlog: 0,
    });
    for (const one of all) expect(await seen(one)).toEqual(SHUT_OUT);
    const history = await stores.api.rows(
      `SELECT h.from_state, h.to_state, h.cause FROM subscription_history h
       JOIN user_tariffs s ON s.id = h.subscription_id WHERE s.user_id = $1 AND h.to_state = 'expired'`,
      [all[0].user.id],
    );
    expect(history).toEqual([{ from_state: 'active', to_state: 'expired', cause: 'clock' }]);
  });

  it('is shut out again and again until its server can be told', async () => {
    const one = await byHand();
    stores.api.clock.advance({ days: 30 });
    host.mood = 'down';
    expect(await run()).toMatchObject({ ended: 1, suspended: { users: 1, devices: 1 }, backlog: 1 });
    expect(await seen(one)).toMatchObject({ device: 'suspended', isOnServer: true });
    stores.api.clock.advance({ minutes: 1 });
    expect(await run()).toMatchObject({ ended: 0, backlog: 1 });
    host.mood = 'well';
    for (let minute = 0; minute < 15 && (await run()).backlog > 0; minute++) stores.api.clock.advance({ minutes: 1 });
    expect(await seen(one)).toEqual(SHUT_OUT);
  });

  it('is shut out also where the process died between the end of the subscription and that of its device', async () => {
    const one = await byHand();
    await stores.api.rows(`UPDATE user_tariffs SET state = 'expired' WHERE user_id = $1`, [one.user.id]);
    expect(await run()).toMatchObject({ ended: 0, suspended: { users: 1, devices: 1 } });
    expect(await seen(one)).toEqual(SHUT_OUT);
  });
});

describe('what was bought in a store', () => {
  it('goes on when it was renewed and nobody was told', async () => {
    const [apple, google] = [await byApple(), await byGoogle()];
    stores.api.clock.advance({ days: 30 });
    stores.apple.markDelivered(stores.apple.renew(apple.id));
    stores.google.renew(google.token);
    stores.api.clock.advance({ minutes: 1 });
    expect(await run()).toMatchObject({ ended: 0, backlog: 0 });
    stores.api.clock.advance({ days: 2 }); // until when Play may be late with its renewals
    expect(await run()).toMatchObject({ ended: 0, backlog: 0 });
    expect([await seen(apple), await seen(google)]).toEqual([HAS_ACCESS, HAS_ACCESS]);
    expect([await stores.payments(apple.user), await stores.payments(google.user)]).toMatchObject([
      { length: 2 },
      { length: 2 },
    ]);
  });

  it('ends when its store says so, and comes back with the same device', async () => {
    const one = await byApple();
    const configOf = async (): Promise<string> =>
      expectOk(await stores.api.get('/vpn_peers/self/config', await stores.signedIn(one.user))).wg_quick;
    const config = await configOf();
    stores.apple.markDelivered(stores.apple.setAutoRenew(one.id, false));
    stores.api.clock.advance({ days: 30 });
    stores.apple.markDelivered(stores.apple.expire(one.id));
    expect(await run()).toMatchObject({ held: null, backlog: 0 });
    expect(await seen(one)).toEqual(SHUT_OUT);
    stores.api.clock.advance({ days: 3 });
    await stores.tellApple(stores.apple.resubscribe(one.id));
    await stores.api.app.get(Applying).applyAll();
    expect(await seen(one)).toEqual(HAS_ACCESS);
    expect(await configOf()).toBe(config);
    expect(host.peers.get(one.device.wg_public_key)?.allowedIps).toEqual([one.device.wg_ip]);
  });

  it('ends with a refund at once, without the job', async () => {
    const one = await byApple();
    await stores.tellApple(stores.apple.refund(one.id));
    await stores.api.app.get(Applying).applyAll();
    expect(await seen(one)).toEqual({ ...SHUT_OUT, status: 'refunded' });
  });

  it('is asked about by the next run where the one that asked died', async () => {
    const one = await byApple();
    stores.apple.markDelivered(stores.apple.setAutoRenew(one.id, false));
    stores.api.clock.advance({ days: 30 });
    stores.apple.markDelivered(stores.apple.expire(one.id));
    // What a kill leaves behind: somebody is asking, and never comes back.
    await stores.api.rows(
      `UPDATE store_purchases SET leased_until = $2, leeway_until = access_until + interval '72 hours' WHERE user_id = $1`,
      [one.user.id, new Date(stores.api.clock.now().getTime() + 60_000)],
    );
    await run();
    expect(await seen(one)).toEqual(HAS_ACCESS);
    stores.api.clock.advance({ minutes: 2 });
    await stores.ask();
    await run();
    expect(await seen(one)).toEqual(SHUT_OUT);
  });
});

describe('two days in which no store answers', () => {
  it('cut nobody who paid, and are made up for when they answer again', async () => {
    const [apple, google] = [await byApple(), await byGoogle()];
    const cancelled = await byApple();
    await stores.tellApple(stores.apple.setAutoRenew(cancelled.id, false));
    stores.api.clock.advance({ days: 30 });
    stores.apple.markDelivered(stores.apple.renew(apple.id));
    stores.google.renew(google.token);
    stores.apple.fault('*', { kind: 'drop', times: ALWAYS });
    stores.google.fault('*', { kind: 'status', status: 503 });
    for (let hour = 0; hour <= 48; hour += 24) {
      stores.api.clock.advance({ minutes: 1 });
      await run();
      expect([await seen(apple), await seen(google)]).toEqual([HAS_ACCESS, HAS_ACCESS]);
      stores.api.clock.advance({ hours: 24 });
    }
    expect(await seen(cancelled)).toEqual(SHUT_OUT);
    stores.apple.clearFaults();
    stores.google.heal();
    await stores.ask();
    await run();
    expect([await seen(apple), await seen(google)]).toEqual([HAS_ACCESS, HAS_ACCESS]);
    const held = await stores.api.rows(
      `SELECT provider, state, access_until, next_check_at, leased_until, check_failures, leeway_until, asked_at FROM store_purchases WHERE user_id = ANY($1) AND leeway_until IS NOT NULL`,
      [[apple.user.id, google.user.id]],
    );
    expect(held).toEqual([]);
    expect(await stores.payments(apple.user)).toHaveLength(2);
  }, 120_000);

  it('are followed by a third, and then by the end', async () => {
    const one = await byApple();
    stores.apple.fault('*', { kind: 'drop', times: ALWAYS });
    stores.api.clock.advance({ days: 30, minutes: 1 });
    await run();
    stores.api.clock.advance({ hours: 71 });
    await run();
    expect(await seen(one)).toEqual(HAS_ACCESS);
    stores.api.clock.advance({ hours: 1 });
    await run();
    expect(await seen(one)).toEqual(SHUT_OUT);
  }, 60_000);
});

describe('more endings at once than life brings', () => {
  it('are held back, said as an error and by a gauge, and ended when an operator insists', async () => {
    const one = await byHand();
    const render = (): Promise<string> => stores.api.app.get(Metrics).render();
    await stores.api.rows(
      `WITH many AS (
         INSERT INTO users (email, status, created_at)
         SELECT 'many-' || n || '@example.com', 'active', $1 FROM generate_series(1, 21) AS n RETURNING id)
       INSERT INTO user_tariffs (user_id, tariff_id, started_at, ended_at, access_until, state, source)
       SELECT id, $2, $1, $1::timestamptz + interval '30 days', $1::timestamptz + interval '30 days', 'active', 'admin' FROM many`,
      [stores.api.clock.now(), stores.tariffs[MONTHLY]],
    );
    stores.api.clock.advance({ days: 30 });
    logLines.length = 0;
    const asJob = (): Promise<unknown> =>
      stores.api.app.get(JobRuns).run('enforce-access', () => run(), ENFORCE_ACCESS);
    expect(await asJob()).toMatchObject({ result: { ended: 0, held: 22, backlog: 22 } });
    expect(host.peers.has(one.device.wg_public_key)).toBe(true);
    expect(logLines.filter((line) => line.includes('"error"'))).toMatchObject([
      expect.stringContaining('too many subscriptions would end at once'),
    ]);
    expect(await render()).toContain('vpn_access_endings_held 22\n');
    expect(await render()).toContain('job_failing{job="enforce-access"} 1\n');
    expect(await run({ force: true })).toMatchObject({ ended: 22, held: null, backlog: 0 });
    await asJob();
    expect(await render()).toContain('vpn_access_endings_held 0\n');
    expect(await seen(one)).toEqual(SHUT_OUT);
  });
});

describe('an instance whose clock jumped', () => {
  it("ends nothing: the database's clock decides", async () => {
    const user = await stores.api.user();
    await stores.api.rows(
      `INSERT INTO user_tariffs (user_id, tariff_id, started_at, ended_at, access_until, state, source)
       VALUES ($1, $2, now(), now() + interval '1 day', now() + interval '1 day', 'active', 'admin')`,
      [user.id, stores.tariffs[MONTHLY]],
    );
    const platform = PlatformModule.with({
      settings: testSettings(),
      databaseUrl: stores.api.database.url,
      log: await createLog({ level: 'silent', pretty: false }),
    });
    const rooms = await Test.createTestingModule({ imports: [platform, PeersModule] })
      .overrideProvider(Clock)
      .useValue(new ManualClock(new Date(Date.now() + 365 * 86_400_000)))
      .compile();
    await rooms.init();
    expect(await rooms.get(Endings).endDue()).toEqual({ ended: 0, held: null, backlog: 0 });
    await rooms.close();
  });
});
