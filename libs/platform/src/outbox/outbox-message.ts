/** A mail, ready to be sent. */
export interface OutgoingMail {
  readonly to: string;
  readonly subject: string;
  /** Plain text, paragraphs parted by an empty line. */
  readonly text: string;
  /** The language it is in (BCP 47). */
  readonly language: string;
}

/** Apple is to be told whose a purchase is, so that all it sends later names him. */
export interface AppleAccountToken {
  readonly environment: 'production' | 'sandbox';
  readonly originalTransactionId: string;
  readonly accountToken: string;
}

/** Apple is to be told how much of a purchase was used whose money is asked back. */
export interface AppleConsumptionReport {
  readonly environment: 'production' | 'sandbox';
  readonly transactionId: string;
  readonly isDelivered: boolean;
  /** Thousandths of a percent; null = Apple is told no figure. */
  readonly used: number | null;
  /** An auto-renewable subscription, of which Apple takes no figure at all. */
  readonly renews: boolean;
}

/** Every kind of message and what it carries. A new kind is a line here and one in `OUTBOX_KINDS`. */
export interface OutboxPayloads {
  readonly mail: OutgoingMail;
  readonly apple_account_token: AppleAccountToken;
  readonly apple_consumption: AppleConsumptionReport;
}

export type OutboxKind = keyof OutboxPayloads;

/** Something that is to happen once, outside of this database. */
export type OutboxMessage = {
  [Kind in OutboxKind]: { readonly kind: Kind; readonly payload: OutboxPayloads[Kind] };
}[OutboxKind];

interface KindRules<Payload> {
  /** Whether the payload is nobody's business and sealed in the row. */
  readonly isSealed: boolean;
  /** What was stored, if it is what this version expects. @throws Error */
  parse(stored: unknown): Payload;
}

export const OUTBOX_KINDS: { readonly [Kind in OutboxKind]: KindRules<OutboxPayloads[Kind]> } = {
  // An address, and now and then a code that lets its reader in.
  mail: {
    isSealed: true,
    parse: (stored) => ({
      to: text(stored, 'to'),
      subject: text(stored, 'subject'),
      text: text(stored, 'text'),
      language: text(stored, 'language'),
    }),
  },
  apple_account_token: {
    isSealed: false,
    parse: (stored) => ({
      environment: environment(stored),
      originalTransactionId: text(stored, 'originalTransactionId'),
      accountToken: text(stored, 'accountToken'),
    }),
  },
  apple_consumption: {
    isSealed: false,
    parse: (stored) => ({
      environment: environment(stored),
      transactionId: text(stored, 'transactionId'),
      isDelivered: field(stored, 'isDelivered') === true,
      used: typeof field(stored, 'used') === 'number' ? Number(field(stored, 'used')) : null,
      renews: field(stored, 'renews') === true,
    }),
  },
};

function text(stored: unknown, name: string): string {
  const value = field(stored, name);
  if (typeof value !== 'string') throw new Error(`A stored message has no "${name}"`);
  return value;
}

function environment(stored: unknown): 'production' | 'sandbox' {
  return text(stored, 'environment') === 'production' ? 'production' : 'sandbox';
}

function field(stored: unknown, name: string): unknown {
  return typeof stored === 'object' && stored !== null ? Reflect.get(stored, name) : undefined;
}
