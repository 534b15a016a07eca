/** The raw variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** All that is wrong with the settings, in one message, so that an operator mends them in one go. */
export class SettingsError extends Error {
  constructor(readonly faults: readonly string[]) {
    super(`The settings are not usable:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'SettingsError';
  }
}

interface Range {
  readonly min: number;
  readonly max: number;
}

/**
 * Reads variables one by one and remembers every fault instead of stopping at the first.
 * An empty variable counts as unset. A value never appears in a fault: it may be a secret in the wrong place.
 */
export class SettingsReader {
  private readonly faults: string[] = [];
  private readonly seen = new Set<string>();

  constructor(private readonly environment: Environment) {}

  /** The names read so far: what `.env.example` must list. */
  get names(): readonly string[] {
    return [...this.seen].sort();
  }

  text(name: string): string | undefined {
    this.seen.add(name);
    const value = this.environment[name]?.trim();
    return value === '' ? undefined : value;
  }

  integer(name: string, { min, max }: Range, fallback: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    this.fault(`${name} must be a whole number from ${min} to ${max}`);
    return fallback;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.text(name);
    if (value === undefined) return fallback;
    if (value === '1' || value === 'true') return true;
    if (value === '0' || value === 'false') return false;
    this.fault(`${name} must be 1 or 0`);
    return fallback;
  }

  choice<const T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const choice = choices.find((candidate) => candidate === value);
    if (choice !== undefined) return choice;
    this.fault(`${name} must be one of ${choices.join(', ')}`);
    return fallback;
  }

  /** Comma-separated values without blanks; none when unset. */
  list(name: string): readonly string[] {
    return (this.text(name) ?? '')
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }

  /** One fault for those of these that are not set; none when all are. */
  require(names: readonly string[], why: string): void {
    const missing = names.filter((name) => this.text(name) === undefined);
    if (missing.length > 0) this.fault(`${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} required ${why}`);
  }

  fault(message: string): void {
    this.faults.push(message);
  }

  finish(): void {
    if (this.faults.length > 0) throw new SettingsError(this.faults);
  }
}
