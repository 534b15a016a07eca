import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Readings of traffic counters get an order, and the last one follows its key when the key's peer is deleted, moved or rotated. */
export class Counters1795830000000 implements MigrationInterface {
  readonly name = 'Counters1795830000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SEQUENCE vpn_reading_seq AS bigint;

      ALTER TABLE vpn_peers ADD COLUMN read_seq bigint NOT NULL DEFAULT 0;

      ALTER TABLE vpn_peer_leftovers
        ADD COLUMN user_id integer,
        ADD COLUMN peer_id integer,
        ADD COLUMN rx_seen bigint NOT NULL DEFAULT 0,
        ADD COLUMN tx_seen bigint NOT NULL DEFAULT 0,
        ADD COLUMN read_seq bigint NOT NULL DEFAULT 0;
      CREATE INDEX vpn_peer_leftovers_public_key ON vpn_peer_leftovers (public_key);
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
