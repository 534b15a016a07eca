// Writes openapi.json from the code; with --check only says whether the file is up to date. Either way the document is linted.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lintFromString, loadConfig } from '@redocly/openapi-core';
import { buildIfNeeded } from './build.mjs';

await buildIfNeeded();
const { createApp } = await import('../dist/apps/api/src/setup.js');
const { describeApi } = await import('../dist/apps/api/src/http/openapi.js');
const { acquireEmbeddedPostgres, createLog, migrate } = await import('../dist/libs/platform/src/index.js');
const { testSettings } = await import('./test-settings.mjs');

const directory = await mkdtemp(join(tmpdir(), 'vpn-openapi-'));
const database = await acquireEmbeddedPostgres({ directory, database: 'vpn_openapi_test', durable: false });
try {
  await migrate(database.url);
  const log = await createLog({ level: 'error', pretty: false });
  const app = await createApp({ settings: testSettings(), databaseUrl: database.url, log });
  const text = `${JSON.stringify(describeApi(app), null, 2)}\n`;
  await app.close();
  await lint(text);
  if (!process.argv.includes('--check')) {
    await writeFile('openapi.json', text);
    console.log('openapi.json: written');
  } else if ((await readFile('openapi.json', 'utf8').catch(() => '')) === text) {
    console.log('openapi.json: says what the code says');
  } else {
    console.error('openapi.json: out of date; run "npm run openapi" and commit it');
    process.exitCode = 1;
  }
} finally {
  await database.release();
  await rm(directory, { recursive: true, force: true });
}

/** Redocly's rules, as redocly.yaml chooses them. `npm run check:clients` has Spectral look at it too, and generates clients. */
async function lint(source) {
  const config = await loadConfig();
  const problems = await lintFromString({ source, absoluteRef: 'openapi.json', config });
  for (const { severity, message, location } of problems) {
    console.error(`openapi.json: ${severity}: ${message} at ${location[0]?.pointer ?? ''}`);
  }
  if (problems.length > 0) process.exitCode = 1;
  else console.log('openapi.json: no problem found by the linter');
}
