import { Body, Controller, Param, Post, UseGuards } from '@nestjs/common';
import { ApiHeader, ApiParam, ApiTags } from '@nestjs/swagger';
import { PaymentWebhooks } from '#payments';
import { KeepsBytes } from '../http/json-body.parser.js';
import { Operation } from '../http/operation.decorator.js';
import { PaymentEventIn, PaymentEventOut } from './payment-webhook.dto.js';
import { WebhookSignatureGuard } from './webhook-signature.guard.js';

/** Providers of payments that are no store. The stores' own webhooks are routes of their names, and win over this one. */
@ApiTags('payments')
@Controller('payments/webhook')
export class PaymentWebhooksController {
  constructor(private readonly webhooks: PaymentWebhooks) {}

  @Post(':provider')
  @KeepsBytes()
  @UseGuards(WebhookSignatureGuard)
  @ApiParam({ name: 'provider', schema: { type: 'string', pattern: '^[a-z][a-z0-9_]{1,31}$' }, example: 'acme' })
  @ApiHeader({
    name: 'X-Signature',
    required: true,
    description:
      't=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">; five minutes old at most; v1 may be there several times',
    schema: { type: 'string' },
    example: 't=1795446000,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd',
  })
  @Operation({
    access: 'public',
    summary: 'A payment provider tells what became of a payment',
    description:
      'The payment made by hand with that provider and provider_payment_id is completed (and what it pays for granted, exactly ' +
      'once), failed or refunded. News only moves a payment forward, from pending over failed and completed to refunded; what ' +
      'comes late changes nothing and is answered 200 with the status as it is.',
    answer: PaymentEventOut,
    limit: 'webhook',
    errors: [
      'webhook_signature_invalid',
      'payment_provider_unknown',
      'payment_not_found',
      'payment_amount_differs',
      'webhook_event_reused',
      'validation_error',
    ],
  })
  async receivePaymentEvent(
    @Param('provider') provider: string,
    @Body() body: PaymentEventIn,
  ): Promise<PaymentEventOut> {
    return PaymentEventOut.from(await this.webhooks.receive(PaymentEventIn.toNews(provider, body)));
  }
}
