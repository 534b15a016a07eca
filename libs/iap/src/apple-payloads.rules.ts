import { type AppleRenewal, type AppleTransaction } from './apple-facts.js';
import { type StoreEnvironment } from './store.js';

/** What stands in a JWS, before anything of it is believed. */
export interface PeekedJws {
  /** `x5c`, in base64: leaf, intermediate, root. Empty when there is none. */
  readonly chain: readonly string[];
  readonly payload: JsonObject;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** Xcode and LocalTesting are missing on purpose: what they sign is signed by nobody. */
const ENVIRONMENTS: Readonly<Record<string, StoreEnvironment>> = { Production: 'production', Sandbox: 'sandbox' };
const BASE64URL = /^[A-Za-z0-9_-]+$/;
/** Apple's numbers begin at 1: `0` is what Xcode writes. */
const STORE_ID = /^(?!0+$)\d{1,20}$/;
const CURRENCY = /^[A-Z]{3}$/;
const COUNTRY = /^[A-Z]{2,3}$/;
const PRODUCT_ID = /^.{1,255}$/su;
/** Thousandths of a unit. More was never charged for anything, and would fit into no column. */
const HIGHEST_PRICE = 100_000_000_000_000;
/** All of it, in thousandths of a percent. */
const WHOLE = 100_000;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Apple's have 1,500. Larger ones are made to be slow to read (0.1 s for 8,000 extensions). */
const MAX_CERTIFICATE_CHARS = 8192;
/** The last instant that a Date can hold, in milliseconds since 1970. */
const LAST_INSTANT = 8.64e15;

/** Apple's ids of transactions are numbers in decimal; anything else could be a path. */
export function isStoreId(text: string): boolean {
  return STORE_ID.test(text);
}

/** Reads a JWS without believing it; null when it is none. */
export function peek(jws: string): PeekedJws | null {
  const parts = jws.split('.', 4);
  const [head, body] = parts;
  if (parts.length !== 3 || head === undefined || body === undefined || !parts.every((part) => BASE64URL.test(part))) {
    return null;
  }
  const header = parseObject(head);
  const payload = parseObject(body);
  if (header === null || payload === null) return null;
  const certificates: readonly unknown[] = Array.isArray(header['x5c']) ? header['x5c'] : [];
  const chain = certificates.filter((one) => typeof one === 'string');
  return chain.some(({ length }) => length > MAX_CERTIFICATE_CHARS) ? null : { chain, payload };
}

/** The environment that a payload names for itself; null when it is none of the App Store's. */
export function environmentOf(payload: JsonObject): StoreEnvironment | null {
  return environmentNamed(payload['environment']);
}

/** The same of a notification, which names it inside of what it is about. */
export function environmentOfNotification(payload: JsonObject): StoreEnvironment | null {
  const { data, summary, externalPurchaseToken, appData } = payload;
  for (const about of [data, summary, appData]) if (isObject(about)) return environmentOf(about);
  if (!isObject(externalPurchaseToken)) return null;
  return text(externalPurchaseToken['externalPurchaseId'])?.startsWith('SANDBOX') === true ? 'sandbox' : 'production';
}

/** A verified transaction as a fact; null when it lacks what makes it one (as the payload of anything else does). */
export function transactionOf(payload: object): AppleTransaction | null {
  const from: JsonObject = { ...payload };
  const transactionId = storeId(from['transactionId']);
  const originalTransactionId = storeId(from['originalTransactionId']);
  const environment = environmentOf(from);
  const signedDate = instant(from['signedDate']);
  const purchaseDate = instant(from['purchaseDate']);
  const productId = matching(from['productId'], PRODUCT_ID);
  const type = text(from['type']);
  const webOrderLineItemId = storeId(from['webOrderLineItemId']);
  const previousOriginalTransactionId = storeId(from['previousOriginalTransactionId']);
  if (transactionId === null || originalTransactionId === null || environment === null) return null;
  if (signedDate === null || purchaseDate === null || productId === null || type === null) return null;
  return {
    transactionId,
    originalTransactionId,
    environment,
    signedDate,
    purchaseDate,
    originalPurchaseDate: instant(from['originalPurchaseDate']),
    expiresDate: instant(from['expiresDate']),
    productId,
    type,
    ownership: text(from['inAppOwnershipType']) ?? 'PURCHASED',
    isUpgraded: from['isUpgraded'] === true,
    revocationDate: instant(from['revocationDate']),
    revocationReason: integer(from['revocationReason']),
    revocationType: text(from['revocationType']),
    revocationPercentage: percentage(from['revocationPercentage']),
    price: price(from['price']),
    currency: matching(from['currency'], CURRENCY),
    offerType: integer(from['offerType']),
    offerDiscountType: text(from['offerDiscountType']),
    transactionReason: text(from['transactionReason']),
    storefront: matching(from['storefront'], COUNTRY),
    appAccountToken: uuid(from['appAccountToken']),
    appTransactionId: appTransactionIdOf(from),
    ...(webOrderLineItemId === null ? {} : { webOrderLineItemId }),
    ...(previousOriginalTransactionId === null ? {} : { previousOriginalTransactionId }),
  };
}

/** Whose app a verified payload is about; null where it does not say. */
export function appTransactionIdOf(payload: object): string | null {
  const from: JsonObject = { ...payload };
  return storeId(from['appTransactionId']);
}

/** A verified renewal info as a fact; null when it lacks what makes it one. */
export function renewalOf(payload: object): AppleRenewal | null {
  const from: JsonObject = { ...payload };
  const originalTransactionId = storeId(from['originalTransactionId']);
  const environment = environmentOf(from);
  const signedDate = instant(from['signedDate']);
  if (originalTransactionId === null || environment === null || signedDate === null) return null;
  const autoRenewStatus = integer(from['autoRenewStatus']);
  return {
    originalTransactionId,
    environment,
    signedDate,
    productId: text(from['productId']),
    autoRenewProductId: text(from['autoRenewProductId']),
    willRenew: autoRenewStatus === null ? null : autoRenewStatus === 1,
    isInBillingRetry: from['isInBillingRetryPeriod'] === true,
    gracePeriodExpiresDate: instant(from['gracePeriodExpiresDate']),
    expirationIntent: integer(from['expirationIntent']),
    priceIncreaseStatus: integer(from['priceIncreaseStatus']),
    renewalPrice: price(from['renewalPrice']),
    currency: matching(from['currency'], CURRENCY),
    appAccountToken: uuid(from['appAccountToken']),
  };
}

function environmentNamed(name: unknown): StoreEnvironment | null {
  return typeof name === 'string' && Object.hasOwn(ENVIRONMENTS, name) ? (ENVIRONMENTS[name] ?? null) : null;
}

function parseObject(part: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function storeId(value: unknown): string | null {
  return typeof value === 'string' && isStoreId(value) ? value : null;
}

function uuid(value: unknown): string | null {
  return typeof value === 'string' && UUID.test(value) ? value.toLowerCase() : null;
}

function integer(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
}

function matching(value: unknown, form: RegExp): string | null {
  return typeof value === 'string' && form.test(value) ? value : null;
}

/** A figure that cannot be is left out: it harms nothing but itself. */
function price(value: unknown): number | null {
  const parts = integer(value);
  return parts !== null && parts >= 0 && parts <= HIGHEST_PRICE ? parts : null;
}

function percentage(value: unknown): number | null {
  const share = integer(value);
  return share !== null && share >= 0 && share <= WHOLE ? share : null;
}

/** Apple writes instants as whole milliseconds, and some of its test servers with a fraction. */
function instant(value: unknown): number | null {
  return typeof value === 'number' && Math.abs(value) <= LAST_INSTANT ? Math.trunc(value) : null;
}
