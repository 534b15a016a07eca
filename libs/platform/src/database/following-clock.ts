import { Clock } from '#kernel';

/** What the database said its time was, and how long the answer took on this machine's monotonic clock (milliseconds). */
export interface TimeReading {
  readonly databaseMs: number;
  readonly askedAt: number;
  readonly answeredAt: number;
}

/** How often the database is asked, in milliseconds: a machine's oscillator drifts by less than 1 ms in that time. */
export const FOLLOW_EVERY_MS = 10_000;
/** A reading that contradicts the present one by more than both can be wrong is a clock that was set, not noise. */
const TICK_MS = 1;

/**
 * The database's time, carried on between readings by this machine's monotonic clock. Whatever is stored and compared is dated by it, so
 * that instances whose machines disagree about the time agree with each other and with what SQL compares: the machine's own time of day,
 * and jumps of it, have no part in it. It is as exact as half of the quickest round trip to the database, milliseconds as a rule.
 */
export class FollowingClock extends Clock {
  /** The database's time, less the monotonic clock's, in milliseconds. Until the first reading: the machine's time of day. */
  private offsetMs = performance.timeOrigin;
  /** By how much that may be wrong. */
  private errorMs = Number.POSITIVE_INFINITY;

  now(): Date {
    return new Date(performance.now() + this.offsetMs);
  }

  /**
   * Takes a reading in. Of readings that agree, the one with the quickest answer is kept, since it is the most exact; one that cannot be
   * true together with it (the database has moved to another machine, or its clock was set) replaces it at once.
   */
  take({ databaseMs, askedAt, answeredAt }: TimeReading): void {
    const error = (answeredAt - askedAt) / 2 + TICK_MS;
    const offset = databaseMs - (askedAt + answeredAt) / 2;
    const contradicts = Math.abs(offset - this.offsetMs) > error + this.errorMs;
    if (error <= this.errorMs || contradicts) {
      this.offsetMs = offset;
      this.errorMs = error;
    } else {
      // The kept one grows old: drift is at most a millisecond in each interval.
      this.errorMs += TICK_MS;
    }
  }

  /** By how much this machine's time of day is ahead of the database's, in milliseconds: for operators, who should set it right. */
  get machineAheadMs(): number {
    return Date.now() - this.now().getTime();
  }
}
