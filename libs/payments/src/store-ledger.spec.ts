import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { type Principal } from '#auth';
import { addDays } from '#kernel';
import { Metrics, SYSTEM, UnitOfWork } from '#platform';
import { Tariffs } from '#tariffs';
import { type OpenRooms, openRooms, tariffIn, userIn } from '../../../test/support/rooms.js';
import { PaymentsModule } from './payments.module.js';
import { Payments } from './payments.service.js';
import { type PaidPurchase, type StorePayment } from './store-payment.js';
import { StoreLedger } from './store-ledger.service.js';

let open: OpenRooms;
let ledger: StoreLedger;
let userId: number;
let sequence = 0;

beforeAll(async () => {
  open = await openRooms([PaymentsModule]);
  ledger = open.rooms.get(StoreLedger);
  userId = await user();
});
afterAll(() => open.close());

async function user(): Promise<number> {
  return (await userIn(open)).id;
}

function purchase(change: Partial<PaidPurchase> = {}): PaidPurchase {
  return { id: ++sequence, provider: 'apple', environment: 'production', isTest: false, ...change };
}

const PAID_AT = new Date('2026-11-01T10:00:00Z');

function payment(change: Partial<StorePayment> = {}): StorePayment {
  return {
    reference: `2000000${++sequence}`,
    formerReference: null,
    kind: 'purchase',
    amount: '9.99',
    currency: 'USD',
    status: 'completed',
    paidAt: PAID_AT,
    periodStart: PAID_AT,
    periodEnd: addDays(PAID_AT, 30),
    productId: 'vpn.monthly',
    tariffId: null,
    isTrial: false,
    isEstimated: false,
    country: 'USA',
    refund: null,
    supersededByReference: null,
    ...change,
  };
}

function record(of: PaidPurchase, payments: readonly StorePayment[], owner: number | null = userId): Promise<void> {
  return open.rooms.get(UnitOfWork).run(() => ledger.record(owner, of, null, payments));
}

/** Somebody who may see everybody's payments. */
async function administrator(): Promise<Principal> {
  const user = { ...(await userIn(open)), isAdmin: true };
  return { user, sessionId: '00000000-0000-0000-0000-000000000000' };
}

function rowsOf({ id }: PaidPurchase): Promise<Record<string, unknown>[]> {
  return open.rooms
    .get(DataSource)
    .query('SELECT *, xmin::text AS version FROM payments WHERE store_purchase_id = $1 ORDER BY id', [id]);
}

