import { Injectable } from '@nestjs/common';
import { Clock, DomainError, type Listing, type Page } from '#kernel';
import { StoreLedger } from '#payments';
import { type Actor, Audit, UnitOfWork } from '#platform';
import { AppleStorefront, type TestRequest } from './apple.storefront.js';
import { Asking } from './asking.service.js';
import { GoogleStorefront } from './google.storefront.js';
import { Inbox } from './inbox.service.js';
import { type Purchase } from './purchase.js';
import { Purchases } from './purchases.service.js';
import { PurchasesRepository } from './purchases.repository.js';
import { type StoreEnvironment } from './store.js';
import { type StoreEvent, type StoreEventStatus } from './store-event.js';
import { StoreEventsRepository } from './store-events.repository.js';

/** What support and operators do about purchases and events, by hand. */
@Injectable()
export class Support {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly purchases: Purchases,
    private readonly repository: PurchasesRepository,
    private readonly events: StoreEventsRepository,
    private readonly inbox: Inbox,
    private readonly asking: Asking,
    private readonly apple: AppleStorefront,
    private readonly google: GoogleStorefront,
    private readonly ledger: StoreLedger,
    private readonly audit: Audit,
    private readonly clock: Clock,
  ) {}

  /** A page of purchases, newest first: of a user, those that nobody has claimed, or all. */
  listPurchases(
    filter: { readonly userId?: number | undefined; readonly unclaimed?: boolean | undefined },
    page: Page,
  ): Promise<Listing<Purchase>> {
    return this.repository.list(filter, page);
  }

  /** A page of what the stores told, newest first. */
  listEvents(
    filter: { readonly status?: StoreEventStatus | undefined; readonly purchaseId?: number | undefined },
    page: Page,
  ): Promise<Listing<StoreEvent>> {
    return this.events.list(filter, page);
  }

  /** Has an event dealt with once more. @throws DomainError store_event_not_found */
  replay(by: Actor, eventId: number): Promise<StoreEvent> {
    return this.uow.run(async () => {
      const event = await this.events.rearm(eventId);
      const { provider, type } = event;
      await this.audit.record({
        ...by,
        action: 'store_event_replay',
        target: `store_event:${eventId}`,
        data: { provider, type },
      });
      this.uow.afterCommit(() => this.inbox.start());
      return event;
    });
  }

  /** The same for all that were given up; returns how many. */
  async replayFailed(): Promise<number> {
    const count = await this.events.rearmFailed();
    this.inbox.start();
    return count;
  }

  /**
   * Gives a purchase to another account, with the access it grants: the former owner loses it in the same transaction.
   * @throws DomainError purchase_not_found | user_not_found | sandbox_not_allowed
   */
  transfer(by: Actor, purchaseId: number, userId: number, reason: string): Promise<Purchase> {
    return this.uow.run(async () => {
      const { userId: formerUserId } = await this.repository.get(purchaseId);
      await this.purchases.assign(purchaseId, userId);
      const data = { from_user_id: formerUserId, to_user_id: userId, reason };
      await this.audit.record({ ...by, action: 'purchase_transfer', target: `purchase:${purchaseId}`, data });
      return this.repository.get(purchaseId);
    });
  }

  /** Asks Apple to send its test notification to us. @throws DomainError store_unavailable | store_not_configured */
  requestTest(environment: StoreEnvironment): Promise<TestRequest> {
    return this.apple.requestTestNotification(environment);
  }

  /**
   * The rights in Play that the service account lacks, by their names in the Play Console.
   * @throws DomainError store_unavailable | store_not_configured
   */
  missingRights(): Promise<readonly string[]> {
    return this.google.missingRights();
  }

  /** Asks the store about a purchase now. @throws DomainError purchase_not_found | store_unavailable | store_not_configured */
  async reconcile(purchaseId: number): Promise<Purchase> {
    await this.repository.get(purchaseId);
    await this.asking.askAbout(purchaseId, { isThorough: true });
    return this.repository.get(purchaseId);
  }

  /**
   * Gives the money of Play's latest order back and ends the access. Apple refunds by itself alone.
   * @throws DomainError purchase_not_found | refund_not_possible | store_unavailable | store_not_configured
   */
  async refund(by: Actor, purchaseId: number): Promise<Purchase> {
    const purchase = await this.repository.get(purchaseId);
    const payment = await this.ledger.latest(purchaseId);
    const orderId = payment?.providerPaymentId ?? null;
    const isPaid = payment?.status === 'completed' && orderId !== null && !orderId.startsWith('token:');
    if (purchase.provider !== 'google' || !isPaid) throw new DomainError('refund_not_possible');
    await this.google.refund(orderId, { revoke: true });
    await this.uow.run(async () => {
      const { amount, currency } = payment;
      const data = { payment_id: payment.id, amount, currency };
      await this.audit.record({ ...by, action: 'purchase_refund', target: `purchase:${purchaseId}`, data });
      // Play has done it: it counts from now on, whenever Play tells of it.
      await this.purchases.noteVoid(purchaseId, { orderId, at: this.clock.now().getTime() });
      await this.repository.markDirty(purchaseId);
    });
    await this.asking.askAbout(purchaseId).catch((error: unknown) => {
      if (!(error instanceof DomainError)) throw error; // it is due, and is asked about by the job
    });
    return this.repository.get(purchaseId);
  }
}
