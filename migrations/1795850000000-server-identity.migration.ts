import { type MigrationInterface, type QueryRunner } from 'typeorm';

/**
 * What the names of our clients begin with on a server that keeps names: chosen at random when the server is first spoken to, so that
 * two installations on one wg-easy never take each other's clients for their own. And the public key that a server had when it was
 * last seen to be itself.
 */
export class ServerIdentity1795850000000 implements MigrationInterface {
  readonly name = 'ServerIdentity1795850000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE vpn_servers ADD COLUMN client_prefix varchar(16);
      ALTER TABLE vpn_server_health ADD COLUMN public_key varchar(44);
    `);
  }

  down(): Promise<void> {
    throw new Error('Migrations only go forward: write another one');
  }
}
