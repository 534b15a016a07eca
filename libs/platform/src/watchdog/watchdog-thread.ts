import { write } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { BEATS, PAUSED, type WatchdogTask } from './event-loop-watchdog.js';

/** Once a second. Looks are counted rather than time: while the whole process is stopped (SIGSTOP, a paused machine) nobody looks. */
const LOOK_MS = 1000;
/** How long the log line may take to be written. A full pipe may be the very reason why the loop stands still. */
const LAST_WORDS_MS = 1000;
const STDOUT = 1;

const { shared, limitSeconds } = workerData as WatchdogTask;
let seen = Atomics.load(shared, BEATS);
let stoodStill = 0;

const looking = setInterval(() => {
  const beats = Atomics.load(shared, BEATS);
  const runs = beats !== seen || Atomics.load(shared, PAUSED) === 1;
  seen = beats;
  stoodStill = runs ? 0 : stoodStill + 1;
  if (stoodStill >= limitSeconds) end();
}, LOOK_MS);

function end(): void {
  clearInterval(looking);
  const line = {
    level: 'fatal',
    time: new Date().toISOString(),
    limitSeconds,
    msg: 'the event loop has stopped: the process ends itself, to be started again',
  };
  const kill = (): void => void process.kill(process.pid, 'SIGKILL');
  setTimeout(kill, LAST_WORDS_MS);
  write(STDOUT, `${JSON.stringify(line)}\n`, kill);
}
