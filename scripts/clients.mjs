// Makes clients of openapi.json with the generators that people use, compiles or reads what they write, and lets one of them work with
// the service. The generators are installed into a temporary folder by their own lock file (test/clients): 400 MB that nobody needs for
// anything else. Those of openapi-generator (Dart, Kotlin) need Java, and are left out, with a word, where there is none.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { buildIfNeeded } from './build.mjs';

const QUIET = {
  REDOCLY_TELEMETRY: 'off',
  REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true',
  SCARF_ANALYTICS: 'false',
  DO_NOT_TRACK: '1',
};
const DOCUMENT = resolve('openapi.json');
const JAR = 'node_modules/@openapitools/openapi-generator-cli/bin/openapi-generator.jar';
/** The release in npm is older than this mapping, which its successors have built in. */
const ANYTHING = {
  dart: ['--type-mappings=AnyType=Object', '--language-specific-primitives=Object'],
  'dart-dio': [],
  kotlin: ['--type-mappings=AnyType=kotlin.Any'],
  'typescript-fetch': [],
};
/** What a program of before Java 16 takes for granted. */
const REFLECTION = ['--add-opens=java.base/java.util=ALL-UNNAMED', '--add-opens=java.base/java.lang=ALL-UNNAMED'];
const TSCONFIG = {
  compilerOptions: {
    strict: true,
    noUncheckedIndexedAccess: true,
    noFallthroughCasesInSwitch: true,
    target: 'ES2022',
    module: 'ESNext',
    moduleResolution: 'Bundler',
    lib: ['ES2022', 'DOM', 'DOM.Iterable'],
    types: [],
    noEmit: true,
    skipLibCheck: true,
  },
  include: ['walk.ts', 'ambient.d.ts', 'openapi-typescript.ts', 'orval.ts', 'hey', 'typescript-fetch'],
};

const PROMOTE_SECRET = 'c2NyaXB0cy1vbmx5LXByb21vdGU';
/** An answer whose states this version has never heard of. */
const SUBSCRIPTION_OF_LATER = {
  id: 1,
  user_id: 1,
  tariff_id: 1,
  tariff_name: 'Monthly',
  status: 'active',
  state: 'hibernating',
  started_at: '2026-11-22T10:00:00.000Z',
  ended_at: null,
  access_until: null,
  duration_days: 30,
  price: '9.99',
  days_remaining: 12,
  is_lifetime: false,
  auto_renewing: true,
  store: 'another_store',
  is_trial: false,
  traffic_used_bytes: 3_000_000_000,
  traffic_limit_gb: null,
  traffic_resets_at: null,
  something_new: 1,
};

/** What the walk needs of Node, and what typescript-fetch of 2020 still finds in the types of the DOM. */
const AMBIENT = `declare const process: { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string | undefined>> };
type GlobalFetch = WindowOrWorkerGlobalScope;
`;

