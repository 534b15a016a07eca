import { readFileSync } from 'node:fs';
import { Clock, codeOf } from '#kernel';

/**
 * The machine's time, ahead by as many milliseconds as a file says: whoever writes the file moves the time of every process that
 * reads it. For development; a file that is not there shifts nothing.
 */
export class ShiftedClock extends Clock {
  constructor(private readonly path: string) {
    super();
  }

  now(): Date {
    return new Date(Date.now() + this.aheadMs());
  }

  /** Read each time, some 20 µs: what is moved by hand must have moved when the next request comes. */
  private aheadMs(): number {
    try {
      const ms = Number(readFileSync(this.path, 'utf8'));
      return Number.isSafeInteger(ms) ? ms : 0;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return 0;
      throw error;
    }
  }
}
