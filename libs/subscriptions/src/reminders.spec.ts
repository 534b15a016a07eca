import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DataSource } from 'typeorm';
import { AccessChanges, type User } from '#auth';
import { addDays } from '#kernel';
import { Outbox, UnitOfWork, SYSTEM } from '#platform';
import { type Tariff } from '#tariffs';
import { type OpenRooms, openInstance, openRooms, tariffIn, userIn } from '../../../test/support/rooms.js';
import { type ReceivedMail, SmtpSink } from '../../../test/support/smtp-sink.js';
import { until } from '../../../test/support/until.js';
import { dueReminder } from './reminder.rules.js';
import { RemindersRepository } from './reminders.repository.js';
import { Reminders } from './reminders.service.js';
import { type Subscription, SUBSCRIPTION_STATES } from './subscription.js';
import { SubscriptionsModule } from './subscriptions.module.js';
import { SubscriptionsRepository } from './subscriptions.repository.js';
import { Subscriptions } from './subscriptions.service.js';

let sink: SmtpSink;
let open: OpenRooms;
let subscriptions: Subscriptions;

beforeAll(async () => {
  sink = await SmtpSink.start();
  const environment = { SMTP_URL: `smtp://127.0.0.1:${sink.port}`, MAIL_FROM: 'no-reply@example.com' };
  open = await openRooms([SubscriptionsModule], environment);
  subscriptions = open.rooms.get(Subscriptions);
  open.rooms.get(AccessChanges).observe(() => Promise.resolve());
});
beforeEach(async () => {
  await open.rooms.get(DataSource).query('TRUNCATE user_tariffs, outbox CASCADE');
  sink.mails.length = 0;
});
afterAll(async () => {
  await open.close();
  await sink.stop();
});

const user = (locale?: string): Promise<User> => userIn(open, locale);
const tariff = (change?: Partial<Tariff>): Promise<Tariff> => tariffIn(open, change);

/** A user with a subscription that began now, of so many days. */
async function subscriber(durationDays: number, locale?: string): Promise<{ someone: User; held: Subscription }> {
  const someone = await user(locale);
  const { id } = await tariff({ durationDays });
  return { someone, held: await subscriptions.assign(SYSTEM, someone.id, id) };
}

function pay(userId: number, tariffId: number): ReturnType<Subscriptions['grantPaid']> {
  return open.rooms.get(UnitOfWork).run(() => subscriptions.grantPaid(userId, tariffId));
}

/** Runs the job and answers the mails that came of it. */
async function remind(): Promise<readonly ReceivedMail[]> {
  sink.mails.length = 0;
  const count = await open.rooms.get(Reminders).remind();
  await open.rooms.get(Outbox).deliver();
  return until(() => Promise.resolve(sink.mails.length === count ? [...sink.mails] : undefined));
}

function subjects(mails: readonly ReceivedMail[]): (string | undefined)[] {
  return mails.map(({ headers }) => headers.get('subject'));
}

async function remindedEvery(hours: number, times: number): Promise<string[]> {
  const seen: string[] = [];
  for (let hour = 0; hour < hours * times; hour += hours) {
    const mails = await remind();
    seen.push(...mails.map(({ headers }) => `${hour} h: ${headers.get('subject')}`));
    open.clock.advance({ hours });
  }
  return seen;
}

