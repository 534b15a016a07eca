import { DomainError } from '#kernel';

/** What is told by an app receipt of StoreKit 1. Nothing of it is verified: it says which transactions to ask Apple about. */
export interface AppReceipt {
  readonly bundleId: string | null;
  /** As they stand in it, each once. */
  readonly transactionIds: readonly string[];
}

/** Largest receipt that is read, in bytes; real ones have 5-100 KiB. */
export const MAX_RECEIPT_BYTES = 1_048_576;

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const OCTET_STRING = 0x04;
const OBJECT_ID = 0x06;
const UTF8_STRING = 0x0c;
const IA5_STRING = 0x16;
const CONSTRUCTED_OCTET_STRING = 0x24;
/** `[0]`, explicit: it wraps what comes after the name of its kind. */
const CONTENT = 0xa0;
/** A length that is not said: what belongs to it ends with two zero bytes (BER; PKCS #7 is often written so). */
const INDEFINITE = 0x80;

const INDEFINITE_LENGTH = -1;

const ATTRIBUTE_BUNDLE_ID = 2;
const ATTRIBUTE_IN_APP = 17;
const ATTRIBUTE_TRANSACTION_ID = 1703;
const TRANSACTION_ID = /^(?!0+$)\d{1,20}$/;

/**
 * Reads an app receipt (PKCS #7, DER or BER) in one pass forward: each byte is looked at a fixed number of times, however the
 * receipt is made. (Apple's own reader takes 11 s for 85 KiB made for the purpose.)
 * @throws DomainError receipt_malformed
 */
export function readAppReceipt(bytes: Buffer): AppReceipt {
  if (bytes.length > MAX_RECEIPT_BYTES) throw new DomainError('receipt_malformed');
  const ids = new Set<string>();
  let bundleId: string | null = null;
  for (const [type, value] of attributes(contentOf(bytes))) {
    if (type === ATTRIBUTE_BUNDLE_ID) bundleId = textIn(value);
    if (type !== ATTRIBUTE_IN_APP) continue;
    for (const [field, inner] of attributes(value)) {
      const id = field === ATTRIBUTE_TRANSACTION_ID ? textIn(inner) : null;
      if (id !== null && TRANSACTION_ID.test(id)) ids.add(id);
    }
  }
  return { bundleId, transactionIds: [...ids] };
}

/** ContentInfo { OID, [0] SignedData { version, digest algorithms, { OID, [0] content } } } */
function contentOf(bytes: Buffer): Buffer {
  const contentInfo = new Cursor(bytes).enter(SEQUENCE);
  contentInfo.take(OBJECT_ID);
  const signedData = contentInfo.enter(CONTENT).enter(SEQUENCE);
  signedData.take(INTEGER);
  signedData.skip();
  const encapsulated = signedData.enter(SEQUENCE);
  encapsulated.take(OBJECT_ID);
  return encapsulated.enter(CONTENT).takeOctets();
}

/** SET OF SEQUENCE { type INTEGER, version INTEGER, value OCTET STRING } */
function* attributes(content: Buffer): Generator<readonly [type: number, value: Buffer]> {
  const set = new Cursor(new Cursor(content).take(SET));
  while (!set.isAtEnd) {
    const attribute = new Cursor(set.take(SEQUENCE));
    const type = attribute.take(INTEGER);
    attribute.take(INTEGER);
    // A number of more than 4 bytes is no type that Apple has.
    yield [type.length >= 1 && type.length <= 4 ? type.readIntBE(0, type.length) : -1, attribute.take(OCTET_STRING)];
  }
}

function textIn(value: Buffer): string | null {
  const cursor = new Cursor(value);
  const isText = cursor.tag === UTF8_STRING || cursor.tag === IA5_STRING;
  return isText ? cursor.take(cursor.tag).toString('latin1') : null;
}

/** A place in BER, which only moves forward and never past the end. */
class Cursor {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** The kind of the next element; undefined at the end. */
  get tag(): number | undefined {
    return this.bytes[this.at];
  }

  /** The content of the next element, which must be of this kind; moves behind it. */
  take(tag: number): Buffer {
    const length = this.header(tag);
    const start = this.at;
    if (length !== INDEFINITE_LENGTH) {
      this.at += length;
      return this.bytes.subarray(start, this.at);
    }
    // Where it ends is only told by reading what is in it. Its parts are taken out of it in turn, never deeper than a receipt is.
    while (!this.isEndOfContents) this.skip();
    this.at += 2;
    return this.bytes.subarray(start, this.at - 2);
  }

  /** A place at the start of the next element's content; this one is not used any more. */
  enter(tag: number): Cursor {
    const length = this.header(tag);
    return new Cursor(this.bytes.subarray(this.at, length === INDEFINITE_LENGTH ? undefined : this.at + length));
  }

  /** Moves behind the next element, whatever it is. */
  skip(): void {
    let open = 0;
    do {
      if (this.isEndOfContents) {
        this.at += 2;
        open -= 1;
      } else {
        const length = this.header(this.tag);
        if (length === INDEFINITE_LENGTH) open += 1;
        else this.at += length;
      }
    } while (open > 0);
  }

  /** An octet string in one piece, or in pieces that may be in pieces themselves. */
  takeOctets(): Buffer {
    if (this.tag === OCTET_STRING) return this.take(OCTET_STRING);
    const whole = this.enter(CONSTRUCTED_OCTET_STRING);
    const pieces: Buffer[] = [];
    let open = 0;
    while (!whole.isAtEnd && open >= 0) {
      if (whole.isEndOfContents) {
        whole.at += 2;
        open -= 1;
      } else if (whole.tag === OCTET_STRING) {
        pieces.push(whole.take(OCTET_STRING));
      } else if (whole.header(CONSTRUCTED_OCTET_STRING) === INDEFINITE_LENGTH) {
        open += 1;
      }
    }
    return Buffer.concat(pieces);
  }

  private get isEndOfContents(): boolean {
    return this.bytes[this.at] === 0 && this.bytes[this.at + 1] === 0;
  }

  /** Moves to the content of the next element and answers its length, which is there. */
  private header(tag: number | undefined): number {
    const first = this.bytes[this.at + 1];
    // Kinds of two bytes and more (their first ends in 11111) are not in a receipt.
    if (tag === undefined || this.tag !== tag || (tag & 0x1f) === 0x1f || first === undefined) {
      throw new DomainError('receipt_malformed');
    }
    this.at += 2;
    if (first === INDEFINITE) return INDEFINITE_LENGTH;
    const size = first & 0x7f;
    if (first > INDEFINITE && (size > 4 || this.at + size > this.bytes.length)) {
      throw new DomainError('receipt_malformed');
    }
    const length = first < INDEFINITE ? first : this.bytes.readUIntBE(this.at, size);
    if (first > INDEFINITE) this.at += size;
    if (this.at + length > this.bytes.length) throw new DomainError('receipt_malformed');
    return length;
  }
}
