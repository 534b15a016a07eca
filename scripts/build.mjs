// Builds when the sources are not those of the last build. Several processes may ask at once: one builds, the others wait.
//
// swc compiles each file by itself in about a second; types are checked by `npm run check:types`, which is part of the gate.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUT = join(ROOT, 'dist');
const SOURCES = ['apps', 'libs', 'migrations', 'package.json', 'tsconfig.json', '.swcrc', 'scripts/build.mjs'];
const STAMP = join(OUT, '.built-from');
const LOCK = join(ROOT, 'node_modules', '.cache', 'vpn-backend-build');
const COMPILER = join(ROOT, 'node_modules', '@swc', 'core');

export async function buildIfNeeded() {
  if (isFresh()) return;
  if (!existsSync(COMPILER)) return useLastBuild();
  await withLock(async () => {
    if (isFresh()) return;
    const begun = Date.now();
    process.stderr.write('Building ...');
    const stamp = stampOf();
    rmSync(STAMP, { force: true }); // a build that is cut off leaves none
    const count = await compile();
    writeFileSync(STAMP, stamp);
    process.stderr.write(` ${count} files in ${((Date.now() - begun) / 1000).toFixed(1)} s\n`);
  });
}

/** A production install has no compiler: what was built is what there is, and an operator who changed the sources is told. */
function useLastBuild() {
  if (!existsSync(STAMP)) {
    throw new Error('Nothing is built yet, and there is no compiler: run "npm ci && npm run build" first.');
  }
  process.stderr.write(
    'The sources are not those of the last build, which is started. Run "npm ci && npm run build".\n',
  );
}

/** Compiles all sources to dist/, and removes what belongs to no source any more. */
async function compile() {
  const { transform } = await import('@swc/core');
  const options = JSON.parse(readFileSync(join(ROOT, '.swcrc'), 'utf8'));
  const files = SOURCES.flatMap(filesBelow);
  const sources = files.filter((path) => path.endsWith('.ts'));
  const written = new Set([STAMP]);
  const write = (path, text) => {
    const target = join(OUT, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
    written.add(target);
  };
  await Promise.all(
    sources.map(async (path) => {
      const target = path.replace(/\.ts$/, '.js');
      const { code, map } = await transform(readFileSync(join(ROOT, path), 'utf8'), {
        ...options,
        swcrc: false,
        filename: join(ROOT, path),
        sourceFileName: relative(dirname(join(OUT, target)), join(ROOT, path)),
        sourceMaps: true,
      });
      write(target, `${code}//# sourceMappingURL=${target.slice(target.lastIndexOf('/') + 1)}.map\n`);
      write(`${target}.map`, map);
    }),
  );
  for (const path of files.filter((name) => name.endsWith('.cer'))) {
    mkdirSync(dirname(join(OUT, path)), { recursive: true });
    cpSync(join(ROOT, path), join(OUT, path));
    written.add(join(OUT, path));
  }
  for (const name of readdirSync(OUT, { recursive: true })) {
    const path = join(OUT, name);
    if (!written.has(path) && statSync(path, { throwIfNoEntry: false })?.isFile()) rmSync(path);
  }
  return sources.length;
}

/** Whether dist/ is of these sources: by time and size, or where a checkout or a copy has touched them, by what they say. */
function isFresh() {
  if (!existsSync(STAMP)) return false;
  if (!existsSync(join(ROOT, 'apps'))) return true; // an image holds the build alone
  const [touched, content] = readFileSync(STAMP, 'utf8').split('\n');
  return fingerprint(describeTouched) === touched || fingerprint(describeContent) === content;
}

function stampOf() {
  return `${fingerprint(describeTouched)}\n${fingerprint(describeContent)}\n`;
}

function fingerprint(describe) {
  const hash = createHash('sha256');
  for (const path of SOURCES.flatMap(filesBelow)) hash.update(`${path}\0${describe(join(ROOT, path))}\n`);
  return hash.digest('hex');
}

function describeTouched(path) {
  const { mtimeMs, size } = statSync(path);
  return `${size}\0${mtimeMs}`;
}

function describeContent(path) {
  return readFileSync(path);
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
    await work();
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