describe('a subscription that ends', () => {
  it('is spoken of three days before, one day before, and when it has ended: once each', async () => {
    open.clock.set('2026-11-22T10:00:00Z');
    await subscriber(30);
    expect(await remindedEvery(12, 80)).toEqual([
      '648 h: Your VPN access ends on 22 December 2026',
      '696 h: Your VPN access ends on 22 December 2026',
      '720 h: Your VPN access has ended',
    ]);
  });

  it('is spoken of in the language of its owner, to him alone', async () => {
    const { someone } = await subscriber(30, 'ru');
    open.clock.advance({ days: 29 });
    const [mail] = await remind();
    expect(mail!.recipients).toEqual([someone.email]);
    expect(mail!.headers.get('subject')).toMatch(/^Доступ к VPN заканчивается /);
  });

  it('is spoken of again after it was prolonged', async () => {
    const { someone, held } = await subscriber(30);
    open.clock.advance({ days: 28 });
    expect(await remind()).toHaveLength(1);
    await pay(someone.id, held.tariff.id);
    expect(await remind()).toEqual([]);
    open.clock.advance({ days: 30 });
    expect(await remind()).toHaveLength(1);
  });

  it('gets only the latest reminder after the service was down, and none when it is too late for any', async () => {
    await subscriber(30);
    open.clock.advance({ days: 31 });
    expect(subjects(await remind())).toEqual(['Your VPN access has ended']);
    await subscriber(30);
    open.clock.advance({ days: 33 });
    expect(await remind()).toEqual([]);
  });

  it('is not said to end in three days on the day it is bought', async () => {
    const { held } = await subscriber(2);
    expect(await remind()).toEqual([]);
    open.clock.set(addDays(held.accessUntil!, -1));
    expect(await remind()).toHaveLength(1);
  });

  it('is not spoken of to the blocked, nor for life', async () => {
    const { someone } = await subscriber(2);
    await subscriber(0);
    open.clock.advance({ days: 1 });
    await open.rooms.get(DataSource).query(`UPDATE users SET status = 'blocked' WHERE id = $1`, [someone.id]);
    expect(await remind()).toEqual([]);
    await open.rooms.get(DataSource).query(`UPDATE users SET status = 'active' WHERE id = $1`, [someone.id]);
    expect(await remind()).toHaveLength(1);
  });

  it('is not spoken of while another goes on', async () => {
    const { someone } = await subscriber(2);
    await subscriptions.assign(SYSTEM, someone.id, (await tariff({ durationDays: 9 })).id);
    open.clock.advance({ days: 1 });
    expect(await remind()).toEqual([]);
  });

  it('is forgotten with its reminders', async () => {
    await subscriber(2);
    open.clock.advance({ days: 1 });
    await remind();
    const data = open.rooms.get(DataSource);
    await data.query('DELETE FROM user_tariffs');
    expect(await data.query('SELECT * FROM subscription_reminders')).toEqual([]);
  });
});

describe('a payment that the store could not take', () => {
  const becomes = (id: number, state: string, end: Date): Promise<unknown> =>
    open.rooms
      .get(DataSource)
      .query(`UPDATE user_tariffs SET state = $2, access_until = $3, auto_renewing = true WHERE id = $1`, [
        id,
        state,
        end,
      ]);

  it('is told of once, with until when it can be mended, and never as an end (H26)', async () => {
    const { held } = await subscriber(30);
    open.clock.advance({ days: 30 });
    await becomes(held.id, 'grace', addDays(open.clock.now(), 16));
    const [mail, ...others] = await remind();
    expect(others).toEqual([]);
    expect(mail!.headers.get('subject')).toBe('Your VPN payment did not go through');
    expect(await remindedEvery(12, 32)).toEqual([]);
  });

  it('is told of once more when access stops for it, and not again when that ends (H26)', async () => {
    const { held } = await subscriber(30);
    open.clock.advance({ days: 30 });
    const end = open.clock.now();
    await becomes(held.id, 'retry', end);
    expect(subjects(await remind())).toEqual(['Your VPN access has stopped: the payment failed']);
    open.clock.advance({ days: 1 });
    await becomes(held.id, 'expired', end);
    expect(await remindedEvery(12, 8)).toEqual([]);
  });

  it('is not told of anew when the store moves the end of the grace by hours (H26)', async () => {
    const { held } = await subscriber(30);
    open.clock.advance({ days: 30 });
    await becomes(held.id, 'grace', addDays(open.clock.now(), 3));
    expect(await remind()).toHaveLength(1);
    open.clock.advance({ hours: 6 });
    await becomes(held.id, 'grace', addDays(open.clock.now(), 3));
    expect(await remind()).toEqual([]);
  });
});

