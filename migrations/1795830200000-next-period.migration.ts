import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** When the next period of a subscription begins, where a store has renewed it before that. */
export class NextPeriod1795830200000 implements MigrationInterface {
  readonly name = 'NextPeriod1795830200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE user_tariffs ADD COLUMN next_period_at timestamptz');
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
