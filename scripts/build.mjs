// Builds when the sources are not those of the last build. Several processes may ask at once: one builds, the others wait.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SOURCES = ['apps', 'libs', 'migrations', 'package.json', 'nest-cli.json', 'tsconfig.json'];
const STAMP = join(ROOT, 'dist', '.built-from');
const LOCK = join(ROOT, 'node_modules', '.cache', 'vpn-backend-build');
const COMPILER = join(ROOT, 'node_modules', '@nestjs', 'cli', 'bin', 'nest.js');

export async function buildIfNeeded() {
  if (isFresh()) return;
  if (!existsSync(COMPILER)) {
    if (existsSync(STAMP)) return; // a production install: what was built is what there is
    throw new Error('Nothing is built yet, and there is no compiler: run "npm ci && npm run build" first.');
  }
  await withLock(() => {
    if (isFresh()) return;
    process.stdout.write('Building ...\n');
    const fingerprint = fingerprintSources();
    const { status } = spawnSync(process.execPath, [COMPILER, 'build', 'api'], { cwd: ROOT, stdio: 'inherit' });
    if (status !== 0) throw new Error('The build failed.');
    writeFileSync(STAMP, fingerprint);
  });
}

function isFresh() {
  return existsSync(STAMP) && existsSync(join(ROOT, 'apps')) && readFileSync(STAMP, 'utf8') === fingerprintSources();
}

function fingerprintSources() {
  const hash = createHash('sha256');
  for (const path of SOURCES.flatMap(filesBelow)) {
    const { mtimeMs, size } = statSync(join(ROOT, path));
    hash.update(`${path}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

function filesBelow(path) {
  if (!statSync(join(ROOT, path)).isDirectory()) return [path];
  return readdirSync(join(ROOT, path), { recursive: true })
    .map((name) => join(path, name))
    .filter((name) => (name.endsWith('.ts') && !name.endsWith('.spec.ts')) || name.endsWith('.cer'))
    .sort();
}

async function withLock(work) {
  const holder = join(LOCK, 'pid');
  for (;;) {
    try {
      mkdirSync(join(LOCK, '..'), { recursive: true });
      mkdirSync(LOCK);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (existsSync(holder) && !isAlive(Number(readFileSync(holder, 'utf8'))))
        rmSync(LOCK, { recursive: true, force: true });
      else await delay(200);
    }
  }
  writeFileSync(holder, String(process.pid));
  try {
    work();
  } finally {
    rmSync(LOCK, { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildIfNeeded().catch((error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
}
