import { url as debuggerUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';

/** How often the event loop shows that it runs, in milliseconds. */
const BEAT_MS = 500;

/** What both threads see, by index. */
export const BEATS = 0;
/** 1 while a debugger is attached: what stands at a breakpoint is not stopped for good. */
export const PAUSED = 1;

export interface WatchdogTask {
  readonly shared: Int32Array;
  /** For how many seconds the event loop may stand still. */
  readonly limitSeconds: number;
}

/**
 * Watches the event loop of this process from a thread of its own, and ends the process (SIGKILL, after a log line) when the loop has
 * not run for `limitSeconds`. A process whose loop stands still answers nothing, not even `/health/live`, notices no signal and holds
 * its connections and locks; what starts it again can only see that once it is gone.
 *
 * SIGKILL: whatever is more polite needs the loop that has stopped.
 */
export function watchEventLoop(limitSeconds: number): void {
  if (limitSeconds === 0) return;
  const shared = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
  setInterval(() => {
    Atomics.store(shared, PAUSED, debuggerUrl() === undefined ? 0 : 1);
    Atomics.add(shared, BEATS, 1);
  }, BEAT_MS).unref();
  const thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), {
    name: 'watchdog',
    workerData: { shared, limitSeconds } satisfies WatchdogTask,
    // It needs next to nothing, and no preloads of the process: they may be what blocks it.
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
  });
  thread.unref();
}
