import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { type Logger } from 'pino';
import { Clock, DomainError } from '#kernel';
import { isDatabaseUnavailable, LOG, Settings, UnitOfWork, UnreadableSecretError } from '#platform';
import { Endings, type StoreKeeper } from '#subscriptions';
import { type AppleNews } from './apple-facts.js';
import { AppleStorefront } from './apple.storefront.js';
import { type GoogleItem, type GoogleOrder, type GoogleSnapshot, type GoogleVoid } from './google-facts.js';
import { type GoogleOrderAnswer, type GooglePurchase, ordersBefore } from './google-answer.rules.js';
import { isKnownState, isLongOver, isOrderSettled, NOTHING_OF_GOOGLE } from './google.rules.js';
import { GoogleStorefront } from './google.storefront.js';
import { type Learnt, type Lesson, Purchases } from './purchases.service.js';
import { PurchasesRepository, type Question } from './purchases.repository.js';
import { nextQuestionAt } from './schedule.rules.js';
import { type StoreEnvironment, tokenKey } from './store.js';
import { StoreMetrics } from './store.metrics.js';
import { within } from './time-limit.js';

/** How many purchases are asked about at once: Apple allows 50 questions a second, and the database's pool is shared. */
const AT_ONCE = 4;
const BATCH = 100;
/** How many orders that were missed one question asks for, and at most where all of them are read anew. */
const MOST_MISSED = 12;
const MOST_ORDERS = 120;
/** How long the job that ends things waits for the stores in one run, in milliseconds. */
const PATIENCE_MS = 40_000;
const BUSY_RETRY_SECONDS = 2;
/** How long one question may take with all that it leads to, in milliseconds: less than its lease. */
const QUESTION_LIMIT_MS = 50_000;
/** How many purchases back a chain is followed by one question. The question about each of them follows it further. */
const LONGEST_CHAIN = 10;

interface AskOptions {
  readonly mayEnd?: boolean;
  /** Who presents the purchase. */
  readonly claim?: Lesson['claim'];
  readonly cause?: string;
  /** Reads what became of every transaction of the purchase, and not only what is new. */
  readonly isThorough?: boolean;
  /** The purchases of the chain that this question is about already, by their keys: a chain may lead back to itself. */
  readonly chain?: ReadonlySet<string>;
}

/** Asks the stores what has become of purchases, and has what they say learnt. */
@Injectable()
export class Asking implements StoreKeeper, OnModuleInit {
  private readonly running = new Map<number, Promise<void>>();

  constructor(
    private readonly uow: UnitOfWork,
    private readonly purchases: Purchases,
    private readonly repository: PurchasesRepository,
    private readonly apple: AppleStorefront,
    private readonly google: GoogleStorefront,
    private readonly endings: Endings,
    private readonly metrics: StoreMetrics,
    private readonly settings: Settings,
    private readonly clock: Clock,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    this.endings.keepStores(this);
  }

  /** Asks about what is due: hints that came, days before an end, failures to be repeated. Returns about how many. */
  async askDue(): Promise<number> {
    for (const id of await this.repository.newlyMapped(BATCH)) {
      await this.apart(id, () => this.purchases.rederive(id, 'mapped'));
    }
    const questions = await this.repository.leaseDue(BATCH);
    await this.askAll(questions, {});
    return questions.length;
  }

  /**
   * Asks about one purchase at once. Whoever wants the same meanwhile waits for the same answer; if another instance is at it, it is
   * to be tried again in a moment.
   * @throws DomainError store_unavailable | store_not_configured
   */
  askAbout(id: number, options: Pick<AskOptions, 'isThorough'> = {}): Promise<void> {
    const known = this.running.get(id);
    if (known !== undefined) return known;
    const asking = this.askLeased(id, options).finally(() => this.running.delete(id));
    this.running.set(id, asking);
    return asking;
  }

