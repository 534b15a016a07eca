import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Inbox, Repair } from '#iap';
import { SystemRandomness } from '#kernel';
import { Enforcement } from '#peers';
import { Metrics, SecretBox } from '#platform';
import { type Account, expectOk } from '../support/api.js';
import { MONTHLY, TestStores } from '../support/stores.js';

/** What goes wrong with one purchase, one event or one record is its own affair. */

const logLines: string[] = [];
let stores: TestStores;
beforeAll(async () => {
  stores = await TestStores.start({}, logLines);
});
afterAll(() => stores.stop());
afterEach(() => {
  stores.apple.clearFaults();
  stores.google.heal();
});

const pass = (days: number): void => stores.api.clock.advance({ days });
const figure = async (line: string): Promise<number> => {
  const text = await stores.api.app.get(Metrics).render();
  const found = text.split('\n').find((one) => one.startsWith(`${line} `));
  return Number(found?.slice(line.length));
};

/** Sealed by a key that nobody configured. */
function sealedElsewhere(text: string): string {
  const key = Buffer.alloc(32, 7).toString('base64url');
  return new SecretBox([`${key}=`], new SystemRandomness(), stores.api.clock).seal(text);
}

async function purchaseOf(account: Account): Promise<{ readonly id: number; readonly sealed_token: string }> {
  const [row] = await stores.api.rows<{ id: number; sealed_token: string }>(
    'SELECT id, sealed_token FROM store_purchases WHERE user_id = $1',
    [account.id],
  );
  if (row === undefined) throw new Error('He has no purchase');
  return row;
}

async function subscriber(): Promise<{ readonly account: Account; readonly token: string }> {
  const account = await stores.api.user();
  const { purchaseToken } = stores.google.subscribe({ productId: MONTHLY });
  expectOk(await stores.verify(account, purchaseToken, 'google'));
  return { account, token: purchaseToken };
}

describe('a chain of purchases that leads back to itself', () => {
  it.each([1, 2, 3])('is asked about to its end, and everything else goes on (%i of them) (H10)', async (length) => {
    const ring = Array.from({ length }, () => stores.google.subscribe({ productId: MONTHLY }));
    ring.forEach(({ purchaseToken }, index) => {
      stores.google.link(purchaseToken, ring[(index + 1) % length]?.purchaseToken ?? '');
    });
    // All at once: each question could wait for the one that waits for it.
    for (const told of ring) await stores.deliverGoogle(told);
    await stores.settle();
    const { account, token } = await subscriber();
    await stores.tellGoogle(stores.google.cancel(token));
    expect(await stores.subscription(account)).toMatchObject({ state: 'cancelled' });
    const rows = await stores.api.rows(`SELECT status FROM store_events WHERE status <> 'done'`);
    expect(rows).toEqual([]);
    for (let turn = 0; turn < 3; turn += 1) {
      stores.api.clock.advance({ hours: 13 });
      await stores.ask();
    }
    // One of them is had; that it replaces what replaces it takes nobody's access.
    const owner = await stores.api.user();
    const answers = [];
    for (const { purchaseToken } of ring) answers.push(await stores.verify(owner, purchaseToken, 'google'));
    expect(answers.map(({ status }) => status)).toEqual(ring.map(() => 200));
    expect(answers.filter(({ body }) => body.valid)).toHaveLength(1);
  });
});

describe('a purchase whose token no key opens', () => {
  it('is left out, counted and shown, and its neighbours are asked about and end when they do (H32)', async () => {
    const [broken, neighbour] = [await subscriber(), await subscriber()];
    const { id } = await purchaseOf(broken.account);
    await stores.api.rows('UPDATE store_purchases SET sealed_token = $2 WHERE id = $1', [id, sealedElsewhere('x')]);
    pass(27.5);
    stores.google.renew(broken.token);
    stores.google.expire(neighbour.token);
    await stores.ask();
    expect(await stores.subscription(neighbour.account)).toMatchObject({ status: 'expired' });
    expect(logLines.filter((line) => line.includes('CONFIG_ENCRYPTION_KEY lacks'))).toEqual([
      expect.stringContaining(`"purchaseId":${id}`),
    ]);
    for (let turn = 0; turn < 5; turn += 1) {
      stores.api.clock.advance({ hours: 12 });
      await stores.ask();
    }
    expect(await figure('iap_unanswered')).toBe(1);
    // Its own end: as with any store that cannot be asked.
    await stores.api.rows(
      `UPDATE user_tariffs SET access_until = now() - interval '1 minute', ended_at = now() - interval '1 minute'
       WHERE store_purchase_id = $1`,
      [id],
    );
    await expect(stores.api.app.get(Enforcement).run()).resolves.toBeDefined();
  });

  it('is sealed anew when the app shows it, which is answered 200 (H32)', async () => {
    const { account, token } = await subscriber();
    const { id } = await purchaseOf(account);
    const sealed = sealedElsewhere(token);
    await stores.api.rows('UPDATE store_purchases SET sealed_token = $2 WHERE id = $1', [id, sealed]);
    const admin = await stores.signedIn(stores.admin);
    expect(await stores.api.post(`/admin/iap/purchases/${id}/reconcile`, {}, admin)).toMatchObject({
      status: 503,
      body: { code: 'store_unavailable' },
    });
    for (const minutes of [0, 2]) {
      stores.api.clock.advance({ minutes });
      expect(await stores.verify(account, token, 'google')).toMatchObject({
        status: 200,
        body: { valid: true, status: 'already_verified' },
      });
    }
    expect((await purchaseOf(account)).sealed_token).not.toBe(sealed);
    expectOk(await stores.api.post(`/admin/iap/purchases/${id}/reconcile`, {}, await stores.signedIn(stores.admin)));
  });

  it('is sealed anew when Play tells of it (H32)', async () => {
    const { account, token } = await subscriber();
    const { id } = await purchaseOf(account);
    await stores.api.rows('UPDATE store_purchases SET sealed_token = $2 WHERE id = $1', [id, sealedElsewhere(token)]);
    await stores.tellGoogle(stores.google.cancel(token));
    expect(await stores.subscription(account)).toMatchObject({ state: 'cancelled' });
  });
});

