import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Each acknowledgement to Play has its own retries, and what this service named to a store is told from what the app named. */
export class Acknowledgement1795870000000 implements MigrationInterface {
  readonly name = 'Acknowledgement1795870000000';

  async up(runner: QueryRunner): Promise<void> {
    // Constant defaults: no row is rewritten, and the version before goes on without knowing these columns.
    await runner.query(`
      ALTER TABLE store_purchases
        ADD COLUMN acknowledge_failures integer NOT NULL DEFAULT 0,
        ADD COLUMN acknowledge_retry_at timestamptz,
        ADD COLUMN acknowledged_seq bigint,
        ADD COLUMN given_account_token uuid;
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
