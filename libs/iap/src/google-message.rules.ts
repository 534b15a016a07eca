import { at, instant, integer, isObject, millis, text } from './google-json.rules.js';

/** What Play told by way of Pub/Sub (a real-time developer notification). It is a hint of what to ask for, never a fact. */
export interface PlayMessage {
  /** The same for every delivery of a message. */
  readonly messageId: string;
  readonly publishedAt: Date | null;
  /** `projects/p/subscriptions/s` */
  readonly subscription: string | null;
  readonly packageName: string | null;
  readonly eventAt: Date | null;
  /** `unknown`: a kind of later days, or nothing that could be read. */
  readonly kind: 'subscription' | 'product' | 'voided' | 'test' | 'unknown';
  /** Google's number, which means one thing for subscriptions and another for products. */
  readonly notificationType: number | null;
  readonly purchaseToken: string | null;
  /** The order that was taken back; only of `voided`. */
  readonly orderId: string | null;
  /** Only some of a quantity was taken back: the access stays. */
  readonly isPartialRefund: boolean;
  /** What the token is of, where the message says so. */
  readonly productType: 'subscription' | 'product' | null;
}

type Said = Pick<
  PlayMessage,
  'kind' | 'notificationType' | 'purchaseToken' | 'orderId' | 'isPartialRefund' | 'productType'
>;

const NOTHING: Said = {
  kind: 'unknown',
  notificationType: null,
  purchaseToken: null,
  orderId: null,
  isPartialRefund: false,
  productType: null,
};
/** `productType` of a voided purchase, and `refundType` when only some of a quantity was taken back. */
const PRODUCT_TYPES: Readonly<Record<number, PlayMessage['productType']>> = { 1: 'subscription', 2: 'product' };
const PARTIAL_REFUND = 2;

/**
 * Reads the body of a Pub/Sub push; null when it is none. Whatever its data may hold it is a message all the same, because one
 * that is refused comes again and again.
 */
export function readPushMessage(body: unknown): PlayMessage | null {
  const message = at(body, 'message');
  const messageId = text(at(message, 'messageId')) ?? text(at(message, 'message_id'));
  if (messageId === null) return null;
  const published = instant(at(message, 'publishTime')) ?? instant(at(message, 'publish_time'));
  const data = decode(at(message, 'data'));
  const event = millis(at(data, 'eventTimeMillis'));
  return {
    messageId,
    publishedAt: published === null ? null : new Date(published),
    subscription: text(at(body, 'subscription')),
    packageName: text(at(data, 'packageName')),
    eventAt: event === null ? null : new Date(event),
    ...readSaid(data),
  };
}

/** What Pub/Sub says of a message in headers, where the subscription pushes without a wrapper and writes metadata. */
export interface PushMetadata {
  readonly messageId?: string | undefined;
  readonly publishTime?: string | undefined;
  readonly subscription?: string | undefined;
}

/**
 * A push as if it had its wrapper: with "payload unwrapping" on, the body is Play's own JSON, and the rest is in headers or nowhere. Without
 * an id of Pub/Sub's, `idOf` makes one of the content, which is the same for each delivery.
 */
export function wrapped(body: unknown, metadata: PushMetadata, idOf: (content: string) => string): unknown {
  if (isObject(at(body, 'message')) || !isNotification(body)) return body;
  const content = JSON.stringify(body);
  const { messageId = idOf(content), publishTime, subscription } = metadata;
  const data = Buffer.from(content).toString('base64');
  return { message: { data, messageId, publishTime }, subscription };
}

/** Whether something is what Play says by way of Pub/Sub: an app, and one kind of notification. */
function isNotification(body: unknown): body is object {
  if (!isObject(body) || text(body['packageName']) === null) return false;
  return Object.entries(body).some(([name, value]) => name.endsWith('Notification') && isObject(value));
}

function decode(data: unknown): unknown {
  if (typeof data !== 'string') return undefined;
  try {
    return JSON.parse(Buffer.from(data, 'base64').toString('utf8'));
  } catch {
    return undefined;
  }
}

function readSaid(data: unknown): Said {
  const subscription = at(data, 'subscriptionNotification');
  if (isObject(subscription)) return { ...readChange(subscription), kind: 'subscription', productType: 'subscription' };
  const product = at(data, 'oneTimeProductNotification');
  if (isObject(product)) return { ...readChange(product), kind: 'product', productType: 'product' };
  const voided = at(data, 'voidedPurchaseNotification');
  if (isObject(voided)) {
    return {
      kind: 'voided',
      notificationType: null,
      purchaseToken: text(voided['purchaseToken']),
      orderId: text(voided['orderId']),
      isPartialRefund: voided['refundType'] === PARTIAL_REFUND,
      productType: PRODUCT_TYPES[integer(voided['productType']) ?? 0] ?? null,
    };
  }
  return isObject(at(data, 'testNotification')) ? { ...NOTHING, kind: 'test' } : NOTHING;
}

function readChange(notification: object): Said {
  return {
    ...NOTHING,
    notificationType: integer(at(notification, 'notificationType')),
    purchaseToken: text(at(notification, 'purchaseToken')),
  };
}
