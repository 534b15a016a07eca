import { createHash, randomBytes, randomUUID } from 'node:crypto';

/** Where unguessable bytes come from. Rooms take it from outside, so that tests can hold it still. */
export abstract class Randomness {
  /** `size` bytes fit for keys. */
  abstract bytes(size: number): Buffer;
  /** A version 4 UUID (RFC 9562). */
  abstract uuid(): string;
}

/** The operating system's generator. */
export class SystemRandomness extends Randomness {
  bytes(size: number): Buffer {
    return randomBytes(size);
  }

  uuid(): string {
    return randomUUID();
  }
}

/** The same bytes for the same seed, for tests only: SHA-256 of a counter is no generator for secrets. */
export class SeededRandomness extends Randomness {
  private counter = 0;

  constructor(private readonly seed = 'seed') {
    super();
  }

  bytes(size: number): Buffer {
    const blocks: Buffer[] = [];
    for (let length = 0; length < size; length += 32) {
      blocks.push(createHash('sha256').update(`${this.seed}:${this.counter++}`).digest());
    }
    return Buffer.concat(blocks).subarray(0, size);
  }

  uuid(): string {
    const hex = this.bytes(16).toString('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}
