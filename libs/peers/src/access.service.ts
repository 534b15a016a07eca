import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DomainError } from '#kernel';
import { ContextSlot, DatabaseClock, UnitOfWork } from '#platform';
import { AccessChanges } from '#auth';
import { type Entitlement, Subscriptions } from '#subscriptions';
import { isExhausted, isInLine, type Judgement, verdictOf } from './access.rules.js';
import { Applying } from './applying.service.js';
import { PeersRepository } from './peers.repository.js';
import { TrafficRepository } from './traffic.repository.js';

const BATCH = 500;

/** Whose devices a piece of work suspended or let in again, by user, and how many devices those were. */
export interface AccessTally {
  readonly suspended: Map<number, number>;
  readonly reopened: Map<number, number>;
}

/**
 * Makes peers follow their owner's access: suspended when it ends or its traffic is used up, wanted again when it returns. Whether a
 * user may use the VPN at this moment is asked here and nowhere else.
 */
@Injectable()
export class Access implements OnModuleInit {
  private readonly tally = new ContextSlot<AccessTally>();

  constructor(
    private readonly uow: UnitOfWork,
    private readonly changes: AccessChanges,
    private readonly subscriptions: Subscriptions,
    private readonly peers: PeersRepository,
    private readonly traffic: TrafficRepository,
    private readonly applying: Applying,
    private readonly clock: DatabaseClock,
  ) {}

  onModuleInit(): void {
    this.changes.observe((userIds) => this.settle(userIds));
  }

  /** Counts what `work` does to devices, also by way of what follows from it. */
  async counting<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly tally: AccessTally }> {
    const tally: AccessTally = { suspended: new Map(), reopened: new Map() };
    return { result: await this.tally.run(tally, work), tally };
  }

  /** What a user may do with the VPN now. @throws DomainError no_active_subscription | traffic_exhausted */
  async require(userId: number): Promise<Entitlement> {
    const entitlement = await this.subscriptions.requireEntitlement(userId);
    const used = await this.traffic.usedIn([entitlement]);
    const { trafficLimitGb: limit } = entitlement;
    if (limit !== null && isExhausted(entitlement, used.get(entitlement.subscriptionId) ?? 0)) {
      throw new DomainError('traffic_exhausted', { params: { limit } });
    }
    return entitlement;
  }

  /** Brings these users' peers in line with their access, within the transaction that changed it. */
  async settle(userIds: readonly number[]): Promise<void> {
    this.uow.assertOpen();
    await this.peers.lockOwners(userIds);
    await this.follow(userIds);
  }

  /** Brings these users' peers in line with their access; returns how many of them had a peer that was not. */
  async enforceAmong(userIds: readonly number[]): Promise<number> {
    let changed = 0;
    for (let from = 0; from < userIds.length; from += BATCH) {
      const batch = userIds.slice(from, from + BATCH);
      changed += await this.uow.run(async () => {
        await this.peers.lockOwners(batch);
        return this.follow(batch);
      });
    }
    return changed;
  }

  /**
   * The same for everybody who has a peer: finds what ends, and what begins, by the clock. With `isEndingHeld` those who have no
   * access are left as they are.
   */
  async enforce({ isEndingHeld = false } = {}): Promise<number> {
    let changed = 0;
    for (let last = 0; ;) {
      const owners = await this.peers.owners(last, BATCH);
      const now = await this.clock.now();
      const judgements = await this.judge(
        owners.map(({ userId }) => userId),
        now,
      );
      const outOfLine = owners.filter((owner) => {
        const judgement = judgements.get(owner.userId);
        if (judgement === undefined || (isEndingHeld && judgement.verdict === 'no_access')) return false;
        return !isInLine(owner, judgement);
      });
      changed += await this.enforceAmong(outOfLine.map(({ userId }) => userId));
      last = owners.at(-1)?.userId ?? last;
      if (owners.length < BATCH) return changed;
    }
  }

  /** Asked under the owners' locks, so that a grant and an end cannot pass each other. */
  private async follow(userIds: readonly number[]): Promise<number> {
    const now = await this.clock.now();
    const changed = await this.peers.follow(await this.judge(userIds, now), now);
    const servers = new Set(changed.filter(({ applies }) => applies).map(({ serverId }) => serverId));
    const tally = this.tally.current;
    this.uow.afterCommit(() => {
      for (const { userId, isWanted } of changed.filter(({ isMoved }) => isMoved)) {
        const counted = isWanted ? tally?.reopened : tally?.suspended;
        counted?.set(userId, (counted.get(userId) ?? 0) + 1);
      }
      servers.forEach((serverId) => this.applying.start(serverId));
    });
    return new Set(changed.map(({ userId }) => userId)).size;
  }

  private async judge(userIds: readonly number[], at: Date): Promise<ReadonlyMap<number, Judgement>> {
    const entitled = await this.subscriptions.entitledAmong(userIds, at);
    const used = await this.traffic.usedIn([...entitled.values()]);
    return new Map(
      userIds.map((userId) => {
        const entitlement = entitled.get(userId) ?? null;
        const usedBytes = entitlement === null ? 0 : (used.get(entitlement.subscriptionId) ?? 0);
        return [userId, { verdict: verdictOf(entitlement, usedBytes), deviceLimit: entitlement?.deviceLimit ?? null }];
      }),
    );
  }
}
