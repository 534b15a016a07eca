import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { Module } from '@nestjs/common';
import { addDays, addSeconds, DomainError, type ErrorCode, type ManualClock, SystemRandomness } from '#kernel';
import { createLog, type Environment, Metrics, UnitOfWork } from '#platform';
import { AppleCertificates } from '../../../test/fakes/apple-certificates.js';
import { FakeApple, type FakeAppleNotification } from '../../../test/fakes/fake-apple.js';
import { openRooms, type OpenRooms } from '../../../test/support/rooms.js';
import { testSettings } from '../../../test/support/settings.js';
import { readRoots } from './apple-roots.js';
import { AppleStorefront } from './apple.storefront.js';
import { StoreMetrics } from './store.metrics.js';

@Module({ providers: [AppleStorefront, StoreMetrics] })
class StorefrontModule {}

const MONTHLY = { productId: 'vpn.monthly', price: 9990, currency: 'USD' };
const ACCOUNT = '0f8fad5b-d9cb-469f-a165-70867728950e';
const G3 = '63:34:3A:BF:B8:9A:6A:03:EB:B5:7E:9B:3F:5F:A7:BE:7C:4F:5C:75:6F:30:17:B3:A8:C4:88:C3:65:3E:91:79';

let open: OpenRooms;
let clock: ManualClock;
let apple: FakeApple;
let storefront: AppleStorefront;
let metrics: Metrics;
const logged: { readonly level: string; readonly msg: string }[] = [];

beforeAll(async () => {
  open = await openRooms([StorefrontModule]);
  clock = open.clock;
});

afterAll(() => open.close());

beforeEach(async () => {
  clock.set('2026-11-22T10:00:00Z');
  logged.length = 0;
  apple = await FakeApple.start(() => clock.now());
  storefront = await configured();
});

afterEach(() => apple.close());

/** A storefront of a service with these settings beside those of the fake. */
async function configured(environment: Environment = {}): Promise<AppleStorefront> {
  metrics = new Metrics();
  const log = await createLog(
    { level: 'trace', pretty: false },
    { write: (line: string) => void logged.push(JSON.parse(line)) },
  );
  const settings = testSettings({ ...apple.settings(), ...environment });
  const uow = open.rooms.get(UnitOfWork);
  return new AppleStorefront(settings, clock, new SystemRandomness(), uow, new StoreMetrics(metrics), log);
}

/** What was refused, by its code; fails when nothing was. */
async function refusal(attempt: Promise<unknown>): Promise<DomainError> {
  const outcome: unknown = await attempt.catch((error: unknown) => error);
  if (!(outcome instanceof DomainError)) throw new Error('It was not refused', { cause: outcome });
  return outcome;
}

async function codeOf(attempt: Promise<unknown>): Promise<ErrorCode> {
  return (await refusal(attempt)).code;
}

/** The payload of what the fake signed, to be changed and signed anew. */
function payloadOf(jws: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString());
}

