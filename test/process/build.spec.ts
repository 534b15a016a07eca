import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder: string;

/** A checkout with one source file. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vpn-build-'));
  for (const name of ['apps', 'libs', 'migrations', 'scripts']) await mkdir(join(folder, name));
  for (const name of ['package.json', 'tsconfig.json', '.swcrc', 'scripts/build.mjs'])
    await cp(name, join(folder, name));
  await writeFile(join(folder, 'apps', 'main.ts'), `const port: number = 1;\nconsole.log(port);\n`);
  await symlink(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function build(): { readonly stdout: string; readonly stderr: string; readonly status: number | null } {
  return spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: folder, encoding: 'utf8' });
}

describe('the build', () => {
  it('compiles what changed, says how much it was, and removes what has no source any more (E14)', async () => {
    expect(build()).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^Building \.\.\. 1 files in \d+\.\d s\n$/),
    });
    expect(await readFile(join(folder, 'dist', 'apps', 'main.js'), 'utf8')).toContain('const port = 1;');
    await writeFile(join(folder, 'dist', 'apps', 'stale.js'), '');
    await writeFile(join(folder, 'apps', 'main.ts'), `console.log(2);\n`);
    expect(build().stderr).toContain('Building');
    expect(existsSync(join(folder, 'dist', 'apps', 'stale.js'))).toBe(false);
    expect(build()).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it('is not done again for sources that a copy or a checkout only touched', async () => {
    build();
    const now = new Date();
    await utimes(join(folder, 'apps', 'main.ts'), now, now);
    expect(build()).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it('of other sources is started with a warning where there is no compiler, and is missed where there is none at all (E11)', async () => {
    build();
    await rm(join(folder, 'node_modules'));
    await writeFile(join(folder, 'apps', 'main.ts'), `console.log(3);\n`);
    expect(build()).toMatchObject({ status: 0, stderr: expect.stringContaining('not those of the last build') });
    await rm(join(folder, 'dist'), { recursive: true });
    expect(build()).toMatchObject({ status: 1, stderr: expect.stringContaining('Nothing is built yet') });
  });
});
