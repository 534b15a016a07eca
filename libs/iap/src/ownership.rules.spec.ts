import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { addDays } from '#kernel';
import { type Claim, type Ownership, ownerOf, type TransferPolicy, type Verdict } from './ownership.rules.js';

const NOW = new Date('2026-11-22T10:00:00Z');
const POLICIES: readonly TransferPolicy[] = ['keep', 'if_inactive', 'transfer'];
const [ANN, BOB, CAT] = [1, 2, 3];

const unowned: Ownership = {
  userId: null,
  namedUserId: null,
  linkedUserId: null,
  transferredAt: null,
  grantsAccess: true,
};
const anns: Ownership = { ...unowned, userId: ANN };
const proof = (userId: number): Claim => ({ userId, isProof: true });
const weak = (userId: number): Claim => ({ userId, isProof: false });
const refused = (code: 'proof_required' | 'purchase_belongs_to_another_account'): Verdict => ({ kind: 'refuse', code });

describe('a purchase without an owner', () => {
  it.each(POLICIES)('is bound to who proves that he has it, whatever the policy (%s)', (policy) => {
    expect(ownerOf(unowned, proof(ANN), policy, NOW)).toEqual({ kind: 'bind', userId: ANN, by: 'claim' });
    expect(ownerOf(unowned, weak(ANN), policy, NOW)).toEqual(refused('proof_required'));
    expect(ownerOf(unowned, null, policy, NOW)).toEqual({ kind: 'keep', userId: null });
  });

  it.each(POLICIES)('is bound to whom it names, proof or not, and to nobody else (%s)', (policy) => {
    const named = { ...unowned, namedUserId: ANN, linkedUserId: CAT };
    for (const claim of [null, proof(ANN), weak(ANN)]) {
      expect(ownerOf(named, claim, policy, NOW)).toEqual({ kind: 'bind', userId: ANN, by: 'token' });
    }
    expect(ownerOf(named, proof(BOB), policy, NOW)).toEqual(refused('purchase_belongs_to_another_account'));
    expect(ownerOf(named, weak(BOB), policy, NOW)).toEqual(refused('proof_required'));
  });

  it.each(POLICIES)('is bound to who has what it continues, where it names nobody (%s)', (policy) => {
    const continued = { ...unowned, linkedUserId: ANN };
    for (const claim of [null, proof(ANN), weak(ANN)]) {
      expect(ownerOf(continued, claim, policy, NOW)).toEqual({ kind: 'bind', userId: ANN, by: 'link' });
    }
    expect(ownerOf(continued, proof(BOB), policy, NOW)).toEqual(refused('purchase_belongs_to_another_account'));
    expect(ownerOf(continued, weak(BOB), policy, NOW)).toEqual(refused('proof_required'));
  });
});

describe('a purchase that has an owner', () => {
  it.each(POLICIES)('stays his when he shows it, and when nobody does, whomever it names (%s)', (policy) => {
    for (const namedUserId of [null, ANN, BOB]) {
      for (const claim of [null, proof(ANN), weak(ANN)]) {
        expect(ownerOf({ ...anns, namedUserId }, claim, policy, NOW)).toEqual({ kind: 'keep', userId: ANN });
      }
      expect(ownerOf({ ...anns, namedUserId }, weak(BOB), policy, NOW)).toEqual(refused('proof_required'));
    }
  });

  it.each([
    ['keep', true, false],
    ['keep', false, false],
    ['if_inactive', true, false],
    ['if_inactive', false, true],
    ['transfer', true, true],
    ['transfer', false, true],
  ] as const)('with %s, and access by it: %p, moves to another: %p', (policy, grantsAccess, moves) => {
    expect(ownerOf({ ...anns, grantsAccess }, proof(BOB), policy, NOW)).toEqual(
      moves ? { kind: 'bind', userId: BOB, by: 'transfer' } : refused('purchase_belongs_to_another_account'),
    );
  });

  it('moves to no other than whom it names, where it names anybody', () => {
    const taken = refused('purchase_belongs_to_another_account');
    expect(ownerOf({ ...anns, namedUserId: ANN }, proof(BOB), 'transfer', NOW)).toEqual(taken);
    expect(ownerOf({ ...anns, namedUserId: CAT }, proof(BOB), 'transfer', NOW)).toEqual(taken);
    expect(ownerOf({ ...anns, namedUserId: BOB }, proof(BOB), 'transfer', NOW)).toMatchObject({ kind: 'bind' });
  });

  it('moves once in thirty days', () => {
    const moved = { ...anns, transferredAt: NOW };
    const at = (time: Date): Verdict => ownerOf(moved, proof(BOB), 'transfer', time);
    expect(at(new Date(addDays(NOW, 30).getTime() - 1))).toMatchObject({ kind: 'refuse' });
    expect(at(addDays(NOW, 30))).toMatchObject({ kind: 'bind', by: 'transfer' });
  });
});

