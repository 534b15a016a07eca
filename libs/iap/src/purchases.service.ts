import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { Users } from '#auth';
import { DomainError } from '#kernel';
import { StoreLedger } from '#payments';
import { DatabaseClock, LOG, Mail, Settings, UnitOfWork } from '#platform';
import { grantsAccess, Subscriptions } from '#subscriptions';
import { type MappedProduct, Tariffs } from '#tariffs';
import { type AppleNews, type AppleTransaction } from './apple-facts.js';
import { currentOf, endOfTransaction, mergeApple, NOTHING_OF_APPLE, supersedeApple } from './apple.rules.js';
import { type GoogleFacts, type GoogleVoid } from './google-facts.js';
import { hasEstimate, inheritedFrom, mergeGoogle, NOTHING_OF_GOOGLE } from './google.rules.js';
import { type Claim, ownerOf } from './ownership.rules.js';
import { type BoundBy, type Catalogue, type Facts, type Standing } from './purchase.js';
import { derive, paymentsOf } from './purchase.rules.js';
import { Reporting } from './reporting.service.js';
import { type PurchaseChange, type PurchaseRow, PurchasesRepository } from './purchases.repository.js';
import { acknowledgeDeadline, nextCheckAt } from './schedule.rules.js';
import { type PurchaseKey } from './store.js';

/** What was learnt about a purchase. */
export interface Lesson {
  readonly key: PurchaseKey;
  readonly news: AppleNews | Partial<GoogleFacts>;
  /** What it was learnt from, for the history: `apple:DID_RENEW`, `iap_verify`, `asked`. */
  readonly cause: string;
  /** Play's token, where the purchase may be new to us. */
  readonly purchaseToken?: string;
  /** The purchase that this one took the place of, with its token. */
  readonly replaces?: { readonly key: PurchaseKey; readonly purchaseToken: string };
  /** Whom the purchase names that this one, bought in Play itself, carries on. Told only until it is acknowledged. */
  readonly accountToken?: string;
  /** Who presents it. */
  readonly claim?: Claim;
  /** Whose it is from now on: a person decided. */
  readonly assignedTo?: number;
  /** It may be out of date: it is kept of what nobody has, but gives nothing to anybody until the store confirms it. */
  readonly isUnconfirmed?: boolean;
  /** The store itself was asked: what it did not say any more is so. */
  readonly isAnswer?: boolean;
  /** False: what is over by the clock is left to the job that ends things, and its brake. */
  readonly mayEnd?: boolean;
}

/** A purchase after something was learnt about it. */
export interface Learnt {
  readonly id: number;
  readonly userId: number | null;
  /** Its owner had it before this. */
  readonly wasOwned: boolean;
  readonly standing: Standing;
  readonly isTest: boolean;
  /** The subscription that follows it; null while it gives nobody anything. */
  readonly subscriptionId: number | null;
}

const STORE_NAMES = { apple: 'App Store', google: 'Google Play' } as const;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * The purchases: what is known of each, whose it is, and what follows from that. Everything that is ever learnt passes through
 * `learn`, in one transaction that locks the purchase, so that notifications, the app and the jobs may come at once and in any order.
 */
@Injectable()
export class Purchases {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly repository: PurchasesRepository,
    private readonly users: Users,
    private readonly tariffs: Tariffs,
    private readonly subscriptions: Subscriptions,
    private readonly ledger: StoreLedger,
    private readonly mail: Mail,
    private readonly reporting: Reporting,
    private readonly settings: Settings,
    private readonly clock: DatabaseClock,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /**
   * Adds what was learnt to what is known, and settles all that follows from it: owner, subscription, payments, what is to be asked
   * and acknowledged.
   * @throws DomainError proof_required | purchase_belongs_to_another_account | sandbox_not_allowed to who presents it; what was
   *   learnt is kept all the same.
   */
  async learn(lesson: Lesson): Promise<Learnt> {
    const { key, purchaseToken = null, replaces } = lesson;
    const nothing = key.provider === 'apple' ? NOTHING_OF_APPLE : NOTHING_OF_GOOGLE;
    const id = await this.repository.ensure(key, purchaseToken, nothing);
    const replacedId =
      replaces === undefined
        ? await this.carriedOn(id, lesson)
        : await this.repository.ensure(replaces.key, replaces.purchaseToken, NOTHING_OF_GOOGLE);
    const { learnt, refusal } = await this.learnAbout(id, replacedId, lesson);
    if (!learnt.wasOwned && learnt.userId !== null) await this.repository.askSuccessor(id);
    if (refusal !== null) throw new DomainError(refusal);
    return learnt;
  }

