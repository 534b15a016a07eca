import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** A sealed text by which a start knows that its key is the one that everything is sealed with. */
export class EncryptionCanary1795802000000 implements MigrationInterface {
  readonly name = 'EncryptionCanary1795802000000';

  async up(runner: QueryRunner): Promise<void> {
    // Empty: only a process that serves has the key.
    await runner.query(`
      CREATE TABLE encryption_canary (
        id smallint CONSTRAINT encryption_canary_pkey PRIMARY KEY,
        sealed text NOT NULL,
        CONSTRAINT encryption_canary_one_row CHECK (id = 1)
      );
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