  /** Asks about purchases that are leased, some at a time; what has had no turn by `until` (of `performance.now()`) stays due. */
  private async askAll(
    questions: readonly Question[],
    options: AskOptions,
    until = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    const left = [...questions];
    const work = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        if (performance.now() > until) await this.repository.unanswered(next, this.clock.now());
        else {
          const question = next;
          await this.apart(question.id, () => this.ask(question, options));
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  async askBeforeEnding(purchaseIds: readonly number[]): Promise<void> {
    const ids = await this.repository.beginLeeway(purchaseIds, this.settings.purchases.outageLeewayHours);
    const questions = await this.repository.lease(ids);
    await this.askAll(questions, { mayEnd: false }, performance.now() + PATIENCE_MS);
    // Whom nobody could ask about goes on, or not, by the leeway alone.
    for (const id of await this.repository.onLeeway(ids)) {
      await this.apart(id, () => this.purchases.rederive(id, 'store unavailable', false));
    }
  }

  async end(purchaseIds: readonly number[], now: Date): Promise<number> {
    let ended = 0;
    for (const id of purchaseIds) {
      const learnt = await this.apart(id, () => this.purchases.rederive(id, 'clock'));
      const accessUntil = learnt?.standing.accessUntil ?? null;
      if (accessUntil !== null && accessUntil <= now) ended++;
    }
    return ended;
  }

  /** Asks Play about a token that somebody presents. `unknown`: it is none of this app's; `gone`: Play has forgotten it. */
  async redeemToken(purchaseToken: string, options: AskOptions): Promise<Learnt | 'unknown' | 'gone'> {
    const seq = await this.repository.nextQuestion();
    const answer = await this.google.purchase(purchaseToken, seq);
    if (answer.state !== 'found') return answer.state;
    return this.learnFromGoogle(purchaseToken, seq, answer, options);
  }

  private async askLeased(id: number, options: AskOptions): Promise<void> {
    const [question] = await this.repository.lease([id]);
    if (question === undefined) throw new DomainError('store_unavailable', { retryAfterSeconds: BUSY_RETRY_SECONDS });
    await this.ask(question, options);
  }

  /**
   * One question, under its lease.
   * @throws DomainError store_unavailable | store_not_configured
   */
  private async ask(question: Question, options: AskOptions): Promise<void> {
    this.uow.assertClosed();
    try {
      const asked =
        question.provider === 'apple'
          ? this.askApple(question, options).then(() => true)
          : this.askGoogle(question, options);
      const wasAnswered = await within(asked, performance.now() + QUESTION_LIMIT_MS);
      if (wasAnswered) await this.repository.answered(question);
      else await this.repository.unanswered(question, nextQuestionAt(question.checkFailures + 1, this.clock.now(), 0));
    } catch (error) {
      const retryAfter = error instanceof DomainError ? (error.retryAfterSeconds ?? 0) : 0;
      await this.repository.unanswered(
        question,
        nextQuestionAt(question.checkFailures + 1, this.clock.now(), retryAfter),
      );
      throw error;
    }
  }

  /**
   * The history is left out only when nothing was bought since the last answer: what was told of one transaction says nothing of those
   * before it. What carries the purchase on (it moved into a bundle, or out of one) is learnt with it.
   */
  private async askApple({ id, environment, key }: Question, options: AskOptions): Promise<void> {
    const statuses = (await this.apple.statuses(environment, key)) ?? NOTHING_TOLD;
    const latest = newsOf(statuses, key);
    const known = await this.repository.knownPayments(id);
    const askedAt = (await this.repository.read(id))?.askedAt ?? null;
    const isComplete =
      options.isThorough !== true &&
      askedAt !== null &&
      latest.transactions.length > 0 &&
      latest.transactions.every(
        ({ transactionId, purchaseDate }) => known.has(transactionId) && purchaseDate <= askedAt.getTime(),
      );
    const history = isComplete ? NOTHING_TOLD : await this.apple.history(environment, key);
    const told = together(statuses, history);
    const successors = told.transactions.filter(
      ({ previousOriginalTransactionId }) => previousOriginalTransactionId === key,
    );
    for (const successor of new Set(successors.map(({ originalTransactionId }) => originalTransactionId))) {
      if (successor !== key) await this.learnFromApple(environment, successor, newsOf(told, successor), options, false);
    }
    await this.learnFromApple(environment, key, newsOf(told, key), options, true);
  }

  private async learnFromApple(
    environment: StoreEnvironment,
    key: string,
    news: AppleNews,
    { cause = 'asked', mayEnd }: AskOptions,
    isAnswer: boolean,
  ): Promise<void> {
    await this.purchases.learn({
      key: { provider: 'apple', environment, key },
      news,
      cause,
      isAnswer,
      ...(mayEnd === undefined ? {} : { mayEnd }),
    });
  }

  /** False: Play does not know what it must know, which is no answer. */
  private async askGoogle(question: Question, options: AskOptions): Promise<boolean> {
    const { id } = question;
    const purchaseToken = this.tokenOf(question);
    if (purchaseToken === null) throw new Error(`Purchase ${id} has no token to ask with`);
    const seq = await this.repository.nextQuestion();
    const answer = await this.google.purchase(purchaseToken, seq);
    if (answer.state === 'found') {
      await this.learnFromGoogle(purchaseToken, seq, answer, options);
      return true;
    }
    const now = this.clock.now();
    const facts = (await this.repository.read(id))?.facts;
    const known = facts?.provider === 'google' ? { ...facts, orders: [] } : NOTHING_OF_GOOGLE;
    if (answer.state === 'gone' && isLongOver(known, now)) {
      this.log.info({ purchaseId: id, answer: answer.state }, 'Play forgot a purchase that is long over');
      await this.repository.update(id, { askedAt: now, isGone: true, nextCheckAt: null });
      return true;
    }
    // Play sold it, and it may run: nothing is taken away for this, and it is asked again.
    this.log.error({ purchaseId: id, answer: answer.state }, 'Play does not know a purchase that it must know');
    // What nothing was ever learnt of keeps none waiting that follows it.
    if (known.snapshot === null) await this.repository.update(id, { askedAt: now });
    return false;
  }

  private async learnFromGoogle(
    purchaseToken: string,
    seq: number,
    purchase: GooglePurchase,
    options: AskOptions,
  ): Promise<Learnt> {
    const { snapshot, linkedToken, expiredToken, expiredAccountToken } = purchase;
    const key = { provider: 'google', environment: 'production', key: tokenKey(purchaseToken) } as const;
    const chain = new Set(options.chain).add(key.key);
    const replaced = linkedToken ?? expiredToken;
    if (replaced !== null) await this.learnFirst(replaced, chain);
    const id = await this.repository.find(key);
    this.alarmAtUnknownState(id, snapshot);
    const orders = await this.ordersOf(id, seq, purchase, options);
    const voids: GoogleVoid[] = orders.flatMap(({ orderId, state, createTime, refundedAt }) =>
      state === 'REFUNDED' ? [{ orderId, at: refundedAt ?? createTime, isPartial: false, reason: null }] : [],
    );
    return this.purchases.learn({
      key,
      news: { snapshot, orders: orders.map(({ refundedAt: _, ...order }) => order), voids },
      purchaseToken,
      cause: options.cause ?? 'asked',
      isAnswer: true,
      ...(expiredAccountToken === null ? {} : { accountToken: expiredAccountToken }),
      ...(replaced === null ? {} : { replaces: { key: { ...key, key: tokenKey(replaced) }, purchaseToken: replaced } }),
      ...(options.claim === undefined ? {} : { claim: options.claim }),
      ...(options.mayEnd === undefined ? {} : { mayEnd: options.mayEnd }),
    });
  }

  /** A state of later days gives no access, so somebody who pays may have lost his. */
  private alarmAtUnknownState(purchaseId: number | null, snapshot: GoogleSnapshot): void {
    if (isKnownState(snapshot)) return;
    this.metrics.unknownState('google');
    const about = { purchaseId, kind: snapshot.kind, state: snapshot.state.slice(0, 64) };
    this.log.error(about, 'Play has a word for the state of a purchase that is not known here: it gives no access');
  }

  /**
   * Of a purchase that another replaces: it may replace one itself, and so have an owner whom nothing else names. It is asked about
   * here and now, without its lease: a question that waits for another one may wait for itself.
   */
  private async learnFirst(purchaseToken: string, chain: ReadonlySet<string>): Promise<void> {
    const key = { provider: 'google', environment: 'production', key: tokenKey(purchaseToken) } as const;
    const id = await this.repository.ensure(key, purchaseToken, NOTHING_OF_GOOGLE);
    if (chain.has(key.key) || chain.size >= LONGEST_CHAIN) return;
    if ((await this.repository.read(id))?.askedAt == null) await this.redeemToken(purchaseToken, { chain });
  }

  /** The token to ask with. @throws DomainError store_unavailable when no key opens it: nobody can ask, until it is told again */
  private tokenOf(question: Question): string | null {
    try {
      return this.repository.openToken(question);
    } catch (error) {
      if (!(error instanceof UnreadableSecretError)) throw error;
      this.log.error(
        { purchaseId: question.id },
        'the token of a purchase is sealed by a key that CONFIG_ENCRYPTION_KEY lacks: Play is asked when the app shows it again',
      );
      throw new DomainError('store_unavailable', { cause: error });
    }
  }

  /**
   * The orders of a purchase that there is something to learn of: those that its lines name, and, where nobody waits for the answer, renewals
   * that nobody told us of (Play names the last order of a purchase alone, but numbers them). Thoroughly: all of them. Those of
   * the purchases before it in the chain are left to these.
   */
  private async ordersOf(
    id: number | null,
    seq: number,
    { snapshot, linkedToken }: GooglePurchase,
    { claim, isThorough = false }: AskOptions,
  ): Promise<readonly AskedOrder[]> {
    const known = new Map(id === null ? [] : (await this.repository.orders(id)).map((one) => [one.orderId, one]));
    const facts = id === null ? undefined : (await this.repository.read(id))?.facts;
    const voids = facts?.provider === 'google' ? facts.voids : [];
    const before = linkedToken === null ? new Set<string>() : await this.ordersOfToken(linkedToken);
    const isOpen = (orderId: string): boolean => {
      const order = known.get(orderId);
      return order === undefined ? !before.has(orderId) : isThorough || !isOrderSettled(order, voids);
    };
    const asked = new Map<string, AskedOrder>();
    const earlier = new Map<string, GoogleItem>();
    for (const item of snapshot.items) {
      const { orderId } = item;
      if (orderId === null || asked.has(orderId)) continue;
      if (isOpen(orderId)) {
        const said = await this.google.order(orderId, seq);
        const answer = typeof said === 'string' ? null : said;
        asked.set(orderId, this.orderOf(item, orderId, seq, snapshot.startTime, answer, known.get(orderId)));
      }
      for (const one of ordersBefore(orderId)) earlier.set(one, item);
    }
    // Who waits for an answer does not wait for the past: the next question looks for it.
    if (claim !== undefined) return [...asked.values()];
    const [named] = snapshot.items;
    if (isThorough && named !== undefined) for (const orderId of known.keys()) earlier.set(orderId, named);
    const missed = [...earlier].filter(([orderId]) => !asked.has(orderId) && isOpen(orderId));
    const isFirst = snapshot.linkedKey === null;
    const left = missed.slice(0, isThorough ? MOST_ORDERS : MOST_MISSED);
    for (let some = left.splice(0, AT_ONCE); some.length > 0; some = left.splice(0, AT_ONCE)) {
      const said = await Promise.all(some.map(([orderId]) => this.google.order(orderId, seq)));
      if (said.includes('forbidden')) break; // nor may we see the others
      for (const [index, [orderId, item]] of some.entries()) {
        const answer = said[index];
        if (answer === undefined || typeof answer === 'string') continue;
        const order = this.earlierOrder(item, orderId, seq, isFirst, answer, known.get(orderId));
        if (order !== null) asked.set(orderId, order);
      }
    }
    return [...asked.values()];
  }

  /** The orders of a purchase that another carries on, and of those before it. */
  private async ordersOfToken(purchaseToken: string): Promise<ReadonlySet<string>> {
    const id = await this.repository.find({
      provider: 'google',
      environment: 'production',
      key: tokenKey(purchaseToken),
    });
    return id === null ? new Set() : this.repository.ordersOfChain(id);
  }

  /** What was paid for an item; where we may not ask, what is known of it, or what its plan says. */
  private orderOf(
    item: GoogleItem,
    orderId: string,
    seq: number,
    startTime: number | null,
    answer: GoogleOrderAnswer | null,
    known: GoogleOrder | undefined,
  ): AskedOrder {
    if (known !== undefined) return answer === null ? { ...known, refundedAt: null } : again(known, seq, answer);
    const { productId, basePlanId, expiryTime, phase, price } = item;
    const createTime = answer?.createTime ?? (/\.\.\d+$/.test(orderId) ? this.clock.now().getTime() : startTime);
    return {
      orderId,
      seq,
      state: answer?.state ?? null,
      total: answer?.total ?? null,
      refunded: answer?.refunded ?? null,
      refundedAt: answer?.refundedAt ?? null,
      createTime: createTime ?? this.clock.now().getTime(),
      productId,
      basePlanId,
      expiryTime,
      phase,
      price,
    };
  }

  /** An order that no line of the purchase names any more. */
  private earlierOrder(
    item: GoogleItem,
    orderId: string,
    seq: number,
    isFirst: boolean,
    answer: GoogleOrderAnswer,
    known: GoogleOrder | undefined,
  ): AskedOrder | null {
    if (known !== undefined) return again(known, seq, answer);
    const { state, total, refunded, refundedAt, createTime, expiryTime } = answer;
    if (createTime === null) return null;
    // Nothing was paid at first: a trial, unless it carries on another plan that was paid for.
    const isFree = total !== null && Number(total.amount) === 0 && !/\.\.\d+$/.test(orderId) && isFirst;
    return {
      orderId,
      seq,
      state,
      total,
      refunded,
      refundedAt,
      createTime,
      productId: answer.productId ?? item.productId,
      basePlanId: answer.basePlanId ?? item.basePlanId,
      expiryTime,
      phase: isFree ? 'trial' : 'base',
      price: null,
    };
  }

  /**
   * What is done for one purchase of many: it is told of when it fails, and stops none of the others. Null when it failed. Without a
   * database none would succeed.
   */
  private async apart<T>(purchaseId: number, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (isDatabaseUnavailable(error)) throw error;
      if (error instanceof DomainError) {
        this.log.warn({ purchaseId, code: error.code }, 'a store could not be asked about a purchase');
      } else {
        this.metrics.purchaseFailed();
        this.log.error({ purchaseId, err: error }, 'a purchase could not be brought up to date');
      }
      return null;
    }
  }
}

/** An order as Play told of it just now. */
type AskedOrder = GoogleOrder & Pick<GoogleOrderAnswer, 'refundedAt'>;

/** What was bought with an order stays what it was; what became of it is as Play says now. */
function again(known: GoogleOrder, seq: number, answer: GoogleOrderAnswer): AskedOrder {
  const { state, refunded, refundedAt } = answer;
  return { ...known, seq, state, total: answer.total ?? known.total, refunded, refundedAt };
}

const NOTHING_TOLD: AppleNews = { transactions: [], renewals: [] };

function together(one: AppleNews, other: AppleNews): AppleNews {
  return {
    transactions: [...one.transactions, ...other.transactions],
    renewals: [...one.renewals, ...other.renewals],
  };
}

/** What Apple told of one purchase, among all of its customer's. */
function newsOf({ transactions, renewals }: AppleNews, key: string): AppleNews {
  return {
    transactions: transactions.filter(({ originalTransactionId }) => originalTransactionId === key),
    renewals: renewals.filter(({ originalTransactionId }) => originalTransactionId === key),
  };
}