  private async learnAbout(
    id: number,
    replacedId: number | null,
    lesson: Pick<Lesson, 'cause' | 'news'> & Partial<Lesson>,
  ): Promise<{ learnt: Learnt; refusal: Refusal | null }> {
    // What was taken back counts in the whole chain: another token may name the same order.
    const successors = hasVoids(lesson.news) ? await this.repository.successors(id) : [];
    return this.uow.run(async () => {
      const ids = [id, ...(replacedId === null ? [] : [replacedId]), ...successors.map((one) => one.id)];
      if (successors.length > 0) await this.repository.lock(ids);
      const settled = await this.settle(id, replacedId, lesson);
      for (const one of successors) await this.settle(one.id, one.replacedId, { cause: lesson.cause });
      return settled;
    });
  }

  /**
   * The purchase of Apple's that this one carries on, by what is told now or was before. If nothing is known of it, Apple is to be asked:
   * it may have an owner whom nothing else names.
   */
  private async carriedOn(id: number, { key, news }: Lesson): Promise<number | null> {
    if (key.provider !== 'apple') return null;
    const previous = 'transactions' in news ? previousOf(news) : null;
    if (previous === null) return this.repository.replacedBy(id);
    const replacedId = await this.repository.ensure({ ...key, key: previous }, null, NOTHING_OF_APPLE);
    await this.repository.askIfUnknown(replacedId);
    return replacedId;
  }

  /** Derives a purchase anew from what is known: its terms changed, or its time is over. */
  async rederive(id: number, cause: string, mayEnd = true): Promise<Learnt> {
    const { learnt } = await this.uow.run(() => this.settle(id, null, { cause, mayEnd }));
    return learnt;
  }

  /** Notes that an order of Play's was given back, in the transaction of whoever gave it. */
  async noteVoid(id: number, { orderId, at }: Pick<GoogleVoid, 'orderId' | 'at'>): Promise<void> {
    const voids = [{ orderId, at, isPartial: false, reason: null }];
    await this.learnAbout(id, null, { news: { voids }, cause: 'admin' });
  }

  /** Whether news would take access away that is had now. Changes nothing. */
  async wouldEnd(key: PurchaseKey, news: AppleNews): Promise<boolean> {
    const id = await this.repository.find(key);
    if (id === null) return false;
    return this.uow.run(async () => {
      const [row] = await this.repository.lock([id]);
      if (row === undefined) return false;
      const facts = merge(row.facts, news);
      const catalogue = await this.catalogueOf(facts);
      const now = await this.clock.now();
      const before = holdOn(derive(row.facts, catalogue, now), row.leewayUntil, now);
      return grants(before, now) && !grants(derive(facts, catalogue, now), now);
    });
  }

  /** Notes that a customer of Apple's asked for his money, and has Apple told what he had of it. Apple decides. */
  noteRefundRequest({ id, userId, subscriptionId }: Learnt, about: AppleTransaction | null, at: Date): Promise<void> {
    return this.uow.run(async () => {
      await this.repository.markRefundRequested(id, at);
      if (about === null) return;
      const { environment, transactionId, productId } = about;
      const ids = await this.repository.idsOfPeriod(id, about);
      await this.ledger.markRefundRequested({ provider: 'apple', environment }, ids, at);
      if (userId === null || !(await this.reporting.mayTell(userId))) return;
      if (!(await this.repository.claimConsumptionReport(id, transactionId, at))) return;
      const mapped = await this.tariffs.ofStoreProducts('apple', [productId]);
      const endsAt = endOfTransaction(about, termsOf(mapped, productId, null));
      await this.reporting.consumed(about, endsAt, subscriptionId !== null, at);
    });
  }

  /**
   * A person decides whose a purchase is; the caller writes down who and why, in the same transaction.
   * @throws DomainError user_not_found | purchase_not_found | sandbox_not_allowed
   */
  assign(id: number, userId: number): Promise<Learnt> {
    return this.uow.run(async () => {
      await this.users.get(userId);
      const { learnt } = await this.settle(id, null, { cause: 'admin', assignedTo: userId });
      return learnt;
    });
  }

