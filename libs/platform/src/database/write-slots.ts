import { WritesBusyError } from './database-faults.js';

interface Waiting {
  readonly give: (slot: WriteSlot) => void;
  readonly timer: NodeJS.Timeout;
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
    if (this.free > 0) {
      this.free -= 1;
      this.movedAt = performance.now();
      return Promise.resolve(this.slot());
    }
    if (waitMs <= 0) return Promise.reject(this.busy());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(waiter), 1);
        reject(this.busy());
      }, waitMs);
      const waiter = { give: resolve, timer };
      this.waiting.push(waiter);
    });
  }

  /**
   * For who holds a connection that a reader may need: waits while slots come and go, and not once none was given back for `stillMs`.
   * @throws WritesBusyError
   */
  acquireWhileMoving(stillMs: number): Promise<WriteSlot> {
    return this.acquire(this.movedAt + stillMs - performance.now());
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
