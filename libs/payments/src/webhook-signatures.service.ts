import { Injectable } from '@nestjs/common';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { Clock, DomainError } from '#kernel';
import { Settings } from '#platform';
import { isTimely, parseSignature } from './webhook-signature.rules.js';

/** Whether a webhook comes from the provider that it names (PAYMENT_WEBHOOK_SECRETS). */
@Injectable()
export class WebhookSignatures {
  constructor(
    private readonly settings: Settings,
    private readonly clock: Clock,
  ) {}

  /**
   * Checks `header` against the very bytes that arrived: any of the provider's secrets will do, and any of the header's digests.
   * @throws DomainError payment_provider_unknown | webhook_signature_invalid
   */
  verify(provider: string, header: string | undefined, body: Buffer): void {
    const secrets = this.settings.paymentWebhookSecrets.get(provider);
    if (secrets === undefined) throw new DomainError('payment_provider_unknown');
    const given = header === undefined ? undefined : parseSignature(header);
    if (given === undefined || !isTimely(given, this.clock.now())) throw new DomainError('webhook_signature_invalid');
    const digests = given.digests.map((digest) => Buffer.from(digest, 'hex'));
    const genuine = secrets.some((secret) => {
      const expected = createHmac('sha256', secret).update(`${given.time}.`).update(body).digest();
      return digests.some((digest) => timingSafeEqual(digest, expected));
    });
    if (!genuine) throw new DomainError('webhook_signature_invalid');
  }
}
