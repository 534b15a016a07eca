import { describe, expect, it } from '@jest/globals';
import { type StorePayment } from '#payments';
import { type AppleRenewal, type AppleTransaction } from '../../libs/iap/src/apple-facts.js';
import { mergeApple, NOTHING_OF_APPLE } from '../../libs/iap/src/apple.rules.js';
import {
  type GoogleFacts,
  type GoogleItem,
  type GoogleOrder,
  type GoogleSnapshot,
} from '../../libs/iap/src/google-facts.js';
import { mergeGoogle, NOTHING_OF_GOOGLE } from '../../libs/iap/src/google.rules.js';
import { type Facts } from '../../libs/iap/src/purchase.js';
import { derive, paymentsOf } from '../../libs/iap/src/purchase.rules.js';
import {
  appleRenewal,
  appleTransaction,
  catalogue,
  googleItem,
  googleOrder,
  googleSnapshot,
  hasAccess,
  TERMS,
} from './store-facts.js';

/** A day or a minute of UTC: `2026-01-31`, `2026-01-31 18:00`. */
export type Moment = string;

interface Chapter {
  readonly on: Moment;
  /** What happened, for the reader. */
  readonly because: string;
}

/** What Apple says on a day; all of it is signed then. */
export interface AppleChapter extends Chapter {
  readonly transactions?: readonly AppleTransaction[];
  readonly renewal?: Partial<AppleRenewal>;
}

/** What is learnt from Play on a day. */
export interface PlayChapter extends Chapter {
  readonly snapshot?: Omit<Partial<GoogleSnapshot>, 'items' | 'seq'>;
  readonly item?: Partial<GoogleItem>;
  readonly orders?: readonly Partial<GoogleOrder>[];
  readonly said?: Partial<Pick<GoogleFacts, 'voids' | 'revokedAt' | 'supersededBy'>>;
}

interface Outcome {
  /** What he has at a moment, by what had been told until then. */
  readonly has: Readonly<Record<Moment, string>>;
  /** What the ledger says in the end. */
  readonly paid: readonly string[];
}

/** Tells a story of the App Store, and tests how it comes out. */
export function tellOfAppStore(title: string, chapters: readonly AppleChapter[], outcome: Outcome): void {
  const news = chapters.map(({ on, transactions = [], renewal }) => ({
    transactions: transactions.map((transaction) => ({ ...transaction, signedDate: ms(on) })),
    renewals: renewal === undefined ? [] : [appleRenewal({ signedDate: ms(on), ...renewal })],
  }));
  tell(title, chapters, outcome, (heard) =>
    heard.flatMap((chapter) => news[chapter] ?? []).reduce(mergeApple, NOTHING_OF_APPLE),
  );
}

/** Tells a story of Google Play, and tests how it comes out. */
export function tellOfPlay(title: string, chapters: readonly PlayChapter[], outcome: Outcome): void {
  const startTime = ms(chapters[0]?.on ?? '2026-01-01');
  const news = chapters.map(({ snapshot, item, orders = [], said }, index): Partial<GoogleFacts> => {
    const seq = index + 1;
    const asked = snapshot !== undefined || item !== undefined;
    return {
      ...said,
      orders: orders.map((order) => googleOrder({ seq, ...order })),
      ...(asked ? { snapshot: googleSnapshot({ startTime, ...snapshot, seq, items: [googleItem(item)] }) } : {}),
    };
  });
  tell(title, chapters, outcome, (heard) =>
    heard.flatMap((chapter) => news[chapter] ?? []).reduce(mergeGoogle, NOTHING_OF_GOOGLE),
  );
}

/** A month's transaction, from a day to a day. */
export function transaction(
  transactionId: string,
  from: Moment,
  until: Moment,
  change: Partial<AppleTransaction> = {},
): AppleTransaction {
  return appleTransaction({ transactionId, purchaseDate: ms(from), expiresDate: ms(until), ...change });
}

/** Milliseconds since 1970 of a moment. */
export function ms(moment: Moment): number {
  return Date.parse(`${moment.replace(' ', 'T')}${moment.includes(' ') ? ':00Z' : ''}`);
}

function tell(
  title: string,
  chapters: readonly Chapter[],
  { has, paid }: Outcome,
  hear: (chapters: readonly number[]) => Facts,
): void {
  const everything = [...chapters.keys()];

  describe(title, () => {
    it.each(Object.entries(has))('on %s: %s', (moment, expected) => {
      const at = ms(moment);
      const heard = everything.filter((chapter) => ms(chapters[chapter]?.on ?? '') <= at);
      expect(inWords(hear(heard), new Date(at))).toBe(expected);
    });

    it('is paid for as the store says', () => {
      expect(ledger(hear(everything))).toEqual(paid);
    });

    it('comes out the same when it is told backwards, and twice', () => {
      const backwards = hear([...everything.toReversed(), ...everything]);
      expect(backwards).toEqual(hear(everything));
      expect(ledger(backwards)).toEqual(paid);
    });
  });
}

function inWords(facts: Facts, at: Date): string {
  const standing = derive(facts, catalogue, at);
  const { state, accessUntil, autoRenewing, pendingTariffId, endedReason } = standing;
  return [
    `${hasAccess(standing, at) ? 'access' : 'no access'}, ${state}: ${tariffNamed(standing.tariffId)}`,
    accessUntil === null ? 'without end' : `until ${momentOf(accessUntil)}`,
    ...(autoRenewing ? ['renews'] : []),
    ...(pendingTariffId === null ? [] : [`then ${tariffNamed(pendingTariffId)}`]),
    ...(endedReason === null ? [] : [endedReason]),
  ].join(', ');
}

function ledger(facts: Facts): readonly string[] {
  return paymentsOf(facts, 'key', catalogue, new Date(0)).map(inAWord);
}

function inAWord({ paidAt, kind, amount, currency, status, refund }: StorePayment): string {
  const back = refund === null ? '' : `, ${refund.amount} back on ${momentOf(refund.at)}`;
  return `${momentOf(paidAt)} ${kind} ${amount} ${currency}, ${status}${back}`;
}

function tariffNamed(id: number | null): string {
  return Object.entries(TERMS).find(([, { tariffId }]) => tariffId === id)?.[0] ?? 'nothing';
}

function momentOf(date: Date): Moment {
  return date.toISOString().slice(0, 16).replace('T00:00', '').replace('T', ' ');
}
