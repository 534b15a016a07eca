import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AppleKept, type FakeApple } from '../fakes/fake-apple.js';
import { type FakeGoogle, type GoogleKept } from '../fakes/fake-google.js';

export interface KeptKeys {
  readonly apple: AppleKept;
  readonly google: GoogleKept;
}

const KEYS = 'keys.json';

/** What an earlier run of the stores left; undefined the first time. */
export function readKeys(folder: string): KeptKeys | undefined {
  const path = join(folder, KEYS);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as KeptKeys) : undefined;
}

/**
 * Writes down what must be the same next time, and what the service reads. Answers the settings that make the service take these
 * for the stores.
 */
export function keepKeys(folder: string, apple: FakeApple, google: FakeGoogle): Readonly<Record<string, string>> {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: string | Buffer): string => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  write(KEYS, JSON.stringify({ apple: apple.kept, google: google.kept } satisfies KeptKeys));
  const { APPLE_PRIVATE_KEY = '', ...ofApple } = apple.settings();
  const { GOOGLE_SERVICE_ACCOUNT_JSON = '', ...ofGoogle } = google.settings();
  return {
    ...ofApple,
    APPLE_PRIVATE_KEY_PATH: write('apple_key.p8', APPLE_PRIVATE_KEY),
    APPLE_ROOT_CA_PATHS: write('root.cer', apple.certificates.root),
    ...(ofGoogle as Record<string, string>),
    GOOGLE_SERVICE_ACCOUNT_FILE: write('google_play.json', GOOGLE_SERVICE_ACCOUNT_JSON),
  };
}