  private async settle(
    id: number,
    replacedId: number | null,
    lesson: Pick<Lesson, 'cause'> & Partial<Lesson>,
  ): Promise<{ learnt: Learnt; refusal: Refusal | null }> {
    const ids = replacedId === null ? [id] : [id, replacedId];
    const rows = await this.repository.lock(ids);
    const row = rows.find((candidate) => candidate.id === id);
    const found = rows.find((candidate) => candidate.id === replacedId) ?? null;
    const replaced = found === null || (await this.closesRing(id, found.id)) ? null : found;
    if (row === undefined) throw new DomainError('purchase_not_found');
    const isUnconfirmed = lesson.isUnconfirmed === true;
    const isKept = lesson.news === undefined || (isUnconfirmed && row.userId !== null);
    const told = isKept ? row.facts : merge(row.facts, lesson.news);
    const facts = replaced?.facts.provider === 'google' ? merge(told, inheritedFrom(replaced.facts)) : told;
    const catalogue = await this.catalogueOf(facts);
    const now = await this.clock.now();
    const standing = derive(facts, catalogue, now);
    const owner: Owner = isUnconfirmed
      ? { userId: row.userId, bound: null, counts: true, refusal: null }
      : await this.decideOwner(row, facts, standing, replaced, lesson, now);
    // Where the new one gives nothing (its product has no tariff), the old one is had to its end.
    const givesAccess = facts.provider === 'google' || standing.tariffId !== null;
    const isReplaced =
      replaced !== null && !isUnconfirmed && givesAccess && !['pending', 'void'].includes(standing.state);
    if (isReplaced) await this.supersede(replaced, { row, facts, owner }, lesson.cause, now);
    const learnt = await this.write({
      row,
      facts,
      standing,
      catalogue,
      owner,
      lesson,
      replacedId: isReplaced ? replacedId : null,
      now,
    });
    if (owner.bound === 'transfer' || owner.bound === 'admin') await this.tellOfMove(row, learnt, now);
    return { learnt, refusal: owner.refusal };
  }

  /** Of two purchases that are each said to replace the other, the one that was heard of first keeps its word: otherwise neither counts. */
  private async closesRing(id: number, replacedId: number): Promise<boolean> {
    const isRing = replacedId === id || (await this.repository.replaces(replacedId, id));
    if (isRing)
      this.log.error({ purchaseId: id, replacedId }, 'a purchase is said to replace the one that replaces it');
    return isRing;
  }

  /** Writes to who has a purchase now, and to who had it, in the transaction that moved it. */
  private async tellOfMove(
    { userId: from, provider }: PurchaseRow,
    { userId: to, standing }: Learnt,
    movedAt: Date,
  ): Promise<void> {
    if (!this.mail.isOn || from === to) return;
    const { tariffId, productId } = standing;
    const tariff = tariffId === null ? (productId ?? '') : (await this.tariffs.get(tariffId)).name;
    const params = { tariff, store: STORE_NAMES[provider], movedAt };
    for (const [userId, kind] of [
      [to, 'purchase_came'],
      [from, 'purchase_left'],
    ] as const) {
      if (userId === null) continue;
      const { email, locale } = await this.users.get(userId);
      await this.mail.put({ to: email, locale, letter: { kind, params } });
    }
  }

  /** The old purchase of a chain never grants again; whoever has the new one has it too. */
  private async supersede(
    replaced: PurchaseRow,
    { row: by, facts: of, owner }: Pick<Settlement, 'row' | 'facts' | 'owner'>,
    cause: string,
    now: Date,
  ): Promise<void> {
    const facts =
      replaced.facts.provider === 'apple'
        ? supersedeApple(replaced.facts, { key: by.key, at: beginningOf(of) })
        : merge(replaced.facts, { supersededBy: by.key });
    const catalogue = await this.catalogueOf(facts);
    const standing = derive(facts, catalogue, now);
    const userId = replaced.userId ?? owner.userId;
    const ofReplaced: Owner = {
      userId,
      bound: replaced.userId === null && userId !== null ? 'link' : null,
      counts: owner.counts,
      refusal: null,
    };
    await this.write({
      row: replaced,
      facts,
      standing,
      catalogue,
      owner: ofReplaced,
      lesson: { cause },
      replacedId: null,
      now,
    });
  }

