import pg, { type Pool, type PoolClient, type PoolConfig, type QueryResult } from 'pg';
import { type DataSource } from 'typeorm';
import { ContextSlot } from '../context.js';
import { ConnectionLostError, isConnectionLost, isReadOnlyServer, OutcomeUnknownError } from './database-faults.js';
import { type WriteSlot, WriteSlots } from './write-slots.js';

declare module 'pg' {
  interface ClientBase {
    /** `I` outside of a transaction, `T` inside, `E` in one that failed, as the server last said; missing in the types. */
    getTransactionStatus(): 'I' | 'T' | 'E' | null;
    readonly processID: number | null;
  }
}

/** How long PostgreSQL lets a statement run, in milliseconds (`statement_timeout`). */
export const STATEMENT_LIMIT_MS = 5000;
/** How much longer its answer may take before the connection counts as lost: a frozen server or a half-open one says nothing. */
const ANSWER_MARGIN_MS = 2000;
/** How long a transaction waits to be begun. */
const BEGIN_WAIT_MS = 5000;
/** How long none may end before a write is refused that has a connection already, which it must not keep from readers. */
const HELD_WAIT_MS = 1000;
/** How often the server is asked whether a commit still waits, in milliseconds. */
const COMMIT_CHECK_MS = 5000;

const COMMIT = /^\s*(COMMIT|END)\b/i;
const BEGIN = /^\s*(BEGIN|START\s+TRANSACTION)\b/i;
/** What cannot have written anything when it stands alone. */
const READ = /^\s*(SELECT|SHOW|SET|RESET|EXPLAIN|ROLLBACK|ABORT|VALUES|TABLE|DEALLOCATE|DISCARD|WITH)\b/i;
const WRITES_INSIDE = /\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\b/i;

const IS_WAITING_COMMIT = `SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND wait_event = 'SyncRep'`;

/** What travels with the caller: the right to write, and a longer limit for a statement. */
interface Writing {
  slot: WriteSlot | undefined;
}
const writing = new ContextSlot<Writing>();
const statementLimit = new ContextSlot<number>();

/** Has the statements of `work` answered within `ms` instead of the usual limit. The caller tells the server. */
export function withStatementLimit<T>(ms: number, work: () => Promise<T>): Promise<T> {
  return statementLimit.run(ms, work);
}

type Query = (config: unknown, values?: unknown, callback?: unknown) => Promise<QueryResult>;
type Callback = (error: unknown, result?: QueryResult) => void;

/** A statement that was sent. */
interface Sent {
  readonly sent: Promise<unknown>;
  readonly limit: number;
  /** Whether what was written is kept once it succeeds. */
  readonly commits: boolean;
}

function isCallback(value: unknown): value is Callback {
  return typeof value === 'function';
}

function textOf(config: unknown): string {
  if (typeof config === 'string') return config;
  return typeof config === 'object' && config !== null && 'text' in config ? String(config.text) : '';
}

/**
 * A connection of which every statement has an answer in bounded time, whatever the server and the network do. No limit of the server
 * can promise that: it may be frozen or gone without a word, and `statement_timeout` does not count while a commit waits for a
 * synchronous standby.
 *
 * A statement without an answer takes the connection with it. Not so a commit: whether it took place is not known, so the caller is
 * told (`OutcomeUnknownError`), and the connection is kept until the commit answers, since to close it would leave the server's end
 * waiting, and a new connection beside it.
 */