/** `int userId;`, or `int get userId;` where a class is built by built_value. */
const DART_FIELD = /^ {2,4}((?:int|num|double|bool|[A-Z]\w*)(?:<[\w<>, ]+>)?) (?:get )?(\w+)(?: = [^;(]*)?;$/gm;

const tools = await installTools();
const work = await mkdtemp(join(tools, 'work-'));
try {
  await step('redocly and spectral', () =>
    Promise.all([
      run('redocly', ['lint', DOCUMENT], process.cwd()),
      run('spectral', ['lint', DOCUMENT, '--fail-severity=hint', '--quiet'], process.cwd()),
    ]),
  );
  await step('openapi-typescript, orval and hey-api', () =>
    Promise.all([
      run('openapi-typescript', [DOCUMENT, '-o', 'openapi-typescript.ts']),
      run('orval', ['--input', DOCUMENT, '--output', './orval.ts', '--client', 'fetch']),
      generateByHeyApi(),
    ]),
  );
  const hasJava = spawnSync('java', ['-version']).status === 0;
  if (hasJava) await step('openapi-generator: dart, dart-dio, kotlin and typescript-fetch', generateByOpenApiGenerator);
  else console.log('SKIPPED: dart, dart-dio, kotlin and typescript-fetch need Java, and there is none here.');
  await step('the TypeScript clients compile strictly', compile);
  if (hasJava) await step('the Dart and Kotlin clients have no name twice and no unknown type', readForeignClients);
  await step('a generated client works with the service', useClient);
} finally {
  await rm(work, { recursive: true, force: true });
}

async function installTools() {
  const lock = await readFile('test/clients/package-lock.json');
  const folder = join(tmpdir(), `vpn-backend-clients-${createHash('sha256').update(lock).digest('hex').slice(0, 12)}`);
  const whole = join(folder, '.whole');
  if (existsSync(whole)) return folder;
  await mkdir(folder, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) await cp(join('test/clients', name), join(folder, name));
  await step('installing the generators', () =>
    execute('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], folder),
  );
  await writeFile(whole, '');
  return folder;
}

async function step(title, task) {
  const began = Date.now();
  await task();
  console.log(`${title}: ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

/** A command of the installed tools. */
function run(command, args, cwd = work) {
  return execute(join(tools, 'node_modules', '.bin', command), args, cwd);
}

/** Its output is shown when it fails. */
async function execute(command, args, cwd = work) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...QUIET }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const code = await new Promise((done, fail) => child.once('error', fail).once('close', done));
  if (code !== 0)
    throw new Error(`${relative(tools, command)} ${args.join(' ')} ended with ${code}:\n${output.slice(-6000)}`);
  return output;
}

async function generateByHeyApi() {
  const plugins = [
    '@hey-api/client-fetch',
    '@hey-api/typescript',
    'zod',
    { name: '@hey-api/sdk', validator: { response: true } },
  ];
  const config = { input: DOCUMENT, output: './hey', plugins };
  await writeFile(join(work, 'hey.config.mjs'), `export default ${JSON.stringify(config)};\n`);
  await run('openapi-ts', ['-f', 'hey.config.mjs']);
}

async function generateByOpenApiGenerator() {
  for (const [generator, mapping] of Object.entries(ANYTHING)) {
    const args = ['generate', '-g', generator, '-i', DOCUMENT, '-o', generator, '--skip-validate-spec', ...mapping];
    await execute('java', [...REFLECTION, '-jar', join(tools, JAR), ...args]);
  }
}

async function compile() {
  await cp('test/clients/walk.ts', join(work, 'walk.ts'));
  await writeFile(join(work, 'ambient.d.ts'), AMBIENT);
  await writeFile(join(work, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  await run('tsc', ['-p', '.']);
}

/** No compiler for these is to be had: what would stop one is looked for in the text. */
async function readForeignClients() {
  const dart = await sources(join(work, 'dart', 'lib'), '.dart');
  const dio = await sources(join(work, 'dart-dio', 'lib'), '.dart');
  const kotlin = await sources(join(work, 'kotlin', 'src', 'main'), '.kt');
  const faults = [
    ...[...dart, ...dio, ...kotlin].flatMap(({ name, text }) =>
      (withoutComments(text).match(/\b(OneOf|AnyOf|AllOf|AnyType|UNKNOWN_BASE_TYPE)\w*|&lt;/g) ?? []).map(
        (found) => `${name}: ${found}`,
      ),
    ),
    ...faultsOfDart(dart),
    ...faultsOfDart(dio),
    ...faultsOfKotlin(kotlin),
  ];
  if (dart.length < 50 || dio.length < 50 || kotlin.length < 50) faults.push('a generator wrote next to nothing');
  if (faults.length > 0) throw new Error(`The generated clients would not compile:\n${faults.join('\n')}`);
}

/** Descriptions may say anything. */
function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}

function faultsOfDart(files) {
  const known = new Set([
    'String',
    'int',
    'num',
    'double',
    'bool',
    'DateTime',
    'Object',
    'JsonObject',
    'MultipartFile',
    'Uint8List',
  ]);
  const text = files.map((file) => file.text).join('\n');
  const enums = new Set();
  for (const [, name] of text.matchAll(/^(?:abstract )?class (\w+)/gm)) known.add(name);
  for (const [, name] of text.matchAll(
    /^class (\w+)(?: extends EnumClass| \{\s+\/\/\/ The underlying value of this enum member)/gm,
  ))
    enums.add(name);
  return files
    .filter(({ name }) => /\/model\/\w+_(in|out)\.dart$/.test(name))
    .flatMap(({ name, text }) => {
      const fields = [...text.matchAll(DART_FIELD)]
        .filter(([, type]) => !/^(Built)?Map</.test(type))
        .map(([, type, field]) => ({ type: type.replace(/^(?:Built)?List<(.*)>$/, '$1'), field }));
      const names = fields.map(({ field }) => field);
      return [
        ...(fields.length === 0 ? [`${name}: no field was found`] : []),
        ...names.filter((field, index) => names.indexOf(field) !== index).map((field) => `${name}: ${field} twice`),
        ...fields.filter(({ type }) => !known.has(type)).map(({ type, field }) => `${name}: ${field} is a ${type}`),
        ...fields
          .filter(({ type }) => /_out\.dart$/.test(name) && enums.has(type))
          .map(({ field }) => `${name}: ${field} is a closed enumeration`),
      ];
    });
}

function faultsOfKotlin(files) {
  return files
    .filter(({ name }) => /models\/\w+(In|Out)\.kt$/.test(name))
    .flatMap(({ name, text }) => {
      const fields = [...text.matchAll(/^ {4}val (\w+): ([\w.<>]+)/gm)];
      const names = fields.map(([, field]) => field);
      return [
        ...(fields.length === 0 ? [`${name}: no field was found`] : []),
        ...names.filter((field, index) => names.indexOf(field) !== index).map((field) => `${name}: ${field} twice`),
        ...fields
          .filter(([, field, type]) => /Bytes$/.test(field) && type !== 'kotlin.Long')
          .map(([, field]) => `${name}: ${field} is too narrow`),
      ];
    });
}

async function sources(folder, ending) {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(ending));
  return Promise.all(
    names.map(async (name) => ({ name: `/${name}`, text: await readFile(join(folder, name), 'utf8') })),
  );
}

/** The service on a database of its own, beside one that pretends to be of a later version. */
async function useClient() {
  await buildIfNeeded();
  const { createApp } = await import('../dist/apps/api/src/setup.js');
  const { acquireEmbeddedPostgres, createLog, migrate } = await import('../dist/libs/platform/src/index.js');
  const { testSettings } = await import('./test-settings.mjs');
  await run('esbuild', [
    'walk.ts',
    '--bundle',
    '--platform=node',
    '--format=esm',
    '--outfile=walk.mjs',
    '--log-level=warning',
  ]);
  const database = await acquireEmbeddedPostgres({
    directory: join(work, 'data'),
    database: 'vpn_clients_test',
    durable: false,
  });
  const later = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(SUBSCRIPTION_OF_LATER));
  });
  try {
    await migrate(database.url);
    const settings = testSettings({
      PROMOTE_SECRET,
      WG_ENDPOINT: 'vpn.example.com:51820',
      BCRYPT_COST: '4',
      ROLES: 'api',
    });
    const app = await createApp({
      settings,
      databaseUrl: database.url,
      log: await createLog({ level: 'error', pretty: false }),
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    await new Promise((done) => later.listen(0, '127.0.0.1', done));
    process.env.PROMOTE_SECRET = PROMOTE_SECRET;
    const addresses = [await app.getUrl(), `http://127.0.0.1:${later.address().port}`];
    console.log((await execute(process.execPath, ['walk.mjs', ...addresses])).trim());
    await app.close();
  } finally {
    later.close();
    await database.release();
  }
}