  private async write(change: Settlement): Promise<Learnt> {
    const { row, facts, standing, catalogue, owner, lesson, replacedId, now } = change;
    const { userId } = owner;
    const isAnswer = lesson.isAnswer === true;
    const isGone = row.isGone && !isAnswer; // who answers has not forgotten it
    const leewayUntil = isAnswer ? null : row.leewayUntil;
    const held = holdOn(standing, leewayUntil, now);
    const isTest = isTestPurchase(row, facts);
    const isEstimated = facts.provider === 'google' && hasEstimate(facts);
    const columns: PurchaseChange = {
      state: standing.state,
      tariffId: standing.tariffId,
      productId: standing.productId,
      basePlanId: standing.basePlanId,
      accessUntil: standing.accessUntil,
      autoRenewing: standing.autoRenewing,
      accountToken: accountTokenOf(facts) ?? uuidOf(lesson.accountToken) ?? row.accountToken,
      isTest,
      leewayUntil,
      // What is to be asked stays so until the store has answered, whatever else is learnt meanwhile.
      nextCheckAt: isGone ? null : earlier(nextCheckAt(standing, now, isEstimated), isAnswer ? null : row.owedAt),
      acknowledgeBy: acknowledgeBy(row, facts, standing, userId, now),
      ...(isAnswer ? { askedAt: now, isGone } : {}),
      ...(replacedId === null ? {} : { linkedPurchaseId: replacedId }),
      ...(owner.bound === null ? {} : { userId, boundBy: owner.bound, boundAt: now }),
      ...(owner.given == null ? {} : { givenAccountToken: owner.given }),
      ...(owner.bound !== null && row.userId !== null && row.userId !== userId ? { transferredAt: now } : {}),
    };
    await this.repository.save(row, facts, columns);
    const subscriptionId =
      userId === null ? null : await this.follow(userId, row, { ...held, isTest }, owner.counts, lesson);
    const { provider, id } = row;
    const payments = paymentsOf(facts, row.key, catalogue, now);
    await this.ledger.record(userId, { id, provider, environment: row.environment, isTest }, subscriptionId, payments);
    const current = facts.provider === 'apple' ? currentOf(facts) : null;
    const isNewlyClaimed = owner.bound === 'claim' || owner.bound === 'admin';
    // A purchase that names somebody stays with him: where purchases move between accounts, none is given a name.
    const isNamed = this.settings.purchases.transferPolicy === 'keep';
    if (userId !== null && isNewlyClaimed && isNamed && current !== null) await this.reporting.claimed(userId, current);
    if (standing.tariffId === null && standing.productId !== null) {
      this.log.warn(
        { purchaseId: row.id, provider: row.provider, productId: standing.productId },
        'a product that belongs to no tariff was bought',
      );
    }
    return {
      id: row.id,
      userId,
      wasOwned: row.userId !== null && row.userId === userId,
      standing: held,
      isTest,
      subscriptionId,
    };
  }

  /** Moves the one subscription that follows the purchase. */
  private async follow(
    userId: number,
    row: PurchaseRow,
    standing: Standing & { readonly isTest: boolean },
    counts: boolean,
    lesson: Pick<Lesson, 'cause'> & Partial<Lesson>,
  ): Promise<number | null> {
    const following = await this.subscriptions.ofPurchase(row.id);
    const tariffId = standing.tariffId ?? following?.tariffId ?? null;
    if (tariffId === null || standing.startedAt === null || (!counts && following === null))
      return following?.id ?? null;
    // Over by the clock, and not to be ended here: its time is set right, and the job that ends things finds it.
    const isOverByClock = standing.state === 'expired' || standing.state === 'retry';
    const isLeft = isOverByClock && lesson.mayEnd === false && following !== null;
    return this.subscriptions.follow(
      userId,
      row.id,
      {
        source: row.provider,
        tariffId,
        state: !counts ? 'revoked' : isLeft ? following.state : standing.state,
        startedAt: standing.startedAt,
        periodStartedAt: standing.periodStartedAt,
        nextPeriodAt: standing.nextPeriodAt,
        endedAt: standing.endsAt,
        accessUntil: standing.accessUntil,
        graceUntil: standing.graceUntil,
        autoRenewing: standing.autoRenewing,
        isTrial: standing.isTrial,
        // Apple dates it anew with all it signs: the first date is when it was cancelled.
        cancelledAt: standing.cancelledAt === null ? null : (following?.cancelledAt ?? standing.cancelledAt),
        pendingTariffId: standing.pendingTariffId,
        endedReason: counts ? standing.endedReason : 'sandbox_not_allowed',
      },
      lesson.cause,
    );
  }

