import { Injectable } from '@nestjs/common';
import { MIGRATIONS } from '#migrations';
import { PreparedQueries } from './prepared-queries.js';

const APPLIED = { name: 'applied_migrations', text: 'SELECT name FROM migrations' };

/** Whether the database can do its part: reachable, and with every migration this version knows. */
@Injectable()
export class DatabaseHealth {
  constructor(private readonly queries: PreparedQueries) {}

  /** `ok`, or what is missing. Never throws. */
  async check(): Promise<'ok' | 'unreachable' | 'migrations_missing'> {
    try {
      const applied = new Set((await this.queries.rows<{ name: string }>(APPLIED, [])).map((row) => row.name));
      return MIGRATIONS.every((migration) => applied.has(migration.name)) ? 'ok' : 'migrations_missing';
    } catch {
      return 'unreachable';
    }
  }
}
