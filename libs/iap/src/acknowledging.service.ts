import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { Users } from '#auth';
import { Clock, DomainError } from '#kernel';
import { LOG } from '#platform';
import { GoogleStorefront } from './google.storefront.js';
import { PurchasesRepository } from './purchases.repository.js';

const BATCH = 100;
/** With less time left than this, in hours, an operator is told. */
const ALARM_HOURS = 24;

/** Tells Play that what was bought was delivered; otherwise it takes the purchase back after three days. */
@Injectable()
export class Acknowledging {
  constructor(
    private readonly repository: PurchasesRepository,
    private readonly google: GoogleStorefront,
    private readonly users: Users,
    private readonly clock: Clock,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Acknowledges what waits for it, the most urgent first; returns how many. What fails stays in its row. */
  async acknowledgeDue(): Promise<number> {
    if (!this.google.isConfigured) return 0;
    let count = 0;
    for (const { id, acknowledgeBy } of await this.repository.toAcknowledge(BATCH)) {
      try {
        await this.acknowledge(id);
        count++;
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        this.warn(id, acknowledgeBy, error.code);
        if (error.code === 'store_unavailable') break;
        await this.repository.markDirty(id); // Play sees it otherwise than we do
      }
    }
    return count;
  }

  /** Acknowledges one purchase. @throws DomainError store_unavailable */
  async acknowledge(id: number): Promise<void> {
    const purchase = await this.repository.read(id);
    const purchaseToken = await this.repository.purchaseToken(id);
    if (purchase?.acknowledgeBy == null || purchaseToken === null || purchase.productId === null) return;
    const { facts, productId, userId } = purchase;
    const snapshot = facts.provider === 'google' ? facts.snapshot : null;
    const kind = snapshot?.kind ?? 'subscription';
    const needsToken = kind === 'subscription' && snapshot?.accountToken === null && userId !== null;
    const accountToken = needsToken ? (await this.users.get(userId)).appAccountToken : undefined;
    await this.google.acknowledge({
      kind,
      productId,
      purchaseToken,
      ...(accountToken === undefined ? {} : { accountToken }),
    });
    await this.repository.update(id, { acknowledgeBy: null });
  }

  private warn(id: number, acknowledgeBy: Date, code: string): void {
    const hoursLeft = (acknowledgeBy.getTime() - this.clock.now().getTime()) / 3_600_000;
    const about = { purchaseId: id, code, hoursLeft: Math.round(hoursLeft) };
    if (hoursLeft < ALARM_HOURS) this.log.error(about, 'Play will take a purchase back: it could not be acknowledged');
    else this.log.warn(about, 'a purchase could not be acknowledged yet');
  }
}
