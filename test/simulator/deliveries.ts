/** Something that the service is to be told. */
export interface Delivery {
  readonly what: string;
  /** Posts it, and answers the status. */
  send(): Promise<number>;
}

/** In milliseconds. The real stores wait longer; here somebody sits and waits for his service to be up again. */
const AGAIN_AFTER_MS = 3000;

/** Tells the service one thing after the other, in order; what is not taken is told again until it is. */
export class Deliveries {
  private readonly waiting: Delivery[] = [];
  private retry: NodeJS.Timeout | undefined;
  private last = Promise.resolve();

  constructor(
    private readonly say: (line: string) => void,
    private readonly againAfterMs = AGAIN_AFTER_MS,
  ) {}

  /** How many have not been taken yet. */
  get count(): number {
    return this.waiting.length;
  }

  /** Tells it now if it can be; answers whether nothing waits any more. */
  async add(...deliveries: readonly Delivery[]): Promise<boolean> {
    this.waiting.push(...deliveries);
    await this.flush();
    return this.waiting.length === 0;
  }

  close(): void {
    clearTimeout(this.retry);
    this.waiting.length = 0;
  }

  private flush(): Promise<void> {
    this.last = this.last.then(() => this.deliver());
    return this.last;
  }

  private async deliver(): Promise<void> {
    clearTimeout(this.retry);
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      const status = await next.send().catch(() => 0);
      const isTaken = status >= 200 && status < 300;
      this.say(`${next.what} -> ${status === 0 ? 'the service does not answer' : status}`);
      if (!isTaken) {
        this.retry = setTimeout(() => void this.flush(), this.againAfterMs);
        return;
      }
      this.waiting.shift();
    }
  }
}