export class GuardedClient extends pg.Client {
  /** Settled when a commit that was waited for long enough is over. */
  private lateCommit: Promise<void> | undefined;
  private slot: WriteSlot | undefined;
  private missedStandby = false;
  private pool: GuardedPool | undefined;
  private madeIn = 0;
  declare release: (fault?: unknown) => void;

  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('notice', ({ message, routine }) => {
      // WARNING 01000 "canceling wait for synchronous replication": the commit will be said to be done, on one node only.
      if (routine === 'SyncRepWaitForLSN' || message?.includes('synchronous replication')) this.missedStandby = true;
    });
    // Whoever uses it is told by the failure of a statement; without a listener, a loss at any other moment ends the process.
    this.on('error', () => undefined);
    this.once('end', () => this.slot?.release());
    this.query = this.guard(super.query.bind(this) as Query) as typeof this.query;
  }

  /** Of which time of the pool it is; an older one is thrown away instead of being used again. */
  get generation(): number {
    return this.madeIn;
  }

  joined(pool: GuardedPool, generation: number): void {
    this.pool = pool;
    this.madeIn = generation;
  }

  /** Calls `effect` once no commit is waited for any more; at once when none is. */
  whenFree(effect: () => void): void {
    if (this.lateCommit === undefined) effect();
    else void this.lateCommit.then(effect);
  }

  private guard(send: Query): Query {
    return (config, values, callback) => {
      const last = isCallback(callback) ? callback : isCallback(values) ? values : undefined;
      const answer = this.answer(send, config, isCallback(values) ? undefined : values);
      if (last !== undefined) answer.then((result) => last(null, result), last);
      return answer;
    };
  }

  private async answer(send: Query, config: unknown, values: unknown): Promise<QueryResult> {
    const text = textOf(config);
    if (this.lateCommit !== undefined) throw new ConnectionLostError('The connection still waits for its last commit');
    const isAlone = this.getTransactionStatus() === 'I';
    const isWrite = isAlone && !BEGIN.test(text) && (!READ.test(text) || WRITES_INSIDE.test(text));
    const commits = COMMIT.test(text) || isWrite;
    const { pool } = this;
    if (pool !== undefined && isAlone && (isWrite || BEGIN.test(text))) await this.takeSlot(pool);
    this.missedStandby = false;
    const limit = (statementLimit.current ?? STATEMENT_LIMIT_MS) + ANSWER_MARGIN_MS;
    const sent = send(config, values);
    try {
      const result = await within(limit, sent);
      if (commits && this.hasMissedStandby()) throw new OutcomeUnknownError('The commit did not wait for the standby');
      return result;
    } catch (error) {
      throw this.judge(error, { sent, limit, commits });
    } finally {
      if (!this.isLate() && this.getTransactionStatus() === 'I') this.giveSlotBack();
    }
  }

  /** Methods, since these change while a statement is awaited. */
  private hasMissedStandby(): boolean {
    return this.missedStandby;
  }

  private isLate(): boolean {
    return this.lateCommit !== undefined;
  }

  /** What a failed statement means for its connection, and for the caller. */
  private judge(error: unknown, { sent, limit, commits }: Sent): unknown {
    if (error === NO_ANSWER) {
      if (commits) {
        this.waitForCommit(sent);
        return new OutcomeUnknownError(`The commit had no answer within ${limit} ms`);
      }
      sent.catch(() => undefined); // it ends with its connection
      this.throwAway();
      return new ConnectionLostError(`The statement had no answer within ${limit} ms`);
    }
    if (isReadOnlyServer(error)) this.throwAway();
    return commits && isConnectionLost(error)
      ? new OutcomeUnknownError('The connection ended before the commit was answered', { cause: error })
      : error;
  }

  /** Ends this connection, and has the others that are as old looked upon as no better. */
  private throwAway(): void {
    this.pool?.distrust(this.generation);
    void this.end();
  }

  /** Keeps the connection until its commit is over: answered, or ended, or unknown to the server. */
  private waitForCommit(sent: Promise<unknown>): void {
    this.pool?.commitIsLate(this);
    let misses = 0;
    const check = setInterval(() => {
      void this.pool?.isCommitWaiting(this).then((isWaiting) => {
        misses = isWaiting ? 0 : misses + 1;
        if (misses > 1) void this.end();
      });
    }, COMMIT_CHECK_MS);
    check.unref();
    this.lateCommit = sent.then(
      () => undefined,
      () => undefined,
    );
    void this.lateCommit.then(() => {
      clearInterval(check);
      this.lateCommit = undefined;
      this.giveSlotBack();
      this.pool?.commitIsOver(this);
    });
  }

  private async takeSlot(pool: GuardedPool): Promise<void> {
    if (this.slot !== undefined) return;
    const context = writing.current;
    const reserved = context === undefined ? undefined : pool.attach(context);
    this.slot = reserved ?? pool.borrow() ?? (await pool.slots.acquireWhileMoving(HELD_WAIT_MS, BEGIN_WAIT_MS));
  }

  private giveSlotBack(): void {
    this.slot?.release();
    this.slot = undefined;
  }
}

const NO_ANSWER = Symbol('no answer');

