import { type Clock, type Randomness } from '#kernel';
import { openFernet, sealFernet } from './fernet.js';

/** A sealed text that none of our keys opens: a key is missing from CONFIG_ENCRYPTION_KEY, or the row was changed by hand. */
export class UnreadableSecretError extends Error {
  constructor() {
    super('A sealed value cannot be opened with any key of CONFIG_ENCRYPTION_KEY');
    this.name = 'UnreadableSecretError';
  }
}

/**
 * Seals what must not be readable in the database, a dump or a backup.
 * With several keys the first seals and all open, so that a key can be replaced without a stop.
 */
export class SecretBox {
  private readonly sealingKey: string;

  constructor(
    private readonly keys: readonly string[],
    private readonly randomness: Randomness,
    private readonly clock: Clock,
  ) {
    if (keys[0] === undefined) throw new Error('SecretBox needs at least one key');
    this.sealingKey = keys[0];
  }

  seal(plain: string): string {
    return sealFernet(this.sealingKey, plain, this.randomness.bytes(16), this.clock.now());
  }

  /** Which key opens it: 0 is the one that seals, higher ones are older, -1 means none. */
  keyOf(sealed: string): number {
    return this.keys.findIndex((key) => openFernet(key, sealed) !== undefined);
  }

  /** @throws UnreadableSecretError */
  open(sealed: string): string {
    for (const key of this.keys) {
      const plain = openFernet(key, sealed);
      if (plain !== undefined) return plain;
    }
    throw new UnreadableSecretError();
  }
}
