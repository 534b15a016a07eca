import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { IapModule, Inbox, Repair } from '#iap';
import { openInstance } from '../support/rooms.js';
import { Metrics } from '#platform';
import { MONTHLY, TestStores } from '../support/stores.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/until.js';

const logLines: string[] = [];
let stores: TestStores;
beforeAll(async () => {
  stores = await TestStores.start({ APPLE_OCSP: 'hard' }, logLines);
});
afterAll(() => stores.stop());
afterEach(() => {
  stores.apple.clearFaults();
  stores.api.clock.advance({ minutes: 16 }); // certificates that were good are believed for a quarter of an hour
});

interface Kept {
  readonly status: string;
  readonly attempts: number;
  readonly error: string | null;
  /** When it is tried again, in minutes from now. */
  readonly inMinutes: number | null;
}

async function kept(eventId: string): Promise<Kept | undefined> {
  const [row] = await stores.api.rows<Kept>(
    `SELECT status, attempts, error, round(extract(epoch FROM next_try_at - $2) / 60)::int AS "inMinutes"
     FROM store_events WHERE event_id = $1`,
    [eventId, stores.api.clock.now()],
  );
  return row;
}

const process = (): Promise<number> => stores.api.app.get(Inbox).process();
const subscribe = () => stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD' });

describe('an event that cannot be dealt with', () => {
  it('is tried again after 1, 5 and 30 minutes, 2 and 12 hours, then given up, told of, and dealt with when an admin says so', async () => {
    stores.apple.fault('ocsp', { kind: 'drop', times: 1_000_000 });
    const told = subscribe();
    logLines.length = 0;
    await stores.tellApple(told);
    for (const [attempt, inMinutes] of [1, 5, 30, 120, 720].entries()) {
      expect(await kept(told.id)).toMatchObject({ status: 'received', attempts: attempt + 1, inMinutes });
      expect(logLines.filter((line) => line.includes('"error"'))).toEqual([]);
      await process();
      expect(await kept(told.id)).toMatchObject({ attempts: attempt + 1 }); // not before its time
      stores.api.clock.advance({ minutes: inMinutes });
      await process();
    }
    expect(await kept(told.id)).toEqual({ status: 'failed', attempts: 6, error: 'store_unavailable', inMinutes: null });
    expect(logLines.filter((line) => line.includes('"error"'))).toMatchObject([
      expect.stringContaining('an event of a store was given up'),
    ]);
    stores.apple.clearFaults();
    const admin = await stores.signedIn(stores.admin);
    const { body } = await stores.api.get('/admin/iap/events?status=failed', admin);
    const [event] = Array.isArray(body) ? body : body.items;
    expect((await stores.api.post(`/admin/iap/events/${event.id}/replay`, {}, admin)).status).toBe(200);
    await stores.settle();
    expect(await kept(told.id)).toMatchObject({ status: 'done', error: null });
  });
});

describe('an event whose worker died', () => {
  it('is taken over by another instance once its lease is over, and not before', async () => {
    const told = subscribe();
    stores.apple.fault('ocsp', { kind: 'drop', times: 1 });
    await stores.tellApple(told);
    const at = stores.api.clock.now();
    await stores.api.rows(
      `UPDATE store_events SET leased_until = $2::timestamptz + interval '60 seconds', next_try_at = $2 WHERE event_id = $1`,
      [told.id, at],
    );
    const rooms = await openInstance([IapModule], {
      databaseUrl: stores.api.database.url,
      clock: stores.api.clock,
      environment: { ...stores.apple.settings(), APPLE_OCSP: 'off' },
    });
    stores.api.clock.advance({ seconds: 59 });
    expect(await rooms.get(Inbox).process()).toBe(0);
    stores.api.clock.advance({ seconds: 1 });
    expect(await rooms.get(Inbox).process()).toBe(1);
    await rooms.close();
    expect(await kept(told.id)).toMatchObject({ status: 'done' });
  });

  it('is dealt with once by two instances that are at it together', async () => {
    stores.apple.fault('ocsp', { kind: 'drop', times: 60 });
    const told = Array.from({ length: 30 }, subscribe);
    for (const one of told) await stores.deliverApple(one);
    await stores.settle();
    stores.apple.clearFaults();
    const rooms = await openInstance([IapModule], {
      databaseUrl: stores.api.database.url,
      clock: stores.api.clock,
      environment: { ...stores.apple.settings(), APPLE_OCSP: 'off' },
    });
    stores.api.clock.advance({ minutes: 2 });
    const counts = await Promise.all([process(), rooms.get(Inbox).process()]);
    await rooms.close();
    expect(counts.reduce((sum, count) => sum + count)).toBe(30);
    const rows = await stores.api.rows(`SELECT DISTINCT status, attempts FROM store_events WHERE event_id = ANY($1)`, [
      told.map(({ id }) => id),
    ]);
    expect(rows).toEqual([{ status: 'done', attempts: 2 }]);
  });
});

