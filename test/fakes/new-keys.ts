import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

export interface NewKeyPair {
  readonly privateKey: Buffer;
  readonly publicKey: Buffer;
}

/** A new pair in DER. The generator encodes it: to export a key object that was just made can stop Node 20 for good. */
export function newKeyPair(kind: 'ec' | 'rsa'): NewKeyPair {
  return kind === 'ec'
    ? generateKeyPairSync('ec', {
        namedCurve: 'prime256v1',
        privateKeyEncoding: { format: 'der', type: 'pkcs8' },
        publicKeyEncoding: { format: 'der', type: 'spki' },
      })
    : generateKeyPairSync('rsa', {
        modulusLength: 2048,
        privateKeyEncoding: { format: 'der', type: 'pkcs8' },
        publicKeyEncoding: { format: 'der', type: 'spki' },
      });
}

/** A new private key that may be exported: it was read, not generated. */
export function newPrivateKey(kind: 'ec' | 'rsa'): KeyObject {
  return createPrivateKey({ key: newKeyPair(kind).privateKey, format: 'der', type: 'pkcs8' });
}
