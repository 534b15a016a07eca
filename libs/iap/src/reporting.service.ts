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
    this.outbox.handle('apple_consumption', ({ payload: { environment, transactionId, isDelivered, used } }) =>
      told(
        this.apple.sendConsumption(environment, transactionId, {
          deliveryStatus: isDelivered ? 'DELIVERED' : 'UNDELIVERED_OTHER',
          sampleContentProvided: false,
          consumptionPercentage: isDelivered ? used : 0,
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

  /**
   * Answers Apple's question about a purchase whose money is asked back, if its owner has agreed to that. Apple takes no answer that
   * says he has not.
   */
  async consumed(userId: number, transaction: AppleTransaction, isDelivered: boolean, at: Date): Promise<void> {
    if (!(await this.users.get(userId)).refundDataConsent) return;
    const { environment, transactionId, purchaseDate, expiresDate } = transaction;
    const share = expiresDate === null ? 1 : (at.getTime() - purchaseDate) / (expiresDate - purchaseDate);
    const used = Math.round(Math.min(1, Math.max(0, share)) * WHOLE);
    await this.outbox.put({ kind: 'apple_consumption', payload: { environment, transactionId, isDelivered, used } });
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
