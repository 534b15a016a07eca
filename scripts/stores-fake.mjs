// npm run stores:fake [-- verb]: the fakes of both stores that the tests use, as a process of their own. They are TypeScript that no
// build takes in, so what they need is stripped of its types here; types are checked by "npm run check:types".
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDERS = ['test/fakes', 'test/simulator'];

process.chdir(ROOT);
try {
  await transpile();
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  process.stderr.write('The stores are for development: run "npm ci" first.\n');
  process.exit(1);
}
await import(pathToFileURL(join(ROOT, 'dist/test/simulator/main.js')).href);

async function transpile() {
  const { transformFile } = await import('@swc/core');
  for (const folder of FOLDERS) {
    mkdirSync(join('dist', folder), { recursive: true });
    for (const name of readdirSync(folder).filter((one) => one.endsWith('.ts') && !one.endsWith('.spec.ts'))) {
      const from = join(folder, name);
      const to = join('dist', folder, name.replace(/\.ts$/, '.js'));
      if (existsSync(to) && statSync(to).mtimeMs > statSync(from).mtimeMs) continue;
      const { code } = await transformFile(from, { swcrc: true, configFile: '.swcrc' });
      if (!existsSync(to) || readFileSync(to, 'utf8') !== code) writeFileSync(to, code);
    }
  }
}
