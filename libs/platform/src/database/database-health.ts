import { Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { MIGRATIONS } from '#migrations';
import { PreparedQueries } from './prepared-queries.js';

const APPLIED = {
  name: 'applied_migrations',
  text: `SELECT name, pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS "isReadOnly" FROM migrations`,
};
/** How long a check may take, in milliseconds: who asks gives up after a few seconds. */
const CHECK_LIMIT_MS = 3000;

interface AppliedRow {
  readonly name: string;
  readonly isReadOnly: boolean;
}

/** What keeps the database from doing its part. */
export type DatabaseState = 'ok' | 'unreachable' | 'read_only' | 'migrations_missing';

/** Whether the database can do its part: reachable, taking writes, and with every migration this version knows. */
@Injectable()
export class DatabaseHealth {
  constructor(private readonly queries: PreparedQueries) {}

  /** `ok`, or what is missing. Never throws. */
  async check(): Promise<DatabaseState> {
    const asked = this.ask().catch(() => 'unreachable' as const);
    return Promise.race([asked, delay(CHECK_LIMIT_MS, 'unreachable' as const, { ref: false })]);
  }

  private async ask(): Promise<DatabaseState> {
    const rows = await this.queries.rows<AppliedRow>(APPLIED, []);
    if (rows.some(({ isReadOnly }) => isReadOnly)) {
      this.queries.reconnect(); // there may be another server behind the same address by now
      return 'read_only';
    }
    const applied = new Set(rows.map(({ name }) => name));
    return MIGRATIONS.every((migration) => applied.has(migration.name)) ? 'ok' : 'migrations_missing';
  }
}