describe('reminders', () => {
  it('are neither noted nor sent when what was to send them fails', async () => {
    await subscriber(2);
    open.clock.advance({ days: 1 });
    const data = open.rooms.get(DataSource);
    await data.query('ALTER TABLE outbox ADD CONSTRAINT full_up CHECK (id < 0) NOT VALID');
    await expect(open.rooms.get(Reminders).remind()).rejects.toThrow('full_up');
    await data.query('ALTER TABLE outbox DROP CONSTRAINT full_up');
    expect(await data.query('SELECT * FROM subscription_reminders')).toEqual([]);
    expect(await remind()).toHaveLength(1);
  });

  it('are not sent, and not taken for sent, while mail is off', async () => {
    await subscriber(2);
    open.clock.advance({ days: 1 });
    const { databaseUrl, clock } = open;
    const silent = await openInstance([SubscriptionsModule], { databaseUrl, clock });
    expect(await silent.get(Reminders).remind()).toBe(0);
    await silent.close();
    expect(await remind()).toHaveLength(1);
  });

  it('are each sent once by several instances at the same time, however many there are', async () => {
    const [data, now] = [open.rooms.get(DataSource), open.clock.now()];
    const { id: tariffId } = await tariff();
    await data.query(
      `WITH made AS (
         INSERT INTO users (email, status, locale, created_at)
         SELECT 'many-' || n || '@example.com', 'active', 'en', $2 FROM generate_series(1, 1200) AS n RETURNING id)
       INSERT INTO user_tariffs (user_id, tariff_id, started_at, ended_at, access_until, state, source)
       SELECT id, $1, $2::timestamptz - interval '20 days', $3, $3, 'active', 'admin' FROM made`,
      [tariffId, now, addDays(now, 2)],
    );
    // A mail server that nobody runs: what was to be sent stays in the outbox, and can be counted.
    const environment = { SMTP_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'no-reply@example.com' };
    const { databaseUrl, clock } = open;
    const instances = await Promise.all(
      [1, 2, 3].map(() => openInstance([SubscriptionsModule], { databaseUrl, clock, environment })),
    );
    const counts = await Promise.all(instances.map((instance) => instance.get(Reminders).remind()));
    expect(counts.reduce((sum, count) => sum + count)).toBe(1200);
    for (const instance of instances) await instance.close();
    for (const table of ['subscription_reminders', 'outbox']) {
      expect(await data.query(`SELECT count(*)::int AS count FROM ${table}`)).toEqual([{ count: 1200 }]);
    }
  });
});

describe('the SQL that finds reminders', () => {
  it('agrees with the rule, whatever the rows are', async () => {
    const data = open.rooms.get(DataSource);
    const [{ id: userId }, { id: tariffId }] = [await user(), await tariff()];
    const anyRow = fc.record({
      state: fc.constantFrom('active', 'active', 'trial', ...SUBSCRIPTION_STATES),
      start: fc.integer({ min: -16, max: 4 }),
      end: fc.option(fc.integer({ min: -14, max: 14 }), { nil: null, freq: 8 }),
      autoRenewing: fc.boolean(),
    });
    const [now, uow] = [open.clock.now(), open.rooms.get(UnitOfWork)];
    await fc.assert(
      fc.asyncProperty(fc.array(anyRow, { minLength: 1, maxLength: 3 }), async (some) => {
        await data.query('DELETE FROM user_tariffs');
        await data.query('DELETE FROM subscription_reminders');
        for (const [place, { state, start, end, autoRenewing }] of some.entries()) {
          // Quarters of days, so that the windows' edges are met; starts differ, because they are unique.
          const startedAt = new Date(addDays(now, start / 4).getTime() + place);
          await data.query(
            `INSERT INTO user_tariffs
               (user_id, tariff_id, started_at, ended_at, access_until, state, source, auto_renewing)
             VALUES ($1, $2, $3, $4, $4, $5, 'admin', $6)`,
            [userId, tariffId, startedAt, end === null ? null : addDays(now, end / 4), state, autoRenewing],
          );
        }
        const all = await open.rooms.get(SubscriptionsRepository).ofUser(userId);
        const expected = all
          .map((one) => ({ id: one.id, kind: dueReminder(one, all, now) }))
          .filter(({ kind }) => kind !== null);
        const noted = await uow.run(() => open.rooms.get(RemindersRepository).note(all.length, now));
        expect(noted.map(({ subscriptionId, kind }) => ({ id: subscriptionId, kind }))).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });
});
