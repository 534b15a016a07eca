import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Who may do a piece of work alone. */
export class Leases1795800000000 implements MigrationInterface {
  readonly name = 'Leases1795800000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE leases (
        name varchar(100) CONSTRAINT leases_pkey PRIMARY KEY,
        holder varchar(100) NOT NULL,
        fence bigint NOT NULL,
        acquired_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL
      );
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
