import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DAY_MS } from '#kernel';
import { type StorePayment } from '#payments';
import { APPLE_DEEDS, AppStoreLife } from '../../../test/histories/app-store-life.js';
import { PLAY_DEEDS, PlayLife } from '../../../test/histories/play-life.js';
import {
  appleRenewal,
  appleTransaction,
  catalogue,
  googleItem,
  googleOrder,
  googleSnapshot,
  hasAccess,
  onDay,
} from '../../../test/histories/store-facts.js';
import { partsOfMoney } from './amount.rules.js';
import { type AppleFacts, type AppleNews } from './apple-facts.js';
import { mergeApple, NOTHING_OF_APPLE } from './apple.rules.js';
import { type GoogleFacts } from './google-facts.js';
import { mergeGoogle, NOTHING_OF_GOOGLE } from './google.rules.js';
import { type Facts, type Standing } from './purchase.js';
import { derive, paymentsOf } from './purchase.rules.js';

const RUNS = { numRuns: 400 };
const GRANTING = ['trial', 'active', 'cancelled', 'grace'];

/** A life in the App Store of up to 25 deeds, and the news of it. */
const anyAppStoreLife = fc
  .record({
    isFamily: fc.constantFrom(false, false, true),
    isTrial: fc.boolean(),
    deeds: fc.array(
      fc.record({
        deed: fc.constantFrom(...APPLE_DEEDS),
        afterDays: fc.constantFrom(0, 0, 0.5, 1, 5, 20, 45),
        share: fc.integer({ min: 1, max: 100_000 }),
      }),
      { maxLength: 25 },
    ),
  })
  .map(({ isFamily, isTrial, deeds }) => {
    const life = new AppStoreLife(isFamily, isTrial);
    for (const deed of deeds) life.attempt(deed);
    return life;
  });

/** A life of a token of Play's of up to 25 deeds, and the news of it. */
const anyPlayLife = fc
  .record({
    plan: fc.constantFrom('renewing', 'trial', 'prepaid', 'pending'),
    deeds: fc.array(
      fc.record({ deed: fc.constantFrom(...PLAY_DEEDS), afterDays: fc.constantFrom(0, 0, 0.5, 1, 5, 20, 45) }),
      { maxLength: 25 },
    ),
  })
  .map(({ plan, deeds }) => {
    const life = new PlayLife(plan);
    for (const deed of deeds) life.attempt(deed);
    return life;
  });

/** The news in any order, some of them twice. */
function anyDelivery<N>(news: readonly N[]): fc.Arbitrary<readonly N[]> {
  return fc.subarray([...news]).chain((again) => {
    const all = [...news, ...again];
    return fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length });
  });
}

/** Few ids, few versions, few values: what contradicts itself in every way, also what no store would ever say. */
const anyAppleNews: fc.Arbitrary<AppleNews> = fc.record({
  transactions: fc.array(
    fc
      .record({
        transactionId: fc.constantFrom('9', '10', '11'),
        signedDate: fc.nat(3).map(onDay),
        purchaseDate: fc.constantFrom(0, 10, 30, 60).map(onDay),
        expiresDate: fc.constantFrom(onDay(10), onDay(40), onDay(70), null),
        productId: fc.constantFrom('monthly', 'plus', 'pass', 'lifetime', 'coins'),
        type: fc.constantFrom('Auto-Renewable Subscription', 'Non-Renewing Subscription', 'Non-Consumable'),
        ownership: fc.constantFrom('PURCHASED', 'FAMILY_SHARED'),
        isUpgraded: fc.boolean(),
        revocationDate: fc.constantFrom(null, null, onDay(5), onDay(35)),
        revocationType: fc.constantFrom(null, 'REFUND_FULL', 'REFUND_PRORATED', 'FAMILY_REVOKE'),
        revocationPercentage: fc.constantFrom(null, 50_000),
        price: fc.constantFrom(null, 0, 9990),
        offerDiscountType: fc.constantFrom(null, 'FREE_TRIAL', 'PAY_UP_FRONT'),
        transactionReason: fc.constantFrom(null, 'PURCHASE', 'RENEWAL'),
      })
      .map(appleTransaction),
    { maxLength: 4 },
  ),
  renewals: fc.array(
    fc
      .record({
        signedDate: fc.constantFrom(0, 1, 10, 40, 60).map(onDay),
        autoRenewProductId: fc.constantFrom(null, 'monthly', 'plus'),
        willRenew: fc.constantFrom(null, true, false),
        isInBillingRetry: fc.boolean(),
        gracePeriodExpiresDate: fc.constantFrom(null, onDay(45), onDay(75)),
        expirationIntent: fc.constantFrom(null, 1, 2, 3, 4, 5),
      })
      .map(appleRenewal),
    { maxLength: 2 },
  ),
});

