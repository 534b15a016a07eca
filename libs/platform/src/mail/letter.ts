/** Every letter we write and what it speaks of. A new one is a line here; the languages are then incomplete until they have it. */
export interface LetterParams {
  readonly access_ends: { readonly tariff: string; readonly endsAt: Date };
  readonly access_ended: { readonly tariff: string; readonly endedAt: Date };
  /** A store (`App Store`, `Google Play`) could not charge for the next period; access goes on until `endsAt`, and the store tries again. */
  readonly payment_failed: { readonly tariff: string; readonly store: string; readonly endsAt: Date };
  /** The store could still not charge, and access has stopped; it comes back by itself once the store can. */
  readonly payment_stopped: { readonly tariff: string; readonly store: string; readonly stoppedAt: Date };
  /** A purchase in a store (`App Store`, `Google Play`) now belongs to the reader's account. */
  readonly purchase_came: { readonly tariff: string; readonly store: string; readonly movedAt: Date };
  /** And this one to another's. Who that is, is nobody's business. */
  readonly purchase_left: { readonly tariff: string; readonly store: string; readonly movedAt: Date };
}

/** A letter of one kind, or of any of several. */
export interface LetterOf<Kind extends keyof LetterParams> {
  readonly kind: Kind;
  readonly params: LetterParams[Kind];
}

export type Letter = { [Kind in keyof LetterParams]: LetterOf<Kind> }[keyof LetterParams];

export interface LetterText {
  /** One line; no secret, since it is shown on locked screens. */
  readonly subject: string;
  readonly paragraphs: readonly string[];
}

export type LetterCatalogue = {
  readonly [Kind in keyof LetterParams]: (params: LetterParams[Kind]) => LetterText;
};
