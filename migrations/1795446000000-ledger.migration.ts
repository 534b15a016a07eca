import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** What stores charge and give back, to the millionth; refunds; and the events of other providers. */
export class Ledger1795446000000 implements MigrationInterface {
  readonly name = 'Ledger1795446000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE payments
        ALTER COLUMN amount TYPE numeric(18, 6),
        ADD COLUMN refunded_amount numeric(18, 6),
        ADD COLUMN refunded_at timestamptz,
        ADD COLUMN refund_reason varchar(64),
        ADD COLUMN refund_requested_at timestamptz,
        ADD COLUMN product_id varchar(255),
        ADD COLUMN is_trial boolean NOT NULL DEFAULT false,
        ADD COLUMN is_test boolean NOT NULL DEFAULT false,
        ADD COLUMN amount_estimated boolean NOT NULL DEFAULT false,
        ADD COLUMN country varchar(3),
        ADD COLUMN store_purchase_id integer,
        ADD COLUMN superseded_by integer
          CONSTRAINT payments_superseded_by_fkey REFERENCES payments ON DELETE SET NULL;
      UPDATE payments SET refunded_amount = amount, refunded_at = created_at WHERE status = 'refunded';
      -- A store's period is known before the purchase has an owner's subscription, or a tariff at all.
      ALTER TABLE payments
        DROP CONSTRAINT payments_period,
        ADD CONSTRAINT payments_period
          CHECK (kind <> 'manual' OR subscription_id IS NOT NULL OR (period_start IS NULL AND period_end IS NULL)),
        ADD CONSTRAINT payments_refund CHECK ((refunded_at IS NULL) = (refunded_amount IS NULL)),
        ADD CONSTRAINT payments_refunded CHECK (status <> 'refunded' OR refunded_at IS NOT NULL),
        ADD CONSTRAINT payments_refunded_amount CHECK (refunded_amount >= 0);
      CREATE INDEX payments_store_purchase_id ON payments (store_purchase_id) WHERE store_purchase_id IS NOT NULL;
      CREATE INDEX payments_subscription_id ON payments (subscription_id) WHERE subscription_id IS NOT NULL;
      CREATE INDEX payments_superseded_by ON payments (superseded_by) WHERE superseded_by IS NOT NULL;
      CREATE INDEX payments_created_at ON payments (created_at);
      CREATE INDEX payments_refunded_at ON payments (refunded_at) WHERE refunded_at IS NOT NULL;

      CREATE TABLE payment_events (
        provider varchar(32) NOT NULL,
        event_id varchar(255) NOT NULL,
        payment_id integer NOT NULL CONSTRAINT payment_events_payment_id_fkey REFERENCES payments,
        provider_payment_id varchar(255) NOT NULL,
        status paymentstatus NOT NULL,
        amount numeric(18, 6),
        currency varchar(8),
        outcome paymentstatus NOT NULL,
        received_at timestamptz NOT NULL,
        CONSTRAINT payment_events_pkey PRIMARY KEY (provider, event_id),
        CONSTRAINT payment_events_status CHECK (status <> 'pending')
      );
      CREATE INDEX payment_events_payment_id ON payment_events (payment_id);
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
