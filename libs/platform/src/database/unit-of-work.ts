import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager, type EntityTarget, type ObjectLiteral, type Repository } from 'typeorm';
import { ContextSlot } from '../context.js';
import { isMissingReference } from './constraints.js';
import { GuardedPool, poolOf, withStatementLimit } from './guarded-pool.js';

interface OpenWork {
  readonly manager: EntityManager;
  readonly afterCommit: (() => void)[];
}

/** What a transaction has to prove before it may do anything, such as that a lease is still held. */
export interface Fence {
  /** Throws unless it holds, and keeps it so until the transaction ends. */
  verify(manager: EntityManager): Promise<void>;
}

/**
 * One transaction per piece of work, whoever takes part in it: repositories ask here for the current manager and never know
 * whether they are alone. Nested pieces join the outer one.
 */
@Injectable()
export class UnitOfWork {
  private readonly open = new ContextSlot<OpenWork>();
  private readonly fence = new ContextSlot<Fence>();

  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /**
   * Runs `work` in a transaction: all of it is kept, or none. It may be run once more, so it leaves nothing behind but rows.
   * @throws OutcomeUnknownError when it is not known which
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.open.current !== undefined) return work();
    try {
      return await this.runOnce(work);
    } catch (error) {
      // Another request removed what was looked at here: whoever looks again finds it gone, and says so in their own way.
      if (!isMissingReference(error)) throw error;
      return this.runOnce(work);
    }
  }

  private async runOnce<T>(work: () => Promise<T>): Promise<T> {
    const afterCommit: (() => void)[] = [];
    const fence = this.fence.current;
    const pool = poolOf(this.dataSource);
    const transact = (): Promise<T> =>
      this.dataSource.transaction((manager) =>
        this.open.run({ manager, afterCommit }, async () => {
          await fence?.verify(manager);
          return work();
        }),
      );
    const result = await (pool instanceof GuardedPool ? pool.write(transact) : transact());
    this.outside(() => {
      for (const effect of afterCommit) effect();
    });
    return result;
  }

  /** Runs a transaction whose statements may take longer than those of a request: for what a start or an operator waits for. */
  runLong<T>(statementMs: number, work: () => Promise<T>): Promise<T> {
    return withStatementLimit(statementMs, () =>
      this.run(async () => {
        await this.manager.query(`SET LOCAL statement_timeout = ${Math.round(statementMs)}`);
        return work();
      }),
    );
  }

  /** Leaves the current transaction (and fence) for the length of `work`, for what must be kept even if the transaction is not. */
  outside<T>(work: () => T): T {
    return this.fence.run(undefined, () => this.open.run(undefined, work));
  }

  /** Has every transaction that `work` begins stand behind a fence. */
  under<T>(fence: Fence, work: () => Promise<T>): Promise<T> {
    return this.fence.run(fence, work);
  }

  /**
   * Calls `effect` once the current transaction is committed; at once when there is none. It is lost if the process dies in
   * between, so it may only make faster what a sweep would do anyway.
   */
  afterCommit(effect: () => void): void {
    const work = this.open.current;
    if (work === undefined) effect();
    else work.afterCommit.push(effect);
  }

  /** The manager of the current transaction, or one that commits each statement by itself. */
  get manager(): EntityManager {
    return this.open.current?.manager ?? this.dataSource.manager;
  }

  repository<Entity extends ObjectLiteral>(entity: EntityTarget<Entity>): Repository<Entity> {
    return this.manager.getRepository(entity);
  }

  /** Opens every call to a wire: no socket is awaited while rows are locked. */
  assertClosed(): void {
    if (this.open.current !== undefined) throw new Error('A wire was called inside a transaction');
  }

  /** Opens what is only safe as part of a larger piece of work, such as taking a row lock or sending a message. */
  assertOpen(): void {
    if (this.open.current === undefined) throw new Error('What needs a transaction was done outside a transaction');
  }
}
