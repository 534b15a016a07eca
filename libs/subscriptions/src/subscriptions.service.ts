import { Injectable } from '@nestjs/common';
import { Clock, DomainError, isFree } from '#kernel';
import { type Actor, Audit, UnitOfWork } from '#platform';
import { AccessChanges, Users } from '#auth';
import { type Tariff, Tariffs } from '#tariffs';
import {
  endOfPeriod,
  entitlementOf,
  grantsAccess,
  shownSubscription,
  timeAhead,
  withoutPeriod,
} from './subscription.rules.js';
import { type Entitlement, type Subscription, type SubscriptionSource } from './subscription.js';
import { type FollowingRow, type StoreStanding, SubscriptionsRepository } from './subscriptions.repository.js';

/** What a payment bought: which subscription, and which part of its time. */
export interface PaidPeriod {
  readonly subscriptionId: number;
  readonly startedAt: Date;
  /** Null = for life; equal to the start when it was for life already, so that nothing was bought. */
  readonly endedAt: Date | null;
}

/** Who is entitled to what, until when. */
@Injectable()
export class Subscriptions {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly repository: SubscriptionsRepository,
    private readonly users: Users,
    private readonly tariffs: Tariffs,
    private readonly changes: AccessChanges,
    private readonly audit: Audit,
    private readonly clock: Clock,
  ) {}

  /** The one question about access: what may this user do with the VPN now? Null = nothing. */
  async entitlement(userId: number): Promise<Entitlement | null> {
    return entitlementOf(await this.repository.ofUser(userId), this.clock.now());
  }

  /** The same, as a demand. @throws DomainError no_active_subscription */
  async requireEntitlement(userId: number): Promise<Entitlement> {
    const entitlement = await this.entitlement(userId);
    if (entitlement === null) throw new DomainError('no_active_subscription');
    return entitlement;
  }

  /** The same for many: of these users, those who are active and have access now (or `at`), and how much of it. */
  async entitledAmong(
    userIds: readonly number[],
    at: Date = this.clock.now(),
  ): Promise<ReadonlyMap<number, Entitlement>> {
    const byUser = new Map<number, Subscription[]>();
    for (const subscription of await this.repository.grantingAmong(userIds, at)) {
      const known = byUser.get(subscription.userId);
      if (known === undefined) byUser.set(subscription.userId, [subscription]);
      else known.push(subscription);
    }
    const entitled = new Map<number, Entitlement>();
    for (const [userId, subscriptions] of byUser) {
      const entitlement = entitlementOf(subscriptions, at);
      if (entitlement !== null) entitled.set(userId, entitlement);
    }
    return entitled;
  }

  /** How often a user has more than one running subscription of the same tariff by hand: never, if all is well. */
  countDoubled(): Promise<number> {
    return this.repository.countDoubled(this.clock.now());
  }

  /** The subscription a user is shown; null when he never had one. */
  async shown(userId: number): Promise<Subscription | null> {
    return shownSubscription(await this.repository.ofUser(userId), this.clock.now());
  }

  /**
   * An administrator gives a tariff: for its duration, from now. The user becomes active.
   * @throws DomainError user_not_found | tariff_not_found | tariff_already_assigned
   */
  assign(by: Actor, userId: number, tariffId: number): Promise<Subscription> {
    return this.uow.run(async () => {
      const user = await this.users.lock(userId);
      const tariff = await this.tariffs.get(tariffId);
      const running = (await this.running(userId)).some((subscription) => subscription.tariff.id === tariffId);
      if (running) throw new DomainError('tariff_already_assigned');
      if (user.status !== 'active') await this.users.update(userId, { status: 'active' });
      const started = await this.start(userId, tariff, 'admin');
      await this.audit.record({
        ...by,
        action: 'tariff_assign',
        target: `user:${userId}`,
        data: { tariff_id: tariffId, subscription_id: started.id, until: started.endedAt, was: user.status },
      });
      return started;
    });
  }

  /**
   * A user takes a free tariff: each one once, and only while nothing else runs.
   * @throws DomainError tariff_not_found | payment_required | already_has_active_subscription | free_tariff_already_used
   */
  takeFree(userId: number, tariffId: number): Promise<Subscription> {
    return this.uow.run(async () => {
      await this.users.lock(userId);
      const tariff = await this.takeable(tariffId);
      if (!isFree(tariff.price)) throw new DomainError('payment_required');
      const all = await this.repository.ofUser(userId);
      if (entitlementOf(all, this.clock.now()) !== null) throw new DomainError('already_has_active_subscription');
      if (all.some((had) => had.tariff.id === tariffId)) throw new DomainError('free_tariff_already_used');
      return this.start(userId, tariff, 'promo');
    });
  }

  /** A tariff that can be newly taken. @throws DomainError tariff_not_found */
  async takeable(tariffId: number): Promise<Tariff> {
    const tariff = await this.tariffs.get(tariffId);
    if (!tariff.isActive) throw new DomainError('tariff_not_found');
    return tariff;
  }

  /**
   * A payment made by hand was completed: its tariff's duration is added to the end of what runs of the same tariff by hand, or
   * begins now. The caller makes sure, in the same transaction, that one payment is granted once.
   */
  async grantPaid(userId: number, tariffId: number): Promise<PaidPeriod> {
    this.uow.assertOpen();
    await this.users.lock(userId);
    const tariff = await this.tariffs.get(tariffId);
    const byHand: readonly SubscriptionSource[] = ['admin', 'manual'];
    const running = (await this.running(userId)).find(
      (subscription) => subscription.tariff.id === tariffId && byHand.includes(subscription.source),
    );
    if (running === undefined) {
      const { id, startedAt, endedAt } = await this.start(userId, tariff, 'manual');
      return { subscriptionId: id, startedAt, endedAt };
    }
    if (running.endedAt === null) {
      const now = this.clock.now();
      return { subscriptionId: running.id, startedAt: now, endedAt: now };
    }
    const startedAt = running.endedAt;
    const endedAt = endOfPeriod(startedAt, tariff.durationDays);
    await this.repository.moveEnd(running.id, endedAt);
    await this.changes.announce(userId);
    return { subscriptionId: running.id, startedAt, endedAt };
  }

  /**
   * Follows a store's purchase: writes the one row of it as the purchase stands now, for its owner, and tells whoever depends on
   * access. Nothing is written when nothing changed. Returns the row's id. `cause` is kept in the history.
   */
  async follow(userId: number, purchaseId: number, standing: StoreStanding, cause: string): Promise<number> {
    this.uow.assertOpen();
    const before = await this.repository.ofPurchase(purchaseId);
    const owners = [...new Set([userId, before?.userId ?? userId])].toSorted((left, right) => left - right);
    for (const owner of owners) await this.users.lock(owner);
    if (before !== null && before.userId === userId && isUnchanged(before, standing)) return before.id;
    const id = await this.repository.follow(before?.id ?? null, userId, purchaseId, standing);
    const { state, tariffId, accessUntil } = standing;
    await this.repository.remember([
      { subscriptionId: id, fromState: before?.state ?? null, toState: state, tariffId, accessUntil, cause },
    ]);
    for (const owner of owners) await this.changes.announce(owner);
    return id;
  }

  /** The row that follows a purchase; null while it never granted anything to anybody. */
  ofPurchase(purchaseId: number): Promise<FollowingRow | null> {
    return this.repository.ofPurchase(purchaseId);
  }

  /** All that a user ever had, by id. */
  all(userId: number): Promise<readonly Subscription[]> {
    return this.repository.ofUser(userId);
  }

  /**
   * The money for a period was given back: what still lies ahead of it is cut off, and access ends at once when nothing else was
   * paid for. The caller makes sure, in the same transaction, that one payment is taken back once. Returns by how many milliseconds
   * the periods after this one moved forward: the caller moves the payments for them along, or a later refund would count from where
   * they no longer are.
   */
  async takeBack(userId: number, period: PaidPeriod): Promise<number> {
    this.uow.assertOpen();
    await this.users.lock(userId);
    const subscription = (await this.repository.ofUser(userId)).find(({ id }) => id === period.subscriptionId);
    const now = this.clock.now();
    if (subscription === undefined || !grantsAccess(subscription, now)) return 0;
    const movedMs = timeAhead(period, now);
    const left = withoutPeriod(subscription, period, now);
    if (left === null) return movedMs;
    await this.repository.cutTo(subscription.id, left);
    await this.repository.remember([
      {
        subscriptionId: subscription.id,
        fromState: subscription.state,
        toState: left.state,
        tariffId: subscription.tariff.id,
        accessUntil: left.endedAt,
        cause: 'refund',
      },
    ]);
    await this.changes.announce(userId);
    return movedMs;
  }

  private async running(userId: number): Promise<readonly Subscription[]> {
    const now = this.clock.now();
    return (await this.repository.ofUser(userId)).filter((subscription) => grantsAccess(subscription, now));
  }

  private async start(userId: number, tariff: Tariff, source: SubscriptionSource): Promise<Subscription> {
    const startedAt = this.clock.now();
    const endedAt = endOfPeriod(startedAt, tariff.durationDays);
    const id = await this.repository.insert({
      userId,
      tariffId: tariff.id,
      source,
      state: 'active',
      startedAt,
      endedAt,
    });
    await this.changes.announce(userId);
    return {
      id,
      userId,
      startedAt,
      endedAt,
      accessUntil: endedAt,
      periodStartedAt: null,
      nextPeriodAt: null,
      state: 'active',
      source,
      autoRenewing: false,
      isTrial: false,
      tariff,
    };
  }
}

/** Whether two standings are the same to whoever reads them. */
function isUnchanged(before: StoreStanding, now: StoreStanding): boolean {
  const read = (standing: StoreStanding): string =>
    JSON.stringify([
      standing.tariffId,
      standing.state,
      standing.startedAt,
      standing.periodStartedAt,
      standing.nextPeriodAt,
      standing.endedAt,
      standing.accessUntil,
      standing.graceUntil,
      standing.autoRenewing,
      standing.isTrial,
      standing.cancelledAt,
      standing.pendingTariffId,
      standing.endedReason,
    ]);
  return read(before) === read(now);
}
