import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SettingsError } from '#platform';

/**
 * Apple Root CA - G3, to which everything the App Store signs leads up; valid to 30 April 2039. It is public: www.apple.com/certificateauthority.
 * SHA-256 63:34:3A:BF:B8:9A:6A:03:EB:B5:7E:9B:3F:5F:A7:BE:7C:4F:5C:75:6F:30:17:B3:A8:C4:88:C3:65:3E:91:79
 */
const APPLE_ROOT = new URL('../assets/AppleRootCA-G3.cer', import.meta.url);
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The roots that are trusted, in DER: Apple's own, and those of the files (DER, or PEM with any number in it). */
export async function readRoots(extraPaths: readonly string[]): Promise<readonly Buffer[]> {
  const extra = await Promise.all(extraPaths.map(readExtra));
  return [await readFile(APPLE_ROOT), ...extra.flat()];
}

async function readExtra(path: string): Promise<readonly Buffer[]> {
  try {
    const file = await readFile(path);
    const found = file.toString('latin1').match(PEM) ?? [file];
    return found.map((one) => new X509Certificate(one).raw);
  } catch {
    throw new SettingsError([`APPLE_ROOT_CA_PATHS: ${path} is not a readable certificate in DER or PEM`]);
  }
}
