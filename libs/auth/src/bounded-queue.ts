import { DomainError } from '#kernel';

interface QueueLimits {
  /** How many pieces of work run at once. */
  readonly concurrency: number;
  /** How many may wait behind them; one more is refused at once. */
  readonly maxWaiting: number;
  /** How long one waits at most, in milliseconds. */
  readonly maxWaitMs: number;
}

interface Waiter {
  readonly start: () => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Lets a few pieces of heavy work run at once and refuses what would wait too long, so that a flood of them slows only itself.
 * Refused work gets `overloaded` (503 with Retry-After).
 */
export class BoundedQueue {
  private running = 0;
  private readonly waiting = new Set<Waiter>();

  constructor(private readonly limits: QueueLimits) {}

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.running < this.limits.concurrency) this.running++;
    else await this.waitForTurn();
    try {
      return await work();
    } finally {
      this.passTurnOn();
    }
  }

  private waitForTurn(): Promise<void> {
    if (this.waiting.size >= this.limits.maxWaiting) return Promise.reject(this.refusal());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(waiter);
        reject(this.refusal());
      }, this.limits.maxWaitMs);
      const waiter: Waiter = { start: resolve, timer };
      this.waiting.add(waiter);
    });
  }

  /** Whoever has waited longest takes the place over; `running` only falls when nobody waits. */
  private passTurnOn(): void {
    const [next] = this.waiting;
    if (next === undefined) {
      this.running--;
      return;
    }
    this.waiting.delete(next);
    clearTimeout(next.timer);
    next.start();
  }

  private refusal(): DomainError {
    return new DomainError('overloaded', { retryAfterSeconds: Math.ceil(this.limits.maxWaitMs / 1000) });
  }
}
