import { rm } from 'node:fs/promises';
import pg from 'pg';

export default async function tearDown() {
  const client = new pg.Client({ connectionString: process.env.TEST_SERVER_URL });
  await client.connect();
  await client.query(`DROP DATABASE ${process.env.TEST_TEMPLATE} WITH (FORCE)`);
  await client.end();
  if (globalThis.embeddedPostgres) {
    const { embedded, directory } = globalThis.embeddedPostgres;
    await embedded.release();
    await rm(embedded.directory, { recursive: true, force: true });
    await rm(directory, { recursive: true, force: true });
  }
}