describe('the payments of a purchase', () => {
  it('are one line each, in the order in which they were charged, however often they are told', async () => {
    const of = purchase();
    const first = payment();
    const renewal = payment({ kind: 'renewal', paidAt: addDays(PAID_AT, 30) });
    await record(of, [renewal, first]);
    const before = await rowsOf(of);
    expect(before.map((row) => row['provider_payment_id'])).toEqual([first.reference, renewal.reference]);
    expect(before[0]).toMatchObject({
      user_id: userId,
      amount: '9.990000',
      provider: 'apple',
      kind: 'purchase',
      product_id: 'vpn.monthly',
      period_end: first.periodEnd,
      country: 'USA',
      created_at: PAID_AT,
    });
    await record(of, [first, renewal, first]);
    expect(await rowsOf(of)).toEqual(before); // not even rewritten: what is the same costs nothing
    expect(await ledger.latest(of.id)).toMatchObject({ providerPaymentId: renewal.reference });
    expect((await ledger.ofPurchase(of.id)).map((one) => one.providerPaymentId)).toEqual([
      renewal.reference,
      first.reference,
    ]);
  });

  it('are none before anything was charged', async () => {
    const of = purchase();
    await record(of, []);
    expect(await ledger.latest(of.id)).toBeNull();
  });

  it('keep their amount to the millionth, and show no more digits than there are', async () => {
    const of = purchase({ provider: 'google' });
    await record(of, [payment({ amount: '0.012345678' }), payment({ amount: '1200.5', paidAt: addDays(PAID_AT, -1) })]);
    expect((await ledger.ofPurchase(of.id)).map(({ amount }) => amount)).toEqual(['0.012346', '1200.50']);
  });

  it('are of the kind that all news make them, whichever came first', async () => {
    const of = purchase();
    const upgrade = payment();
    await record(of, [upgrade]);
    await record(of, [payment({ paidAt: addDays(PAID_AT, -9) }), { ...upgrade, kind: 'upgrade' }]);
    expect((await ledger.ofPurchase(of.id)).map(({ kind }) => kind)).toEqual(['upgrade', 'purchase']);
  });

  it('keep their amount and their payer, whatever is said later', async () => {
    const of = purchase();
    const first = payment();
    await record(of, [first]);
    const another = await user();
    await record(of, [{ ...first, amount: '1.00', currency: 'EUR', isEstimated: true }], another);
    expect(await ledger.latest(of.id)).toMatchObject({ amount: '9.99', currency: 'USD', userId });
  });

  it('are written down before anybody claims the purchase, and get their owner with the claim (H27)', async () => {
    const of = purchase();
    const first = payment({ currency: 'NZD', amount: '8.00' });
    await record(of, [first], null);
    expect(await ledger.latest(of.id)).toMatchObject({ userId: null, amount: '8.00' });
    const revenue = async (): Promise<object | undefined> =>
      (await open.rooms.get(Payments).revenue(null, null)).find(({ currency }) => currency === 'NZD');
    expect(await revenue()).toMatchObject({ completed: '8.00', count: 1 });
    const [row] = await rowsOf(of);
    const admin = await administrator();
    const shown = await open.rooms.get(Payments).list(admin, undefined, { skip: 0, limit: 1000 });
    expect(shown.items.map(({ id }) => id)).not.toContain(row?.['id']);
    await expect(open.rooms.get(Payments).get(admin, Number(row?.['id']))).rejects.toMatchObject({
      code: 'payment_not_found',
    });

    const owner = await user();
    await record(of, [first, payment({ currency: 'NZD', amount: '8.00', kind: 'renewal' })], owner);
    expect((await ledger.ofPurchase(of.id)).map((one) => one.userId)).toEqual([owner, owner]);
    await record(of, [first], null); // a later word of the store's that names nobody takes nothing away
    expect(await revenue()).toMatchObject({ completed: '16.00', count: 2 });
    expect((await rowsOf(of))[0]).toMatchObject({ user_id: owner });
  });

  it('give up an estimate for what the store says, once', async () => {
    const of = purchase({ provider: 'google' });
    const estimate = payment({ amount: '10.00', isEstimated: true, country: null });
    await record(of, [estimate]);
    await record(of, [{ ...estimate, amount: '11.00' }]);
    expect(await ledger.latest(of.id)).toMatchObject({ amount: '10.00', currency: 'USD' });
    await record(of, [{ ...estimate, amount: '8.49', currency: 'EUR', country: 'DE', isEstimated: false }]);
    expect((await rowsOf(of))[0]).toMatchObject({
      amount: '8.490000',
      currency: 'EUR',
      country: 'DE',
      amount_estimated: false,
    });
    await record(of, [{ ...estimate, amount: '7.00', isEstimated: false }]);
    expect(await ledger.latest(of.id)).toMatchObject({ amount: '8.49', currency: 'EUR' });
  });

  it('follow a refund, in part or whole, and its reversal', async () => {
    const of = purchase();
    const one = payment();
    const at = addDays(PAID_AT, 3);
    await record(of, [one]);
    await record(of, [{ ...one, refund: { amount: '2.50', at, reason: 'r'.repeat(80) } }]);
    expect(await ledger.latest(of.id)).toMatchObject({ status: 'completed', refundedAmount: '2.50', refundedAt: at });
    expect((await rowsOf(of))[0]).toMatchObject({ refund_reason: 'r'.repeat(64) });
    await record(of, [{ ...one, status: 'refunded', refund: null }]);
    expect(await ledger.latest(of.id)).toMatchObject({
      status: 'refunded',
      refundedAmount: '9.99',
      refundedAt: PAID_AT,
    });
    await record(of, [one]);
    expect(await ledger.latest(of.id)).toMatchObject({ status: 'completed', refundedAmount: null, refundedAt: null });
  });

  it('name the payment that took their place, told together with it or before it', async () => {
    const of = purchase();
    const upgrade = payment({ kind: 'upgrade', paidAt: addDays(PAID_AT, 5) });
    const first = payment({ supersededByReference: upgrade.reference });
    await record(of, [first, upgrade]);
    const [old, taking] = await rowsOf(of);
    expect(old).toMatchObject({ provider_payment_id: first.reference, superseded_by: taking?.['id'] });

    const another = purchase();
    const [plain, better] = [payment(), payment({ kind: 'upgrade', paidAt: addDays(PAID_AT, 5) })];
    await record(another, [plain]);
    await record(another, [better]);
    await record(another, [{ ...plain, supersededByReference: better.reference }]);
    const [before, after] = await rowsOf(another);
    expect(before?.['superseded_by']).toBe(after?.['id']);
    await record(another, [plain]);
    expect((await rowsOf(another))[0]?.['superseded_by']).toBe(after?.['id']);
  });

  it('get the id of their order once it has one, and read as if they had had it at once', async () => {
    const of = purchase({ provider: 'google' });
    const waiting = payment({
      reference: `token:${++sequence}`,
      status: 'pending',
      isEstimated: true,
      periodStart: null,
      periodEnd: null,
    });
    await record(of, [waiting]);
    const [before] = await rowsOf(of);
    const paidAt = addDays(PAID_AT, 2);
    const paid = payment({ formerReference: waiting.reference, amount: '8.49', paidAt, periodStart: paidAt });
    for (const times of [1, 2]) {
      await record(of, [paid]);
      expect([times, await rowsOf(of)]).toMatchObject([
        times,
        [
          {
            id: before?.['id'],
            provider_payment_id: paid.reference,
            status: 'completed',
            amount: '8.490000',
            created_at: paidAt,
            period_start: paidAt,
            period_end: paid.periodEnd,
          },
        ],
      ]);
    }
  });

  it('get their tariff once the product has one', async () => {
    const of = purchase();
    const one = payment();
    const tariff = await tariffIn(open, { name: 'Mapped later' });
    await record(of, [one]);
    await record(of, [{ ...one, tariffId: tariff.id }]);
    expect(await ledger.latest(of.id)).toMatchObject({ tariffId: tariff.id });
    await record(of, [one]);
    expect(await ledger.latest(of.id)).toMatchObject({ tariffId: tariff.id });
  });

  it('remember when the customer last asked for his money', async () => {
    const of = purchase();
    const one = payment();
    await record(of, [one]);
    for (const days of [2, 1]) {
      await ledger.markRefundRequested(of, [one.reference], addDays(PAID_AT, days));
    }
    expect((await rowsOf(of))[0]).toMatchObject({ refund_requested_at: addDays(PAID_AT, 2), status: 'completed' });
  });

  it('of a sandbox are others than those of production with the same numbers (H9)', async () => {
    const [real, test] = [purchase(), purchase({ environment: 'sandbox', isTest: true })];
    const one = payment();
    for (let turn = 0; turn < 2; turn += 1) {
      await record(real, [one]);
      await record(test, [{ ...one, amount: '1.00', status: 'refunded' }]);
    }
    expect(await rowsOf(real)).toMatchObject([{ amount: '9.990000', status: 'completed', is_test: false }]);
    expect(await rowsOf(test)).toMatchObject([{ amount: '1.000000', status: 'refunded', is_test: true }]);
    expect((await ledger.latest(test.id))?.providerPaymentId).toBe(one.reference);
  });

  it('that a store has under two ids are written down once, under the one that came first (H34)', async () => {
    const of = purchase();
    const second = payment();
    await record(of, [second]);
    const first = { ...second, reference: `1${second.reference}`, otherReferences: [second.reference] };
    await record(of, [{ ...first, status: 'refunded' }]);
    expect(await rowsOf(of)).toMatchObject([{ provider_payment_id: second.reference, status: 'refunded' }]);
    await ledger.markRefundRequested(of, [first.reference, second.reference], PAID_AT);
    expect(await rowsOf(of)).toMatchObject([{ refund_requested_at: PAID_AT }]);
  });

  it('are one line each when twenty tell them at once', async () => {
    const of = purchase();
    const payments = Array.from({ length: 10 }, (_, index) => payment({ paidAt: addDays(PAID_AT, index) }));
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => record(of, index % 2 === 0 ? payments : payments.toReversed())),
    );
    expect(await rowsOf(of)).toHaveLength(10);
  });

  it('are written down as part of a larger piece of work only', async () => {
    await expect(ledger.record(userId, purchase(), null, [payment()])).rejects.toThrow(/transaction/);
  });

  it('are apart from what people wrote down under the same id', async () => {
    const of = purchase();
    const one = payment();
    const by = { user: { id: userId, isAdmin: false } } as Parameters<Payments['create']>[0];
    const { id } = await open.rooms.get(Payments).create(by, userId, {
      amount: '0.01',
      currency: 'USD',
      provider: 'apple',
      providerPaymentId: one.reference,
      tariffId: null,
      status: undefined,
    });
    await record(of, [one]);
    expect((await ledger.latest(of.id))?.id).not.toBe(id);
  });
});