  private async decideOwner(
    row: PurchaseRow,
    facts: Facts,
    standing: Standing,
    replaced: PurchaseRow | null,
    { claim: presented, assignedTo, accountToken }: Pick<Lesson, 'cause'> & Partial<Lesson>,
    now: Date,
  ): Promise<Owner> {
    const claim = presented ?? null;
    if (assignedTo !== undefined) {
      // It would give the new owner nothing, and leave the access with the old one.
      if (!(await this.sandboxCounts(row, facts, assignedTo))) throw new DomainError('sandbox_not_allowed');
      return { userId: assignedTo, bound: 'admin', counts: true, refusal: null };
    }
    const token = accountTokenOf(facts) ?? uuidOf(accountToken) ?? row.accountToken;
    const named = token === null ? null : await this.users.findByAppAccountToken(token);
    const isGiven = token !== null && wasGiven(row, token, named);
    const known = {
      userId: row.userId,
      // A name that this service gave is a note of who came first, not the buyer's word: it holds nothing in place.
      namedUserId: isGiven ? null : named,
      linkedUserId: replaced?.userId ?? null,
      transferredAt: row.transferredAt,
      grantsAccess: grants(standing, now),
    };
    if (claim !== null && !(await this.sandboxCounts(row, facts, claim.userId))) {
      return { userId: row.userId, bound: null, counts: false, refusal: 'sandbox_not_allowed' };
    }
    const verdict = ownerOf(known, claim, this.settings.purchases.transferPolicy, now);
    // Refused or not, whom the purchase names gets it: what was learnt is kept.
    const settled = verdict.kind === 'refuse' ? ownerOf(known, null, 'keep', now) : verdict;
    const userId = settled.kind === 'refuse' ? row.userId : settled.userId;
    return {
      userId,
      bound: settled.kind === 'bind' ? settled.by : null,
      given: isGiven ? token : null,
      counts: userId === null || (await this.sandboxCounts(row, facts, userId)),
      refusal: verdict.kind === 'refuse' ? verdict.code : null,
    };
  }

  /** Whether a purchase counts that nobody paid for (TestFlight, App Review, licence testers). */
  private async sandboxCounts(row: PurchaseRow, facts: Facts, userId: number): Promise<boolean> {
    const { sandboxPolicy, sandboxTesters } = this.settings.purchases;
    if (sandboxPolicy === 'allow' || !isTestPurchase(row, facts)) return true;
    if (sandboxPolicy === 'reject') return false;
    return sandboxTesters.includes((await this.users.get(userId)).email);
  }

  private async catalogueOf(facts: Facts): Promise<Catalogue> {
    const mapped = await this.tariffs.ofStoreProducts(facts.provider, productsOf(facts));
    return (productId, basePlanId) => termsOf(mapped, productId, basePlanId);
  }
}

type Refusal = 'proof_required' | 'purchase_belongs_to_another_account' | 'sandbox_not_allowed';

interface Owner {
  readonly userId: number | null;
  /** Null = he was the owner before, or there is none. */
  readonly bound: BoundBy | null;
  /** The account token of the purchase, where this service gave it. */
  readonly given?: string | null;
  /** False: a test purchase that is not to grant anything here. */
  readonly counts: boolean;
  readonly refusal: Refusal | null;
}

interface Settlement {
  readonly row: PurchaseRow;
  readonly facts: Facts;
  readonly standing: Standing;
  readonly catalogue: Catalogue;
  readonly owner: Owner;
  readonly lesson: Pick<Lesson, 'cause'> & Partial<Lesson>;
  readonly replacedId: number | null;
  /** By the database's clock: one that jumped must not end what is paid for. */
  readonly now: Date;
}

function merge(facts: Facts, news: AppleNews | Partial<GoogleFacts>): Facts {
  if (facts.provider === 'apple') return 'renewals' in news ? mergeApple(facts, news) : facts;
  return 'renewals' in news ? facts : mergeGoogle(facts, news);
}

function hasVoids(news: Lesson['news']): boolean {
  return 'voids' in news && news.voids.length > 0;
}

