/**
 * Lets one change at a time through to a server, those that somebody waits for first. Whoever has many changes to make takes a turn
 * for each, so that a person's new device waits for one of them and not for all.
 */
export class Turns {
  private isTaken = false;
  private readonly urgent: (() => void)[] = [];
  private readonly patient: (() => void)[] = [];

  async take<Result>(line: 'urgent' | 'patient', work: () => Promise<Result>): Promise<Result> {
    if (this.isTaken) await new Promise<void>((resolve) => this[line].push(resolve));
    this.isTaken = true;
    try {
      return await work();
    } finally {
      const next = this.urgent.shift() ?? this.patient.shift();
      // Handed on without letting go, or somebody who comes just now would be second in the same turn.
      if (next === undefined) this.isTaken = false;
      else next();
    }
  }
}

/** How long something takes by experience, in milliseconds; the last ten times or so count, those that failed do not. */
export class Experience {
  constructor(private ms: number) {}

  get expectedMs(): number {
    return this.ms;
  }

  async of<Result>(work: () => Promise<Result>): Promise<Result> {
    const began = performance.now();
    const result = await work();
    this.ms += WEIGHT * (performance.now() - began - this.ms);
    return result;
  }
}

const WEIGHT = 0.2;
