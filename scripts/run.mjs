// node scripts/run.mjs <api|cli> [arguments]: builds if needed, then becomes that app.
import { buildIfNeeded } from './build.mjs';

const [app] = process.argv.splice(2, 1);
try {
  await buildIfNeeded();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
await import(`../dist/apps/${app}/src/main.js`);