describe('what must always be true of them', () => {
  const violations = async (): Promise<string | undefined> => {
    open.clock.advance({ minutes: 5 }); // counts are kept so long
    return /invariant_violations\{n="I7"\} (\d+)/.exec(await open.rooms.get(Metrics).render())?.[1];
  };

  it('is that each is booked once, and belongs to a subscription where its product has a tariff', async () => {
    const of = purchase();
    await record(of, [payment()]);
    const before = Number(await violations());
    const { id } = await open.rooms.get(Tariffs).create(SYSTEM, {
      name: 'Never granted',
      description: null,
      durationDays: 30,
      price: '9.99',
      currency: 'USD',
      deviceLimit: null,
      trafficLimitGb: null,
      rank: 0,
      isActive: true,
      storeProducts: [],
    });
    await record(of, [payment({ tariffId: id }), payment({ tariffId: id, status: 'pending' })]);
    expect(Number(await violations())).toBe(before + 1);
    await record(purchase({ isTest: true }), [payment({ tariffId: id })]);
    expect(Number(await violations())).toBe(before + 1);
  });
});

describe('revenue', () => {
  it('is what came in less what went back, by currency, each on its day, without sandboxes and free trials', async () => {
    const [from, to] = [new Date('2027-01-01T00:00:00Z'), new Date('2027-02-01T00:00:00Z')];
    const at = (days: number): Date => addDays(from, days);
    const back = (amount: string, days: number): StorePayment['refund'] => ({ amount, at: at(days), reason: null });
    await record(purchase(), [
      payment({ currency: 'CHF', paidAt: from, amount: '10.00' }),
      payment({ currency: 'CHF', paidAt: at(5), amount: '0.00', isTrial: true }),
      payment({ currency: 'CHF', paidAt: at(6), amount: '20.005', status: 'refunded', refund: back('20.005', 7) }),
      payment({ currency: 'CHF', paidAt: at(-9), amount: '5.00', refund: back('1.50', 1) }),
      payment({ currency: 'CHF', paidAt: at(8), amount: '7.00', refund: back('7.00', 40) }),
      payment({ currency: 'CHF', paidAt: at(8), amount: '3.00', status: 'pending' }),
      payment({ currency: 'CHF', paidAt: to, amount: '4.00' }),
      payment({ currency: 'SEK', paidAt: at(-9), amount: '50.00', status: 'refunded', refund: back('50.00', 3) }),
    ]);
    await record(purchase({ isTest: true }), [payment({ currency: 'CHF', paidAt: at(1), amount: '99.00' })]);
    expect(await open.rooms.get(Payments).revenue(from, to)).toEqual([
      { currency: 'CHF', completed: '37.005', refunded: '21.505', net: '15.50', count: 3 },
      { currency: 'SEK', completed: '0.00', refunded: '50.00', net: '-50.00', count: 0 },
    ]);
    const [all] = (await open.rooms.get(Payments).revenue(null, null)).filter(({ currency }) => currency === 'CHF');
    expect(all).toMatchObject({ completed: '46.005', refunded: '28.505', count: 5 });
  });
});
