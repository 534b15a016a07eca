import { Injectable } from '@nestjs/common';
import { addDays, Clock, DomainError } from '#kernel';
import { ContextSlot } from '../context.js';
import { SecretBox } from '../crypto/secret-box.js';
import { inBatches } from '../database/in-batches.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { IdempotencyKeyEntity } from './idempotency-key.entity.js';

/** A request that may arrive more than once. */
export interface RepeatableRequest {
  readonly userId: number;
  /** What the client sent as `Idempotency-Key`. */
  readonly key: string;
  /** The same for the same method, path and body, so that a key is not taken for another request. */
  readonly fingerprint: string;
}

export interface RepeatableAnswer {
  readonly body: unknown;
  /** Whether this is the answer of an earlier request. */
  readonly replayed: boolean;
}

const FORGET = `DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2))`;

/** How long the first answer is kept (contract 1). */
const KEPT_DAYS = 1;

/**
 * Does what a repeated request asks for once, and gives every repetition the first answer.
 *
 * What is created and the note of it are one transaction (`creating`), so that a process killed between the commit and the
 * answer loses nothing: the repetition finds the note and answers from the row. Answers are sealed, because one of them holds a
 * private key.
 */
@Injectable()
export class Idempotency {
  private readonly underWay = new ContextSlot<{ request: RepeatableRequest; resourceId: number | null }>();
  private readonly running = new Set<string>();

  constructor(
    private readonly uow: UnitOfWork,
    private readonly box: SecretBox,
    private readonly clock: Clock,
  ) {}

  /** Runs `work` unless its answer is known. Refusals are not kept: whoever was refused may ask again. */
  async once(request: RepeatableRequest, work: () => Promise<unknown>): Promise<RepeatableAnswer> {
    const id = `${request.userId}:${request.key}`;
    if (this.running.has(id)) throw stillRunning();
    this.running.add(id);
    try {
      const known = await this.find(request);
      if (known !== null && known.fingerprint !== request.fingerprint) throw usedForAnother();
      if (known?.sealedAnswer) return { body: JSON.parse(this.box.open(known.sealedAnswer)), replayed: true };
      const body = await this.underWay.run({ request, resourceId: known?.resourceId ?? null }, work);
      await this.keep(request, { sealedAnswer: this.box.seal(JSON.stringify(body ?? null)) });
      return { body, replayed: false };
    } finally {
      this.running.delete(id);
    }
  }

  /**
   * Creates something on behalf of the current request. Where the request carries a key, the creation and the note of it are one
   * transaction, and a repetition gets what was created before (`again`) instead of a second one. What must happen outside of a
   * transaction is done first, by `prepare`, and only for what is really to be made.
   */
  async creating<T extends { readonly id: number }, Prepared = undefined>(
    make: (prepared: Prepared) => Promise<T>,
    again: (id: number) => Promise<T>,
    ...[prepare]: undefined extends Prepared ? [] : [prepare: () => Promise<Prepared>]
  ): Promise<T> {
    const store = this.underWay.current;
    if (store !== undefined && store.resourceId !== null) return again(store.resourceId);
    const prepared = (await prepare?.()) as Prepared;
    if (store === undefined) return make(prepared);
    return this.uow.run(async () => {
      const made = await make(prepared);
      if (!(await this.keep(store.request, { resourceId: made.id }))) throw stillRunning();
      return made;
    });
  }

  /** Deletes answers that are too old to be asked for; answers how many they were. */
  forgetOld(): Promise<number> {
    return inBatches(async (limit) => {
      const [, deleted] = await this.uow.manager.query<[unknown, number]>(FORGET, [this.oldest(), limit]);
      return deleted;
    });
  }

  /** Writes a key's row. A row of an earlier request is only replaced when it is too old to count; false says it was not. */
  private async keep(
    request: RepeatableRequest,
    what: { resourceId: number } | { sealedAnswer: string },
  ): Promise<boolean> {
    const rows: unknown[] = await this.uow.manager.query(
      `INSERT INTO idempotency_keys AS kept (user_id, key, fingerprint, resource_id, sealed_answer, created_at)
       VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (user_id, key) DO UPDATE SET
         fingerprint = EXCLUDED.fingerprint,
         resource_id = CASE WHEN kept.created_at < $7 THEN EXCLUDED.resource_id ELSE kept.resource_id END,
         sealed_answer = EXCLUDED.sealed_answer,
         created_at = CASE WHEN kept.created_at < $7 THEN EXCLUDED.created_at ELSE kept.created_at END
       WHERE kept.created_at < $7 OR (EXCLUDED.sealed_answer IS NOT NULL AND kept.sealed_answer IS NULL)
       RETURNING key`,
      [
        request.userId,
        request.key,
        request.fingerprint,
        'resourceId' in what ? what.resourceId : null,
        'sealedAnswer' in what ? what.sealedAnswer : null,
        this.clock.now(),
        this.oldest(),
      ],
    );
    return rows.length > 0;
  }

  private async find(request: RepeatableRequest): Promise<IdempotencyKeyEntity | null> {
    const found = await this.uow
      .repository(IdempotencyKeyEntity)
      .findOneBy({ userId: request.userId, key: request.key });
    return found !== null && found.createdAt >= this.oldest() ? found : null;
  }

  private oldest(): Date {
    return addDays(this.clock.now(), -KEPT_DAYS);
  }
}

function stillRunning(): DomainError {
  return new DomainError('idempotency_key_in_use', { retryAfterSeconds: 1 });
}

function usedForAnother(): DomainError {
  const msg = 'this key was already used with another request';
  const issue = { loc: ['header', 'idempotency-key'], msg, type: 'value_error.idempotency_key' };
  return new DomainError('idempotency_key_reused', { issues: [issue] });
}