const STATES = ['ACTIVE', 'CANCELED', 'IN_GRACE_PERIOD', 'ON_HOLD', 'PAUSED', 'PENDING', 'EXPIRED', 'PURCHASED'];

const anyGoogleNews: fc.Arbitrary<Partial<GoogleFacts>> = fc.record(
  {
    snapshot: fc
      .record({
        seq: fc.nat(3),
        kind: fc.constantFrom('subscription', 'subscription', 'product'),
        state: fc.constantFrom(...STATES),
        startTime: fc.constantFrom(null, onDay(0), onDay(0), onDay(0)),
        items: fc.array(
          fc
            .record({
              productId: fc.constantFrom('vpn', 'plus', 'pass', 'lifetime', 'coins'),
              basePlanId: fc.constantFrom(null, 'monthly', 'yearly'),
              expiryTime: fc.constantFrom(null, onDay(10), onDay(40), onDay(70)),
              orderId: fc.constantFrom(null, 'GPA.1', 'GPA.2'),
              autoRenews: fc.constantFrom(null, true, false),
              phase: fc.constantFrom(null, 'base', 'trial'),
            })
            .map(googleItem),
          { maxLength: 3 },
        ),
      })
      .map(googleSnapshot),
    orders: fc.array(
      fc
        .record({
          orderId: fc.constantFrom('GPA.1', 'GPA.2', 'GPA.2..0'),
          seq: fc.nat(3),
          state: fc.constantFrom(null, 'PROCESSED', 'REFUNDED', 'CANCELED', 'PENDING'),
          createTime: fc.constantFrom(0, 30, 60).map(onDay),
        })
        .map(googleOrder),
      { maxLength: 4 },
    ),
    voids: fc.array(
      fc.record({
        orderId: fc.constantFrom('GPA.1', 'GPA.2'),
        at: fc.nat(3).map(onDay),
        isPartial: fc.boolean(),
        reason: fc.constantFrom(null, 0, 7, 8),
      }),
      { maxLength: 3 },
    ),
    revokedAt: fc.constantFrom(null, onDay(5), onDay(20)),
    supersededBy: fc.constantFrom(null, null, null, 'a', 'b'),
  },
  { requiredKeys: [] },
);

/** Instants from the first of January 2026 on, to the half day, where things happen and between them. */
const anyInstant = fc.integer({ min: 0, max: 400 }).map((halves) => new Date(onDay(halves / 2)));

function apple(news: readonly AppleNews[]): AppleFacts {
  return news.reduce(mergeApple, NOTHING_OF_APPLE);
}

function google(news: readonly Partial<GoogleFacts>[]): GoogleFacts {
  return news.reduce(mergeGoogle, NOTHING_OF_GOOGLE);
}

function standing(facts: Facts, at: Date): Standing {
  return derive(facts, catalogue, at);
}

function payments(facts: Facts): readonly StorePayment[] {
  return paymentsOf(facts, 'key', catalogue, new Date(0));
}

function access(facts: Facts, at: Date): boolean {
  return hasAccess(standing(facts, at), at);
}

/** What a store has of it: what was paid without what went back, in thousandths. */
function takings(paid: readonly StorePayment[]): bigint {
  return paid
    .filter(({ status }) => status === 'completed' || status === 'refunded')
    .reduce((sum, { amount, refund }) => sum + partsOfMoney(amount, 3) - partsOfMoney(refund?.amount ?? '0', 3), 0n);
}

