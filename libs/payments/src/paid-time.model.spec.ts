import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DataSource } from 'typeorm';
import { AccessChanges, type Principal, type User } from '#auth';
import { DAY_MS } from '#kernel';
import { SYSTEM } from '#platform';
import { Subscriptions } from '#subscriptions';
import { modelRuns } from '../../../test/support/model-runs.js';
import { type OpenRooms, openRooms, tariffIn, userIn } from '../../../test/support/rooms.js';
import { PaymentsModule } from './payments.module.js';
import { Payments } from './payments.service.js';

const HOURS_MS = 3_600_000;
/** Periods that are sold in this play, in days; 0 = for life. The tariff changes between payments, as an operator may change it. */
const DURATIONS = [30, 7, 0] as const;

type Command =
  | { readonly kind: 'assign' }
  | { readonly kind: 'pay'; readonly days: number }
  | { readonly kind: 'pass'; readonly hours: number }
  | { readonly kind: 'refund'; readonly which: number };

const commands = fc.array(
  fc.oneof(
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('assign' as const) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('pay' as const),
        days: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(30, 7) }, { weight: 1, arbitrary: fc.constant(0) }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('pass' as const), hours: fc.integer({ min: 1, max: 25 * 24 }) }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('refund' as const), which: fc.nat(20) }) },
  ),
  { minLength: 3, maxLength: 12 },
);

/**
 * What a customer has of one tariff: time that was paid for or given, used up one piece after another. A refund removes what is left
 * of its piece. When nothing is left, access is over, and the next payment begins anew.
 */
class PaidTime {
  private pieces: { readonly payment: number | null; leftMs: number }[] = [];

  add(payment: number | null, days: number): void {
    this.pieces.push({ payment, leftMs: days === 0 ? Number.POSITIVE_INFINITY : days * DAY_MS });
  }

  pass(ms: number): void {
    for (let left = ms; left > 0 && this.pieces.length > 0;) {
      const [piece] = this.pieces;
      if (piece === undefined || piece.leftMs > left) {
        if (piece !== undefined) piece.leftMs -= left;
        return;
      }
      left -= piece.leftMs;
      this.pieces.shift();
    }
  }

  refund(payment: number): void {
    this.pieces = this.pieces.filter((piece) => piece.payment !== payment);
  }

  /** Milliseconds of access that are left; infinite = for life, null = none. */
  get leftMs(): number | null {
    return this.pieces.length === 0 ? null : this.pieces.reduce((sum, { leftMs }) => sum + leftMs, 0);
  }
}

let open: OpenRooms;
let payments: Payments;
let subscriptions: Subscriptions;
let admin: Principal;

beforeAll(async () => {
  open = await openRooms([PaymentsModule]);
  open.rooms.get(AccessChanges).observe(() => Promise.resolve());
  payments = open.rooms.get(Payments);
  subscriptions = open.rooms.get(Subscriptions);
  admin = principal({ ...(await userIn(open)), isAdmin: true });
});
afterAll(() => open.close());

function principal(user: User): Principal {
  return { user, sessionId: '00000000-0000-0000-0000-000000000000' };
}

async function play(all: readonly Command[]): Promise<void> {
  const { id: userId } = await userIn(open);
  const { id: tariffId } = await tariffIn(open);
  const model = new PaidTime();
  const paid: number[] = [];
  const sell = (days: number): Promise<unknown> =>
    open.rooms.get(DataSource).query('UPDATE tariffs SET duration_days = $2 WHERE id = $1', [tariffId, days]);
  for (const command of all) {
    open.clock.advance({ seconds: 1 });
    model.pass(1000);
    switch (command.kind) {
      case 'assign':
        if (model.leftMs !== null) break;
        await sell(DURATIONS[0]);
        await subscriptions.assign(SYSTEM, userId, tariffId);
        model.add(null, DURATIONS[0]);
        break;
      case 'pay': {
        await sell(command.days);
        const draft = { amount: '1.00', currency: 'USD', provider: null, providerPaymentId: null, tariffId } as const;
        const { id } = await payments.create(admin, userId, { ...draft, status: 'completed' });
        paid.push(id);
        // For life already: more days add nothing, and another payment for life takes over when the first is given back.
        const isForLife = model.leftMs === Number.POSITIVE_INFINITY;
        model.add(id, isForLife ? 0 : command.days);
        break;
      }
      case 'pass':
        open.clock.advance({ hours: command.hours });
        model.pass(command.hours * HOURS_MS);
        break;
      case 'refund': {
        const [id] = paid.splice(command.which % Math.max(1, paid.length), 1);
        if (id === undefined) break;
        await payments.correct(admin, id, { status: 'refunded' });
        model.refund(id);
        break;
      }
    }
    const entitlement = await subscriptions.entitlement(userId);
    const until = entitlement?.until ?? null;
    const leftMs =
      entitlement === null
        ? null
        : until === null
          ? Number.POSITIVE_INFINITY
          : until.getTime() - open.clock.now().getTime();
    expect({ after: command, leftMs }).toEqual({ after: command, leftMs: model.leftMs });
  }
}

describe('time that was paid for', () => {
  it('is had in full, whichever other payments are given back and when (F5)', async () => {
    await fc.assert(fc.asyncProperty(commands, play), modelRuns());
  }, 300_000);

  it('keeps the thirty days of a third payment when the first is given back on day 20 and the second on day 40 (F5)', async () => {
    await play([
      { kind: 'pay', days: 30 },
      { kind: 'pay', days: 30 },
      { kind: 'pay', days: 30 },
      { kind: 'pass', hours: 20 * 24 },
      { kind: 'refund', which: 0 },
      { kind: 'pass', hours: 20 * 24 },
      { kind: 'refund', which: 0 },
    ]);
  });
});
