import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { ManualClock, SeededRandomness } from '#kernel';
import { isFernetKey, openFernet, sealFernet } from './fernet.js';
import { SecretBox, UnreadableSecretError } from './secret-box.js';

interface Vectors {
  readonly single: readonly { key: string; plain: string; token: string }[];
  readonly multi: { keys: [string, string]; plain: string; old: string; rotated: string };
}

/** Written by python-cryptography. */
const vectors = JSON.parse(readFileSync('test/vectors/fernet.json', 'utf8')) as Vectors;
const [NEW_KEY, OLD_KEY] = vectors.multi.keys;

function box(...keys: string[]): SecretBox {
  return new SecretBox(keys, new SeededRandomness(), new ManualClock());
}

describe('Fernet', () => {
  it.each(vectors.single)(
    'opens what python-cryptography sealed ($plain.length characters)',
    ({ key, token, plain }) => {
      expect(openFernet(key, token)).toBe(plain);
    },
  );

  it.each(vectors.single)(
    'seals to the same letter, given the same IV and time ($plain.length characters)',
    (vector) => {
      const bytes = Buffer.from(vector.token, 'base64url');
      const at = new Date(Number(bytes.readBigUInt64BE(1)) * 1000);
      expect(sealFernet(vector.key, vector.plain, bytes.subarray(9, 25), at)).toBe(vector.token);
    },
  );

  it('does not open a token with any one bit changed', () => {
    const token = box(NEW_KEY).seal('[Interface]\nPrivateKey = x\n');
    const bytes = Buffer.from(token, 'base64url');
    for (let index = 0; index < bytes.length; index++) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
      expect(openFernet(NEW_KEY, changed.toString('base64url'))).toBeUndefined();
    }
  });

  it('does not open a token cut short anywhere, or anything that is no token', () => {
    const token = box(NEW_KEY).seal('secret');
    for (let length = 0; length < token.length - 2; length++)
      expect(openFernet(NEW_KEY, token.slice(0, length))).toBeUndefined();
    for (const text of ['', 'gAAAA', '\0', `${token}!`, 'x'.repeat(200)])
      expect(openFernet(NEW_KEY, text)).toBeUndefined();
  });

  it('knows a key when it sees one', () => {
    expect([NEW_KEY, OLD_KEY].map(isFernetKey)).toEqual([true, true]);
    const none = [
      '',
      'short',
      `${NEW_KEY}=`,
      NEW_KEY.replace(/.$/, 'x'),
      `${NEW_KEY.slice(0, 42)}!=`,
      `${NEW_KEY.slice(0, 42)}==`,
    ];
    expect(none.map(isFernetKey)).not.toContain(true);
  });

  it('takes a key in the standard alphabet for the same key, as python-cryptography does (I6)', () => {
    const standard = NEW_KEY.replaceAll('-', '+').replaceAll('_', '/');
    const key = Buffer.from('fb'.repeat(16) + 'ff'.repeat(16), 'hex');
    for (const [urlSafe, other] of [
      [NEW_KEY, standard],
      [key.toString('base64url') + '=', key.toString('base64')],
    ] as const) {
      expect([isFernetKey(urlSafe), isFernetKey(other)]).toEqual([true, true]);
      expect(openFernet(other, box(urlSafe).seal('text'))).toBe('text');
      expect(openFernet(urlSafe, box(other).seal('text'))).toBe('text');
    }
  });
});

describe('the secret box', () => {
  it('seals with the first key and opens with all of them', () => {
    expect(box(NEW_KEY, OLD_KEY).open(vectors.multi.old)).toBe(vectors.multi.plain);
    expect(box(NEW_KEY, OLD_KEY).open(vectors.multi.rotated)).toBe(vectors.multi.plain);
    expect(box(NEW_KEY).open(box(NEW_KEY, OLD_KEY).seal('text'))).toBe('text');
  });

  it('says so when no key opens a value, without telling the value', () => {
    const sealed = box(OLD_KEY).seal('text');
    expect(() => box(NEW_KEY).open(sealed)).toThrow(UnreadableSecretError);
    expect(() => box(NEW_KEY).open(sealed)).not.toThrow(sealed);
  });
});