async function all(items: AsyncIterable<string>): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('a notification of the App Store', () => {
  it('is read with the transaction and the renewal that are signed inside of it', async () => {
    const { signedPayload, id, transactionId } = apple.subscribe({ ...MONTHLY, accountToken: ACCOUNT.toUpperCase() });
    const notification = await storefront.readNotification(signedPayload);
    expect(notification).toMatchObject({
      id,
      type: 'SUBSCRIBED',
      subtype: 'INITIAL_BUY',
      environment: 'production',
      status: 1,
      transaction: {
        transactionId,
        originalTransactionId: transactionId,
        productId: 'vpn.monthly',
        type: 'Auto-Renewable Subscription',
        ownership: 'PURCHASED',
        price: 9990,
        currency: 'USD',
        transactionReason: 'PURCHASE',
        appAccountToken: ACCOUNT,
        revocationDate: null,
        isUpgraded: false,
      },
      renewal: { autoRenewProductId: 'vpn.monthly', willRenew: true, isInBillingRetry: false },
    });
    expect(notification.transaction?.expiresDate).toBe(addDays(clock.now(), 30).getTime());
  });

  it('is read in either environment, which it says itself', async () => {
    const { signedPayload } = apple.subscribe({ ...MONTHLY, environment: 'Sandbox' });
    expect(await storefront.readNotification(signedPayload)).toMatchObject({
      environment: 'sandbox',
      transaction: { environment: 'sandbox' },
    });
  });

  it('tells every turn of a subscription', async () => {
    const { originalTransactionId: id } = apple.subscribe(MONTHLY);
    const family = apple.subscribe({ ...MONTHLY, familyShared: true });
    const read = async ({ signedPayload }: FakeAppleNotification): Promise<unknown[]> => {
      const { type, subtype, status, transaction, renewal } = await storefront.readNotification(signedPayload);
      return [type, subtype, status, transaction, renewal];
    };
    const about = expect.objectContaining.bind(expect);
    const any = expect.anything();
    expect(await read(apple.setAutoRenew(id, false))).toEqual([
      'DID_CHANGE_RENEWAL_STATUS',
      'AUTO_RENEW_DISABLED',
      1,
      any,
      about({ willRenew: false }),
    ]);
    expect(await read(apple.priceIncrease(id, { price: 12_990 }))).toEqual([
      'PRICE_INCREASE',
      'PENDING',
      1,
      any,
      about({ priceIncreaseStatus: 0, renewalPrice: 12_990 }),
    ]);
    expect(await read(apple.downgrade(id, { productId: 'vpn.small', price: 4990 }))).toEqual([
      'DID_CHANGE_RENEWAL_PREF',
      'DOWNGRADE',
      1,
      about({ productId: 'vpn.monthly' }),
      about({ productId: 'vpn.monthly', autoRenewProductId: 'vpn.small' }),
    ]);
    expect(await read(apple.upgrade(id, { productId: 'vpn.yearly', price: 59_990, period: 365 }))).toEqual([
      'DID_CHANGE_RENEWAL_PREF',
      'UPGRADE',
      1,
      about({ productId: 'vpn.yearly', price: 59_990 }),
      any,
    ]);
    clock.advance({ days: 366 });
    expect(await read(apple.failToRenew(id, { grace: 6 }))).toEqual([
      'DID_FAIL_TO_RENEW',
      'GRACE_PERIOD',
      4,
      any,
      about({ isInBillingRetry: true, gracePeriodExpiresDate: addDays(clock.now(), 5).getTime() }),
    ]);
    expect((await read(apple.expireGrace(id))).slice(0, 3)).toEqual(['GRACE_PERIOD_EXPIRED', null, 3]);
    expect(await read(apple.recover(id))).toEqual([
      'DID_RENEW',
      'BILLING_RECOVERY',
      1,
      about({ transactionReason: 'RENEWAL' }),
      about({ isInBillingRetry: false }),
    ]);
    expect(await read(apple.refund(undefined, { percentage: 40 }))).toEqual([
      'REFUND',
      null,
      5,
      about({ revocationType: 'REFUND_PRORATED', revocationPercentage: 40_000 }),
      any,
    ]);
    expect(await read(apple.reverseRefund())).toEqual([
      'REFUND_REVERSED',
      null,
      1,
      about({ revocationDate: null, revocationType: null }),
      any,
    ]);
    expect(await read(apple.expire(id, 'PRICE_INCREASE'))).toEqual([
      'EXPIRED',
      'PRICE_INCREASE',
      2,
      any,
      about({ expirationIntent: 3, willRenew: false }),
    ]);
    expect(await read(apple.revokeFamily(family.originalTransactionId))).toEqual([
      'REVOKE',
      null,
      5,
      about({ ownership: 'FAMILY_SHARED', revocationType: 'FAMILY_REVOKE' }),
      any,
    ]);
    expect(await read(apple.oneTime({ productId: 'vpn.lifetime', price: 99_990, currency: 'USD' }))).toEqual([
      'ONE_TIME_CHARGE',
      null,
      null,
      about({ type: 'Non-Consumable', expiresDate: null }),
      null,
    ]);
  });

  it('is read when it is about no transaction', async () => {
    const production = { appAppleId: apple.appAppleId, bundleId: apple.bundleId };
    const summary = apple.raw('RENEWAL_EXTENSION', 'SUMMARY', { instead: 'summary' });
    const external = apple.raw('EXTERNAL_PURCHASE_TOKEN', 'UNREPORTED', {
      instead: 'externalPurchaseToken',
      data: { ...production, externalPurchaseId: 'b2158121-7af9-49d4-9561-1f588205523e', environment: undefined },
    });
    const tried = apple.raw('EXTERNAL_PURCHASE_TOKEN', 'CREATED', {
      instead: 'externalPurchaseToken',
      data: { ...production, externalPurchaseId: 'SANDBOX_b2158121-7af9-49d4-9561-1f588205523e' },
    });
    const consent = apple.raw('RESCIND_CONSENT', undefined, { instead: 'appData' });
    const read = await Promise.all(
      [summary, external, tried, consent, apple.test()].map(({ signedPayload }) =>
        storefront.readNotification(signedPayload),
      ),
    );
    expect(read.map(({ type, environment }) => [type, environment])).toEqual([
      ['RENEWAL_EXTENSION', 'production'],
      ['EXTERNAL_PURCHASE_TOKEN', 'production'],
      ['EXTERNAL_PURCHASE_TOKEN', 'sandbox'],
      ['RESCIND_CONSENT', 'production'],
      ['TEST', 'sandbox'],
    ]);
    const nothing = { transaction: null, renewal: null, status: null, appTransactionId: null };
    for (const one of read) expect(one).toMatchObject(nothing);
  });

  it('may be of a type that nobody has heard of', async () => {
    const { originalTransactionId: id } = apple.subscribe(MONTHLY);
    const { signedPayload } = apple.raw('WINTER_SALE', 'BLIZZARD', { id });
    expect(await storefront.readNotification(signedPayload)).toMatchObject({
      type: 'WINTER_SALE',
      subtype: 'BLIZZARD',
      transaction: { transactionId: id },
    });
  });

  it('is refused when somebody else signed it, with certificates of the same names', async () => {
    const forger = await AppleCertificates.make();
    const payload = payloadOf(apple.subscribe(MONTHLY).signedPayload);
    expect(await codeOf(storefront.readNotification(forger.sign(payload)))).toBe('store_signature_invalid');
    // The true root in the place that nobody reads.
    const header = { alg: 'ES256', x5c: [...forger.chain.slice(0, 2), apple.certificates.chain[2]] };
    expect(await codeOf(storefront.readNotification(forger.sign(payload, header)))).toBe('store_signature_invalid');
  });

  it.each(['leaf', 'intermediate'] as const)(
    'is refused when the %s is not one for the App Store',
    async (unmarked) => {
      const other = await AppleCertificates.make({ under: apple.certificates, unmarked });
      const payload = payloadOf(apple.subscribe(MONTHLY).signedPayload);
      expect(await codeOf(storefront.readNotification(other.sign(payload)))).toBe('store_signature_invalid');
    },
  );

  it('is refused when a part of it was changed, or signed by nobody', async () => {
    const { signedPayload } = apple.subscribe(MONTHLY);
    const [head = '', body = '', signature = ''] = signedPayload.split('.');
    const changed = Buffer.from(JSON.stringify({ ...payloadOf(signedPayload), subtype: 'RESUBSCRIBE' }));
    const none = Buffer.from(JSON.stringify({ alg: 'none', x5c: apple.certificates.chain })).toString('base64url');
    const hmac = Buffer.from(JSON.stringify({ alg: 'HS256', x5c: apple.certificates.chain })).toString('base64url');
    const bare = Buffer.from(JSON.stringify({ alg: 'ES256' })).toString('base64url');
    for (const forged of [
      `${head}.${changed.toString('base64url')}.${signature}`,
      `${head}.${body}.${signature.slice(0, -4)}AAAA`,
      `${none}.${body}.${signature}`,
      `${hmac}.${body}.${signature}`,
      `${bare}.${body}.${signature}`,
      apple.certificates.sign(payloadOf(signedPayload), { alg: 'ES256', x5c: apple.certificates.chain.slice(0, 2) }),
      apple.certificates.sign(payloadOf(signedPayload), { alg: 'ES256', x5c: ['AAAA', 'BBBB', 'CCCC'] }),
    ]) {
      expect(await codeOf(storefront.readNotification(forged))).toBe('store_signature_invalid');
    }
  });

  it('is refused when its certificate was not valid as it was signed', async () => {
    const ended = await AppleCertificates.make({
      under: apple.certificates,
      leaf: { notAfter: new Date('2026-11-01T00:00:00Z') },
    });
    const payload = payloadOf(apple.subscribe(MONTHLY).signedPayload);
    expect(await codeOf(storefront.readNotification(ended.sign(payload)))).toBe('store_signature_invalid');
  });

  it('stays valid when its certificate has ended since', async () => {
    const ended = await AppleCertificates.make({
      under: apple.certificates,
      leaf: { notAfter: new Date('2026-11-01T00:00:00Z') },
    });
    const signedDate = new Date('2026-10-31T00:00:00Z').getTime();
    const payload = { ...payloadOf(apple.test().signedPayload), signedDate };
    expect(await storefront.readNotification(ended.sign(payload))).toMatchObject({ type: 'TEST' });
  });

  it('is refused when it is for another app', async () => {
    const other = await configured({ APPLE_BUNDLE_ID: 'com.example.other' });
    const number = await configured({ APPLE_APP_APPLE_ID: '42' });
    const { signedPayload } = apple.subscribe(MONTHLY);
    expect(await codeOf(other.readNotification(signedPayload))).toBe('store_signature_invalid');
    expect(await codeOf(number.readNotification(signedPayload))).toBe('store_signature_invalid');
  });

  it('is refused when what is inside of it is for another app', async () => {
    const { signedPayload } = apple.subscribe(MONTHLY);
    const payload = payloadOf(signedPayload);
    const data = payload['data'] as Record<string, string>;
    const transaction = { ...payloadOf(data['signedTransactionInfo'] ?? ''), bundleId: 'com.example.other' };
    const mixed = { ...payload, data: { ...data, signedTransactionInfo: apple.certificates.sign(transaction) } };
    expect(await codeOf(storefront.readNotification(apple.certificates.sign(mixed)))).toBe('store_signature_invalid');
  });

  it.each(['Xcode', 'LocalTesting', 'production', 'constructor', ''])(
    'is refused in the environment "%s"',
    async (environment) => {
      const { signedPayload } = apple.raw('TEST', undefined, { data: { environment } });
      expect(await codeOf(storefront.readNotification(signedPayload))).toBe('store_signature_invalid');
    },
  );

  it.each([
    '',
    'hello',
    'a.b',
    'a.b.c',
    'e30.e30.e30.e30',
    'e30.W10.AAAA',
    'bnVsbA.bnVsbA.AAAA',
    'e30.e30.',
    '🙂.e30.AA',
  ])('is malformed when it is no such thing: %j', async (text) => {
    expect(await codeOf(storefront.readNotification(text))).toBe('receipt_malformed');
  });

  it('is malformed when it brings certificates that are made to be slow to read', async () => {
    const header = { alg: 'ES256', x5c: [...apple.certificates.chain.slice(0, 2), 'A'.repeat(10_000)] };
    const forged = apple.certificates.sign(payloadOf(apple.test().signedPayload), header);
    expect(await codeOf(storefront.readNotification(forged))).toBe('receipt_malformed');
  });

  it('is malformed when its values are of other types than Apple sends', async () => {
    const { signedPayload } = apple.raw('TEST', undefined, { payload: { notificationUUID: 7 } });
    expect(await codeOf(storefront.readNotification(signedPayload))).toBe('receipt_malformed');
    const nameless = apple.raw('TEST', undefined, { payload: { notificationUUID: undefined } });
    expect(await codeOf(storefront.readNotification(nameless.signedPayload))).toBe('receipt_malformed');
  });

  it('loses only its transaction when that lacks what makes it one', async () => {
    const data = {
      signedTransactionInfo: apple.certificates.sign({
        bundleId: apple.bundleId,
        environment: 'Sandbox',
        signedDate: clock.now().getTime(),
      }),
    };
    const { signedPayload } = apple.raw('SUBSCRIBED', undefined, { environment: 'Sandbox', data });
    expect(await storefront.readNotification(signedPayload)).toMatchObject({ type: 'SUBSCRIBED', transaction: null });
    expect(logged).toEqual([expect.objectContaining({ level: 'warn' })]);
  });
});

