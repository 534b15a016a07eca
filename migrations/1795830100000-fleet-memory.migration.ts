import { type MigrationInterface, type QueryRunner } from 'typeorm';

/**
 * What keeps a peer of its own from being put, which devices a tariff's limit lets in, which keys were ours, and which are other
 * people's.
 */
export class FleetMemory1795830100000 implements MigrationInterface {
  readonly name = 'FleetMemory1795830100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE vpn_peers
        ADD COLUMN fault varchar(32),
        ADD COLUMN chosen_at timestamptz,
        DROP CONSTRAINT vpn_peers_suspended_reason,
        ADD CONSTRAINT vpn_peers_suspended_reason
          CHECK (suspended_reason IN ('no_access', 'traffic_exhausted', 'device_limit'));
      CREATE INDEX vpn_peers_fault ON vpn_peers (server_id, id) WHERE fault IS NOT NULL;

      CREATE TABLE vpn_departed_keys (
        public_key varchar(44) NOT NULL CONSTRAINT vpn_departed_keys_pkey PRIMARY KEY,
        left_at timestamptz NOT NULL
      );
      CREATE INDEX vpn_departed_keys_left_at ON vpn_departed_keys (left_at);

      CREATE TABLE vpn_foreign_keys (
        server_id integer NOT NULL
          CONSTRAINT vpn_foreign_keys_server_id_fkey REFERENCES vpn_servers ON DELETE CASCADE,
        public_key varchar(44) NOT NULL,
        seen_at timestamptz NOT NULL,
        CONSTRAINT vpn_foreign_keys_pkey PRIMARY KEY (server_id, public_key)
      );
      CREATE INDEX vpn_foreign_keys_public_key ON vpn_foreign_keys (public_key);
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
