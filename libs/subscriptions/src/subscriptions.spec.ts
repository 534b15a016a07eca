import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DataSource } from 'typeorm';
import { AccessChanges, type User } from '#auth';
import { addDays } from '#kernel';
import { SYSTEM, UnitOfWork } from '#platform';
import { type Tariff } from '#tariffs';
import { type OpenRooms, openRooms, tariffIn, userIn } from '../../../test/support/rooms.js';
import { SUBSCRIPTION_STATES } from './subscription.js';
import { SubscriptionsModule } from './subscriptions.module.js';
import { type PaidPeriod, Subscriptions } from './subscriptions.service.js';

let open: OpenRooms;
let subscriptions: Subscriptions;
const announced: number[] = [];

beforeAll(async () => {
  open = await openRooms([SubscriptionsModule]);
  subscriptions = open.rooms.get(Subscriptions);
  open.rooms.get(AccessChanges).observe((userIds) => {
    announced.push(...userIds);
    return Promise.resolve();
  });
});
afterAll(() => open.close());

const user = (): Promise<User> => userIn(open);
const tariff = (change?: Partial<Tariff>): Promise<Tariff> => tariffIn(open, change);

function pay(userId: number, tariffId: number): ReturnType<Subscriptions['grantPaid']> {
  return open.rooms.get(UnitOfWork).run(() => subscriptions.grantPaid(userId, tariffId));
}

