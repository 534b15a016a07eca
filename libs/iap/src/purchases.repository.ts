import { Injectable } from '@nestjs/common';
import { addDays, addSeconds, Clock, DomainError, type Listing, type Page } from '#kernel';
import { SecretBox, UnitOfWork, UnreadableSecretError } from '#platform';
import { type SubscriptionState } from '#subscriptions';
import { type StoreProvider } from '#tariffs';
import { type AppleTransaction } from './apple-facts.js';
import { type GoogleOrder } from './google-facts.js';
import { FORGOTTEN_AFTER_DAYS } from './google.rules.js';
import { type BoundBy, type Facts, type Purchase, type StoredFacts } from './purchase.js';
import { type PurchaseKey, type StoreEnvironment } from './store.js';
import { StorePurchaseEntity } from './store-purchase.entity.js';

/** A purchase with all that is known of it, locked for a change. */
export interface PurchaseRow extends PurchaseKey {
  readonly id: number;
  readonly userId: number | null;
  readonly boundBy: BoundBy | null;
  readonly transferredAt: Date | null;
  readonly accountToken: string | null;
  readonly facts: Facts;
  readonly state: SubscriptionState;
  readonly isTest: boolean;
  readonly linkedPurchaseId: number | null;
  readonly leewayUntil: Date | null;
  readonly acknowledgeBy: Date | null;
  /** Of two answers of Play's about it, the one with a smaller number does not know that it was acknowledged. */
  readonly acknowledgedSeq: number;
  readonly givenAccountToken: string | null;
  readonly isGone: boolean;
  /** When the store is to be asked because it owes an answer (a hint came, or a question failed); null when it owes none. */
  readonly owedAt: Date | null;
}

export type PurchaseChange = Partial<
  Pick<
    StorePurchaseEntity,
    | 'userId'
    | 'boundBy'
    | 'boundAt'
    | 'transferredAt'
    | 'accountToken'
    | 'state'
    | 'tariffId'
    | 'productId'
    | 'basePlanId'
    | 'accessUntil'
    | 'autoRenewing'
    | 'isTest'
    | 'linkedPurchaseId'
    | 'nextCheckAt'
    | 'leewayUntil'
    | 'askedAt'
    | 'isGone'
    | 'acknowledgeBy'
    | 'acknowledgeFailures'
    | 'acknowledgeRetryAt'
    | 'acknowledgedSeq'
    | 'givenAccountToken'
    | 'checkFailures'
  >
>;

/** What must be asked about at a store. */
export interface Question extends PurchaseKey {
  readonly id: number;
  /** The hint that this question comes after. */
  readonly dirtySeq: number;
  /** Play's token, as the row keeps it: see `openToken`. */
  readonly sealedToken: string | null;
  readonly isGone: boolean;
  readonly checkFailures: number;
}

/** A purchase that Play waits for us to acknowledge. */
export interface Acknowledgeable {
  readonly id: number;
  readonly acknowledgeBy: Date;
  readonly acknowledgeFailures: number;
}

interface LockedRow {
  id: number;
  provider: StoreProvider;
  environment: StoreEnvironment;
  key: string;
  user_id: number | null;
  bound_by: BoundBy | null;
  transferred_at: Date | null;
  account_token: string | null;
  facts: StoredFacts;
  state: SubscriptionState;
  is_test: boolean;
  linked_purchase_id: number | null;
  leeway_until: Date | null;
  acknowledge_by: Date | null;
  acknowledged_seq: string | null;
  given_account_token: string | null;
  is_gone: boolean;
  owed_at: Date | null;
}

interface QuestionRow {
  id: number;
  provider: StoreProvider;
  environment: StoreEnvironment;
  key: string;
  dirty_seq: number;
  sealed_token: string | null;
  is_gone: boolean;
  check_failures: number;
}

