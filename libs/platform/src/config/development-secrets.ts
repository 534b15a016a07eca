import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { codeOf, type Randomness } from '#kernel';
import { type Environment } from './settings-reader.js';

const FILE_NAME = 'secrets.env';

/**
 * The secrets of a development service, made once and kept in `<data folder>/secrets.env` (mode 0600), from where the README's
 * commands read them. Several processes may start at once: all end up with the same file.
 */
export async function developmentSecrets(dataDirectory: string, randomness: Randomness): Promise<Environment> {
  const path = join(dataDirectory, FILE_NAME);
  const existing = await readIfThere(path);
  if (existing !== undefined) return parseEnv(existing);

  const lines = [
    '# Made by the first start, for development only. Delete the data folder to begin anew.',
    `SECRET_KEY=${randomness.bytes(32).toString('base64url')}`,
    `CONFIG_ENCRYPTION_KEY=${fernetKey(randomness)}`,
    `PROMOTE_SECRET=${randomness.bytes(24).toString('base64url')}`,
  ];
  await mkdir(dataDirectory, { recursive: true });
  const draft = join(dataDirectory, `.${FILE_NAME}.${randomness.uuid()}`);
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(`${lines.join('\n')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path); // appears whole or not at all; whoever comes second gets EEXIST and reads the first one's
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await unlink(draft);
  }
  return parseEnv(await readFile(path, 'utf8'));
}

function fernetKey(randomness: Randomness): string {
  return `${randomness.bytes(32).toString('base64url')}=`;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
