import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { addDays, DomainError, ManualClock } from '#kernel';
import { createLog, type Environment, Metrics, UnitOfWork } from '#platform';
import { FakeGoogle, type GoogleFault, type PushOptions } from '../../../test/fakes/fake-google.js';
import { testSettings } from '../../../test/support/settings.js';
import { readPushMessage } from './google-message.rules.js';
import { GooglePush } from './google.push.js';
import { StoreMetrics } from './store.metrics.js';

const HOUR = 3600;
const VALID = 'valid';

let clock: ManualClock;
let fake: FakeGoogle;
let push: GooglePush;
let logged: string[];

beforeAll(async () => {
  fake = await FakeGoogle.start({ now: () => clock.now() });
});
afterAll(() => fake.close());
beforeEach(async () => {
  clock = new ManualClock('2026-11-22T10:00:00Z');
  fake.heal();
  fake.certificatesMaxAge = 6 * HOUR;
  logged = [];
  push = await pushWith(fake.settings());
});

async function pushWith(environment: Environment): Promise<GooglePush> {
  const log = await createLog({ level: 'info', pretty: false }, { write: (line) => void logged.push(line) });
  const uow = new UnitOfWork(new DataSource({ type: 'postgres' }));
  return new GooglePush(testSettings(environment), clock, uow, new StoreMetrics(new Metrics()), log);
}

/** `valid`, or the code and kind of the refusal; which never tells the token, nor does the log. */
async function verdict(authorization: string | undefined): Promise<string> {
  try {
    await push.authenticate(authorization);
    return VALID;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    expect(`${JSON.stringify(error)} ${String(error.stack)} ${logged.join('')}`).not.toContain('eyJ');
    expect(error.cause).toBeUndefined();
    return [error.code, ...Object.values(error.params)].join(' ');
  }
}

const pushed = (options: PushOptions = {}): string => fake.push(fake.testNotification(), options).headers.authorization;

describe('a push', () => {
  it('of our subscription is let in, up to an hour after it was signed', async () => {
    expect(await verdict(pushed())).toBe(VALID);
    expect(await verdict(pushed({ issuedAgo: HOUR - 1 }))).toBe(VALID);
    expect(await verdict(pushed({ iss: 'accounts.google.com' }))).toBe(VALID);
    expect(await verdict(pushed().replace('Bearer', 'bearer'))).toBe(VALID);
  });

  it('may come from a clock that is four minutes off, and not ten', async () => {
    expect(await verdict(pushed({ issuedAgo: -240 }))).toBe(VALID);
    expect(await verdict(pushed({ issuedAgo: HOUR + 240 }))).toBe(VALID);
    expect(await verdict(pushed({ issuedAgo: -600 }))).toBe('store_signature_invalid');
    expect(await verdict(pushed({ issuedAgo: HOUR + 600 }))).toBe('store_signature_invalid');
  });

  it.each<[what: string, options: PushOptions]>([
    ['for another audience', { aud: 'https://other.example.com' }],
    ['for an audience that only begins like ours', { aud: 'https://vpn.example.com/payments/webhook/googlex' }],
    ['from another Google account', { email: 'somebody@gmail.com' }],
    ['from an address that was not verified', { emailVerified: false }],
    ['of another issuer', { iss: 'https://accounts.example.com' }],
    ['signed by a key that nobody knows', { kid: 'ffff' }],
    ['whose signature is wrong', { badSignature: true }],
    ['that is not signed', { alg: 'none' }],
    ['signed by the certificate as if it were a secret', { alg: 'HS256' }],
    ['that expired', { issuedAgo: 2 * HOUR }],
  ])('%s is refused', async (_what, options) => {
    expect(await verdict(pushed(options))).toBe('store_signature_invalid');
    expect(logged.join('')).toContain('A push was refused');
  });

  it.each([undefined, '', 'Bearer', 'Bearer a.b', 'Bearer a.b.c', 'Basic dTpw', `Bearer ${'a'.repeat(9000)}.b.c`])(
    'with the authorization %p is refused',
    async (authorization) => {
      expect(await verdict(authorization)).toBe('store_signature_invalid');
    },
  );

  it('whose claims were changed is refused', async () => {
    const [head, , signature] = pushed().split('.');
    const [, claims] = pushed({ issuedAgo: 1 }).split('.');
    expect(await verdict([head, claims, signature].join('.'))).toBe('store_signature_invalid');
  });

  it('says what happened', () => {
    const { purchaseToken, orderId } = fake.subscribe({ productId: 'vpn.monthly' });
    const { body } = fake.push(fake.renew(purchaseToken), { messageId: '17' });
    expect(readPushMessage(JSON.parse(JSON.stringify(body)))).toMatchObject({
      messageId: '17',
      publishedAt: clock.now(),
      subscription: fake.pushSubscription,
      packageName: fake.packageName,
      eventAt: clock.now(),
      kind: 'subscription',
      notificationType: 2,
      purchaseToken,
    });
    const voided = fake.push(fake.voidOrder(orderId ?? '')).body;
    expect(readPushMessage(voided)).toMatchObject({ kind: 'voided', purchaseToken, orderId, isPartialRefund: false });
    expect(readPushMessage(fake.push('garbage').body)).toMatchObject({ kind: 'unknown' });
  });

  it('is not looked at without settings', async () => {
    push = await pushWith({});
    expect(await verdict(pushed())).toBe('store_not_configured');
  });
});