describe('whether certificates are revoked', () => {
  it('is asked of Apple, and a revoked one is refused', async () => {
    const { signedPayload } = apple.subscribe(MONTHLY);
    await storefront.assertNotRevoked(signedPayload);
    apple.certificateStatus = 'revoked';
    const later = await configured();
    expect(await codeOf(later.assertNotRevoked(signedPayload))).toBe('store_signature_invalid');
    apple.certificateStatus = 'unknown';
    expect(await codeOf(later.assertNotRevoked(signedPayload))).toBe('store_signature_invalid');
  });

  it('is believed for a quarter of an hour', async () => {
    const { signedPayload } = apple.subscribe(MONTHLY);
    await storefront.assertNotRevoked(signedPayload);
    apple.certificateStatus = 'revoked';
    clock.advance({ minutes: 14 });
    await storefront.assertNotRevoked(signedPayload);
    clock.advance({ minutes: 2 });
    expect(await codeOf(storefront.assertNotRevoked(signedPayload))).toBe('store_signature_invalid');
  });

  it.each(['drop', 'html', 'status'] as const)(
    'is taken for good and counted when nobody answers (%s)',
    async (kind) => {
      apple.fault('ocsp', kind === 'status' ? { kind, status: 503, times: Infinity } : { kind, times: Infinity });
      await storefront.assertNotRevoked(apple.subscribe(MONTHLY).signedPayload);
      expect(await metrics.render()).toContain('iap_ocsp_soft_failures_total 1');
    },
  );

  it('takes three seconds at most', async () => {
    apple.fault('ocsp', { kind: 'delay', ms: 60_000, times: Infinity });
    await storefront.assertNotRevoked(apple.subscribe(MONTHLY).signedPayload);
    expect(await metrics.render()).toContain('iap_ocsp_soft_failures_total 1');
  });

  it('is not asked again for a minute when nobody answered: each question would hold up what was told', async () => {
    const { signedPayload } = apple.subscribe(MONTHLY);
    apple.fault('ocsp', { kind: 'drop', times: 2 });
    await storefront.assertNotRevoked(signedPayload);
    apple.certificateStatus = 'revoked';
    clock.advance({ seconds: 59 });
    await storefront.assertNotRevoked(signedPayload);
    clock.advance({ seconds: 2 });
    expect(await codeOf(storefront.assertNotRevoked(signedPayload))).toBe('store_signature_invalid');
  });

  it.each([
    ['signed by the issuer itself', { isByIssuer: true }],
    ['signed with SHA-1', { isSha1: true }],
    ['without an end', { isEndless: true }],
    ['all of that', { isByIssuer: true, isSha1: true, isEndless: true }],
  ])('is understood where the answer is %s (I3)', async (_what, form) => {
    const strict = await configured({ APPLE_OCSP: 'hard' });
    const { signedPayload } = apple.subscribe(MONTHLY);
    apple.ocspForm = form;
    await strict.assertNotRevoked(signedPayload);
    apple.certificateStatus = 'revoked';
    const later = await configured({ APPLE_OCSP: 'soft' });
    expect(await codeOf(later.assertNotRevoked(signedPayload))).toBe('store_signature_invalid');
  });

  it.each([
    ['of somebody who may not give it', { isForged: true }],
    ['of last month', { date: addDays(new Date(), -30) }],
    ['of tomorrow', { date: addDays(new Date(), 1) }],
  ])('is unanswered where the answer is %s, whatever it says (I3)', async (_what, form) => {
    const { signedPayload } = apple.subscribe(MONTHLY);
    apple.ocspForm = form;
    for (const status of ['good', 'revoked'] as const) {
      apple.certificateStatus = status;
      const soft = await configured();
      await soft.assertNotRevoked(signedPayload);
      expect(await metrics.render()).toContain('iap_ocsp_soft_failures_total 1');
    }
  });

  it('must be answered where the operator says so', async () => {
    const strict = await configured({ APPLE_OCSP: 'hard' });
    const { signedPayload } = apple.subscribe(MONTHLY);
    apple.fault('ocsp', { kind: 'drop', times: 2 });
    expect(await refusal(strict.assertNotRevoked(signedPayload))).toMatchObject({
      code: 'store_unavailable',
      retryAfterSeconds: 60,
    });
    apple.clearFaults();
    await strict.assertNotRevoked(signedPayload);
  });

  it('is not asked where the operator says so', async () => {
    apple.certificateStatus = 'revoked';
    const trusting = await configured({ APPLE_OCSP: 'off' });
    await trusting.assertNotRevoked(apple.subscribe(MONTHLY).signedPayload);
  });

  it('is never asked about what was not verified: its address is chosen by whoever made it', async () => {
    const forger = await AppleCertificates.make({ ocspUrl: `${apple.url}/nowhere` });
    const forged = forger.sign(payloadOf(apple.subscribe(MONTHLY).signedPayload));
    expect(await codeOf(storefront.assertNotRevoked(forged))).toBe('store_signature_invalid');
    expect(apple.unexpected).toEqual([]);
  });

  it('is answered for any number of chains', async () => {
    const payload = payloadOf(apple.subscribe(MONTHLY).signedPayload);
    for (let number = 0; number < 40; number += 1) {
      const chain = await apple.anotherChain();
      await storefront.assertNotRevoked(chain.sign(payload));
    }
    expect(await metrics.render()).toContain('iap_ocsp_soft_failures_total 0');
  });

  it('is refused where a certificate does not say whom to ask', async () => {
    const chain = await AppleCertificates.make({ under: apple.certificates });
    const payload = payloadOf(apple.subscribe(MONTHLY).signedPayload);
    expect(await codeOf(storefront.assertNotRevoked(chain.sign(payload)))).toBe('store_signature_invalid');
  });
});