function expectEachOnce(paid: readonly StorePayment[], references: Iterable<string>): void {
  expect(paid.map(({ reference }) => reference).toSorted()).toEqual([...references].toSorted());
}

describe('the order of the news, and that some come twice, makes no difference', () => {
  it('to what is known of a purchase in the App Store, nor to what follows from it', () => {
    const anyTold = anyAppStoreLife.chain(({ news }) =>
      fc.record({ news: fc.constant(news), told: anyDelivery(news), at: anyInstant }),
    );
    fc.assert(
      fc.property(anyTold, ({ news, told, at }) => {
        expect(apple(told)).toEqual(apple(news));
        expect(standing(apple(told), at)).toEqual(standing(apple(news), at));
        expect(payments(apple(told))).toEqual(payments(apple(news)));
      }),
      RUNS,
    );
  });

  it('to what is known of a purchase in Play, nor to what follows from it', () => {
    const anyTold = anyPlayLife.chain(({ news }) =>
      fc.record({ news: fc.constant(news), told: anyDelivery(news), at: anyInstant }),
    );
    fc.assert(
      fc.property(anyTold, ({ news, told, at }) => {
        expect(google(told)).toEqual(google(news));
        expect(standing(google(told), at)).toEqual(standing(google(news), at));
        expect(payments(google(told))).toEqual(payments(google(news)));
      }),
      RUNS,
    );
  });

  it('even where the news contradict each other', () => {
    const anyTold = fc
      .array(anyAppleNews, { maxLength: 4 })
      .chain((news) => fc.tuple(fc.constant(news), anyDelivery(news)));
    fc.assert(
      fc.property(anyTold, ([news, told]) => {
        expect(apple(told)).toEqual(apple(news));
      }),
      RUNS,
    );
    const anyOfPlay = fc
      .array(anyGoogleNews, { maxLength: 4 })
      .chain((news) => fc.tuple(fc.constant(news), anyDelivery(news)));
    fc.assert(
      fc.property(anyOfPlay, ([news, told]) => {
        expect(google(told)).toEqual(google(news));
      }),
      RUNS,
    );
  });

  it('nor does the order of the rows in which they are kept', () => {
    fc.assert(
      fc.property(anyAppStoreLife, anyPlayLife, anyInstant, (appStore, play, at) => {
        const ofApple = apple(appStore.news);
        const turned = { ...ofApple, transactions: ofApple.transactions.toReversed() };
        expect(standing(turned, at)).toEqual(standing(ofApple, at));
        expect(payments(turned)).toEqual(payments(ofApple));
        const ofGoogle = google(play.news);
        expect(payments({ ...ofGoogle, orders: ofGoogle.orders.toReversed() })).toEqual(payments(ofGoogle));
      }),
      RUNS,
    );
  });
});

describe('merging', () => {
  const newsOf = ({ transactions, renewal }: AppleFacts): AppleNews => ({
    transactions,
    renewals: renewal === null ? [] : [renewal],
  });

  it('of facts of the App Store is associative, commutative and idempotent', () => {
    const anyFacts = anyAppleNews.map((news) => apple([news]));
    const merge = (left: AppleFacts, right: AppleFacts): AppleFacts => mergeApple(left, newsOf(right));
    fc.assert(
      fc.property(anyFacts, anyFacts, anyFacts, (one, two, three) => {
        expect(merge(merge(one, two), three)).toEqual(merge(one, merge(two, three)));
        expect(merge(one, two)).toEqual(merge(two, one));
        expect(merge(one, one)).toEqual(one);
        expect(merge(one, NOTHING_OF_APPLE)).toEqual(one);
      }),
      RUNS,
    );
  });

  it('of facts of Play is associative, commutative and idempotent', () => {
    const anyFacts = anyGoogleNews.map((news) => google([news]));
    fc.assert(
      fc.property(anyFacts, anyFacts, anyFacts, (one, two, three) => {
        expect(mergeGoogle(mergeGoogle(one, two), three)).toEqual(mergeGoogle(one, mergeGoogle(two, three)));
        expect(mergeGoogle(one, two)).toEqual(mergeGoogle(two, one));
        expect(mergeGoogle(one, one)).toEqual(one);
        expect(mergeGoogle(one, NOTHING_OF_GOOGLE)).toEqual(one);
      }),
      RUNS,
    );
  });
});