/** The purchase that transactions say they carry on; null = they say of none. */
export function previousOf({ transactions }: Pick<AppleNews, 'transactions'>): string | null {
  const moved = transactions.find(
    ({ previousOriginalTransactionId: previous, originalTransactionId }) =>
      previous !== undefined && previous !== originalTransactionId,
  );
  return moved?.previousOriginalTransactionId ?? null;
}

/** When the first transaction of a purchase of Apple's was bought. */
function beginningOf(facts: Facts): number {
  return facts.provider === 'apple' ? Math.min(...facts.transactions.map(({ purchaseDate }) => purchaseDate)) : 0;
}

/** What a standing is while its store cannot be asked: it goes on until then. */
function holdOn(standing: Standing, leewayUntil: Date | null, now: Date): Standing {
  const { state, accessUntil } = standing;
  if (leewayUntil === null || accessUntil === null || leewayUntil <= accessUntil || now >= leewayUntil) return standing;
  if (state !== 'expired' && state !== 'retry' && !grants(standing, now)) return standing;
  return { ...standing, state: state === 'expired' || state === 'retry' ? 'active' : state, accessUntil: leewayUntil };
}

function grants({ state, accessUntil, startedAt }: Standing, at: Date): boolean {
  return grantsAccess({ state, accessUntil, startedAt: startedAt ?? at }, at);
}

function earlier(left: Date | null, right: Date | null): Date | null {
  if (left === null || right === null) return left ?? right;
  return left < right ? left : right;
}

/** Whom a purchase names. What is no UUID was not put there by our app. */
function accountTokenOf(facts: Facts): string | null {
  const token =
    facts.provider === 'google'
      ? facts.snapshot?.accountToken
      : (currentOf(facts)?.appAccountToken ?? facts.renewal?.appAccountToken);
  return uuidOf(token);
}

function uuidOf(token: string | null | undefined): string | null {
  return token != null && UUID.test(token) ? token.toLowerCase() : null;
}

/**
 * Whether this service, not the app, gave a purchase the account token that it has. Who was bound by a claim or by a link had a purchase
 * that named nobody, so a name of his that it has since is ours.
 */
function wasGiven({ givenAccountToken, boundBy, userId }: PurchaseRow, token: string, named: number | null): boolean {
  const cameFirst = (boundBy === 'claim' || boundBy === 'link') && named !== null && named === userId;
  return token === givenAccountToken || cameFirst;
}

function isTestPurchase(row: PurchaseKey, facts: Facts): boolean {
  return row.environment === 'sandbox' || (facts.provider === 'google' && facts.snapshot?.isTest === true);
}

function productsOf(facts: Facts): readonly string[] {
  const products =
    facts.provider === 'apple'
      ? [...facts.transactions.map(({ productId }) => productId), facts.renewal?.autoRenewProductId ?? null]
      : [
          ...(facts.snapshot?.items ?? []).flatMap(({ productId, replacementProductId }) => [
            productId,
            replacementProductId,
          ]),
          ...facts.orders.map(({ productId }) => productId),
        ];
  return [...new Set(products.filter((product) => product !== null))];
}

/** The exact plan of a product, or the product whatever the plan. */
function termsOf(mapped: readonly MappedProduct[], productId: string, basePlanId: string | null): MappedProduct | null {
  const ofProduct = mapped.filter((product) => product.productId === productId);
  const exact = ofProduct.find((product) => product.basePlanId !== null && product.basePlanId === basePlanId);
  return exact ?? ofProduct.find((product) => product.basePlanId === null) ?? null;
}

/**
 * Until when Play waits for us to say that we delivered. Only what has an owner and gives him something is acknowledged: otherwise
 * Google gives the money back, which is better than money for nothing.
 */
function acknowledgeBy(
  row: PurchaseRow,
  facts: Facts,
  { state, tariffId }: Standing,
  userId: number | null,
  now: Date,
): Date | null {
  if (facts.provider === 'apple' || facts.snapshot === null || userId === null || tariffId === null) return null;
  const { isAcknowledged, seq } = facts.snapshot;
  // An answer from before the acknowledgement does not know of it.
  const isDue = !isAcknowledged && seq > row.acknowledgedSeq;
  if (!isDue || !['active', 'trial', 'cancelled', 'grace'].includes(state)) return null;
  return acknowledgeDeadline(facts, now);
}