describe('a transaction that an app sends', () => {
  it.each(['Production', 'Sandbox'] as const)('is read, of the environment %s', async (environment) => {
    const { transactionId } = apple.subscribe({ ...MONTHLY, environment });
    const jws = apple.transactionJws(transactionId);
    expect(await storefront.readTransaction(jws)).toMatchObject({
      transactionId,
      environment: environment.toLowerCase(),
    });
  });

  it('is refused when it is forged, changed, or of another app', async () => {
    const jws = apple.transactionJws(apple.subscribe(MONTHLY).transactionId);
    const payload = payloadOf(jws);
    const forger = await AppleCertificates.make();
    const ended = await AppleCertificates.make({
      under: apple.certificates,
      intermediate: { notAfter: addDays(clock.now(), -1) },
    });
    expect(await codeOf(storefront.readTransaction(forger.sign(payload)))).toBe('receipt_invalid');
    expect(await codeOf(storefront.readTransaction(ended.sign(payload)))).toBe('receipt_invalid');
    expect(await codeOf(storefront.readTransaction(`${jws.slice(0, -4)}AAAA`))).toBe('receipt_invalid');
    const signed = (changed: object): string => apple.certificates.sign({ ...payload, ...changed });
    expect(await codeOf(storefront.readTransaction(signed({ bundleId: 'com.example.other' })))).toBe('wrong_app');
    expect(await codeOf(storefront.readTransaction(signed({ environment: 'Xcode' })))).toBe('receipt_invalid');
    expect(await codeOf(storefront.readTransaction(signed({ environment: 'LocalTesting' })))).toBe('receipt_invalid');
    expect(await codeOf(storefront.readTransaction(signed({ transactionId: '../1' })))).toBe('receipt_invalid');
    expect(await codeOf(storefront.readTransaction(signed({ price: '9990' })))).toBe('receipt_malformed');
    expect(await codeOf(storefront.readTransaction('eyJ.eyJ.AAAA'))).toBe('receipt_malformed');
  });

  it('is refused when it is something else that Apple signed', async () => {
    const { signedPayload } = apple.subscribe(MONTHLY);
    const { signedRenewalInfo } = payloadOf(signedPayload)['data'] as Record<string, string>;
    expect(await codeOf(storefront.readTransaction(signedRenewalInfo ?? ''))).toBe('receipt_invalid');
    expect(await codeOf(storefront.readTransaction(signedPayload))).toBe('receipt_invalid');
  });

  it('names an account only if that is a UUID', async () => {
    const { transactionId } = apple.subscribe(MONTHLY);
    const payload = { ...payloadOf(apple.transactionJws(transactionId)), appAccountToken: 'user-7' };
    const read = await storefront.readTransaction(apple.certificates.sign(payload));
    expect(read.appAccountToken).toBeNull();
  });
});

