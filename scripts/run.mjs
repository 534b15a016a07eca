// node scripts/run.mjs <api|cli> [arguments]: builds if needed, then becomes that app; with ROLES=jobs, api becomes the worker.
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { buildIfNeeded } from './build.mjs';

const [asked] = process.argv.splice(2, 1);
const roles = process.env.ROLES ?? (existsSync('.env') ? parseEnv(readFileSync('.env', 'utf8')).ROLES : undefined);
const app = asked === 'api' && roles?.trim() === 'jobs' ? 'worker' : asked;
try {
  await buildIfNeeded();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
await import(`../dist/apps/${app}/src/main.js`);
