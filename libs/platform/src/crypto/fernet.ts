import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Fernet (https://github.com/fernet/spec): AES-128-CBC under HMAC-SHA256, base64url with padding.
 * The older Python service sealed its configs with it, so both sides can read what the other wrote.
 *
 *   token = base64url(0x80 | 8 bytes of UNIX time, big-endian | 16 bytes IV | ciphertext | 32 bytes HMAC of all before it)
 *   key   = base64url(16 bytes for signing | 16 bytes for encryption)
 */
const VERSION = 0x80;
const IV_START = 9;
const CIPHERTEXT_START = 25;
const HMAC_LENGTH = 32;
const BLOCK_LENGTH = 16;
const BASE64URL = /^[A-Za-z0-9_-]+={0,2}$/;

/** In either alphabet of base64: `openssl rand -base64 32` writes the standard one, and the older service took both. */
const KEY = /^[A-Za-z0-9+/_-]{43}=$/;

/** Whether a text is a Fernet key: 32 bytes as 44 characters of base64, padding included. */
export function isFernetKey(text: string): boolean {
  return KEY.test(text);
}

/** Seals a text. `iv` is 16 fresh random bytes; `at` is written into the token for whoever wants to know its age. */
export function sealFernet(key: string, plain: string, iv: Buffer, at: Date): string {
  const { signing, encryption } = splitKey(key);
  const head = Buffer.alloc(IV_START);
  head[0] = VERSION;
  head.writeBigUInt64BE(BigInt(Math.floor(at.getTime() / 1000)), 1);
  const cipher = createCipheriv('aes-128-cbc', encryption, iv);
  const body = Buffer.concat([head, iv, cipher.update(plain, 'utf8'), cipher.final()]);
  const token = Buffer.concat([body, createHmac('sha256', signing).update(body).digest()]);
  return token.toString('base64url') + '='.repeat((3 - (token.length % 3)) % 3);
}

/** Opens a token; undefined when it was not sealed with this key, was changed, or is no token at all. Age is not checked. */
export function openFernet(key: string, token: string): string | undefined {
  if (!BASE64URL.test(token)) return undefined;
  const bytes = Buffer.from(token, 'base64url');
  const ciphertextEnd = bytes.length - HMAC_LENGTH;
  const ciphertextLength = ciphertextEnd - CIPHERTEXT_START;
  if (bytes[0] !== VERSION || ciphertextLength < BLOCK_LENGTH || ciphertextLength % BLOCK_LENGTH !== 0)
    return undefined;
  const { signing, encryption } = splitKey(key);
  const expected = createHmac('sha256', signing).update(bytes.subarray(0, ciphertextEnd)).digest();
  if (!timingSafeEqual(expected, bytes.subarray(ciphertextEnd))) return undefined;
  const decipher = createDecipheriv('aes-128-cbc', encryption, bytes.subarray(IV_START, CIPHERTEXT_START));
  try {
    const plain = Buffer.concat([decipher.update(bytes.subarray(CIPHERTEXT_START, ciphertextEnd)), decipher.final()]);
    return plain.toString('utf8');
  } catch {
    return undefined; // wrong padding under a right HMAC: a token that was never a Fernet token
  }
}

function splitKey(key: string): { signing: Buffer; encryption: Buffer } {
  const bytes = Buffer.from(key, 'base64'); // reads both alphabets
  return { signing: bytes.subarray(0, 16), encryption: bytes.subarray(16, 32) };
}