describe("Apple's own answers", () => {
  it('tell of a transaction, in whichever environment it is', async () => {
    const real = apple.subscribe(MONTHLY);
    const tried = apple.subscribe({ ...MONTHLY, environment: 'Sandbox' });
    expect(await storefront.transaction(real.transactionId)).toMatchObject({ environment: 'production' });
    expect(await storefront.transaction(tried.transactionId)).toMatchObject({ environment: 'sandbox' });
    expect(await storefront.transaction('2000000999999999')).toBeNull();
  });

  it('tell how all subscriptions of a customer stand', async () => {
    const first = apple.subscribe({ ...MONTHLY, customer: 'ann' });
    const second = apple.subscribe({ productId: 'vpn.extra', price: 990, currency: 'USD', customer: 'ann' });
    apple.subscribe(MONTHLY);
    clock.advance({ days: 30 });
    const renewed = apple.renew(first.originalTransactionId);
    const news = await storefront.statuses('production', first.originalTransactionId);
    expect(news?.transactions.map((one) => one.transactionId)).toEqual([renewed.transactionId, second.transactionId]);
    expect(news?.renewals.map((one) => one.originalTransactionId)).toEqual([first.transactionId, second.transactionId]);
    expect(await storefront.statuses('sandbox', first.originalTransactionId)).toBeNull();
  });

  it('tell the whole history, page after page, the newest first', async () => {
    const { originalTransactionId: id } = apple.subscribe({ ...MONTHLY, period: 7 });
    for (let week = 0; week < 49; week += 1) {
      clock.advance({ days: 7 });
      apple.renew(id);
    }
    const { transactions } = await storefront.history('production', id);
    expect(new Set(transactions.map(({ transactionId }) => transactionId)).size).toBe(50);
    expect(transactions.map(({ purchaseDate }) => purchaseDate)).toEqual(
      transactions.map(({ purchaseDate }) => purchaseDate).sort((a, b) => b - a),
    );
    expect(await storefront.history('sandbox', id)).toEqual({ transactions: [], renewals: [] });
  });

  it('tell of notifications that did not arrive', async () => {
    const began = clock.now();
    const sent = Array.from({ length: 45 }, () => apple.subscribe(MONTHLY));
    apple.subscribe({ ...MONTHLY, environment: 'Sandbox' });
    for (const notification of sent.slice(0, 3)) apple.markDelivered(notification);
    const until = addSeconds(clock.now(), 60);
    const missed = await all(storefront.failedNotifications('production', began, until));
    expect(missed).toEqual(sent.slice(3).map(({ signedPayload }) => signedPayload));
    // Apple refuses to look further back than it remembers.
    expect(await all(storefront.failedNotifications('sandbox', addDays(began, -400), until))).toHaveLength(1);
    expect(await all(storefront.failedNotifications('sandbox', until, began))).toEqual([]);
  });

  it('name the account that was set, from then on', async () => {
    const { originalTransactionId: id } = apple.subscribe(MONTHLY);
    await storefront.setAccountToken('production', id, ACCOUNT);
    expect(await storefront.transaction(id)).toMatchObject({ appAccountToken: ACCOUNT });
  });

  it('are left as they are when Apple refuses for good', async () => {
    const family = apple.subscribe({ ...MONTHLY, familyShared: true });
    expect(await storefront.setAccountToken('production', family.originalTransactionId, ACCOUNT)).toBe('apple_4000185');
    expect(logged).toEqual([expect.objectContaining({ level: 'error', status: 400, reason: 4_000_185 })]);
    expect(await storefront.transaction(family.transactionId)).toMatchObject({ appAccountToken: null });
  });

  it('take what is known of a purchase whose buyer wants his money back', async () => {
    const pass = apple.oneTime({ ...MONTHLY, type: 'Non-Renewing Subscription' });
    const { transactionId } = apple.requestRefund(pass.transactionId);
    const told = async (consumption: Parameters<AppleStorefront['sendConsumption']>[2]): Promise<unknown> => {
      apple.consumption.clear();
      await storefront.sendConsumption('production', transactionId, consumption);
      return apple.consumption.get(transactionId);
    };
    expect(
      await told({ deliveryStatus: 'DELIVERED', sampleContentProvided: true, consumptionPercentage: 25_000 }),
    ).toMatchObject({ customerConsented: true, consumptionPercentage: 25_000 });
    const outage = { deliveryStatus: 'UNDELIVERED_SERVER_OUTAGE', sampleContentProvided: false } as const;
    expect(await told({ ...outage, consumptionPercentage: 0 })).toMatchObject({ consumptionPercentage: 0 });
    expect(
      await told({
        deliveryStatus: 'DELIVERED',
        sampleContentProvided: true,
        consumptionPercentage: 25_000,
        refundPreference: 'GRANT_PRORATED',
      }),
    ).not.toHaveProperty('consumptionPercentage');
  });

  it('include a notification sent as a test', async () => {
    const began = clock.now();
    const { token } = await storefront.requestTestNotification('sandbox');
    expect(token).toMatch(/^[0-9a-f-]{36}_\d+$/);
    const [payload = ''] = await all(storefront.failedNotifications('sandbox', began, addSeconds(began, 60)));
    expect(await storefront.readNotification(payload)).toMatchObject({ type: 'TEST', environment: 'sandbox' });
  });

  it('are refused when Apple did not sign them', async () => {
    const { transactionId } = apple.subscribe(MONTHLY);
    const stranger = await configured({ APPLE_ROOT_CA_PATHS: '' });
    expect(await codeOf(stranger.transaction(transactionId))).toBe('store_unavailable');
    expect(await codeOf(stranger.statuses('production', transactionId))).toBe('store_unavailable');
    expect(await codeOf(stranger.history('production', transactionId))).toBe('store_unavailable');
  });
});

