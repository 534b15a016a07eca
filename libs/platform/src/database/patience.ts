import { setTimeout as delay } from 'node:timers/promises';

/** How long something may be waited for before somebody is told, and how often then, in milliseconds. */
const FIRST_WORD_MS = 5000;
const NEXT_WORD_MS = 30_000;

interface PatienceOptions {
  readonly limitMs: number;
  readonly tell?: ((sentence: string) => void) | undefined;
}

/** Waiting that was given up; the message says for what. */
export class GaveUpWaitingError extends Error {
  override readonly name = 'GaveUpWaitingError';
}

/** Waits in short pauses, says what for after a few seconds, and gives up after its limit. */
export class Patience {
  private readonly startedAt = performance.now();
  private toldAt: number | undefined;

  constructor(private readonly options: PatienceOptions) {}

  /** @throws GaveUpWaitingError */
  async wait(what: string, pauseMs: number): Promise<void> {
    const waited = performance.now() - this.startedAt;
    const seconds = Math.round(waited / 1000);
    if (waited >= this.options.limitMs) throw new GaveUpWaitingError(`Waited ${seconds} s for ${what}, and gave up`);
    const nextWord = this.toldAt === undefined ? FIRST_WORD_MS : this.toldAt + NEXT_WORD_MS;
    if (waited >= nextWord) {
      this.toldAt = waited;
      this.options.tell?.(`Waiting for ${what}, for ${seconds} s now`);
    }
    await delay(pauseMs);
  }
}
