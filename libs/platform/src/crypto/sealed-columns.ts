import { Injectable } from '@nestjs/common';

export interface SealedColumn {
  readonly table: string;
  readonly column: string;
}

/** Where sealed texts are kept, in tables with an `id`: each room adds its own. */
@Injectable()
export class SealedColumns {
  // Answers of repeated requests are sealed too, and not listed: they are kept for a day.
  private readonly columns: SealedColumn[] = [{ table: 'outbox', column: 'sealed_payload' }];

  add(table: string, ...columns: readonly string[]): void {
    this.columns.push(...columns.map((column) => ({ table, column })));
  }

  list(): readonly SealedColumn[] {
    return this.columns;
  }
}
