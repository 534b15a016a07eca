import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** How much of its period's traffic a subscription has used, and why a peer is suspended. */
export class Traffic1795435200000 implements MigrationInterface {
  readonly name = 'Traffic1795435200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE user_tariffs ADD COLUMN period_started_at timestamptz;

      ALTER TABLE vpn_peers
        ADD COLUMN suspended_reason varchar(24),
        ADD CONSTRAINT vpn_peers_suspended_reason CHECK (suspended_reason IN ('no_access', 'traffic_exhausted'));
      UPDATE vpn_peers SET suspended_reason = 'no_access' WHERE status = 'suspended';

      CREATE TABLE vpn_traffic_periods (
        subscription_id integer NOT NULL
          CONSTRAINT vpn_traffic_periods_subscription_id_fkey REFERENCES user_tariffs ON DELETE CASCADE,
        started_at timestamptz NOT NULL,
        bytes bigint NOT NULL,
        CONSTRAINT vpn_traffic_periods_pkey PRIMARY KEY (subscription_id, started_at)
      );

      -- The totals of a server outlive it.
      ALTER TABLE vpn_traffic_days DROP CONSTRAINT vpn_traffic_days_server_id_fkey;
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