const LISTED = `p.id, p.provider, p.environment,
  CASE p.provider WHEN 'apple' THEN p.key ELSE left(p.key, 8) END AS reference,
  p.user_id AS "userId", p.bound_by AS "boundBy", p.state, p.tariff_id AS "tariffId", p.product_id AS "productId",
  p.access_until AS "accessUntil", p.auto_renewing AS "autoRenewing", p.is_test AS "isTest", p.created_at AS "createdAt"`;

/** How long whoever asks about a purchase holds it, in seconds: longer than any question takes. */
const LEASE_SECONDS = 60;
/** So many questions in a row without an answer, over ten hours, are more than a store that was away for a while. */
const MANY_FAILURES = 5;

@Injectable()
export class PurchasesRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly box: SecretBox,
    private readonly clock: Clock,
  ) {}

  /** The id of a purchase, which is written down if it was not known. Play's token is kept, sealed, to ask with. */
  async ensure(key: PurchaseKey, purchaseToken: string | null, nothing: Facts): Promise<number> {
    const { provider, environment } = key;
    const known = await this.find(key);
    if (known !== null) {
      if (purchaseToken !== null) await this.resealToken(known, purchaseToken);
      return known;
    }
    await this.uow.manager.query(
      `INSERT INTO store_purchases (provider, environment, key, sealed_token, facts, state, created_at, next_check_at)
       VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7) ON CONFLICT (provider, environment, key) DO NOTHING`,
      [
        provider,
        environment,
        key.key,
        purchaseToken === null ? null : this.box.seal(purchaseToken),
        JSON.stringify(withoutTransactions(nothing)),
        this.clock.now(),
        purchaseToken === null ? null : this.clock.now(), // Play told nothing of it but its name: it must be asked
      ],
    );
    const id = await this.find(key);
    if (id === null) throw new Error('A purchase vanished'); // they are never deleted
    return id;
  }

  /** A token that no key opens any more is sealed anew as soon as somebody tells it again: the app, a notification, a record. */
  private async resealToken(id: number, purchaseToken: string): Promise<void> {
    const [row] = await this.uow.manager.query<{ sealed_token: string | null }[]>(
      `SELECT sealed_token FROM store_purchases WHERE id = $1`,
      [id],
    );
    if (row === undefined || this.isReadable(row.sealed_token)) return;
    await this.uow.manager.query(
      `UPDATE store_purchases SET sealed_token = $2, check_failures = 0, next_check_at = $3
       WHERE id = $1 AND sealed_token IS NOT DISTINCT FROM $4`,
      [id, this.box.seal(purchaseToken), this.clock.now(), row.sealed_token],
    );
  }

  private isReadable(sealedToken: string | null): boolean {
    try {
      return sealedToken !== null && this.box.open(sealedToken) !== '';
    } catch (error) {
      if (error instanceof UnreadableSecretError) return false;
      throw error;
    }
  }

  async find({ provider, environment, key }: PurchaseKey): Promise<number | null> {
    const [row] = await this.uow.manager.query<{ id: number }[]>(
      `SELECT id FROM store_purchases WHERE provider = $1 AND environment = $2 AND key = $3`,
      [provider, environment, key],
    );
    return row?.id ?? null;
  }

  /** The purchase that has this transaction of Apple's. */
  async findByTransaction(transactionId: string): Promise<number | null> {
    const [row] = await this.uow.manager.query<{ id: number }[]>(
      `SELECT p.id FROM store_transactions t JOIN store_purchases p ON p.id = t.purchase_id
       WHERE t.payment_key = $1 AND p.provider = 'apple' ORDER BY p.id LIMIT 1`,
      [transactionId],
    );
    return row?.id ?? null;
  }

  /** Who has purchases of this customer of Apple's. Reads all transactions, for what Apple tells a few times a year. */
  async ownersOfApp(environment: StoreEnvironment, appTransactionId: string): Promise<readonly number[]> {
    const rows = await this.uow.manager.query<{ user_id: number }[]>(
      `SELECT DISTINCT p.user_id FROM store_transactions t JOIN store_purchases p ON p.id = t.purchase_id
       WHERE t.facts->>'appTransactionId' = $2 AND p.provider = 'apple' AND p.environment = $1
         AND p.user_id IS NOT NULL ORDER BY p.user_id`,
      [environment, appTransactionId],
    );
    return rows.map(({ user_id }) => user_id);
  }

  /** Locks purchases, in the order of their ids, until the transaction ends. */
  async lock(ids: readonly number[]): Promise<readonly PurchaseRow[]> {
    this.uow.assertOpen();
    const rows = await this.uow.manager.query<LockedRow[]>(
      `SELECT id, provider, environment, key, user_id, bound_by, transferred_at, account_token, facts, state, is_test,
         linked_purchase_id, leeway_until, acknowledge_by, acknowledged_seq, given_account_token, is_gone,
         CASE WHEN dirty_seq <> clean_seq OR check_failures > 0 OR leeway_until IS NOT NULL
           OR (provider = 'google' AND facts->'snapshot' = 'null'::jsonb) THEN next_check_at END AS owed_at
       FROM store_purchases WHERE id = ANY($1) ORDER BY id FOR UPDATE`,
      [ids],
    );
    const transactions = await this.uow.manager.query<{ purchase_id: number; facts: AppleTransaction & GoogleOrder }[]>(
      `SELECT purchase_id, facts FROM store_transactions WHERE purchase_id = ANY($1) ORDER BY purchase_id, payment_key`,
      [ids],
    );
    return rows.map((row) => ({
      id: row.id,
      provider: row.provider,
      environment: row.environment,
      key: row.key,
      userId: row.user_id,
      boundBy: row.bound_by,
      transferredAt: row.transferred_at,
      accountToken: row.account_token,
      facts: withTransactions(
        row.facts,
        transactions.filter(({ purchase_id }) => purchase_id === row.id).map(({ facts }) => facts),
      ),
      state: row.state,
      isTest: row.is_test,
      linkedPurchaseId: row.linked_purchase_id,
      leewayUntil: row.leeway_until,
      acknowledgeBy: row.acknowledge_by,
      acknowledgedSeq: Number(row.acknowledged_seq ?? 0),
      givenAccountToken: row.given_account_token,
      isGone: row.is_gone,
      owedAt: row.owed_at,
    }));
  }

  /** Writes what became of a purchase; of its transactions only those that changed. */
  async save(before: PurchaseRow, facts: Facts, change: PurchaseChange): Promise<void> {
    await this.uow
      .repository(StorePurchaseEntity)
      .update({ id: before.id }, { ...change, facts: withoutTransactions(facts) });
    const known = new Set<object>(transactionsOf(before.facts));
    const changed = transactionsOf(facts).filter((transaction) => !known.has(transaction));
    if (changed.length === 0) return;
    await this.uow.manager.query(
      `INSERT INTO store_transactions (purchase_id, payment_key, version, facts)
       SELECT $1, t.key, t.version, t.facts FROM unnest($2::text[], $3::bigint[], $4::jsonb[]) AS t (key, version, facts)
       ON CONFLICT (purchase_id, payment_key) DO UPDATE SET version = excluded.version, facts = excluded.facts`,
      [
        before.id,
        changed.map((one) => ('transactionId' in one ? one.transactionId : one.orderId)),
        changed.map((one) => ('transactionId' in one ? one.signedDate : one.seq)),
        changed.map((one) => JSON.stringify(one)),
      ],
    );
  }

  async update(id: number, change: PurchaseChange): Promise<void> {
    await this.uow.repository(StorePurchaseEntity).update({ id }, change);
  }

  /** Notes that something changed at the store: it must be asked, by a question that begins after now. */
  async markDirty(id: number): Promise<void> {
    await this.uow.manager.query(
      `UPDATE store_purchases SET dirty_seq = dirty_seq + 1, next_check_at = $2 WHERE id = $1`,
      [id, this.clock.now()],
    );
  }

  /** Notes when a customer asked the store for his money; an earlier request that is heard of later changes nothing. */
  async markRefundRequested(id: number, at: Date): Promise<void> {
    await this.uow.manager.query(
      `UPDATE store_purchases SET refund_requested_at = greatest(refund_requested_at, $2) WHERE id = $1`,
      [id, at],
    );
  }

  /** Has the purchase asked about that took the place of one and has no owner: it gets the owner of that one. */
  async askSuccessor(replacedId: number): Promise<void> {
    await this.uow.manager.query(
      `UPDATE store_purchases SET dirty_seq = dirty_seq + 1, next_check_at = $2
       WHERE linked_purchase_id = $1 AND user_id IS NULL`,
      [replacedId, this.clock.now()],
    );
  }

  /** The purchase that this one took the place of; null = of none. */
  async replacedBy(id: number): Promise<number | null> {
    const [row] = await this.uow.manager.query<{ linked_purchase_id: number | null }[]>(
      `SELECT linked_purchase_id FROM store_purchases WHERE id = $1`,
      [id],
    );
    return row?.linked_purchase_id ?? null;
  }

  /** Has a purchase asked about of which nothing is known but its name, unless it was. Whether it is known now. */
  async askIfUnknown(id: number): Promise<void> {
    await this.uow.manager.query(
      `UPDATE store_purchases SET dirty_seq = dirty_seq + 1, next_check_at = $2
       WHERE id = $1 AND asked_at IS NULL AND product_id IS NULL AND dirty_seq = clean_seq`,
      [id, this.clock.now()],
    );
  }

  /** The other ids that a paid period of Apple's is known by, and this one. */
  async idsOfPeriod(id: number, { transactionId, webOrderLineItemId }: AppleTransaction): Promise<readonly string[]> {
    const rows = await this.uow.manager.query<{ key: string }[]>(
      `SELECT payment_key AS key FROM store_transactions
       WHERE purchase_id = $1 AND (payment_key = $2 OR facts->>'webOrderLineItemId' = $3)`,
      [id, transactionId, webOrderLineItemId ?? null],
    );
    return rows.map(({ key }) => key);
  }

  /** Notes that Apple is told how much of a transaction was used; false when it was told before. */
  async claimConsumptionReport(id: number, transactionId: string, at: Date): Promise<boolean> {
    const [, count] = await this.uow.manager.query<[unknown[], number]>(
      `UPDATE store_transactions SET consumption_told_at = $3
       WHERE purchase_id = $1 AND payment_key = $2 AND consumption_told_at IS NULL`,
      [id, transactionId, at],
    );
    return count > 0;
  }

  /** Whether a purchase took the place of the other one, or of one that did, and so on. */
  async replaces(id: number, otherId: number): Promise<boolean> {
    const rows = await this.uow.manager.query<unknown[]>(
      `WITH RECURSIVE chain (id) AS (
         SELECT linked_purchase_id FROM store_purchases WHERE id = $1
         UNION SELECT p.linked_purchase_id FROM store_purchases p JOIN chain ON chain.id = p.id)
       SELECT 1 FROM chain WHERE id = $2`,
      [id, otherId],
    );
    return rows.length > 0;
  }

  /** The number of a question about to be asked: a later question has a greater one. */
  async nextQuestion(): Promise<number> {
    const [row] = await this.uow.manager.query<{ seq: string }[]>(`SELECT nextval('store_question_seq') AS seq`);
    return Number(row?.seq);
  }

  /** The ids of the transactions that are known of a purchase of Apple's. */
  async knownPayments(id: number): Promise<ReadonlySet<string>> {
    const rows = await this.uow.manager.query<{ key: string }[]>(
      `SELECT payment_key AS key FROM store_transactions WHERE purchase_id = $1`,
      [id],
    );
    return new Set(rows.map(({ key }) => key));
  }

  /** What is known of the orders of a purchase of Play's. */
  async orders(id: number): Promise<readonly GoogleOrder[]> {
    const rows = await this.uow.manager.query<{ facts: GoogleOrder }[]>(
      `SELECT facts FROM store_transactions WHERE purchase_id = $1 ORDER BY payment_key`,
      [id],
    );
    return rows.map(({ facts }) => facts);
  }

  /** The ids of the orders of a purchase and of those that it took the place of. */
  async ordersOfChain(id: number): Promise<ReadonlySet<string>> {
    const rows = await this.uow.manager.query<{ key: string }[]>(
      `WITH RECURSIVE chain (id) AS (
         SELECT $1::integer
         UNION SELECT p.linked_purchase_id FROM chain JOIN store_purchases p ON p.id = chain.id
         WHERE p.linked_purchase_id IS NOT NULL)
       SELECT t.payment_key AS key FROM store_transactions t JOIN chain ON t.purchase_id = chain.id`,
      [id],
    );
    return new Set(rows.map(({ key }) => key));
  }

  /** The purchases that took the place of one, each with the one whose place it took, the nearest first. */
  async successors(id: number): Promise<readonly { readonly id: number; readonly replacedId: number }[]> {
    return this.uow.manager.query<{ id: number; replacedId: number }[]>(
      `WITH RECURSIVE chain (id, replaced_id, depth) AS (
         SELECT id, linked_purchase_id, 1 FROM store_purchases WHERE linked_purchase_id = $1 AND id <> $1
         UNION SELECT p.id, p.linked_purchase_id, depth + 1 FROM chain JOIN store_purchases p
           ON p.linked_purchase_id = chain.id AND p.id <> $1 WHERE depth < 100)
       SELECT id, replaced_id AS "replacedId" FROM chain ORDER BY depth, id`,
      [id],
    );
  }

  /** Whether it is known of a purchase that this order was taken back. */
  async knowsVoid(id: number, orderId: string): Promise<boolean> {
    const rows = await this.uow.manager.query<unknown[]>(
      `SELECT 1 FROM store_purchases WHERE id = $1 AND facts->'voids' @> $2::jsonb`,
      [id, JSON.stringify([{ orderId }])],
    );
    return rows.length > 0;
  }

  /** Takes purchases whose time to be asked about has come, so that nobody else asks meanwhile. */
  async leaseDue(limit: number): Promise<readonly Question[]> {
    const now = this.clock.now();
    const [rows] = await this.uow.manager.query<[QuestionRow[], number]>(
      `UPDATE store_purchases SET leased_until = $2 WHERE id IN (
         SELECT id FROM store_purchases
         WHERE next_check_at <= $1 AND (leased_until IS NULL OR leased_until <= $1) AND NOT is_gone
         ORDER BY next_check_at LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING id, provider, environment, key, dirty_seq, sealed_token, is_gone, check_failures`,
      [now, addSeconds(now, LEASE_SECONDS), limit],
    );
    return rows.map(toQuestion);
  }

  /** The same for given ones, due or not; those that somebody asks about right now are left out. */
  async lease(ids: readonly number[]): Promise<readonly Question[]> {
    const now = this.clock.now();
    const [rows] = await this.uow.manager.query<[QuestionRow[], number]>(
      `UPDATE store_purchases SET leased_until = $2
       WHERE id = ANY($3) AND (leased_until IS NULL OR leased_until <= $1)
       RETURNING id, provider, environment, key, dirty_seq, sealed_token, is_gone, check_failures`,
      [now, addSeconds(now, LEASE_SECONDS), ids],
    );
    return rows.map(toQuestion);
  }

  /** The token to ask Play with. Opened for one question at a time: one that cannot be opened stops no other. @throws UnreadableSecretError */
  openToken({ sealedToken }: Pick<Question, 'sealedToken'>): string | null {
    return sealedToken === null ? null : this.box.open(sealedToken);
  }

  /** A question was answered: the hints up to it are dealt with. */
  async answered({ id, dirtySeq }: Question): Promise<void> {
    await this.uow.manager.query(
      `UPDATE store_purchases SET clean_seq = greatest(clean_seq, $2), leased_until = NULL, check_failures = 0,
         leeway_until = CASE WHEN is_gone THEN NULL ELSE leeway_until END,
         next_check_at = CASE WHEN dirty_seq > $2 THEN $3 ELSE next_check_at END
       WHERE id = $1`,
      [id, dirtySeq, this.clock.now()],
    );
  }

  /** A question was not answered: it is asked again at `nextCheckAt`. */
  async unanswered({ id }: Question, nextCheckAt: Date): Promise<void> {
    await this.uow.manager.query(
      `UPDATE store_purchases SET leased_until = NULL, check_failures = check_failures + 1, next_check_at = $2
       WHERE id = $1`,
      [id, nextCheckAt],
    );
  }

  /** The token to ask Play with. @throws UnreadableSecretError */
  async purchaseToken(id: number): Promise<string | null> {
    return this.openToken(await this.uow.repository(StorePurchaseEntity).findOneByOrFail({ id }));
  }

  /**
   * Of purchases that are about to end, those that their store was not asked about since. What renews itself may go on until
   * `leewayHours` after its end (set once for each end), so that nobody is cut off because nobody could ask. They are due to be
   * asked about from now on, whoever dies over it.
   */
  async beginLeeway(ids: readonly number[], leewayHours: number): Promise<readonly number[]> {
    const [rows] = await this.uow.manager.query<[{ id: number }[], number]>(
      `UPDATE store_purchases SET leeway_until = CASE
         WHEN auto_renewing THEN coalesce(leeway_until, access_until + make_interval(hours => $2)) ELSE leeway_until END,
         next_check_at = $3
       WHERE id = ANY($1) AND NOT is_gone AND (asked_at IS NULL OR asked_at < access_until)
       RETURNING id`,
      [ids, leewayHours, this.clock.now()],
    );
    return rows.map(({ id }) => id);
  }

  /** Those of these that go on because their store could not be asked. */
  async onLeeway(ids: readonly number[]): Promise<readonly number[]> {
    const rows = await this.uow.manager.query<{ id: number }[]>(
      `SELECT id FROM store_purchases WHERE id = ANY($1) AND leeway_until IS NOT NULL ORDER BY id`,
      [ids],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Purchases that may still change, from an id on: for an operator who wants all of them asked about. One that is called forgotten though it
   * has not been over for long is among them: that was a fault of the store.
   */
  async changeable(afterId: number, limit: number): Promise<readonly number[]> {
    const rows = await this.uow.manager.query<{ id: number }[]>(
      `SELECT id FROM store_purchases WHERE id > $1 AND (NOT is_gone OR access_until > $3) ORDER BY id LIMIT $2`,
      [afterId, limit, addDays(this.clock.now(), -FORGOTTEN_AFTER_DAYS)],
    );
    return rows.map(({ id }) => id);
  }

  /** Purchases of products that belonged to no tariff and now belong to one. */
  async newlyMapped(limit: number): Promise<readonly number[]> {
    const rows = await this.uow.manager.query<{ id: number }[]>(
      `SELECT p.id FROM store_purchases p WHERE p.tariff_id IS NULL AND p.product_id IS NOT NULL AND EXISTS (
         SELECT 1 FROM tariff_store_products m WHERE m.provider = p.provider AND m.product_id = p.product_id
           AND m.base_plan_id IN ('', coalesce(p.base_plan_id, '')))
       ORDER BY p.id LIMIT $1`,
      [limit],
    );
    return rows.map(({ id }) => id);
  }

  /** Purchases that Play waits for us to acknowledge and whose turn it is, the most urgent first. */
  async toAcknowledge(limit: number): Promise<readonly Acknowledgeable[]> {
    return this.uow.manager.query<Acknowledgeable[]>(
      `SELECT id, acknowledge_by AS "acknowledgeBy", acknowledge_failures AS "acknowledgeFailures" FROM store_purchases
       WHERE acknowledge_by IS NOT NULL AND user_id IS NOT NULL
         AND (acknowledge_retry_at IS NULL OR acknowledge_retry_at <= $2)
       ORDER BY acknowledge_by LIMIT $1`,
      [limit, this.clock.now()],
    );
  }

  async read(id: number): Promise<StorePurchaseEntity | null> {
    return this.uow.repository(StorePurchaseEntity).findOneBy({ id });
  }

  /** @throws DomainError purchase_not_found */
  async get(id: number): Promise<Purchase> {
    const [row] = await this.uow.manager.query<Purchase[]>(`SELECT ${LISTED} FROM store_purchases p WHERE p.id = $1`, [
      id,
    ]);
    if (row === undefined) throw new DomainError('purchase_not_found');
    return row;
  }

  /** A page of purchases, newest first: of a user, those without an owner, or all. */
  async list(
    filter: { readonly userId?: number | undefined; readonly unclaimed?: boolean | undefined },
    { skip, limit }: Page,
  ): Promise<Listing<Purchase>> {
    const where = `($1::int IS NULL OR p.user_id = $1) AND ($2::boolean IS NOT TRUE OR p.user_id IS NULL)`;
    const values = [filter.userId ?? null, filter.unclaimed ?? null];
    const items = await this.uow.manager.query<Purchase[]>(
      `SELECT ${LISTED} FROM store_purchases p WHERE ${where} ORDER BY p.id DESC LIMIT $3 OFFSET $4`,
      [...values, limit, skip],
    );
    const [counted] = await this.uow.manager.query<{ total: number }[]>(
      `SELECT count(*)::int AS total FROM store_purchases p WHERE ${where}`,
      values,
    );
    return { items, total: counted?.total ?? 0 };
  }

  /**
   * How many purchases have had no owner since before `since`, how soon Play wants to be told of one (seconds), and about how many
   * nobody could ask five times or more in a row.
   */
  async figures(since: Date): Promise<{
    readonly unclaimed: number;
    readonly acknowledgeInSeconds: number | null;
    readonly unanswered: number;
  }> {
    const [row] = await this.uow.manager.query<{ unclaimed: number; soonest: Date | null; unanswered: number }[]>(
      `SELECT (SELECT count(*)::int FROM store_purchases WHERE user_id IS NULL AND created_at < $1) AS unclaimed,
         (SELECT min(acknowledge_by) FROM store_purchases WHERE acknowledge_by IS NOT NULL) AS soonest,
         (SELECT count(*)::int FROM store_purchases WHERE check_failures >= ${MANY_FAILURES}) AS unanswered`,
      [since],
    );
    const soonest = row?.soonest ?? null;
    return {
      unclaimed: row?.unclaimed ?? 0,
      unanswered: row?.unanswered ?? 0,
      acknowledgeInSeconds: soonest === null ? null : (soonest.getTime() - this.clock.now().getTime()) / 1000,
    };
  }
}

function toQuestion(row: QuestionRow): Question {
  return {
    id: row.id,
    provider: row.provider,
    environment: row.environment,
    key: row.key,
    dirtySeq: row.dirty_seq,
    sealedToken: row.sealed_token,
    isGone: row.is_gone,
    checkFailures: row.check_failures,
  };
}

function transactionsOf(facts: Facts): readonly (AppleTransaction | GoogleOrder)[] {
  return facts.provider === 'apple' ? facts.transactions : facts.orders;
}

function withoutTransactions(facts: Facts): StoredFacts {
  if (facts.provider === 'apple') {
    const { provider, renewal, supersededBy = null } = facts;
    return { provider, renewal, supersededBy };
  }
  const { snapshot, voids, revokedAt, supersededBy, replaced } = facts;
  return {
    provider: 'google',
    snapshot,
    voids,
    revokedAt,
    supersededBy,
    ...(replaced == null ? {} : { replaced }),
  };
}

function withTransactions(stored: StoredFacts, transactions: readonly (AppleTransaction & GoogleOrder)[]): Facts {
  return stored.provider === 'apple' ? { ...stored, transactions } : { ...stored, orders: transactions };
}
