import { DomainError } from '#kernel';

/** What one request waits for servers in all, in milliseconds; with the rest of it, it is answered within 3.5 s. */
const PATIENCE_MS = 3000;

/** The time that one request may spend on waiting for servers, however many things it asks of them. */
export class Patience {
  /** By `performance.now()`. */
  readonly endsAt = performance.now() + PATIENCE_MS;

  /** What is awaited. @throws DomainError server_unavailable, when the time is over before */
  of<T>(work: Promise<T>): Promise<T> {
    return this.race(work, () => {
      throw new DomainError('server_unavailable', { params: { kind: 'timeout' } });
    });
  }

  /** Returns when the work is done, or the time is over. */
  until(work: Promise<void>): Promise<void> {
    return this.race(work, () => undefined);
  }

  private async race<T>(work: Promise<T>, giveUp: () => T): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.endsAt - performance.now())));
    try {
      return await Promise.race([work, over.then(giveUp)]);
    } finally {
      clearTimeout(timer);
    }
  }
}
