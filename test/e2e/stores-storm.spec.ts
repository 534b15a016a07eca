import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Account } from '../support/api.js';
import { MONTHLY, TestStores } from '../support/stores.js';
import { AppStoreSubscriber, PlaySubscriber, type Told, Twins } from '../support/store-twins.js';
import { Dice } from '../support/dice.js';
import { Asking, Intake, Repair } from '#iap';

/** How many random histories are told, half of them of each store; the seed makes them the same again. */
const STORIES = Number(process.env['STORY_COUNT'] ?? 40);
const SEED = Number(process.env['STORY_SEED'] ?? 1);
const HOUR_SECONDS = 3600;

let stores: TestStores;
beforeAll(async () => {
  stores = await TestStores.start();
});
afterAll(() => stores.stop());

/** All at once, as often as `times` says. */
function storm<T>(deeds: readonly (() => Promise<T>)[], times: number): Promise<T[]> {
  return Promise.all(Array.from({ length: times }, () => deeds).flatMap((round) => round.map((deed) => deed())));
}

async function kept(account: Account): Promise<Record<string, number>> {
  const [row] = await stores.api.rows<Record<string, number>>(
    `SELECT (SELECT count(*)::int FROM store_purchases WHERE user_id = $1) AS purchases,
       (SELECT count(*)::int FROM user_tariffs WHERE user_id = $1) AS subscriptions,
       (SELECT count(*)::int FROM payments WHERE user_id = $1) AS payments,
       (SELECT count(DISTINCT provider_payment_id)::int FROM payments WHERE user_id = $1) AS references,
       (SELECT count(*)::int FROM store_events e JOIN store_purchases p ON p.id = e.purchase_id
        WHERE p.user_id = $1 AND e.status = 'done' AND e.error IS NULL) AS events`,
    [account.id],
  );
  return row ?? {};
}

describe('twenty deliveries of ten events at once, and five of the app', () => {
  it('of a purchase in the App Store leave one purchase, one subscription, and a payment for each transaction', async () => {
    const { apple, api } = stores;
    const user = await api.user();
    const first = apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD' });
    const id = first.originalTransactionId;
    const jws = apple.transactionJws(first.transactionId);
    const told = [first];
    for (let month = 0; month < 3; month++) {
      told.push(apple.setAutoRenew(id, false), apple.setAutoRenew(id, true));
      api.clock.advance({ days: 30 });
      told.push(apple.renew(id));
    }
    expect(told).toHaveLength(10);
    api.clock.advance({ minutes: 1 });
    const token = await stores.signedIn(user);
    const receipts = [jws, ...Array.from({ length: 4 }, () => apple.transactionJws(told.at(-1)?.transactionId ?? ''))];
    const shows = receipts.map(
      (receipt) => () => api.post('/payments/iap_verify', { receipt, provider: 'apple' }, token),
    );
    const [delivered, verified] = await Promise.all([
      storm(
        told.map((one) => () => stores.deliverApple(one)),
        20,
      ),
      storm(shows, 1),
    ]);
    await stores.settle();
    expect(new Set(delivered.map(({ status }) => status))).toEqual(new Set([200]));
    expect(verified.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await kept(user)).toEqual({ purchases: 1, subscriptions: 1, payments: 4, references: 4, events: 10 });
    expect(await stores.subscription(user)).toMatchObject({ state: 'active', auto_renewing: true });
  });

  it('of a purchase in Play leave one purchase, one subscription, and a payment for each order', async () => {
    const { google, api } = stores;
    const user = await api.user();
    const { purchaseToken } = google.subscribe({ productId: MONTHLY });
    for (let month = 0; month < 3; month++) {
      google.cancel(purchaseToken);
      google.restart(purchaseToken);
      api.clock.advance({ days: 30 });
      google.renew(purchaseToken);
    }
    const pushes = google.takeNotifications().map((one) => google.push(one));
    expect(pushes).toHaveLength(10);
    const token = await stores.signedIn(user);
    const body = { receipt: purchaseToken, provider: 'google_play' };
    const [delivered, verified] = await Promise.all([
      storm(
        pushes.map((push) => () => api.call('POST', '/payments/webhook/google', push)),
        20,
      ),
      storm([() => api.post('/payments/iap_verify', body, token)], 5),
    ]);
    await stores.settle();
    await stores.ask();
    expect(new Set(delivered.map(({ status }) => status))).toEqual(new Set([200]));
    expect(verified.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await kept(user)).toEqual({ purchases: 1, subscriptions: 1, payments: 4, references: 4, events: 10 });
    expect(await stores.subscription(user)).toMatchObject({ state: 'active', auto_renewing: true });
  });
});

/** What is left of a history: the purchases, what follows them, and the money. */
const LEFT = `
  SELECT u.id AS "userId", jsonb_build_object(
    'purchases', (SELECT jsonb_agg(jsonb_build_array(p.state, p.product_id, p.access_until) ORDER BY s.started_at, p.id)
      FROM store_purchases p LEFT JOIN user_tariffs s ON s.store_purchase_id = p.id
      WHERE p.user_id = u.id),
    'subscriptions', (SELECT jsonb_agg(jsonb_build_array(
        s.state, s.auto_renewing, s.tariff_id, s.started_at, s.access_until, s.is_trial
      ) ORDER BY s.started_at, s.id) FROM user_tariffs s WHERE s.user_id = u.id),
    'payments', (SELECT jsonb_agg(jsonb_build_array(
        m.kind, m.amount, m.currency, m.status, m.refunded_amount, m.refunded_at, m.is_trial, m.created_at
      ) ORDER BY m.created_at, m.amount, m.status) FROM payments m WHERE m.user_id = u.id)) AS left
  FROM users u WHERE u.id = ANY($1)`;