function within<T>(ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a mark, made into an error by who knows more
    const timer = setTimeout(() => reject(NO_ANSWER), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

type Acquired = (error: Error | undefined, client: PoolClient | undefined, done: (release?: unknown) => void) => void;

/** The driver's pool, of guarded connections, with some kept from writers so that reads go on while commits wait. */
export class GuardedPool extends pg.Pool {
  readonly slots: WriteSlots;
  private generation = 0;
  private readonly waitingForCommit = new Set<GuardedClient>();
  /** Transactions that have the right to write and no connection yet. */
  private readonly unattached = new Set<Writing>();

  /** Whether a pooler stands between: then a named statement may meet another session, and numbers of processes mean nothing. */
  readonly isPooled: boolean;

  constructor(config: PoolConfig & { isPooled?: boolean } = {}) {
    const { isPooled = false, ...rest } = config;
    super({ ...rest, Client: GuardedClient });
    this.isPooled = isPooled;
    const size = this.options.max;
    this.slots = new WriteSlots(Math.max(1, size - Math.max(1, Math.floor(size / 4))));
    this.on('connect', (client) => {
      if (client instanceof GuardedClient) client.joined(this, this.generation);
    });
  }

  /** How many connections wait for a commit whose caller was answered. */
  get waitingCommits(): number {
    return this.waitingForCommit.size;
  }

  override connect(): Promise<PoolClient>;
  override connect(callback: Acquired): void;
  override connect(callback?: Acquired): Promise<PoolClient> | void {
    if (callback !== undefined) {
      this.acquire(callback);
      return;
    }
    return new Promise((resolve, reject) => {
      this.acquire((error, client) =>
        client === undefined ? reject(error ?? new Error('No client')) : resolve(client),
      );
    });
  }

  override end(): Promise<void>;
  override end(callback: () => void): void;
  override end(callback?: () => void): Promise<void> | void {
    for (const client of this.waitingForCommit) void client.end();
    if (callback === undefined) return super.end();
    super.end(callback);
    return;
  }

  /** Runs a transaction once it may be begun. @throws WritesBusyError */
  async write<T>(work: () => Promise<T>): Promise<T> {
    const held: Writing = { slot: await this.slots.acquire(BEGIN_WAIT_MS) };
    this.unattached.add(held);
    try {
      return await writing.run(held, work);
    } finally {
      this.attach(held)?.release(); // no connection was had for it
    }
  }

  /** The right of a transaction, which has a connection now; undefined when it was lent meanwhile. */
  attach(held: Writing): WriteSlot | undefined {
    const { slot } = held;
    held.slot = undefined;
    this.unattached.delete(held);
    return slot;
  }

  /**
   * A right for who has a connection and finds none free, from a transaction that waits for a connection: else these two would wait for
   * each other, the one with all connections, the other with all rights. The transaction takes another once it has its connection.
   */
  borrow(): WriteSlot | undefined {
    if (this.slots.taken < this.slots.size) return undefined;
    const lender = [...this.unattached].at(-1);
    return lender === undefined ? undefined : this.attach(lender);
  }

  /** Connections of that time and before are not used again: the server that one of them spoke to is gone or takes no writes. */
  distrust(generation: number): void {
    if (generation === this.generation) this.generation += 1;
  }

  /** Has every connection made anew before it is used again. */
  renew(): void {
    this.generation += 1;
  }

  commitIsLate(client: GuardedClient): void {
    this.waitingForCommit.add(client);
  }

  commitIsOver(client: GuardedClient): void {
    this.waitingForCommit.delete(client);
  }

  /** Whether the server knows of a commit there that waits for its standby. Who cannot say is not asked to end it. */
  async isCommitWaiting({ processID }: GuardedClient): Promise<boolean> {
    if (this.isPooled) return true;
    try {
      return (await this.query(IS_WAITING_COMMIT, [processID])).rowCount === 1;
    } catch {
      return true;
    }
  }

  private acquire(callback: Acquired): void {
    super.connect((error, client, done) => {
      if (!(client instanceof GuardedClient)) {
        callback(error, client, done);
        return;
      }
      if (client.generation < this.generation) {
        done(true);
        this.acquire(callback);
        return;
      }
      const release = (fault?: unknown): void => client.whenFree(() => done(fault));
      client.release = release; // what the pool's own `query` calls
      callback(undefined, client, release);
    });
  }
}

/** TypeORM's PostgreSQL driver keeps its pool in `master`, typed as anything. */
export function poolOf({ driver }: DataSource): Pool {
  if ('master' in driver && driver.master instanceof pg.Pool) return driver.master;
  throw new ConnectionLostError('The database connection is not open');
}
