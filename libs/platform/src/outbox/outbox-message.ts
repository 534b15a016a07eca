/** A mail, ready to be sent. */
export interface OutgoingMail {
  readonly to: string;
  readonly subject: string;
  /** Plain text, paragraphs parted by an empty line. */
  readonly text: string;
  /** The language it is in (BCP 47). */
  readonly language: string;
}

/** Every kind of message and what it carries. A new kind is a line here and one in `OUTBOX_KINDS`. */
export interface OutboxPayloads {
  readonly mail: OutgoingMail;
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
};

function text(stored: unknown, name: string): string {
  const value: unknown = typeof stored === 'object' && stored !== null ? Reflect.get(stored, name) : undefined;
  if (typeof value !== 'string') throw new Error(`A stored message has no "${name}"`);
  return value;
}