describe('when Apple has trouble', () => {
  let id: string;
  beforeEach(() => {
    id = apple.subscribe(MONTHLY).transactionId;
  });

  it('asks again after two faults of the server', async () => {
    apple.fault('transaction', { kind: 'status', status: 500, times: 2 });
    expect(await storefront.transaction(id)).toMatchObject({ transactionId: id });
    const figures = await metrics.render();
    expect(figures).toMatch(/iap_store_request_seconds_count\{provider="apple",op="transaction",status="500"\} 2/);
    expect(figures).toMatch(/iap_store_request_seconds_count\{provider="apple",op="transaction",status="200"\} 1/);
  });

  it.each([
    [404, 4_040_002],
    [404, 4_040_006],
    [500, 5_000_001],
  ])('asks again after %i with the code %i', async (status, errorCode) => {
    apple.fault('statuses', { kind: 'status', status, errorCode });
    expect(await storefront.statuses('production', id)).not.toBeNull();
  });

  it('gives up after four tries', async () => {
    apple.fault('statuses', { kind: 'status', status: 503, times: 4 });
    expect(await refusal(storefront.statuses('production', id))).toMatchObject({
      code: 'store_unavailable',
      retryAfterSeconds: 30,
    });
    expect(await storefront.statuses('production', id)).not.toBeNull();
  });

  it('does not take an outage for an unknown transaction', async () => {
    apple.fault('transaction', { kind: 'status', status: 404 });
    expect(await codeOf(storefront.transaction(id))).toBe('store_unavailable');
    apple.fault('transaction', { kind: 'status', status: 404, errorCode: 4_040_003 });
    expect(await codeOf(storefront.transaction(id))).toBe('store_unavailable');
  });

  it.each(['drop', 'html'] as const)('says so, and asks no second time (%s)', async (kind) => {
    apple.fault('*', { kind });
    expect(await codeOf(storefront.transaction(id))).toBe('store_unavailable');
    expect(await storefront.transaction(id)).not.toBeNull();
  });

  it.each([
    ['a web page', { kind: 'html' }],
    ['JSON that was cut', { kind: 'body', body: '{"signedTransactionInfo":"eyJhbGciOi' }],
    ['nothing', { kind: 'body', body: '' }],
    ['JSON that is no object', { kind: 'body', body: '"eyJhbGciOi"' }],
    ['a list', { kind: 'body', body: '[]' }],
    ['an object without what was asked for', { kind: 'body', body: '{}' }],
    ['an object of other types', { kind: 'body', body: '{"signedTransactionInfo":7,"data":7,"signedTransactions":7}' }],
  ] as const)('takes %s with status 200 for no answer, and says what it saw (I4)', async (_what, fault) => {
    for (const ask of [
      () => storefront.transaction(id),
      () => storefront.statuses('production', id),
      () => storefront.history('production', id),
    ]) {
      apple.fault('*', fault);
      const refused = await refusal(ask());
      expect(refused.code).toBe('store_unavailable');
      expect((refused.cause as Error).message).not.toBe('');
    }
    apple.fault('consumption', fault);
    const told = storefront.sendConsumption('production', id, {
      deliveryStatus: 'DELIVERED',
      sampleContentProvided: false,
    });
    // Apple answers this one with nothing; a page of a proxy's is not that.
    if (fault.kind === 'body' && (fault.body === '' || fault.body.startsWith('{}'))) await told;
    else
      expect(['store_unavailable', null]).toContain(
        await told.catch((error: unknown) => error instanceof DomainError && error.code),
      );
    expect(JSON.stringify(logged)).not.toContain('eyJ');
  });

  it('says what Apple answered when it refuses or fails, which its library does not (I4)', async () => {
    apple.fault('statuses', { kind: 'status', status: 500, errorCode: 5_000_000, times: 4 });
    const refused = await refusal(storefront.statuses('production', id));
    expect((refused.cause as Error).message).toBe('Apple answered 500, 5000000 GENERAL_INTERNAL');
    expect(logged).toContainEqual(
      expect.objectContaining({ msg: 'Apple did not answer', status: 500, op: 'statuses' }),
    );
    apple.fault('statuses', { kind: 'drop' });
    const dropped = await refusal(storefront.statuses('production', id));
    expect((dropped.cause as Error).message).toMatch(/fetch failed \(.+\)/);
  });

  it('waits for an answer four seconds at most', async () => {
    apple.fault('transaction', { kind: 'delay', ms: 10_000 });
    expect(await codeOf(storefront.transaction(id))).toBe('store_unavailable');
    expect(await metrics.render()).toContain('op="transaction",status="timeout"');
  });

  it('asks nothing until it may when it asked too often', async () => {
    apple.fault('transaction', { kind: 'rate_limit', until: addSeconds(clock.now(), 90) });
    expect(await refusal(storefront.transaction(id))).toMatchObject({
      code: 'store_unavailable',
      retryAfterSeconds: 90,
    });
    clock.advance({ seconds: 30 });
    expect(await refusal(storefront.statuses('production', id))).toMatchObject({ retryAfterSeconds: 60 });
    expect(await metrics.render()).not.toContain('op="statuses"');
    // The sandbox counts for itself.
    expect(await storefront.statuses('sandbox', id)).toBeNull();
    clock.advance({ seconds: 61 });
    expect(await storefront.statuses('production', id)).not.toBeNull();
  });

  it('comes back within an hour whatever it is told', async () => {
    apple.fault('transaction', { kind: 'rate_limit', until: addDays(clock.now(), 3000) });
    expect(await refusal(storefront.transaction(id))).toMatchObject({ retryAfterSeconds: 3600 });
    clock.advance({ hours: 1 });
    apple.fault('transaction', { kind: 'rate_limit', until: new Date(0) });
    expect(await refusal(storefront.transaction(id))).toMatchObject({ retryAfterSeconds: 60 });
  });

  it('tells the operator that the key is refused', async () => {
    const other = await configured({ APPLE_KEY_ID: 'WRONGKEY00' });
    expect(await codeOf(other.transaction(id))).toBe('store_unavailable');
    expect(logged).toEqual([
      expect.objectContaining({ level: 'error', status: 401, msg: expect.stringContaining('APPLE_KEY_ID') }),
    ]);
  });

  it.each([
    [401, undefined],
    [403, undefined],
    [404, 4_040_003],
    [400, 4_000_002],
  ])('asks the sandbox when production answers %i %s, each time anew (H12)', async (status, errorCode) => {
    const code = errorCode === undefined ? {} : { errorCode };
    const sold = apple.subscribe({ ...MONTHLY, environment: 'Sandbox' }).transactionId;
    apple.fault('transaction', { kind: 'status', status, ...code, environment: 'production', times: 3 });
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await storefront.transaction(sold)).toMatchObject({ environment: 'sandbox' });
    }
    expect(logged.map(({ level }) => level)).toEqual(['warn', 'warn']);
    logged.length = 0;
    // Whom the sandbox does not know may have bought in production.
    expect(await codeOf(storefront.transaction(id))).toBe('store_unavailable');
    expect(logged.map(({ level }) => level)).toEqual(['error']);
    expect(await storefront.transaction(id)).toMatchObject({ environment: 'production' });
  });

  it.each([401, 403])('tells the operator once when both environments answer %i (H12)', async (status) => {
    apple.fault('transaction', { kind: 'status', status, times: 2 });
    expect(await codeOf(storefront.transaction(id))).toBe('store_unavailable');
    expect(logged).toEqual([expect.objectContaining({ level: 'error', status })]);
    expect(await storefront.transaction(id)).toMatchObject({ environment: 'production' });
  });

  it.each([
    [401, undefined, ['APPLE_KEY_ID', 'APPLE_ISSUER_ID', 'APPLE_BUNDLE_ID', 'APPLE_PRIVATE_KEY', 'clock']],
    [403, undefined, ['In-App Purchase']],
    [400, 4_000_002, ['APPLE_BUNDLE_ID']],
    [404, 4_040_003, ['APPLE_BUNDLE_ID', 'sandbox']],
    [404, 4_040_007, ['App Store Server Notifications', 'Production Server URL']],
    [400, 4_000_024, ['INVALID_SUBSCRIPTION_GROUP_IDENTIFIER']],
  ] as const)('says in words what %i %s wants mended (H29)', async (status, errorCode, words) => {
    apple.fault('test_notification', { kind: 'status', status, ...(errorCode === undefined ? {} : { errorCode }) });
    const { token, refusal: said } = await storefront.requestTestNotification('production');
    expect(token).toBeNull();
    for (const word of words) expect(said).toContain(word);
    expect(logged).toEqual([expect.objectContaining({ level: 'error', status, msg: said })]);
  });

  it.each([
    [600_000, '600 s behind'],
    [-1_500_000, '1500 s ahead of'],
  ])('says by how much the clocks differ where that may be why (%i ms) (H30)', async (skew, words) => {
    apple.clockSkewMs = skew - 500;
    apple.fault('transaction', { kind: 'status', status: 401, times: 2 });
    expect(await codeOf(storefront.transaction(id))).toBe('store_unavailable');
    expect(logged).toEqual([
      expect.objectContaining({ msg: expect.stringMatching(new RegExp(words.replace(/\d+/, '\\d+'))) }),
    ]);
    const [line] = logged as unknown as readonly { readonly clockAheadSeconds: number }[];
    expect(Math.abs((line?.clockAheadSeconds ?? 0) + skew / 1000)).toBeLessThan(5);
  });

  it.each([-110_000, 100_000])('is answered although the clocks differ by %i ms (H30)', async (skew) => {
    apple.clockSkewMs = skew;
    expect(await storefront.transaction(id)).not.toBeNull();
    const { token, clockAheadSeconds } = await storefront.requestTestNotification('production');
    expect(token).not.toBeNull();
    expect(Math.abs((clockAheadSeconds ?? 0) + skew / 1000)).toBeLessThan(5);
  });

  it('logs nothing that was signed', async () => {
    apple.fault('*', { kind: 'html' });
    await refusal(storefront.transaction(id));
    await refusal(storefront.readTransaction(`${apple.transactionJws(id).slice(0, -4)}AAAA`));
    expect(JSON.stringify(logged)).not.toMatch(/eyJ|BEGIN/);
  });
});

