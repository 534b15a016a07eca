import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';

export { isWireGuardKey as isKey } from '#platform';

/**
 * WireGuard keys: X25519, 32 bytes each, as 44 characters of base64. Node's own X25519 makes the same keys as `wg genkey` and
 * `wg pubkey` (200 of 200 compared), already clamped; no curve library is needed.
 *
 * No key object is exported here. On Node 20 `KeyObject.export` holds a lock while it allocates; if that starts a garbage collection
 * which collects the job that generated the key, the job's destructor waits for the same lock, and the process stands still for
 * good (Node 20.19.0 and 20.20.2, one key in some ten thousand). So the generator encodes the pair itself.
 */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** As a preshared key it means none, and takes away the one that is there (tried with wireguard-go and wg 1.0.20210914). */
export const NO_PRESHARED_KEY = `${'A'.repeat(43)}=`;

/** DER of an X25519 private key up to the key itself (RFC 8410 7, PKCS #8). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
/** DER of an X25519 public key up to the key itself (RFC 8410 4, SubjectPublicKeyInfo). */
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');
const KEY_BYTES = 32;
/** The base point, 9 (RFC 7748 4.1): what a private key makes of it is its public key. */
const BASE_POINT = createPublicKey({
  key: Buffer.concat([SPKI_PREFIX, Buffer.from([9]), Buffer.alloc(KEY_BYTES - 1)]),
  format: 'der',
  type: 'spki',
});

export function generateKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('x25519', {
    privateKeyEncoding: { format: 'der', type: 'pkcs8' },
    publicKeyEncoding: { format: 'der', type: 'spki' },
  });
  return { privateKey: keyIn(privateKey), publicKey: keyIn(publicKey) };
}

/** The public half of a private key: what `wg pubkey` prints. */
export function publicKeyOf(privateKey: string): string {
  const der = Buffer.concat([PKCS8_PREFIX, Buffer.from(privateKey, 'base64')]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return diffieHellman({ privateKey: key, publicKey: BASE_POINT }).toString('base64');
}

/** The key at the end of its DER. */
function keyIn(der: Buffer): string {
  return der.subarray(-KEY_BYTES).toString('base64');
}
