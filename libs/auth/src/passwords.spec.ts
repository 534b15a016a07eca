import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { SeededRandomness } from '#kernel';
import { testSettings } from '../../../test/support/settings.js';
import { BoundedQueue } from './bounded-queue.js';
import { hashPassword, isOutdated, matchesHash } from './password-hash.js';
import { assertAcceptablePassword } from './password-policy.js';
import { Passwords } from './passwords.service.js';

/** Written by passlib. */
const vectors = JSON.parse(readFileSync('test/vectors/passlib.json', 'utf8')) as readonly {
  scheme: string;
  password: string;
  hash: string;
}[];
const SALT = new SeededRandomness().bytes(16);

describe('stored passwords', () => {
  it.each(vectors)("of passlib's $scheme are recognised: $password", async ({ password, hash }) => {
    expect(await matchesHash(password, hash)).toBe(true);
    expect(await matchesHash(`!${password.slice(1)}`, hash)).toBe(false);
  });

  it.each(vectors.filter(({ scheme }) => scheme.startsWith('bcrypt')))(
    "of passlib's $scheme are recognised whatever stands in the bits that mean nothing, and as 2a, 2b and 2y (I6): $password",
    async ({ password, hash }) => {
      const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
      const setBits = (text: string, bits: number): string =>
        text.slice(0, -1) + alphabet.charAt(alphabet.indexOf(text.slice(-1)) | bits);
      const [, head = '', salt = '', middle = '', digest = ''] =
        /^(.*\$)([./A-Za-z0-9]{22})(\$?)([./A-Za-z0-9]{31})$/.exec(hash) ?? [];
      for (const ident of ['2a', '2b', '2y']) {
        const odd = `${head.replace(/2[aby]/, ident)}${setBits(salt, 0b1011)}${middle}${setBits(digest, 0b10)}`;
        expect([odd, odd === hash, await matchesHash(password, odd)]).toEqual([odd, false, true]);
        expect(await matchesHash(`!${password.slice(1)}`, odd)).toBe(false);
      }
    },
  );

  it('are written as passlib writes them, so that the older service can read them', async () => {
    const hash = await hashPassword('Test12345', 4, SALT);
    expect(hash).toMatch(/^\$bcrypt-sha256\$v=2,t=2b,r=4\$[./A-Za-z0-9]{22}\$[./A-Za-z0-9]{31}$/);
    expect(await matchesHash('Test12345', hash)).toBe(true);
    expect(await matchesHash('test12345', hash)).toBe(false);
  });

  it('count every byte of a long password, not only the first 72', async () => {
    const long = 'п'.repeat(64);
    const hash = await hashPassword(`${long}a`, 4, SALT);
    expect(await matchesHash(`${long}a`, hash)).toBe(true);
    expect(await matchesHash(`${long}b`, hash)).toBe(false);
  });

  it.each([
    '',
    'plain',
    '$1$abc$def',
    '$2b$99$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    '$bcrypt-sha256$v=2,t=2b,r=31$x$y',
  ])('of no known format match nothing: %p', async (hash) => {
    expect(await matchesHash('', hash)).toBe(false);
    expect(await matchesHash(hash, hash)).toBe(false);
  });

  it('are outdated when they are of another scheme or cheaper than today', async () => {
    const ours = await hashPassword('x', 5, SALT);
    expect([isOutdated(ours, 5), isOutdated(ours, 6), isOutdated(ours, 4)]).toEqual([false, true, false]);
    for (const { scheme, hash } of vectors) expect(isOutdated(hash, 5)).toBe(scheme !== 'bcrypt_sha256');
  });
});

describe('checking a password', () => {
  const passwords = new Passwords(testSettings(), new SeededRandomness());

  it('says no to an account without a password, whatever is tried', async () => {
    expect(await passwords.check('nobody has this password', null)).toEqual({ matches: false, outdated: false });
    expect(await passwords.check('', null)).toEqual({ matches: false, outdated: false });
  });

  it('says whether the hash should be renewed', async () => {
    const old = vectors.find(({ scheme }) => scheme === 'pbkdf2_sha256')!;
    expect(await passwords.check(old.password, old.hash)).toEqual({ matches: true, outdated: true });
    const ours = await passwords.hash('correct horse');
    expect(await passwords.check('correct horse', ours)).toEqual({ matches: true, outdated: false });
  });
});

describe('an acceptable password', () => {
  it.each(['Test12345', 'correct horse battery', 'пароль-Пароль-1', '        ', 'a'.repeat(256), '👍👍👍👍👍👍👍👍'])(
    '%p',
    (password) => {
      expect(() => assertAcceptablePassword(password)).not.toThrow();
    },
  );

  it.each([
    [undefined, 'password_required'],
    ['', 'password_required'],
    ['short', 'password_too_short'],
    ['👍👍👍👍', 'password_too_short'],
    ['a'.repeat(257), 'validation_error'],
    ['password1', 'password_too_common'],
    ['QWERTY123', 'password_too_common'],
  ])('is not %p: %s', (password, code) => {
    expect(() => assertAcceptablePassword(password)).toThrow(code);
  });
});

describe('a bounded queue', () => {
  /** Work that ends when it is told to. */
  function work(): { run: () => Promise<void>; end: () => void; started: () => boolean } {
    let end: () => void = () => undefined;
    let started = false;
    const done = new Promise<void>((resolve) => (end = resolve));
    return { run: () => ((started = true), done), end: () => end(), started: () => started };
  }

  it('runs a few at once, the rest in order, and refuses what would wait too long', async () => {
    const queue = new BoundedQueue({ concurrency: 1, maxWaiting: 1, maxWaitMs: 60_000 });
    const [first, second, third] = [work(), work(), work()];
    const running = queue.run(first.run);
    const waiting = queue.run(second.run);
    await expect(queue.run(third.run)).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 60 });
    expect([first.started(), second.started(), third.started()]).toEqual([true, false, false]);
    first.end();
    await running;
    expect(second.started()).toBe(true);
    second.end();
    await waiting;
    await queue.run(() => Promise.resolve()); // and is free again
  });

  it('gives up on who waited too long, and goes on after work that failed', async () => {
    const queue = new BoundedQueue({ concurrency: 1, maxWaiting: 5, maxWaitMs: 20 });
    const slow = work();
    const running = queue.run(slow.run);
    await expect(queue.run(() => Promise.resolve())).rejects.toMatchObject({ code: 'overloaded' });
    slow.end();
    await running;
    await expect(queue.run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(queue.run(() => Promise.resolve('fine'))).resolves.toBe('fine');
  });
});
