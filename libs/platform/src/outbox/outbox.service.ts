import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { type Logger } from 'pino';
import { addDays, addSeconds, Clock } from '#kernel';
import { SecretBox } from '../crypto/secret-box.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { LOG } from '../telemetry/log.js';
import { OUTBOX_KINDS, type OutboxKind, type OutboxMessage, type OutboxPayloads } from './outbox-message.js';
import { type LeasedRow, type NewOutboxRow, OutboxRepository } from './outbox.repository.js';
import { isBeyondLast, pauseAfter } from './outbox.rules.js';

/** A message in the hands of its handler. `id` and `createdAt` are the same in every repetition, and no other message's. */
export interface OutboxDelivery<Kind extends OutboxKind> {
  readonly id: string;
  readonly createdAt: Date;
  readonly payload: OutboxPayloads[Kind];
}

/** What came of it, with a short code for the row and the log: `failed` is tried again, `refused` would be in vain. */
export type OutboxOutcome = 'done' | { readonly failed: string } | { readonly refused: string };

/**
 * Does what a message asks for, outside of any transaction, within a minute. It may be called again for one that was done: it has
 * to be idempotent, or repeatable without harm. What it throws counts as failed.
 */
export type OutboxHandler<Kind extends OutboxKind> = (delivery: OutboxDelivery<Kind>) => Promise<OutboxOutcome>;

/** How many are on their way at once from one process: as many connections to a mail server as providers like to see. */
const BATCH = 10;
/** Twice what a handler may take. */
const LEASE_SECONDS = 120;
/** What was given up is kept for that long, for an operator to look at and to send again. */
const KEPT_DAYS = 30;
/** What fits into the column. */
const ERROR_LENGTH = 64;
/** How long the end of the process waits for deliveries, in milliseconds; one that is lost is repeated. */
const PATIENCE_MS = 2000;

/**
 * One-shot effects beyond this database: written in the transaction that decided them, so never lost and never done for something
 * that was rolled back; delivered at least once, by whichever instance comes first.
 */
@Injectable()
export class Outbox implements BeforeApplicationShutdown {
  private readonly handlers = new Map<string, (row: LeasedRow) => Promise<OutboxOutcome>>();
  private run: Promise<number> | undefined;
  private asked = false;
  private stopping = false;

  constructor(
    private readonly uow: UnitOfWork,
    private readonly repository: OutboxRepository,
    private readonly box: SecretBox,
    private readonly clock: Clock,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Says who delivers messages of a kind. Those that nobody here delivers are left to other instances. */
  handle<Kind extends OutboxKind>(kind: Kind, handler: OutboxHandler<Kind>): void {
    if (this.handlers.has(kind)) throw new Error(`There are two handlers for "${kind}"`);
    const rules = OUTBOX_KINDS[kind];
    this.handlers.set(kind, (row) => {
      const { id, createdAt, sealedPayload } = row;
      const stored: unknown = sealedPayload === null ? row.payload : JSON.parse(this.box.open(sealedPayload));
      return handler({ id, createdAt, payload: rules.parse(stored) });
    });
  }

  /** Writes messages down as part of the current transaction; their delivery begins as soon as it is committed. */
  async put(...messages: readonly OutboxMessage[]): Promise<void> {
    this.uow.assertOpen();
    if (messages.length === 0) return;
    await this.repository.insert(
      messages.map((message) => this.toRow(message)),
      this.clock.now(),
    );
    this.uow.afterCommit(() => this.start());
  }

  /**
   * Delivers what is due until nothing is, and answers how many attempts that were. Callers share one run, which looks again for
   * what was committed after it had begun.
   */
  deliver(): Promise<number> {
    this.uow.assertClosed();
    this.asked = true;
    this.run ??= this.drain();
    return this.run;
  }

  /** Deletes what was given up a month ago; answers how many that were. */
  forgetFailed(): Promise<number> {
    return this.repository.forgetFailed(addDays(this.clock.now(), -KEPT_DAYS));
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    const ended = this.run?.catch(() => undefined);
    await Promise.race([ended, delay(PATIENCE_MS, undefined, { ref: false })]);
  }

  private start(): void {
    this.asked = true;
    if (this.run !== undefined) return;
    this.deliver().catch((error: unknown) => this.log.error({ err: error }, 'the outbox could not be delivered'));
  }

  private async drain(): Promise<number> {
    try {
      let attempts = 0;
      while (this.asked) {
        this.asked = false;
        for (let batch = await this.lease(); batch.length > 0; batch = await this.lease()) {
          attempts += batch.length;
          await this.deliverAll(batch);
        }
      }
      return attempts;
    } finally {
      this.run = undefined;
    }
  }

  private async lease(): Promise<readonly LeasedRow[]> {
    const now = this.clock.now();
    if (this.stopping) return [];
    return this.repository.lease([...this.handlers.keys()], BATCH, now, addSeconds(now, LEASE_SECONDS));
  }

  /** Waits for all of them, also where the end of one could not be written down. */
  private async deliverAll(batch: readonly LeasedRow[]): Promise<void> {
    const ends = await Promise.allSettled(batch.map((row) => this.deliverOne(row)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  private async deliverOne(row: LeasedRow): Promise<void> {
    const outcome = isBeyondLast(row.attempt) ? { refused: 'lost' } : await this.attempt(row);
    if (outcome === 'done') return this.repository.remove(row.id);
    const pause = 'failed' in outcome ? pauseAfter(row.attempt) : null;
    const error = ('failed' in outcome ? outcome.failed : outcome.refused).slice(0, ERROR_LENGTH);
    const line = { outboxId: row.id, kind: row.kind, attempt: row.attempt, error };
    const now = this.clock.now();
    if (pause === null) {
      await this.repository.giveUp(row, error, now);
      this.log.error(line, 'a message was given up');
    } else {
      await this.repository.putOff(row, error, addSeconds(now, pause));
      this.log.warn(line, 'a message could not be delivered; it will be tried again');
    }
  }

  private async attempt(row: LeasedRow): Promise<OutboxOutcome> {
    const { id, kind } = row;
    try {
      const handler = this.handlers.get(kind);
      if (handler === undefined) throw new Error('A message without a handler was leased');
      return await handler(row);
    } catch (error) {
      this.log.warn({ err: error, outboxId: id, kind }, 'a message was not dealt with as it should be');
      return { failed: 'unexpected' };
    }
  }

  private toRow({ kind, payload }: OutboxMessage): NewOutboxRow {
    const json = JSON.stringify(payload);
    return OUTBOX_KINDS[kind].isSealed
      ? { kind, payload: null, sealedPayload: this.box.seal(json) }
      : { kind, payload: json, sealedPayload: null };
  }
}
