import { Injectable } from '@nestjs/common';
import { Randomness } from '#kernel';
import { Settings } from '#platform';
import { BoundedQueue } from './bounded-queue.js';
import { hashPassword, isOutdated, matchesHash } from './password-hash.js';

export interface PasswordCheck {
  readonly matches: boolean;
  /** Matches, but should be hashed again as we do it today. */
  readonly outdated: boolean;
}

/** Hashes and checks passwords, a few at a time: bcrypt at cost 10 takes 57 ms of a core (measured), and libuv's pool is shared. */
@Injectable()
export class Passwords {
  private readonly cost: number;
  private readonly queue: BoundedQueue;
  /** What the password of nobody is compared with; made at once, so that the first unknown caller waits no longer than others. */
  private readonly dummy: Promise<string>;

  constructor(
    settings: Settings,
    private readonly randomness: Randomness,
  ) {
    this.cost = settings.auth.bcryptCost;
    this.queue = new BoundedQueue({ concurrency: settings.auth.bcryptConcurrency, maxWaiting: 200, maxWaitMs: 5000 });
    this.dummy = hashPassword('nobody has this password', this.cost, randomness.bytes(16));
  }

  hash(password: string): Promise<string> {
    return this.queue.run(() => hashPassword(password, this.cost, this.randomness.bytes(16)));
  }

  /** Checks a password. Takes as long for an account that does not exist or has no password (`stored` null): the answer is no. */
  async check(password: string, stored: string | null): Promise<PasswordCheck> {
    const against = stored ?? (await this.dummy);
    const matches = (await this.queue.run(() => matchesHash(password, against))) && stored !== null;
    return { matches, outdated: matches && isOutdated(against, this.cost) };
  }
}
