import { hash as bcrypt } from 'bcrypt';
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);

/**
 * The formats of stored passwords, as passlib writes them, because the older Python service did and must be able to read ours:
 *
 *   $bcrypt-sha256$v=2,t=2b,r=10$<salt>$<digest>   bcrypt over base64(HMAC-SHA256(key = salt, password)): what we write
 *   $bcrypt-sha256$2b,10$<salt>$<digest>           its first version: bcrypt over base64(SHA-256(password))
 *   $2a$ / $2b$ / $2y$<cost>$<salt><digest>        plain bcrypt, which sees only the first 72 bytes
 *   $pbkdf2-sha256$<rounds>$<salt>$<digest>        both in base64 with "." for "+", without padding
 *
 * https://passlib.readthedocs.io/en/stable/lib/passlib.hash.bcrypt_sha256.html
 *
 * 2a and 2y differ from 2b only in bugs that were mended long ago. The last characters of a salt and of a digest have bits that mean
 * nothing (4 and 2 of them); some libraries set them, and passlib takes no notice of them either.
 *
 * A cost above 17 (8 s of a core) is not one that anybody stored on purpose: such a hash matches nothing.
 */
const BCRYPT_SHA256_V2 = /^\$bcrypt-sha256\$v=2,t=2[aby],r=(0?[4-9]|1[0-7])\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})$/;
const BCRYPT_SHA256_V1 = /^\$bcrypt-sha256\$2[aby],(0?[4-9]|1[0-7])\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})$/;
const BCRYPT = /^\$2[aby]\$(0[4-9]|1[0-7])\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/;
const PBKDF2_SHA256 = /^\$pbkdf2-sha256\$(\d{1,7})\$([A-Za-z0-9./]+)\$([A-Za-z0-9./]{43})$/;

const SALT_BYTES = 16;
/** 22 characters of 6 bits for 128, and 31 for 184. */
const SALT_UNUSED_BITS = 4;
const DIGEST_UNUSED_BITS = 2;
const BCRYPT_ALPHABET = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const BASE64_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Hashes a password of any length. `cost` is log2 of the rounds; `salt` is 16 fresh random bytes. */
export async function hashPassword(password: string, cost: number, salt: Buffer): Promise<string> {
  const encodedSalt = encodeSalt(salt);
  const digest = await bcryptDigest(hmacOf(password, encodedSalt), cost, encodedSalt);
  return `$bcrypt-sha256$v=2,t=2b,r=${cost}$${encodedSalt}$${digest}`;
}

/** Whether a password is the one behind a stored hash. False for a hash of no known format. */
export async function matchesHash(password: string, stored: string): Promise<boolean> {
  const v2 = BCRYPT_SHA256_V2.exec(stored);
  if (v2?.[1] && v2[2] && v2[3]) {
    const salt = withoutUnusedBits(v2[2], SALT_UNUSED_BITS);
    return equal(await bcryptDigest(hmacOf(password, salt), Number(v2[1]), salt), v2[3]);
  }

  const v1 = BCRYPT_SHA256_V1.exec(stored);
  if (v1?.[1] && v1[2] && v1[3]) {
    const secret = createHash('sha256').update(password, 'utf8').digest('base64');
    return equal(await bcryptDigest(secret, Number(v1[1]), v1[2]), v1[3]);
  }

  const plain = BCRYPT.exec(stored);
  if (plain?.[1] && plain[2] && plain[3]) {
    return equal(await bcryptDigest(password, Number(plain[1]), plain[2]), plain[3]);
  }

  const pbkdf = PBKDF2_SHA256.exec(stored);
  if (pbkdf?.[1] && pbkdf[2] && pbkdf[3]) {
    const digest = await derive(password, fromAdaptedBase64(pbkdf[2]), Number(pbkdf[1]), 32, 'sha256');
    return timingSafeEqual(digest, fromAdaptedBase64(pbkdf[3]));
  }
  return false;
}

/** Whether a stored hash is weaker than, or other than, what we write today at this cost. */
export function isOutdated(stored: string, cost: number): boolean {
  const current = BCRYPT_SHA256_V2.exec(stored);
  return current === null || Number(current[1]) < cost;
}

function hmacOf(password: string, salt: string): string {
  return createHmac('sha256', salt).update(password, 'utf8').digest('base64');
}

async function bcryptDigest(secret: string, cost: number, salt: string): Promise<string> {
  const plainSalt = withoutUnusedBits(salt, SALT_UNUSED_BITS);
  return (await bcrypt(secret, `$2b$${String(cost).padStart(2, '0')}$${plainSalt}`)).slice(-31);
}

function withoutUnusedBits(text: string, bits: number): string {
  const last = BCRYPT_ALPHABET.indexOf(text.slice(-1));
  return text.slice(0, -1) + BCRYPT_ALPHABET.charAt((last >> bits) << bits);
}

/** 16 bytes in bcrypt's own base64: another alphabet than RFC 4648, without padding. */
function encodeSalt(salt: Buffer): string {
  const encoded = salt.subarray(0, SALT_BYTES).toString('base64').replace(/=+$/, '');
  return [...encoded].map((character) => BCRYPT_ALPHABET[BASE64_ALPHABET.indexOf(character)]).join('');
}

function fromAdaptedBase64(text: string): Buffer {
  return Buffer.from(text.replaceAll('.', '+'), 'base64');
}

function equal(digest: string, stored: string): boolean {
  return timingSafeEqual(Buffer.from(digest), Buffer.from(withoutUnusedBits(stored, DIGEST_UNUSED_BITS)));
}
