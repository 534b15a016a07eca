import { beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const { forbidden } = require('../../.dependency-cruiser.cjs') as { forbidden: { name: string; comment: string }[] };

/** One file for each rule that breaks it: its path, and what it imports. */
const OFFENCES: Readonly<Record<string, readonly [path: string, source: string]>> = {
  'room-kernel': ['libs/kernel/src/a.ts', `import { UnitOfWork } from '#platform'; UnitOfWork;`],
  'room-platform': ['libs/platform/src/a.ts', `import { Accounts } from '#auth'; Accounts;`],
  'room-auth': ['libs/auth/src/a.ts', `import { Tariffs } from '#tariffs'; Tariffs;`],
  'room-tariffs': ['libs/tariffs/src/a.ts', `import { Accounts } from '#auth'; Accounts;`],
  'room-subscriptions': ['libs/subscriptions/src/a.ts', `import { Payments } from '#payments'; Payments;`],
  'room-payments': ['libs/payments/src/a.ts', `import { Peers } from '#peers'; Peers;`],
  'room-wireguard': ['libs/wireguard/src/a.ts', `import { type User } from '#auth'; export type A = User;`],
  'room-iap': ['libs/iap/src/a.ts', `import { Peers } from '#peers'; Peers;`],
  'room-peers': ['libs/peers/src/a.ts', `import { Payments } from '#payments'; Payments;`],
  'room-jobs': ['libs/jobs/src/a.ts', `import { Tariffs } from '#tariffs'; Tariffs;`],
  'room-unknown': ['libs/stranger/src/a.ts', `import { isId } from '#kernel'; isId;`],
  door: ['libs/auth/src/a.ts', `import { isError } from '../../kernel/src/thrown.js'; isError;`],
  'libs-know-no-app': ['libs/auth/src/a.ts', `import { createApp } from '../../../apps/api/src/setup.js'; createApp;`],
  'apps-know-no-app': ['apps/cli/src/a.ts', `import { createApp } from '../../api/src/setup.js'; createApp;`],
  'rules-are-pure': ['libs/payments/src/a.rules.ts', `import { Payments } from './payments.service.js'; Payments;`],
  'entities-stay-inside': ['libs/auth/src/a.ts', `import { UserEntity } from './user.entity.js'; UserEntity;`],
  'migrations-are-frozen': ['migrations/a.ts', `import { isId } from '#kernel'; isId;`],
  'wire-fastify': ['libs/auth/src/a.ts', `import { fastify } from 'fastify'; fastify;`],
  'wire-typeorm': ['libs/auth/src/a.ts', `import { DataSource } from 'typeorm'; DataSource;`],
  'wire-pg': ['libs/auth/src/a.ts', `import { Client } from 'pg'; Client;`],
  'wire-bcrypt': ['libs/auth/src/a.ts', `import { hash } from 'bcrypt'; hash;`],
  'wire-appleappstoreserverlibrary': [
    'libs/iap/src/a.ts',
    `import { Environment } from '@apple/app-store-server-library'; Environment;`,
  ],
  'wire-googleapisandroidpublisher': [
    'libs/iap/src/a.ts',
    `import { androidpublisher } from '@googleapis/androidpublisher'; androidpublisher;`,
  ],
  'wire-ssh': ['libs/auth/src/a.ts', `import ssh2 from 'ssh2'; ssh2;`],
  'wire-nodemailer': ['libs/auth/src/a.ts', `import { createTransport } from 'nodemailer'; createTransport;`],
  'wire-promclient': ['libs/auth/src/a.ts', `import { Gauge } from 'prom-client'; Gauge;`],
  'wire-ratelimiterflexible': [
    'apps/api/src/a.ts',
    `import { RateLimiterMemory } from 'rate-limiter-flexible'; RateLimiterMemory;`,
  ],
  'wire-qrcode': ['apps/api/src/a.ts', `import qrcode from 'qrcode'; qrcode;`],
  'wire-pino': ['libs/auth/src/a.ts', `import { pino } from 'pino'; pino;`],
  'no-cycles': ['libs/auth/src/a.ts', `import { b } from './b.js'; export const a = b;`],
  'no-orphans': ['libs/auth/src/a.ts', 'export const a = 1;'],
  'not-to-dev-dependencies': ['libs/auth/src/a.ts', `import fc from 'fast-check'; fc;`],
};

describe('the direction rules', () => {
  it('each have an offence here, and a comment that names the cure', () => {
    expect(Object.keys(OFFENCES).toSorted()).toEqual(forbidden.map(({ name }) => name).toSorted());
    for (const { comment } of forbidden) expect(comment.length).toBeGreaterThan(20);
  });

  describe('are broken, and each is noticed', () => {
    let found: ReadonlySet<string>;

    // All offences at once, each in a file of its own: a run of the cruiser takes seconds.
    beforeAll(async () => {
      const tree = await mkdtemp(join(tmpdir(), 'vpn-direction-'));
      for (const name of ['apps', 'libs', 'migrations', 'package.json', 'tsconfig.json', '.dependency-cruiser.cjs']) {
        await cp(name, join(tree, name), { recursive: true });
      }
      await symlink(join(process.cwd(), 'node_modules'), join(tree, 'node_modules'));
      const paths = new Map<string, string>();
      for (const [rule, [path, source]] of Object.entries(OFFENCES)) {
        const own = path.replace(/\ba(?=[.\w]*\.ts$)/, rule);
        await mkdir(dirname(join(tree, own)), { recursive: true });
        await writeFile(join(tree, own), source.replace('./b.js', `./${rule}-back.js`));
        paths.set(own, rule);
      }
      const back = `import { a } from './no-cycles.js'; export const b = a;`;
      await writeFile(join(tree, 'libs/auth/src/no-cycles-back.ts'), back);
      paths.set('libs/auth/src/no-cycles-back.ts', 'no-cycles'); // a cycle is reported once, from either end
      const report = await cruise(tree);
      found = new Set(report.filter(({ from, rule }) => paths.get(from) === rule.name).map(({ rule }) => rule.name));
    }, 60_000);

    it.each(Object.keys(OFFENCES))('%s', (rule) => {
      expect([...found]).toContain(rule);
    });
  });

  it('are kept by the code', async () => {
    expect(await cruise(process.cwd())).toEqual([]);
  }, 60_000);
});

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

async function cruise(directory: string): Promise<readonly Violation[]> {
  const output = join(await mkdtemp(join(tmpdir(), 'vpn-cruise-')), 'report.json');
  const binary = join(process.cwd(), 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = ['apps', 'libs', 'migrations', '--config', '.dependency-cruiser.cjs', '-T', 'json', '-f', output];
  await new Promise<void>((resolve) =>
    execFile(process.execPath, [binary, ...args], { cwd: directory }, () => resolve()),
  );
  return (JSON.parse(await readFile(output, 'utf8')) as { summary: { violations: Violation[] } }).summary.violations;
}