describe('news that were lost are made up for', () => {
  it('by one look at all that the App Store has', () => {
    const anyLoss = anyAppStoreLife.chain((life) =>
      fc.record({ life: fc.constant(life), heard: fc.shuffledSubarray(life.news), at: anyInstant }),
    );
    fc.assert(
      fc.property(anyLoss, fc.boolean(), ({ life, heard, at }, isFirst) => {
        const all = apple([...life.news, life.snapshot()]);
        const mended = apple(isFirst ? [life.snapshot(), ...heard] : [...heard, life.snapshot()]);
        expect(mended).toEqual(all);
        expect(standing(mended, at).state).toBe(standing(apple(life.news), at).state);
        expect(payments(mended)).toEqual(payments(apple(life.news)));
      }),
      RUNS,
    );
  });

  it('by one question to Play, but for the word that it was revoked', () => {
    const anyLoss = anyPlayLife.chain((life) =>
      fc.record({ life: fc.constant(life), heard: fc.shuffledSubarray(life.news), at: anyInstant }),
    );
    fc.assert(
      fc.property(anyLoss, ({ life, heard, at }) => {
        const known = google(life.news);
        const mended = google([...heard, life.snapshot()]);
        expect(access(mended, at)).toBe(access(known, at));
        expect(standing(mended, at).accessUntil).toEqual(standing(known, at).accessUntil);
        expect(payments(mended)).toEqual(payments(known));
      }),
      RUNS,
    );
  });
});

describe('what follows from the facts is what is true in the store', () => {
  const anyDays = fc.constantFrom(0, 0.5, 1, 2, 3, 5, 10, 16, 20, 29, 30, 31, 45, 80);

  it('in the App Store', () => {
    fc.assert(
      fc.property(anyAppStoreLife, anyDays, (life, days) => {
        const at = life.now + days * DAY_MS;
        const truth = life.stateAt(at);
        const facts = apple(life.news);
        expect(standing(facts, new Date(at)).state).toBe(truth);
        expect(access(facts, new Date(at))).toBe(GRANTING.includes(truth));
      }),
      { numRuns: 2000 },
    );
  });

  it('in Play', () => {
    fc.assert(
      fc.property(anyPlayLife, anyDays, (life, days) => {
        const at = life.now + days * DAY_MS;
        const truth = life.stateAt(at);
        const facts = google(life.news);
        expect(standing(facts, new Date(at)).state).toBe(truth);
        expect(access(facts, new Date(at))).toBe(GRANTING.includes(truth));
      }),
      { numRuns: 2000 },
    );
  });

  it('and no access at any instant is had in a state that grants none', () => {
    fc.assert(
      fc.property(anyAppleNews, anyGoogleNews, anyInstant, (ofApple, ofGoogle, at) => {
        for (const facts of [apple([ofApple]), google([ofGoogle])]) {
          const { state, accessUntil } = standing(facts, at);
          const isGranted = GRANTING.includes(state) && (accessUntil === null || at < accessUntil);
          if (access(facts, at)) expect(isGranted).toBe(true);
          if (GRANTING.includes(state)) expect(isGranted).toBe(true);
        }
      }),
      RUNS,
    );
  });
});

describe('the payments are what the store charged, each once', () => {
  it('in the App Store', () => {
    fc.assert(
      fc.property(anyAppStoreLife, (life) => {
        const paid = payments(apple(life.news));
        const charged = [...life.charges.values()].reduce((sum, { price, refunded }) => sum + price - refunded, 0);
        expect(takings(paid)).toBe(BigInt(charged));
        expectEachOnce(paid, life.charges.keys());
      }),
      { numRuns: 1000 },
    );
  });

  it('in Play', () => {
    fc.assert(
      fc.property(anyPlayLife, (life) => {
        const paid = payments(google(life.news));
        const charged = [...life.orders.values()].reduce(
          (sum, { total, refunded }) =>
            sum + partsOfMoney(total?.amount ?? '0', 3) - partsOfMoney(refunded?.amount ?? '0', 3),
          0n,
        );
        expect(takings(paid)).toBe(charged);
        expectEachOnce(paid, life.orders.size === 0 ? ['token:key'] : life.orders.keys());
      }),
      { numRuns: 1000 },
    );
  });
});