describe("Google's certificates", () => {
  it.each<[GoogleFault, string]>([
    [{ kind: 'status', status: 500 }, 'status'],
    [{ kind: 'drop' }, 'network'],
    [{ kind: 'html' }, 'answer'],
    [{ kind: 'body', body: '{}' }, 'answer'],
    [{ kind: 'body', body: '{"a":"b"}' }, 'answer'],
    [{ kind: 'rate_limit' }, 'status'],
  ])('that cannot be had make nobody a forger (%j)', async (fault, kind) => {
    fake.fault('certificates', { ...fault, times: 1 });
    expect(await verdict(pushed())).toBe(`store_unavailable ${kind}`);
    expect(await verdict(pushed())).toBe(VALID);
  });

  it('are given four seconds', async () => {
    fake.fault('certificates', { kind: 'delay', ms: 60_000 });
    expect(await verdict(pushed())).toBe('store_unavailable timeout');
  });

  it('are asked for once by many pushes, and kept as long as Google says', async () => {
    fake.fault('certificates', { kind: 'delay', ms: 50, times: 1 });
    fake.fault('certificates', { kind: 'status', status: 500 });
    const verdicts = await Promise.all(Array.from({ length: 10 }, () => verdict(pushed())));
    expect(new Set(verdicts)).toEqual(new Set([VALID]));
    clock.advance({ hours: 6, seconds: -1 });
    expect(await verdict(pushed())).toBe(VALID);
    clock.advance({ seconds: 1 });
    expect(await verdict(pushed())).toBe('store_unavailable status');
  });

  it('are asked for again when a new key signs, and once a minute at most', async () => {
    expect(await verdict(pushed())).toBe(VALID);
    const before = pushed();
    clock.advance({ minutes: 2 });
    await fake.rotateKeys();
    expect(await verdict(pushed())).toBe(VALID);
    expect(await verdict(before)).toBe(VALID);

    fake.fault('certificates', { kind: 'status', status: 500 });
    expect(await verdict(pushed({ kid: 'forged' }))).toBe('store_signature_invalid');
    expect(await verdict(pushed())).toBe(VALID);
  });

  it('that Google withdrew are good no more once they are asked for again', async () => {
    const before = pushed();
    expect(await verdict(before)).toBe(VALID);
    await fake.rotateKeys();
    fake.dropOldKeys();
    clock.advance({ minutes: 2 });
    expect(await verdict(pushed())).toBe(VALID);
    expect(await verdict(before)).toBe('store_signature_invalid');
  });

  it('are not believed for years', async () => {
    fake.certificatesMaxAge = 999_999_999;
    expect(await verdict(pushed())).toBe(VALID);
    clock.set(addDays(clock.now(), 1));
    fake.fault('certificates', { kind: 'drop' });
    expect(await verdict(pushed())).toBe('store_unavailable network');
  });
});
