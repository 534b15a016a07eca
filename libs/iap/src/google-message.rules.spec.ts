import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type PlayMessage, readPushMessage, wrapped } from './google-message.rules.js';

const PUBLISHED = '2026-11-22T10:00:00.123Z';

function pushed(data: unknown, message: object = {}): unknown {
  const text = typeof data === 'string' ? data : JSON.stringify({ ...ENVELOPE, ...(data as object) });
  return {
    message: { data: Buffer.from(text).toString('base64'), messageId: '1', publishTime: PUBLISHED, ...message },
    subscription: 'projects/p/subscriptions/s',
  };
}

const ENVELOPE = { version: '1.0', packageName: 'com.example.vpn', eventTimeMillis: '1795341600000' };
const MESSAGE: PlayMessage = {
  messageId: '1',
  publishedAt: new Date(PUBLISHED),
  subscription: 'projects/p/subscriptions/s',
  packageName: 'com.example.vpn',
  eventAt: new Date('2026-11-22T10:00:00Z'),
  kind: 'unknown',
  notificationType: null,
  purchaseToken: null,
  orderId: null,
  isPartialRefund: false,
  productType: null,
};

describe('a push of Play', () => {
  it.each<[what: string, data: object, read: Partial<PlayMessage>]>([
    [
      'a subscription',
      { subscriptionNotification: { version: '1.0', notificationType: 13, purchaseToken: 'abc' } },
      { kind: 'subscription', notificationType: 13, purchaseToken: 'abc', productType: 'subscription' },
    ],
    [
      'a product',
      { oneTimeProductNotification: { version: '1.0', notificationType: 1, purchaseToken: 'abc', sku: 'life' } },
      { kind: 'product', notificationType: 1, purchaseToken: 'abc', productType: 'product' },
    ],
    [
      'a subscription that was taken back',
      { voidedPurchaseNotification: { purchaseToken: 'abc', orderId: 'GPA.1', productType: 1, refundType: 1 } },
      { kind: 'voided', purchaseToken: 'abc', orderId: 'GPA.1', productType: 'subscription' },
    ],
    [
      'a part of a product that was taken back',
      { voidedPurchaseNotification: { purchaseToken: 'abc', orderId: 'GPA.1', productType: 2, refundType: 2 } },
      { kind: 'voided', purchaseToken: 'abc', orderId: 'GPA.1', productType: 'product', isPartialRefund: true },
    ],
    ['a test', { testNotification: { version: '1.0' } }, { kind: 'test' }],
    ['a kind of later days', { pendingRefundReviewNotification: { purchaseToken: 'abc' } }, {}],
    ['nothing', {}, {}],
    ['a time as a number', { eventTimeMillis: 1_795_341_600_000 }, {}],
    [
      'a type of another kind',
      { subscriptionNotification: { notificationType: '13', purchaseToken: 7 } },
      { kind: 'subscription', productType: 'subscription' },
    ],
    [
      'a token that no database could hold',
      { subscriptionNotification: { notificationType: 2, purchaseToken: 'a\u0000b' } },
      { kind: 'subscription', notificationType: 2, productType: 'subscription' },
    ],
  ])('tells of %s', (_what, data, read) => {
    expect(readPushMessage(pushed(data))).toEqual({ ...MESSAGE, ...read });
  });

  it.each([
    ['no JSON', 'hello'],
    ['no object', '[1, 2]'],
    ['null', 'null'],
    ['empty', ''],
  ])('is a message all the same when its data is %s', (_what, data) => {
    expect(readPushMessage(pushed(data))).toEqual({ ...MESSAGE, packageName: null, eventAt: null });
  });

  it('is known by its id, whichever way that is spelt', () => {
    const body = { message: { message_id: '9', publish_time: PUBLISHED } };
    expect(readPushMessage(body)).toMatchObject({
      messageId: '9',
      publishedAt: new Date(PUBLISHED),
      subscription: null,
    });
  });

  it.each([null, undefined, 'text', 7, [], {}, { message: null }, { message: {} }, { message: { messageId: 7 } }])(
    'is none without an id: %j',
    (body) => {
      expect(readPushMessage(body)).toBeNull();
    },
  );

  it('may hold anything', () => {
    const parts = ['subscriptionNotification', 'oneTimeProductNotification', 'voidedPurchaseNotification'] as const;
    const data = fc.dictionary(
      fc.constantFrom(...parts, 'packageName', 'eventTimeMillis', '__proto__'),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(fc.oneof(data, fc.string()), fc.jsonValue(), (said, published) => {
        expect(readPushMessage(pushed(said, { publishTime: published }))?.messageId).toBe('1');
      }),
    );
    fc.assert(fc.property(fc.jsonValue(), (body) => void readPushMessage(body)));
  });
});

describe('a push without a wrapper (H18)', () => {
  const idOf = (content: string): string => `id of ${content.length}`;
  const bare = { ...ENVELOPE, subscriptionNotification: { notificationType: 2, purchaseToken: 'token' } };
  const read = (body: unknown, metadata = {}): PlayMessage | null => readPushMessage(wrapped(body, metadata, idOf));

  it('says the same as one with it, by the id that Pub/Sub writes into a header', () => {
    const metadata = { messageId: '1', publishTime: PUBLISHED, subscription: 'projects/p/subscriptions/s' };
    expect(read(bare, metadata)).toEqual(readPushMessage(pushed(bare)));
  });

  it('has an id of its content without headers, the same for each delivery', () => {
    const [once, again] = [read(bare), read(bare)];
    expect(once).toMatchObject({
      messageId: expect.stringMatching(/^id of/),
      subscription: null,
      kind: 'subscription',
    });
    expect(again).toEqual(once);
  });

  it.each([[{}], [{ packageName: 'x' }], [{ subscriptionNotification: {} }], [[bare]], ['x'], [null]])(
    'is not taken for one: %j',
    (body) => {
      expect(read(body)).toBeNull();
    },
  );

  it('leaves a wrapped one as it is', () => {
    const body = pushed(bare);
    expect(wrapped(body, { messageId: '2' }, idOf)).toBe(body);
  });
});
