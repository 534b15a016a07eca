import { readFileSync, writeFileSync } from 'node:fs';

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 24 * 3_600_000 };

/** A clock that is moved on by hand. How far is in a file, so that whoever reads the file (`DEV_CLOCK_FILE`) has the same time. */
export class MovedClock {
  constructor(readonly path: string) {
    writeFileSync(path, String(this.aheadMs()));
  }

  readonly now = (): Date => new Date(Date.now() + this.aheadMs());

  /** By `+30d`, `+12h`, `+5m` or `+20s`; several may follow one another. Never back: what has happened would lie in the future. */
  move(by: string): Date {
    if (!/^(?:\+?\d{1,6}[smhd])+$/.test(by)) throw new Error(`${by} is no step forward, such as +30d, +12h or +1d12h`);
    const steps = [...by.matchAll(/(\d+)([smhd])/g)].map(([, count, unit = '']) => Number(count) * (UNITS[unit] ?? 0));
    writeFileSync(this.path, String(steps.reduce((sum, ms) => sum + ms, this.aheadMs())));
    return this.now();
  }

  private aheadMs(): number {
    try {
      const ms = Number(readFileSync(this.path, 'utf8'));
      return Number.isSafeInteger(ms) ? ms : 0;
    } catch {
      return 0; // not moved yet
    }
  }
}
