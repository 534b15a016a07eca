import { type MigrationInterface, type QueryRunner } from 'typeorm';

/**
 * Payments of purchases that nobody has claimed are written down without an owner. The check is left NOT VALID on purpose: it holds for
 * every row that is written from now on, the rows before had an owner anyway, and validating it would lock the table for a scan.
 */
export class UnclaimedPayments1795880000000 implements MigrationInterface {
  readonly name = 'UnclaimedPayments1795880000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE payments
        ALTER COLUMN user_id DROP NOT NULL,
        ADD CONSTRAINT payments_owner CHECK (user_id IS NOT NULL OR kind <> 'manual') NOT VALID;
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
