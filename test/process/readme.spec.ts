import { describe, expect, it, jest } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataFolder, Service } from '../support/service.js';

jest.setTimeout(180_000);

const hasJq = spawnSync('jq', ['--version']).status === 0 && spawnSync('curl', ['--version']).status === 0;
if (!hasJq) console.warn('THE WALK OF THE README IS SKIPPED: it needs curl and jq.');

/** The commands of a section of the README, as they stand there. */
function commandsOf(heading: string): string {
  const [, section = ''] = readFileSync('README.md', 'utf8').split(`\n## ${heading}\n`);
  const [, block] = /```sh\n([\s\S]*?)```/.exec(section) ?? [];
  if (block === undefined) throw new Error(`The README has no commands under "${heading}"`);
  return block;
}

(hasJq ? describe : describe.skip)('the README', () => {
  it('walks the main job as it says, after the demo and before it, and once more (E10)', async () => {
    const dataDirectory = await dataFolder();
    const service = await Service.start({ dataDirectory });
    const { host } = new URL(await service.url());
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], DATA_DIR: dataDirectory };
    const sh = (script: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } =>
      spawnSync('bash', ['--norc', '-eo', 'pipefail', '-c', script], {
        env,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    const demo = `node scripts/run.mjs cli demo --url http://${host}`;
    // Where the service is, and where its files are, is all that differs from a newcomer's machine.
    const walk = commandsOf('The main job, with curl')
      .replaceAll('localhost:8000', host)
      .replaceAll('data/', `${dataDirectory}/`);
    for (const script of [demo, walk, walk, demo, walk]) {
      const { status, stdout, stderr } = sh(script);
      expect([status, stderr]).toEqual([0, '']);
      if (script !== walk) continue;
      expect(stdout).toContain('is an administrator');
      const refused = [...stdout.matchAll(/"code":"(\w+)"/g)].map(([, code]) => code);
      expect(refused.filter((code) => code !== 'email_already_registered')).toEqual([]);
      expect(readFileSync(join(dataDirectory, 'wg0.conf'), 'utf8')).toMatch(/^\[Interface\]\nPrivateKey = .{43}=\n/);
    }
  });
});
