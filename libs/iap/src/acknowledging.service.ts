import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { Users } from '#auth';
import { Clock, DomainError } from '#kernel';
import { LOG, Settings } from '#platform';
import { GoogleStorefront } from './google.storefront.js';
import { type Acknowledgeable, PurchasesRepository } from './purchases.repository.js';
import { acknowledgeRetryAt } from './schedule.rules.js';

const BATCH = 100;
/** With less time left than this, in hours, an operator is told. */
const ALARM_HOURS = 24;
/** After this many failures in a row a run ends: Play is down, and each call may take four seconds. The next run is ten seconds away. */
const FAILURES_IN_A_ROW = 5;
/** Failures that say that Play takes nothing from us just now, whichever purchase it is. */
const OF_ALL: ReadonlySet<unknown> = new Set(['rate_limit', 'refused']);

/** Tells Play that what was bought was delivered; otherwise it takes the purchase back after three days. */
@Injectable()
export class Acknowledging {
  constructor(
    private readonly repository: PurchasesRepository,
    private readonly google: GoogleStorefront,
    private readonly users: Users,
    private readonly settings: Settings,
    private readonly clock: Clock,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /**
   * Acknowledges what waits for it, the most urgent first; returns how many. Each purchase is tried by itself: one that fails has a
   * backoff of its own and keeps none waiting behind it. A run ends early only where Play takes nothing from us at all.
   */
  async acknowledgeDue(): Promise<number> {
    if (!this.google.isConfigured) return 0;
    let count = 0;
    let failures = 0;
    for (const purchase of await this.repository.toAcknowledge(BATCH)) {
      try {
        await this.acknowledge(purchase.id);
        count++;
        failures = 0;
      } catch (error) {
        await this.postpone(purchase, error);
        if (!(error instanceof DomainError) || error.code !== 'store_unavailable') continue;
        failures++;
        if (OF_ALL.has(error.params['kind']) || failures === FAILURES_IN_A_ROW) break;
      }
    }
    return count;
  }

  /** Acknowledges one purchase. @throws DomainError store_unavailable | purchase_not_found */
  async acknowledge(id: number): Promise<void> {
    const purchase = await this.repository.read(id);
    if (purchase?.acknowledgeBy == null) return;
    const { facts, userId } = purchase;
    const snapshot = facts.provider === 'google' ? facts.snapshot : null;
    const purchaseToken = await this.repository.purchaseToken(id);
    if (snapshot === null || purchaseToken === null) return;
    // Play takes a name for what was bought in Play itself only. Where purchases move between accounts, none is given one.
    const mayName = snapshot.isOutOfApp === true && this.settings.purchases.transferPolicy === 'keep';
    const isNameless = snapshot.kind === 'subscription' && snapshot.accountToken === null && userId !== null;
    const accountToken = mayName && isNameless ? (await this.users.get(userId)).appAccountToken : null;
    const { isNamed } = await this.google.acknowledge({
      kind: snapshot.kind,
      productIds: snapshot.items.toSorted(ownedFirst).map(({ productId }) => productId),
      purchaseToken,
      accountToken,
    });
    await this.repository.update(id, {
      acknowledgeBy: null,
      acknowledgeFailures: 0,
      acknowledgeRetryAt: null,
      acknowledgedSeq: String(await this.repository.nextQuestion()),
      ...(isNamed ? { givenAccountToken: accountToken } : {}),
    });
  }

  private async postpone({ id, acknowledgeBy, acknowledgeFailures }: Acknowledgeable, error: unknown): Promise<void> {
    const now = this.clock.now();
    const failures = acknowledgeFailures + 1;
    await this.repository.update(id, {
      acknowledgeFailures: failures,
      acknowledgeRetryAt: acknowledgeRetryAt(failures, acknowledgeBy, now),
    });
    const code = error instanceof DomainError ? error.code : 'internal_error';
    const hoursLeft = (acknowledgeBy.getTime() - now.getTime()) / 3_600_000;
    const about = { purchaseId: id, code, failures, hoursLeft: Math.round(hoursLeft) };
    if (code === 'internal_error') this.log.error({ ...about, err: error }, 'a purchase could not be acknowledged');
    else if (hoursLeft < ALARM_HOURS)
      this.log.error(about, 'Play will take a purchase back: it could not be acknowledged');
    else this.log.warn(about, 'a purchase could not be acknowledged yet');
    if (code === 'purchase_not_found') await this.repository.markDirty(id); // Play sees it otherwise than we do
  }
}

/** A line that only begins with the next renewal is not the customer's yet: it has no order. */
function ownedFirst(left: { readonly orderId: string | null }, right: { readonly orderId: string | null }): number {
  return Number(left.orderId === null) - Number(right.orderId === null);
}