describe('the storefront', () => {
  it.each(['../notifications/test/x', '1/../2', '', '١٢٣', '123456789012345678901', '1?x=1', '%2e%2e'])(
    'sends no id that is none: %j',
    async (id) => {
      for (const attempt of [
        storefront.transaction(id),
        storefront.statuses('production', id),
        storefront.history('production', id),
        storefront.setAccountToken('production', id, ACCOUNT),
        storefront.sendConsumption('production', id, { deliveryStatus: 'DELIVERED', sampleContentProvided: true }),
      ]) {
        expect(await codeOf(attempt)).toBe('receipt_malformed');
      }
      expect(apple.unexpected).toEqual([]);
    },
  );

  it('is not called inside a transaction', async () => {
    const { transactionId, signedPayload } = apple.subscribe(MONTHLY);
    const uow = open.rooms.get(UnitOfWork);
    for (const call of [
      () => storefront.transaction(transactionId),
      () => storefront.statuses('production', transactionId),
      () => storefront.history('production', transactionId),
      () => all(storefront.failedNotifications('production', clock.now(), addSeconds(clock.now(), 1))),
      () => storefront.assertNotRevoked(signedPayload),
      () => storefront.requestTestNotification('sandbox'),
    ]) {
      await expect(uow.run<unknown>(call)).rejects.toThrow('inside a transaction');
    }
  });

  it('is off where no App Store is set up', async () => {
    const off = open.rooms.get(AppleStorefront);
    expect(off.isConfigured).toBe(false);
    expect(await codeOf(off.readNotification('e30.e30.AAAA'))).toBe('store_not_configured');
    expect(await codeOf(off.readTransaction('e30.e30.AAAA'))).toBe('store_not_configured');
    expect(await codeOf(off.transaction('1'))).toBe('store_not_configured');
    expect(await codeOf(off.assertNotRevoked('e30.e30.AAAA'))).toBe('store_not_configured');
  });

  it('does not start with a key or a certificate that cannot be read, and does not quote it', async () => {
    for (const [name, value] of [
      ['APPLE_PRIVATE_KEY', '-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----'],
      ['APPLE_ROOT_CA_PATHS', '/nowhere/root.cer'],
    ] as const) {
      const broken = await configured({ [name]: value });
      const thrown: unknown = await broken.onModuleInit().catch((error: unknown) => error);
      expect(String(thrown)).toContain(name);
      expect(String(thrown)).not.toContain('secret');
    }
  });
});

