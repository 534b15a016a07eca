import { describe, expect, it } from '@jest/globals';
import { FollowingClock } from './following-clock.js';

/** A reading taken now: the database is `aheadMs` ahead of this machine, and its answer takes `tripMs`. */
function reading(aheadMs: number, tripMs: number): { databaseMs: number; askedAt: number; answeredAt: number } {
  const answeredAt = performance.now();
  const askedAt = answeredAt - tripMs;
  return { databaseMs: performance.timeOrigin + (askedAt + answeredAt) / 2 + aheadMs, askedAt, answeredAt };
}

function aheadOf(clock: FollowingClock): number {
  return Math.round((clock.now().getTime() - Date.now()) / 100) * 100;
}

describe("a clock that follows the database's", () => {
  it.each([3_600_000, -3_600_000, 0])('is at its time, wherever the machine is (%i ms) (F4)', (ahead) => {
    const clock = new FollowingClock();
    clock.take(reading(ahead, 4));
    expect(aheadOf(clock)).toBe(ahead);
    expect(Math.round(clock.machineAheadMs / 100) * 100).toBe(-ahead + 0);
  });

  it('keeps the most exact of the readings that agree (F4)', () => {
    const clock = new FollowingClock();
    clock.take(reading(5000, 2));
    clock.take(reading(5600, 1400)); // late on one way only: it may be off by 700 ms
    expect(aheadOf(clock)).toBe(5000);
  });

  it("goes with the database at once when its clock was set, or another machine's has taken over (F4)", () => {
    const clock = new FollowingClock();
    clock.take(reading(0, 2));
    clock.take(reading(-20_000, 50));
    expect(aheadOf(clock)).toBe(-20_000);
  });
});
