// Compares the entities with the schema that the migrations make, in a database of its own. Prints the statements that would
// bring the schema in line (the draft of the next migration) and exits with 1 if there are any.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { buildIfNeeded } from './build.mjs';

await buildIfNeeded();
const { createApp } = await import('../dist/apps/api/src/setup.js');
const { acquireEmbeddedPostgres, createLog, migrate } = await import('../dist/libs/platform/src/index.js');
const { testSettings } = await import('./test-settings.mjs');

process.noDeprecation = true; // TypeORM's schema reader asks several things at once of one connection

const directory = await mkdtemp(join(tmpdir(), 'vpn-schema-'));
const database = await acquireEmbeddedPostgres({ directory, database: 'vpn_schema_test', durable: false });
try {
  await migrate(database.url);
  const log = await createLog({ level: 'error', pretty: false });
  const app = await createApp({ settings: testSettings(), databaseUrl: database.url, log });
  const { upQueries } = await app.get(DataSource).driver.createSchemaBuilder().log();
  for (const { query } of upQueries) console.log(`${query};`);
  console.log(
    upQueries.length === 0 ? 'schema: the migrations make what the entities say' : 'schema: drift, see above',
  );
  process.exitCode = upQueries.length === 0 ? 0 : 1;
  await app.close();
} finally {
  await database.release();
  await rm(directory, { recursive: true, force: true });
}
