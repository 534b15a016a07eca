import { setImmediate } from 'node:timers/promises';

/** How long one turn of long work lasts, in milliseconds; whatever else waits for the event loop comes in between. */
const TURN_MS = 10;

/** Divides long work of this process into turns, so that nothing else waits for more than one of them. */
export class Turns {
  private endsAt = performance.now() + TURN_MS;

  isOver(): boolean {
    return performance.now() >= this.endsAt;
  }

  /** Lets everything else that waits go first. */
  async next(): Promise<void> {
    await setImmediate();
    this.endsAt = performance.now() + TURN_MS;
  }
}
