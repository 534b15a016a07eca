import { WritesBusyError } from './database-faults.js';

interface Waiting {
  readonly give: (slot: WriteSlot) => void;
  timer: NodeJS.Timeout | undefined;
}

/** The right to write, for one transaction or one statement that commits by itself. */
export class WriteSlot {
  private isHeld = true;

  constructor(private readonly giveBack: () => void) {}

  release(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.giveBack();
  }
}

/**
 * Limits how many writes are under way. A commit may wait for a synchronous standby without end; those that wait must not hold
 * every connection, or nobody could read either.
 */
export class WriteSlots {
  private free: number;
  private readonly waiting: Waiting[] = [];
  /** When one was given back last, or the last one taken, by `performance.now()`. */
  private movedAt = 0;

  constructor(readonly size: number) {
    this.free = size;
  }

  get taken(): number {
    return this.size - this.free;
  }

  /** @throws WritesBusyError when none becomes free in time */
  acquire(waitMs: number): Promise<WriteSlot> {
    const deadline = performance.now() + waitMs;
    return this.take(() => deadline - performance.now());
  }

  /**
   * For who holds a connection that a reader may need: waits while slots come and go, but not once none was given back for `stillMs`, nor
   * longer than `longestMs`.
   * @throws WritesBusyError
   */
  acquireWhileMoving(stillMs: number, longestMs: number): Promise<WriteSlot> {
    const deadline = performance.now() + longestMs;
    return this.take(() => Math.min(this.movedAt + stillMs, deadline) - performance.now());
  }

  /** A slot, as soon as one is free; `leftMs` says how much longer it is worth waiting for. */
  private take(leftMs: () => number): Promise<WriteSlot> {
    if (this.free > 0) {
      this.free -= 1;
      this.movedAt = performance.now();
      return Promise.resolve(this.slot());
    }
    return new Promise((resolve, reject) => {
      const refuse = (): void => {
        if (!this.waiting.includes(waiter)) return; // it was given one meanwhile
        if (leftMs() > 0) {
          arm();
          return;
        }
        this.waiting.splice(this.waiting.indexOf(waiter), 1);
        reject(this.busy());
      };
      // A process that stood still finds its timers due first: answers that came meanwhile are read before anybody is refused.
      const arm = (): void => void (waiter.timer = setTimeout(() => setImmediate(refuse), Math.max(0, leftMs())));
      const waiter: Waiting = { give: resolve, timer: undefined };
      this.waiting.push(waiter);
      arm();
    });
  }

  private busy(): WritesBusyError {
    return new WritesBusyError(`The write was not begun: ${this.size} are under way already`);
  }

  private slot(): WriteSlot {
    return new WriteSlot(() => {
      this.movedAt = performance.now();
      const next = this.waiting.shift();
      if (next === undefined) {
        this.free += 1;
        return;
      }
      clearTimeout(next.timer);
      next.give(this.slot());
    });
  }
}
