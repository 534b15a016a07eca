import { type MigrationInterface, type QueryRunner } from 'typeorm';

/**
 * Payments of Apple's sandbox are told from those of production that have the same number; Apple's question about a transaction is
 * answered once; and what nobody could ask about is counted. The unique index stays as it is, because the version before needs it
 * as long as it still runs: so the environment is part of the reference, and not a column.
 */
export class ApplePayments1795860000000 implements MigrationInterface {
  readonly name = 'ApplePayments1795860000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      UPDATE payments SET provider_payment_id = 'sandbox:' || provider_payment_id
        WHERE provider = 'apple' AND kind <> 'manual' AND is_test AND provider_payment_id NOT LIKE 'sandbox:%';
      ALTER TABLE store_transactions ADD COLUMN consumption_told_at timestamptz;
      CREATE INDEX store_purchases_unanswered ON store_purchases (check_failures) WHERE check_failures >= 5;
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
