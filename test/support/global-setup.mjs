// Before the first test: a PostgreSQL (the one of TEST_DATABASE_URL, else an embedded one) with a migrated database that the
// test files clone.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { buildIfNeeded } from '../../scripts/build.mjs';

export default async function setUp() {
  await buildIfNeeded();
  const { acquireEmbeddedPostgres, migrate } = await import('../../dist/libs/platform/src/index.js');
  const template = `vpn_test_template_${process.pid}`;
  const server = process.env.TEST_DATABASE_URL || (await startEmbedded(acquireEmbeddedPostgres));

  const client = new pg.Client({ connectionString: server });
  await client.connect();
  const { rows } = await client.query('SHOW server_version');
  console.log(
    `\nTests run on PostgreSQL ${rows[0].server_version}${process.env.TEST_DATABASE_URL ? '' : ' (embedded)'}.`,
  );
  await client.query(`CREATE DATABASE ${template}`);
  await client.end();
  const url = new URL(server);
  url.pathname = `/${template}`;
  await migrate(url.href);

  process.env.TEST_SERVER_URL = server;
  process.env.TEST_TEMPLATE = template;
}

async function startEmbedded(acquireEmbeddedPostgres) {
  const directory = await mkdtemp(join(tmpdir(), 'vpn-test-'));
  const embedded = await acquireEmbeddedPostgres({ directory, database: 'vpn_test', durable: false });
  globalThis.embeddedPostgres = { embedded, directory };
  return embedded.url;
}
