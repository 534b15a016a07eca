import { Injectable } from '@nestjs/common';
import { HealthChecks, type HealthFinding } from '../health/health-checks.js';
import { EncryptionKey } from './encryption-key.service.js';
import { SealedColumns } from './sealed-columns.js';
import { SealedTextsRepository } from './sealed-texts.repository.js';
import { SecretBox } from './secret-box.js';

export interface SealedFigures {
  /** `table.column`. */
  readonly column: string;
  readonly examined: number;
  /** No key of ours opens them. */
  readonly unreadable: number;
  /** An older key of the list is needed for them. */
  readonly older: number;
}

/** So many of the oldest and of the newest rows of each table: a key that is gone leaves the former, a wrong one the latter. */
const ROWS_AT_EACH_END = 500;
/** How old the figures may be, in milliseconds. */
const KEPT_MS = 300_000;

/** For operators: whether what is sealed can be opened. */
@Injectable()
export class SealedTextsCheck {
  private last: { readonly at: number; readonly figures: Promise<readonly SealedFigures[]> } | undefined;

  constructor(
    checks: HealthChecks,
    private readonly key: EncryptionKey,
    private readonly columns: SealedColumns,
    private readonly texts: SealedTextsRepository,
    private readonly box: SecretBox,
  ) {
    checks.add('encryption key', () => this.examine());
  }

  /** Counted every five minutes at most. */
  figures(): Promise<readonly SealedFigures[]> {
    if (this.last === undefined || performance.now() - this.last.at >= KEPT_MS) {
      const figures = this.count();
      this.last = { at: performance.now(), figures };
      figures.catch(() => (this.last = undefined)); // a failure is not worth remembering
    }
    return this.last.figures;
  }

  private async count(): Promise<readonly SealedFigures[]> {
    const all: SealedFigures[] = [];
    for (const { table, column } of this.columns.list()) {
      const keys = (await this.texts.sample({ table, column }, ROWS_AT_EACH_END)).map((text) => this.box.keyOf(text));
      const unreadable = keys.filter((place) => place === -1).length;
      const older = keys.filter((place) => place > 0).length;
      all.push({ column: `${table}.${column}`, examined: keys.length, unreadable, older });
    }
    return all;
  }

  private async examine(): Promise<readonly HealthFinding[]> {
    const about = 'encryption key';
    const refusal = await this.key.verify().then(
      () => null,
      (error: unknown) => {
        if (error instanceof Error && error.name === 'StartError') return error.message;
        throw error;
      },
    );
    const figures = await this.figures();
    const examined = figures.reduce((sum, column) => sum + column.examined, 0);
    const older = figures.reduce((sum, column) => sum + column.older, 0);
    const unreadable = figures.filter((column) => column.unreadable > 0);
    const kept = older === 0 ? '' : `; ${older} of them by an older key of CONFIG_ENCRYPTION_KEY: keep it`;
    return [
      ...(refusal === null ? [] : [{ about, isWell: false, says: refusal }]),
      ...unreadable.map(({ column, unreadable: count, examined: of }) => ({
        about,
        isWell: false,
        says: `${column}: ${count} of ${of} examined cannot be opened: CONFIG_ENCRYPTION_KEY lacks a key`,
      })),
      ...(refusal === null && unreadable.length === 0
        ? [{ about, isWell: true, says: `opens all ${examined} sealed texts examined${kept}` }]
        : []),
    ];
  }
}