/** What happens to purchases, in any order and by anybody. */
const anyEvent = fc.record({
  purchase: fc.nat(2),
  claim: fc.option(fc.record({ userId: fc.constantFrom(ANN, BOB, CAT), isProof: fc.boolean() })),
  /** By an administrator. */
  isAssigned: fc.boolean(),
  afterDays: fc.constantFrom(0, 0, 1, 10, 29, 30, 45),
  accessEnds: fc.boolean(),
});
const anyWorld = fc.record({
  policy: fc.constantFrom(...POLICIES),
  /** Whom each purchase names. */
  named: fc.tuple(...([0, 1, 2] as const).map(() => fc.constantFrom(null, null, ANN, BOB))),
  /** The third purchase takes the place of the second, as tokens of Play do. */
  events: fc.array(anyEvent, { minLength: 1, maxLength: 40 }),
});

type World = typeof anyWorld extends fc.Arbitrary<infer Value> ? Value : never;

interface Held {
  readonly userId: number | null;
  readonly transferredAt: Date | null;
  readonly isSuperseded: boolean;
}
interface Move {
  readonly purchase: number;
  readonly from: number | null;
  readonly to: number;
  readonly by: string;
  readonly at: Date;
  readonly wasGranting: boolean;
  readonly claim: Claim | null;
}

/** Plays the events one after another, as the lock of a purchase makes them happen, and notes who got what when. */
function play({ policy, named, events }: World): { moves: readonly Move[]; held: readonly Held[] } {
  const held: Held[] = named.map(() => ({ userId: null, transferredAt: null, isSuperseded: false }));
  const moves: Move[] = [];
  let at = NOW;
  for (const { purchase, claim, isAssigned, afterDays, accessEnds } of events) {
    at = addDays(at, afterDays);
    const before = held[purchase]!;
    const wasGranting = !accessEnds && !before.isSuperseded;
    const linkedUserId = purchase === 2 ? held[1]!.userId : null;
    const verdict: Verdict =
      isAssigned && claim !== null
        ? { kind: 'bind', userId: claim.userId, by: 'admin' }
        : ownerOf(
            { ...before, namedUserId: named[purchase]!, linkedUserId, grantsAccess: wasGranting },
            claim,
            policy,
            at,
          );
    if (verdict.kind === 'bind') {
      const { userId: to, by } = verdict;
      moves.push({ purchase, from: before.userId, to, by, at, wasGranting, claim });
      const isMoved = by === 'transfer' || by === 'admin';
      held[purchase] = { ...before, userId: to, ...(isMoved ? { transferredAt: at } : {}) };
    } else if (verdict.kind === 'keep') expect(verdict.userId).toBe(before.userId);
    if (purchase === 2) held[1] = { ...held[1]!, isSuperseded: true, userId: held[1]!.userId ?? held[2]!.userId };
  }
  return { moves, held };
}

describe('in any order of claims, news and transfers (P5)', () => {
  const runs = { numRuns: 1000 };

  it('a purchase that has an owner leaves him only by a transfer or an administrator', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        for (const { from, to, by } of play(world).moves) {
          if (from !== null && from !== to) expect(['transfer', 'admin']).toContain(by);
        }
      }),
      runs,
    );
  });

  it('nobody gets anything without proof but whom it names, or who has what it continues', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        for (const { by, claim, to, purchase } of play(world).moves) {
          if (by === 'claim' || by === 'transfer') expect(claim).toEqual({ userId: to, isProof: true });
          if (by === 'token') expect(to).toBe(world.named[purchase]);
        }
      }),
      runs,
    );
  });

  it('transfers obey the policy, are thirty days apart, and take from nobody what names him', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const { moves } = play(world);
        for (const [index, { by, purchase, at, from, to, wasGranting }] of moves.entries()) {
          if (by !== 'transfer') continue;
          expect(world.policy).not.toBe('keep');
          if (world.policy === 'if_inactive') expect(wasGranting).toBe(false);
          expect([null, to]).toContain(world.named[purchase]);
          expect(from).not.toBe(to);
          const earlier = moves.slice(0, index).filter((move) => move.purchase === purchase);
          for (const move of earlier.filter((one) => one.by === 'transfer' || one.by === 'admin')) {
            expect(at.getTime()).toBeGreaterThanOrEqual(addDays(move.at, 30).getTime());
          }
        }
      }),
      runs,
    );
  });

  it('asking twice changes nothing: who got a purchase keeps it', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const { held } = play(world);
        for (const [purchase, { userId, transferredAt }] of held.entries()) {
          if (userId === null) continue;
          const known = { ...unowned, userId, transferredAt, namedUserId: world.named[purchase]! };
          for (const isProof of [true, false]) {
            const again = ownerOf(known, { userId, isProof }, world.policy, addDays(NOW, 4000));
            expect(again).toEqual({ kind: 'keep', userId });
          }
        }
      }),
      runs,
    );
  });
});