describe('the SQL that finds who has access', () => {
  it('agrees with the rule, whatever the rows are', async () => {
    const data = open.rooms.get(DataSource);
    const [{ id: userId }, { id: tariffId }] = [await user(), await tariff()];
    const anyRow = fc.record({
      state: fc.constantFrom(...SUBSCRIPTION_STATES),
      start: fc.integer({ min: -3, max: 3 }),
      length: fc.option(fc.integer({ min: 0, max: 4 }), { nil: null }),
      status: fc.constantFrom('active', 'blocked'),
    });
    await fc.assert(
      fc.asyncProperty(anyRow, async ({ state, start, length, status }) => {
        const startedAt = addDays(open.clock.now(), start);
        const end = length === null ? null : addDays(startedAt, length);
        await data.query('DELETE FROM user_tariffs WHERE user_id = $1', [userId]);
        await data.query(
          `INSERT INTO user_tariffs (user_id, tariff_id, started_at, ended_at, access_until, state, source)
           VALUES ($1, $2, $3, $4, $4, $5, 'admin')`,
          [userId, tariffId, startedAt, end, state],
        );
        await data.query('UPDATE users SET status = $2 WHERE id = $1', [userId, status]);
        const expected = status === 'active' && (await subscriptions.entitlement(userId)) !== null;
        expect((await subscriptions.entitledAmong([userId])).has(userId)).toBe(expected);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a payment made by hand', () => {
  it('begins now, and the next one of the same tariff continues where it ends', async () => {
    const [{ id: userId }, monthly] = [await user(), await tariff()];
    const first = await pay(userId, monthly.id);
    expect(first).toMatchObject({ startedAt: open.clock.now(), endedAt: addDays(open.clock.now(), 30) });
    open.clock.advance({ days: 10 });
    const second = await pay(userId, monthly.id);
    expect(second).toMatchObject({
      subscriptionId: first.subscriptionId,
      startedAt: first.endedAt,
      endedAt: addDays(first.endedAt!, 30),
    });
    expect((await subscriptions.entitlement(userId))?.until).toEqual(second.endedAt);
  });

  it('begins anew after a gap, and beside a subscription of another tariff', async () => {
    const [{ id: userId }, monthly, other] = [await user(), await tariff(), await tariff()];
    const first = await pay(userId, monthly.id);
    expect((await pay(userId, other.id)).subscriptionId).not.toBe(first.subscriptionId);
    open.clock.advance({ days: 40 });
    const again = await pay(userId, monthly.id);
    expect(again.subscriptionId).not.toBe(first.subscriptionId);
    expect(again.startedAt).toEqual(open.clock.now());
  });

  it('adds nothing to a lifetime', async () => {
    const [{ id: userId }, lifetime] = [await user(), await tariff({ durationDays: 0 })];
    const { subscriptionId } = await pay(userId, lifetime.id);
    open.clock.advance({ days: 1 });
    const now = open.clock.now();
    expect(await pay(userId, lifetime.id)).toEqual({ subscriptionId, startedAt: now, endedAt: now });
    expect((await subscriptions.entitlement(userId))?.until).toBeNull();
  });

  it('prolongs what an administrator gave, but not what a free tariff gave', async () => {
    const [{ id: userId }, given, free] = [await user(), await tariff(), await tariff({ price: '0.00' })];
    const assigned = await subscriptions.assign(SYSTEM, userId, given.id);
    expect((await pay(userId, given.id)).subscriptionId).toBe(assigned.id);
    const { id: another } = await user();
    const taken = await subscriptions.takeFree(another, free.id);
    open.clock.advance({ seconds: 1 });
    expect((await pay(another, free.id)).subscriptionId).not.toBe(taken.id);
  });
});

describe('a payment that is given back', () => {
  const takeBack = (userId: number, period: PaidPeriod): Promise<number> =>
    open.rooms.get(UnitOfWork).run(() => subscriptions.takeBack(userId, period));
  const history = (id: number): Promise<object[]> =>
    open.rooms
      .get(DataSource)
      .query('SELECT from_state, to_state, cause FROM subscription_history WHERE subscription_id = $1', [id]);

  it('ends access at once when nothing else was paid for, and says so to whoever depends on it', async () => {
    const [{ id: userId }, monthly] = [await user(), await tariff()];
    const period = await pay(userId, monthly.id);
    open.clock.advance({ days: 3 });
    announced.length = 0;
    await takeBack(userId, period);
    expect(announced).toEqual([userId]);
    expect(await subscriptions.entitlement(userId)).toBeNull();
    expect(await subscriptions.shown(userId)).toMatchObject({ state: 'refunded', endedAt: open.clock.now() });
    expect(await history(period.subscriptionId)).toEqual([
      { from_state: 'active', to_state: 'refunded', cause: 'refund' },
    ]);
  });

  it.each([
    ['first, of which three days are gone', 0, 33],
    ['second', 1, 30],
  ])('leaves the time of the other payment when it is the %s', async (_, which, days) => {
    const [{ id: userId }, monthly] = [await user(), await tariff()];
    const begun = open.clock.now();
    const periods = [await pay(userId, monthly.id), await pay(userId, monthly.id)];
    open.clock.advance({ days: 3 });
    await takeBack(userId, periods[which]!);
    expect((await subscriptions.entitlement(userId))?.until).toEqual(addDays(begun, days));
  });

  it('changes nothing of what is over, nor of what an administrator gave for life before', async () => {
    const [{ id: userId }, monthly, lifetime] = [await user(), await tariff(), await tariff({ durationDays: 0 })];
    const period = await pay(userId, monthly.id);
    open.clock.advance({ days: 31 });
    announced.length = 0;
    await takeBack(userId, period);
    expect(announced).toEqual([]);
    expect((await subscriptions.shown(userId))?.endedAt).toEqual(period.endedAt);

    await subscriptions.assign(SYSTEM, userId, lifetime.id);
    await takeBack(userId, await pay(userId, lifetime.id));
    expect((await subscriptions.entitlement(userId))?.until).toBeNull();
  });
});

describe('whoever depends on access', () => {
  it('is told of every change, and not of one that was undone', async () => {
    const [{ id: userId }, monthly] = [await user(), await tariff()];
    announced.length = 0;
    await subscriptions.assign(SYSTEM, userId, monthly.id);
    await pay(userId, monthly.id);
    expect(announced).toEqual([userId, userId]);
    await expect(subscriptions.assign(SYSTEM, userId, monthly.id)).rejects.toMatchObject({
      code: 'tariff_already_assigned',
    });
    expect(announced).toHaveLength(2);
  });
});

describe('two at once', () => {
  it('take a free tariff once', async () => {
    const [{ id: userId }, free] = [await user(), await tariff({ price: '0.00' })];
    const results = await Promise.allSettled([1, 2, 3, 4, 5].map(() => subscriptions.takeFree(userId, free.id)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});
