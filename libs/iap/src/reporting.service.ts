import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Users } from '#auth';
import { DomainError } from '#kernel';
import { Outbox, type OutboxOutcome } from '#platform';
import { type AppleTransaction } from './apple-facts.js';
import { AppleStorefront } from './apple.storefront.js';

const WHOLE = 100_000;

/** What Apple is told of its customers, as part of the transaction that decided it. */
@Injectable()
export class Reporting implements OnModuleInit {
  constructor(
    private readonly outbox: Outbox,
    private readonly apple: AppleStorefront,
    private readonly users: Users,
  ) {}

  onModuleInit(): void {
    this.outbox.handle('apple_account_token', ({ payload }) =>
      told(this.apple.setAccountToken(payload.environment, payload.originalTransactionId, payload.accountToken)),
    );
    this.outbox.handle('apple_consumption', ({ payload: { environment, transactionId, isDelivered, used, renews } }) =>
      told(
        this.apple.sendConsumption(environment, transactionId, {
          deliveryStatus: isDelivered ? 'DELIVERED' : 'UNDELIVERED_OTHER',
          sampleContentProvided: false,
          ...(isDelivered && used !== null ? { consumptionPercentage: used } : {}),
          ...(!isDelivered && !renews ? { consumptionPercentage: 0 } : {}),
        }),
      ),
    );
  }

  /** Tells Apple whose a purchase is that named nobody. Family members' purchases take no name. */
  async claimed(userId: number, { environment, originalTransactionId, ownership }: AppleTransaction): Promise<void> {
    if (ownership === 'FAMILY_SHARED') return;
    const { appAccountToken: accountToken } = await this.users.get(userId);
    await this.outbox.put({
      kind: 'apple_account_token',
      payload: { environment, originalTransactionId, accountToken },
    });
  }

  /** Whether Apple may be told what somebody had of a purchase: Apple takes no answer that says he has not agreed. */
  async mayTell(userId: number): Promise<boolean> {
    return (await this.users.get(userId)).refundDataConsent;
  }

  /**
   * Answers Apple's question about a purchase whose money is asked back. How much of it was used is told only of what we measure out
   * ourselves: of an auto-renewable subscription Apple knows the period and refuses the figure, and what is had for life has none.
   */
  async consumed(transaction: AppleTransaction, endsAt: Date | null, isDelivered: boolean, at: Date): Promise<void> {
    const { environment, transactionId, purchaseDate, expiresDate } = transaction;
    const share =
      expiresDate !== null || endsAt === null
        ? null
        : (at.getTime() - purchaseDate) / Math.max(1, endsAt.getTime() - purchaseDate);
    const used = share === null ? null : Math.round(Math.min(1, Math.max(0, share)) * WHOLE);
    await this.outbox.put({
      kind: 'apple_consumption',
      payload: { environment, transactionId, isDelivered, used, renews: expiresDate !== null },
    });
  }
}

/** What Apple refuses for good is given up, and stays to be seen. */
async function told(telling: Promise<string | null>): Promise<OutboxOutcome> {
  try {
    const refusal = await telling;
    return refusal === null ? 'done' : { refused: refusal };
  } catch (error) {
    if (error instanceof DomainError) return { failed: error.code };
    throw error;
  }
}
