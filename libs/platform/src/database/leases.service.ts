import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type EntityManager } from 'typeorm';
import { Randomness } from '#kernel';
import { type LeaseKey, LeasesRepository } from './leases.repository.js';
import { UnitOfWork } from './unit-of-work.js';

/** How long leases live; in milliseconds, but for the first, which the database counts. */
export interface LeaseTimes {
  /** Without a renewal a lease ends after so many seconds: so long does it take to replace a holder that died. */
  readonly leaseSeconds: number;
  readonly renewEveryMs: number;
  /** After a renewal that failed. */
  readonly retryAfterMs: number;
  /** A holder that has not heard of a renewal for so long takes the lease for lost, before anybody else can have it. */
  readonly trustMs: number;
  /** Work that takes longer hangs: its lease is not renewed any more. */
  readonly longestMs: number;
}

export const LEASE_TIMES: LeaseTimes = {
  leaseSeconds: 30,
  renewEveryMs: 10_000,
  retryAfterMs: 2000,
  trustMs: 25_000,
  longestMs: 3_600_000,
};

/** How long the end of the process waits for work under a lease, in milliseconds; what is not done by then keeps its lease till it expires. */
const PATIENCE_MS = 1000;

/** The lease was lost while work went on under it: somebody else may be at that work now. */
export class LeaseLostError extends Error {
  readonly code = 'lease_lost';

  constructor(name: string, why: string) {
    super(`The lease "${name}" was lost: ${why}`);
  }
}

/** What work knows of the lease that it runs under. */
export interface Lease extends LeaseKey {
  /** Aborted when the lease is lost, or the process is about to end. */
  readonly signal: AbortSignal;
  /** To be asked before each step that nobody else should do meanwhile. @throws LeaseLostError */
  assertHeld(): void;
}

/**
 * Has a piece of work run on one instance at a time. A lease is a row with an expiry by the database's clock, renewed while the
 * work runs; a holder that dies is replaced when it has expired. The work is told when its lease is lost (`Lease.signal`), and
 * each transaction that it begins proves first that the lease is still its own, and keeps it until the commit: what a holder that
 * was overtaken would still write is rolled back.
 */
@Injectable()
export class Leases implements BeforeApplicationShutdown {
  private readonly held = new Map<string, HeldLease>();
  private readonly running = new Set<Promise<unknown>>();
  private readonly holder: string;
  private isClosed = false;

  constructor(
    private readonly uow: UnitOfWork,
    private readonly repository: LeasesRepository,
    randomness: Randomness,
    private readonly times: LeaseTimes,
  ) {
    this.holder = `${hostname().slice(0, 60)}/${process.pid}/${randomness.bytes(4).toString('hex')}`;
  }

  /**
   * Runs `work` unless it is being run somewhere; null when it is.
   * @throws LeaseLostError when the lease was lost before the work was done, or the process is ending
   */
  async run<T>(name: string, work: (lease: Lease) => Promise<T>): Promise<{ readonly result: T } | null> {
    if (this.isClosed) throw new LeaseLostError(name, 'the process is ending');
    if (this.held.has(name)) return null;
    const began = performance.now();
    const fence = await this.repository.acquire(name, this.holder, this.times.leaseSeconds);
    if (fence === null) return null;
    const lease = new HeldLease({ name, fence }, this.repository, this.times, began);
    const done = this.runUnder(lease, work);
    const tracked = done.catch(() => undefined).finally(() => this.running.delete(tracked));
    this.running.add(tracked);
    return { result: await done };
  }

  /** After the jobs were stopped (`onModuleDestroy` of theirs), before the database is closed. */
  async beforeApplicationShutdown(): Promise<void> {
    this.isClosed = true;
    for (const lease of this.held.values()) lease.tell('the process is ending');
    await Promise.race([Promise.all(this.running), delay(PATIENCE_MS, undefined, { ref: false })]);
  }

  private async runUnder<T>(lease: HeldLease, work: (lease: Lease) => Promise<T>): Promise<T> {
    if (this.isClosed) lease.tell('the process is ending');
    this.held.set(lease.name, lease);
    try {
      lease.assertHeld();
      // Work that hangs is not waited for: what it does later is refused by the fence.
      return await Promise.race([this.uow.under(lease, () => work(lease)), lease.lost]);
    } finally {
      this.held.delete(lease.name);
      lease.stop();
      // One that is lost may have work under it that hangs. Where the release fails, the expiry makes up for it.
      if (!lease.isLost) await this.repository.release(lease).catch(() => undefined);
    }
  }
}

/** A lease in the hands of this process, renewed until it is stopped or lost. */
class HeldLease implements Lease {
  readonly name: string;
  readonly fence: number;
  /** Rejects when the lease is lost. */
  readonly lost: Promise<never>;
  isLost = false;
  private isStopped = false;
  private readonly abort = new AbortController();
  private reject: (error: Error) => void = () => undefined;
  private renewal: NodeJS.Timeout;
  private trust: NodeJS.Timeout;

  /** `began` is when it was asked for, by `performance.now()`: the database's time of it cannot be earlier. */
  constructor(
    private readonly key: LeaseKey,
    private readonly repository: LeasesRepository,
    private readonly times: LeaseTimes,
    private readonly began: number,
  ) {
    this.name = key.name;
    this.fence = key.fence;
    this.lost = new Promise((_, reject) => (this.reject = reject));
    this.lost.catch(() => undefined); // who waits for it hears of it
    this.renewal = this.renewAfter(times.renewEveryMs);
    this.trust = this.trustFrom(began);
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  assertHeld(): void {
    if (this.signal.aborted) throw this.reason();
  }

  /** Part of each transaction under this lease. @throws LeaseLostError */
  async verify(manager: EntityManager): Promise<void> {
    this.assertHeld();
    if (await this.repository.hold(manager, this.key)) return;
    this.lose('somebody else has it');
    this.assertHeld();
  }

  /** Has the work end as soon as it can. */
  tell(why: string): void {
    this.abort.abort(new LeaseLostError(this.name, why));
  }

  private lose(why: string): void {
    this.stop();
    this.isLost = true;
    this.tell(why);
    this.reject(this.reason());
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.renewal);
    clearTimeout(this.trust);
  }

  private renewAfter(ms: number): NodeJS.Timeout {
    return setTimeout(() => void this.renew(), ms).unref();
  }

  /** From when the last renewal was asked for, not from when its answer came. */
  private trustFrom(asked: number): NodeJS.Timeout {
    const left = Math.max(0, asked + this.times.trustMs - performance.now());
    return setTimeout(() => this.lose('it was not renewed in time'), left).unref();
  }

  private async renew(): Promise<void> {
    if (performance.now() - this.began > this.times.longestMs) {
      this.lose('the work takes too long');
      return;
    }
    const asked = performance.now();
    const isOurs = await this.repository.renew(this.key, this.times.leaseSeconds).catch(() => null);
    if (this.isStopped) return;
    if (isOurs === false) {
      this.lose('somebody else has it');
      return;
    }
    clearTimeout(this.renewal);
    this.renewal = this.renewAfter(isOurs === null ? this.times.retryAfterMs : this.times.renewEveryMs);
    if (isOurs === null) return;
    clearTimeout(this.trust);
    this.trust = this.trustFrom(asked);
  }

  private reason(): Error {
    const { reason } = this.signal as { readonly reason: unknown };
    return reason instanceof Error ? reason : new LeaseLostError(this.name, 'for no known reason');
  }
}