describe('time alone', () => {
  it.each([
    ['the App Store', anyAppleNews.map((news): Facts => apple([news]))],
    ['Play', anyGoogleNews.map((news): Facts => google([news]))],
    ['a life in the App Store', anyAppStoreLife.map(({ news }): Facts => apple(news))],
    ['a life in Play', anyPlayLife.map(({ news }): Facts => google(news))],
  ])('only takes access away, once the purchase has begun: %s', (_store, anyFacts) => {
    fc.assert(
      fc.property(anyFacts, anyInstant, anyInstant, (facts, one, other) => {
        const [before, after] = one <= other ? [one, other] : [other, one];
        const { startedAt } = standing(facts, before);
        fc.pre(startedAt !== null && startedAt <= before);
        if (access(facts, after)) expect(access(facts, before)).toBe(true);
      }),
      RUNS,
    );
  });

  it('is told beforehand: access ends where it was said to end, unless another line goes on', () => {
    fc.assert(
      fc.property(anyAppStoreLife, anyPlayLife, anyInstant, (appStore, play, at) => {
        for (const facts of [apple(appStore.news), google(play.news)]) {
          const { accessUntil } = standing(facts, at);
          if (!access(facts, at) || accessUntil === null) continue;
          expect(access(facts, new Date(accessUntil.getTime() - 1))).toBe(true);
          expect(access(facts, accessUntil)).toBe(false);
        }
      }),
      RUNS,
    );
  });
});

describe('a word that we have never heard of grants nothing', () => {
  const UNKNOWN = 'SOMETHING_NEW';

  it('that the App Store had not granted without it', () => {
    const words = ['type', 'ownership', 'revocationType', 'offerDiscountType', 'transactionReason'] as const;
    const numbers = ['offerType', 'revocationReason'] as const;
    fc.assert(
      fc.property(anyAppleNews, fc.constantFrom(...words, ...numbers), anyInstant, (news, name, at) => {
        const known = apple([news]);
        const value = words.some((word) => word === name) ? UNKNOWN : 99;
        const unknown = { ...known, transactions: known.transactions.map((one) => ({ ...one, [name]: value })) };
        if (access(unknown, at)) expect(access(known, at)).toBe(true);
      }),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(
        anyAppleNews,
        fc.constantFrom('expirationIntent', 'priceIncreaseStatus'),
        anyInstant,
        (news, name, at) => {
          const known = apple([news]);
          const unknown = { ...known, renewal: known.renewal === null ? null : { ...known.renewal, [name]: 99 } };
          expect(access(unknown, at)).toBe(access(known, at));
        },
      ),
      RUNS,
    );
  });

  it('as a state of Play, at any time', () => {
    fc.assert(
      fc.property(anyGoogleNews, fc.string(), anyInstant, (news, word, at) => {
        fc.pre(!STATES.includes(word));
        const { snapshot, ...known } = google([news]);
        fc.pre(snapshot !== null);
        expect(access({ ...known, snapshot: { ...snapshot, state: word } }, at)).toBe(false);
      }),
      RUNS,
    );
  });

  it('as the state of an order of Play, or as the reason of a void', () => {
    fc.assert(
      fc.property(anyGoogleNews, anyInstant, (news, at) => {
        const known = google([news]);
        const unknown = {
          ...known,
          orders: known.orders.map((order) => ({ ...order, state: UNKNOWN })),
          voids: known.voids.map((one) => ({ ...one, reason: 99 })),
        };
        expect(access(unknown, at)).toBe(access(known, at));
      }),
      RUNS,
    );
  });
});
