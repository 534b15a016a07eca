import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Reminders of payments that a store could not take, and the index that finds them: few rows at any time. */
export class PaymentReminders1795881000000 implements MigrationInterface {
  readonly name = 'PaymentReminders1795881000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE subscription_reminders
        DROP CONSTRAINT subscription_reminders_kind,
        ADD CONSTRAINT subscription_reminders_kind
          CHECK (kind IN ('three_days', 'one_day', 'ended', 'payment_failed', 'payment_stopped')) NOT VALID;
      CREATE INDEX user_tariffs_payment_failed ON user_tariffs (access_until) WHERE state IN ('grace', 'retry');
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
