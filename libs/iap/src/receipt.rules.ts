import { DomainError } from '#kernel';
import { type StoreProvider } from '#tariffs';
import { MAX_RECEIPT_BYTES, readAppReceipt } from './apple-receipt.rules.js';

/** What an app sends as the proof of a purchase, and what it says about it. */
export interface ReceiptInput {
  readonly receipt: string;
  /** A hint: the app in the field says `apple` on every phone. */
  readonly provider: StoreProvider;
  readonly purchaseToken?: string | undefined;
  readonly productId?: string | undefined;
  readonly transactionId?: string | undefined;
}

/** What a receipt turned out to be. Nothing of it is verified yet. */
export type ReceiptShape =
  /** Signed by Apple, if it is: who has it has the purchase. */
  | { readonly kind: 'apple_jws'; readonly jws: string }
  /** Weak: anybody can write a number. At most three, to be asked about in this order; at least one. */
  | { readonly kind: 'apple_id'; readonly transactionIds: readonly string[] }
  /** A bearer secret of Play: who has it has the purchase. The names are what the app says. */
  | {
      readonly kind: 'google_token';
      readonly purchaseToken: string;
      readonly packageName: string | null;
      readonly productId: string | null;
    };

/** Its header is JSON, which starts with `{"`. */
const JWS = /^eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** Apple's numbers begin at 1: `0` is what Xcode writes, and nobody need be asked about it. */
const STORE_ID = /^(?!0+$)\d{1,20}$/;
/** Play's tokens have some 150 characters, and may have 1,500. They become part of a path, so none is `..`. */
const PURCHASE_TOKEN = /^[A-Za-z0-9][\w.~:-]{0,2047}$/;
const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}$/;
const DER_SEQUENCE = 0x30;
/** An id of 17 digits and more is no exact number in JavaScript, so it is read as text. */
const JSON_TRANSACTION_ID = /"transactionId"\s*:\s*"?(\d{1,20})\b/;
const PURCHASE_INFO = /"purchase-info"\s*=\s*"([A-Za-z0-9+/=]+)"/;
const TRANSACTION_ID = /"transaction-id"\s*=\s*"(\d{1,20})"/;

/**
 * Tells what was sent by its shape, since the field that should say so is not to be relied on. Takes time in proportion to its
 * length, whatever it is.
 * @throws DomainError receipt_malformed
 */
export function shapeOf(input: ReceiptInput): ReceiptShape {
  const receipt = input.receipt.trim();
  if (receipt.length > MAX_RECEIPT_BYTES) throw new DomainError('receipt_malformed');
  if (JWS.test(receipt)) return { kind: 'apple_jws', jws: receipt };
  if (receipt.startsWith('{')) return shapeOfJson(receipt, input);
  if (input.provider === 'google') {
    return googleToken(input.purchaseToken ?? receipt, null, input.productId ?? null);
  }
  if (STORE_ID.test(receipt)) return { kind: 'apple_id', transactionIds: [receipt] };
  return { kind: 'apple_id', transactionIds: idsInBase64(receipt, input.transactionId) };
}

/** `originalJson` of Play's library, or `jsonRepresentation` of StoreKit 2; the latter is what was signed, without the signature. */
function shapeOfJson(receipt: string, input: ReceiptInput): ReceiptShape {
  const { purchaseToken, packageName, productId, bundleId } = parseObject(receipt);
  if (typeof purchaseToken === 'string' && typeof packageName === 'string') {
    const named = typeof productId === 'string' ? productId : (input.productId ?? null);
    return googleToken(purchaseToken, packageName, named);
  }
  if (input.provider === 'google' && input.purchaseToken !== undefined) {
    return googleToken(input.purchaseToken, null, input.productId ?? null);
  }
  const id = typeof bundleId === 'string' ? JSON_TRANSACTION_ID.exec(receipt)?.[1] : undefined;
  if (id === undefined || !STORE_ID.test(id)) throw new DomainError('receipt_malformed');
  return { kind: 'apple_id', transactionIds: [id] };
}

function googleToken(purchaseToken: string, packageName: string | null, productId: string | null): ReceiptShape {
  if (!PURCHASE_TOKEN.test(purchaseToken)) throw new DomainError('receipt_malformed');
  return { kind: 'google_token', purchaseToken, packageName, productId };
}

/**
 * The receipts of StoreKit 1: of the whole app, or of one transaction. The transaction that the app means is asked about in any case:
 * a receipt that was not refreshed since is older than it, and may hold nothing at all.
 */
function idsInBase64(receipt: string, meant: string | undefined): readonly string[] {
  const bytes = BASE64.test(receipt) ? Buffer.from(receipt, 'base64') : Buffer.alloc(0);
  const ids = bytes[0] === DER_SEQUENCE ? readAppReceipt(bytes).transactionIds : idsInText(bytes.toString('latin1'));
  const isReceipt = receipt === '' || bytes[0] === DER_SEQUENCE || ids.length > 0;
  const asked = [isReceipt ? meant : undefined, ids[0], ids.at(-1)].filter(
    (id) => id !== undefined && STORE_ID.test(id),
  );
  if (asked.length === 0) throw new DomainError('receipt_malformed');
  return [...new Set(asked)].filter((id) => id !== undefined);
}

/** `{ "signature" = "..."; "purchase-info" = "<base64 of the like>"; }` */
function idsInText(text: string): readonly string[] {
  const info = text.startsWith('{') ? PURCHASE_INFO.exec(text)?.[1] : undefined;
  if (info === undefined) return [];
  const id = TRANSACTION_ID.exec(Buffer.from(info, 'base64').toString('latin1'))?.[1];
  return id === undefined || !STORE_ID.test(id) ? [] : [id];
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    throw new DomainError('receipt_malformed');
  }
}