describe('a purchase whose facts cannot be read', () => {
  it('is told of and counted, and what is beside it is asked about and ends (H10)', async () => {
    const [broken, neighbour] = [await subscriber(), await subscriber()];
    const { id } = await purchaseOf(broken.account);
    await stores.api.rows(`UPDATE store_purchases SET facts = facts - 'voids' WHERE id = $1`, [id]);
    await stores.api.rows(
      `UPDATE user_tariffs SET access_until = now() - interval '1 minute', ended_at = now() - interval '1 minute'
       WHERE user_id = ANY($1)`,
      [[broken.account.id, neighbour.account.id]],
    );
    const before = await figure('iap_purchase_failures_total');
    stores.google.expire(neighbour.token);
    await stores.api.app.get(Enforcement).run({ force: true });
    expect(await stores.subscription(neighbour.account)).toMatchObject({ status: 'expired' });
    expect(await figure('iap_purchase_failures_total')).toBeGreaterThan(before);
    expect(logLines.some((line) => line.includes(`"purchaseId":${id}`) && line.includes('brought up to date'))).toBe(
      true,
    );
    await stores.api.rows(`UPDATE store_purchases SET facts = facts || '{"voids":[]}' WHERE id = $1`, [id]);
  });
});

describe('an event that no key opens', () => {
  it('is tried again by itself, and those beside it are dealt with (H10)', async () => {
    const [broken, whole] = [stores.apple.test(), stores.apple.test()];
    await stores.tellApple(broken);
    await stores.tellApple(whole);
    await stores.api.rows(
      `UPDATE store_events SET status = 'received', attempts = 0, next_try_at = $3,
         sealed_payload = CASE WHEN event_id = $1 THEN $4 ELSE sealed_payload END
       WHERE event_id IN ($1, $2)`,
      [broken.id, whole.id, stores.api.clock.now(), sealedElsewhere('{}')],
    );
    await stores.api.app.get(Inbox).process();
    const rows = await stores.api.rows<{ event_id: string; status: string }>(
      'SELECT event_id, status FROM store_events WHERE event_id IN ($1, $2)',
      [broken.id, whole.id],
    );
    expect(Object.fromEntries(rows.map(({ event_id, status }) => [event_id, status]))).toEqual({
      [broken.id]: 'received',
      [whole.id]: 'done',
    });
    await stores.api.rows('DELETE FROM store_events WHERE event_id = $1', [broken.id]);
  });
});

describe("a store's record that cannot be read", () => {
  it.each(['production', 'sandbox', 'google'] as const)(
    'keeps none of the others from being read, and is seen by its age (%s) (H14)',
    async (failing) => {
      const repair = stores.api.app.get(Repair);
      pass(1);
      await repair.repairDue();
      pass(1);
      const users: Record<string, Account> = {};
      for (const environment of ['Production', 'Sandbox'] as const) {
        const account = await stores.api.user();
        stores.apple.subscribe({ productId: MONTHLY, environment, accountToken: await stores.tokenOf(account) });
        users[environment.toLowerCase()] = account;
      }
      const { account, token } = await subscriber();
      users['google'] = account;
      stores.google.revoke(token);
      if (failing === 'google') stores.google.fault('voided', { kind: 'status', status: 500 });
      else stores.apple.fault('notification_history', { kind: 'status', status: 401, times: 4, environment: failing });
      stores.api.clock.advance({ seconds: 1 }); // what was told just now is dated a moment later, as all that is signed
      logLines.length = 0;
      await expect(repair.repairDue()).rejects.toMatchObject({ code: 'store_unavailable' });
      await stores.settle();
      await stores.ask();
      const seen = async (): Promise<Record<string, string | undefined>> => ({
        production: (await stores.subscription(users['production'] ?? account))?.status,
        sandbox: (await stores.subscription(users['sandbox'] ?? account))?.status,
        google: (await stores.subscription(account)).status,
      });
      const all = { production: 'active', sandbox: 'active', google: 'refunded' };
      expect(await seen()).toEqual({ ...all, [failing]: failing === 'google' ? 'active' : undefined });
      const name = failing === 'google' ? 'google:voided' : `apple:${failing}`;
      expect(logLines.filter((line) => line.includes('record could not be read'))).toEqual([
        expect.stringContaining(`"record":"${name}"`),
      ]);
      expect(await figure(`iap_record_age_seconds{record="${name}"}`)).toBeGreaterThanOrEqual(86_400);
      stores.apple.clearFaults();
      stores.google.heal();
      await repair.repairDue();
      await stores.settle();
      await stores.ask();
      expect(await seen()).toEqual(all);
      expect(await figure(`iap_record_age_seconds{record="${name}"}`)).toBe(0);
    },
  );
});