describe('what Apple told and nobody heard', () => {
  it('is found in its own record, from a day before what was read last', async () => {
    const repair = stores.api.app.get(Repair);
    await repair.repairDue();
    await stores.settle();
    const user = await stores.api.user();
    const accountToken = await stores.tokenOf(user);
    stores.api.clock.advance({ hours: 1 });
    stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', accountToken });
    stores.api.clock.advance({ hours: 4, minutes: 59 });
    expect(await repair.repairDue()).toBe(0); // every six hours
    stores.api.clock.advance({ minutes: 1 });
    stores.apple.fault('notification_history', {
      kind: 'rate_limit',
      environment: 'production',
      until: new Date(stores.api.clock.now().getTime() + 60_000),
    });
    await expect(repair.repairDue()).rejects.toMatchObject({ code: 'store_unavailable' });
    stores.api.clock.advance({ minutes: 2 });
    expect(await repair.repairDue()).toBe(1);
    await stores.settle();
    expect(await stores.subscription(user)).toMatchObject({ state: 'active' });
    stores.api.clock.advance({ hours: 6 });
    expect(await repair.repairDue()).toBe(0); // read again, and known
  });
});

describe('an event that nobody deals with', () => {
  it('is a broken promise after an hour', async () => {
    const figure = async (): Promise<string | undefined> => {
      stores.api.clock.advance({ minutes: 6 }); // counts are kept for five
      return /invariant_violations\{n="I8"\} (\d+)/.exec(await stores.api.app.get(Metrics).render())?.[1];
    };
    expect(await figure()).toBe('0');
    const told = subscribe();
    await stores.tellApple(told);
    await stores.api.rows(`UPDATE store_events SET status = 'received', next_try_at = $2 WHERE event_id = $1`, [
      told.id,
      stores.api.clock.now(),
    ]);
    expect(await figure()).toBe('0');
    stores.api.clock.advance({ minutes: 55 });
    expect(await figure()).toBe('1');
    await process();
    expect(await figure()).toBe('0');
  });
});

describe('events', () => {
  it('are forgotten after 180 days, unless they still wait', async () => {
    stores.apple.fault('ocsp', { kind: 'drop', times: 1_000_000 });
    const waiting = subscribe();
    await stores.tellApple(waiting);
    stores.apple.clearFaults();
    const done = stores.apple.test();
    await stores.tellApple(done);
    stores.api.clock.advance({ days: 179 });
    await stores.api.app.get(Inbox).forgetOld();
    expect(await kept(done.id)).toBeDefined();
    stores.api.clock.advance({ days: 1, minutes: 1 });
    await stores.api.app.get(Inbox).forgetOld();
    expect([await kept(done.id), await kept(waiting.id)]).toMatchObject([undefined, { status: 'received' }]);
  });
});

describe('a database that is gone', () => {
  it('makes both stores tell it again, and nothing is lost', async () => {
    const server = new URL(stores.api.database.url);
    const proxy = await TcpProxy.to(server.hostname, Number(server.port));
    const own = await TestStores.start({}, [], {
      databaseUrl: (direct) =>
        direct.replace(`:${server.port}/`, `:${proxy.port}/`).replace(server.hostname, '127.0.0.1'),
    });
    const user = await own.api.user();
    const accountToken = await own.tokenOf(user);
    const apple = own.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD', accountToken });
    const google = own.google.push(own.google.subscribe({ productId: MONTHLY, accountToken }));
    const push = () => own.api.call('POST', '/payments/webhook/google', google);
    proxy.cut();
    for (const { status, headers } of [await own.deliverApple(apple), await push()]) {
      expect([status, headers.get('retry-after')]).toEqual([503, expect.any(String)]);
    }
    proxy.mend();
    expect(await until(async () => ((await own.deliverApple(apple)).status === 200 ? true : undefined))).toBe(true);
    expect((await push()).status).toBe(200);
    await own.settle();
    expect(await own.payments(user)).toHaveLength(2);
    await own.stop();
    proxy.close();
  });
});
