import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** A key that has left is remembered with the server it left: its peer may have moved and be wanted elsewhere. */
export class DepartedFrom1795830400000 implements MigrationInterface {
  readonly name = 'DepartedFrom1795830400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE vpn_departed_keys
        ADD COLUMN server_id integer NOT NULL DEFAULT 0,
        DROP CONSTRAINT vpn_departed_keys_pkey,
        ADD CONSTRAINT vpn_departed_keys_pkey PRIMARY KEY (public_key, server_id);
      ALTER TABLE vpn_departed_keys ALTER COLUMN server_id DROP DEFAULT;
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