describe('the roots', () => {
  it("are Apple's own, as it is published", async () => {
    const [root] = await readRoots([]);
    expect(new X509Certificate(root ?? '').fingerprint256).toBe(G3);
    expect(
      createHash('sha256')
        .update(root ?? '')
        .digest('hex'),
    ).toBe(G3.replaceAll(':', '').toLowerCase());
  });

  it('are those of the operator beside it, in DER or PEM', async () => {
    const pem = new X509Certificate(apple.certificates.root).toString();
    const { APPLE_ROOT_CA_PATHS: path = '' } = apple.settings();
    await writeFile(`${path}.pem`, `${pem}\n${pem}`);
    const roots = await readRoots([path, `${path}.pem`]);
    expect(roots.slice(1)).toEqual([apple.certificates.root, apple.certificates.root, apple.certificates.root]);
  });

  it("lead to what Apple signs with today, as its library's own tests have it", async () => {
    const own = await readFile(
      'node_modules/@apple/app-store-server-library/dist/tests/unit-tests/jws_verification.test.js',
      'utf8',
    );
    const certificate = (name: string): X509Certificate => {
      const [, base64 = ''] = new RegExp(`const ${name} = "([^"]+)"`).exec(own) ?? [];
      return new X509Certificate(Buffer.from(base64, 'base64'));
    };
    const [root] = await readRoots([]);
    const intermediate = certificate('REAL_APPLE_INTERMEDIATE_BASE64_ENCODED');
    const leaf = certificate('REAL_APPLE_SIGNING_CERTIFICATE_BASE64_ENCODED');
    expect(intermediate.verify(new X509Certificate(root ?? '').publicKey)).toBe(true);
    expect(leaf.verify(intermediate.publicKey)).toBe(true);
  });
});