/** What is left once all that is over by the clock is ended, by what is known: no store is asked. */
async function leftOf(userIds: readonly number[]): Promise<ReadonlyMap<number, unknown>> {
  const { api } = stores;
  const over = await api.rows<{ id: number }>(
    `SELECT store_purchase_id AS id FROM user_tariffs WHERE user_id = ANY($1) AND access_until <= $2
       AND state IN ('trial', 'active', 'cancelled', 'grace')`,
    [userIds, api.clock.now()],
  );
  await api.app.get(Asking).end(
    over.map(({ id }) => id),
    api.clock.now(),
  );
  const rows = await api.rows<{ userId: number; left: unknown }>(LEFT, [userIds]);
  return new Map(rows.map(({ userId, left }) => [userId, left]));
}

async function deliver({ news }: Told): Promise<void> {
  const intake = stores.api.app.get(Intake);
  if ('apple' in news) {
    stores.apple.markDelivered(news.apple);
    await intake.takeApple(news.apple.signedPayload);
  } else {
    const { headers, body } = stores.google.push(news.google);
    await intake.takeGoogle(headers.authorization, body);
  }
}

async function deliverAll(news: readonly Told[]): Promise<void> {
  for (const one of news) await deliver(one);
}

describe(`${STORIES} random histories, of which the news are lost, repeated and late`, () => {
  it(
    'end as they would have if all had been heard in order, once the stores were asked',
    async () => {
      const { api } = stores;
      const dice = new Dice(SEED);
      process.stdout.write(`STORY_SEED=${SEED} STORY_COUNT=${STORIES}\n`);
      const users = await api.rows<{ id: number; token: string }>(
        `INSERT INTO users (email, status, created_at)
       SELECT 'twin-' || n || '@example.com', 'active', $2 FROM generate_series(1, $1) AS n
       RETURNING id, app_account_token AS token`,
        [STORIES * 2, api.clock.now()],
      );
      const pairs = Array.from({ length: STORIES }, (_, index) => users.slice(index * 2, index * 2 + 2));
      const now = (): Date => api.clock.now();
      const twins = pairs.map((pair, index) => {
        const [first, second] = pair.map(({ token }) =>
          index % 2 === 0
            ? new AppStoreSubscriber(stores.apple, now, token)
            : new PlaySubscriber(stores.google, now, token),
        );
        return new Twins(first!, second!, dice);
      });
      let late: Told[] = [];
      for (let step = 0; step < 14; step++) {
        api.clock.advance({ seconds: HOUR_SECONDS * (12 + dice.below(84)) });
        const hearing: Promise<void>[] = [];
        for (const pair of twins) {
          const { heard, missed } = pair.live();
          hearing.push(deliverAll(heard));
          // One in three is lost, but for the first word of a purchase: without it there is nothing to ask about.
          for (const one of missed) {
            if (one.isFirst || dice.below(3) > 0) late.push(one);
            else if ('apple' in one.news) stores.apple.markDelivered(one.news.apple); // nor does Apple tell of it again
          }
        }
        await Promise.all(hearing);
        const arriving = late.filter(() => dice.below(2) === 0);
        late = late.filter((one) => !arriving.includes(one));
        const shuffled = arriving
          .flatMap((one) => (dice.below(3) === 0 ? [one, one] : [one]))
          .map((one) => ({ one, place: dice.below(1_000_000) }))
          .toSorted((left, right) => left.place - right.place);
        await Promise.all(shuffled.map(({ one }) => deliver(one)));
        // As every six hours in life: Play keeps its record of what it took back for 30 days only.
        await api.app.get(Repair).repairDue();
        await stores.settle();
      }
      await Promise.all(late.toReversed().map(deliver));
      await stores.settle();
      const ordered = await leftOf(pairs.map(([first]) => first?.id ?? 0));

      expect(await api.app.get(Repair).reconcileAll()).toMatchObject({ unanswered: 0 });
      await api.app.get(Repair).repairDue();
      await stores.settle();
      while ((await api.app.get(Asking).askDue()) > 0);

      const mended = await leftOf(pairs.map(([, second]) => second?.id ?? 0));
      const different = pairs.flatMap(([first, second], index) => {
        const [expected, found] = [ordered.get(first?.id ?? 0), mended.get(second?.id ?? 0)];
        return isDeepStrictEqual(expected, found) ? [] : [{ story: twins[index]?.deeds.join(', '), expected, found }];
      });
      expect(different.slice(0, 3)).toEqual([]);
      const failed = await api.rows(`SELECT type, error FROM store_events WHERE status <> 'done' OR error IS NOT NULL`);
      expect(failed).toEqual([]);
    },
    60_000 + STORIES * 3000,
  );
});
