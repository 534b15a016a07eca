import { Body, Controller, Headers, Post } from '@nestjs/common';
import { ApiBody, ApiTags } from '@nestjs/swagger';
import { type Principal } from '#auth';
import { Intake, Redeeming } from '#iap';
import { Clock } from '#kernel';
import { Traffic } from '#peers';
import { Caller } from '../http/access.guard.js';
import { Operation } from '../http/operation.decorator.js';
import { AppleNotificationIn, IapVerifyIn, IapVerifyOut, StoreWebhookOut } from './iap.dto.js';

const TAKEN: StoreWebhookOut = { status: 'ok' };
const OF_APPLE = {
  access: 'public',
  summary: 'App Store Server Notifications, version 2',
  description: 'Answered as soon as the signature is checked and the notification is kept.',
  answer: StoreWebhookOut,
  limit: 'webhook',
  errors: ['receipt_malformed', 'store_signature_invalid', 'store_not_configured'],
} as const;
const OF_GOOGLE = {
  access: 'public',
  summary: 'Real-time developer notifications of Google Play, by Pub/Sub',
  description: 'Answered as soon as the token is checked and the message is kept.',
  answer: StoreWebhookOut,
  limit: 'webhook',
  errors: ['receipt_malformed', 'store_signature_invalid', 'store_unavailable', 'store_not_configured'],
} as const;
const PUSH = { schema: { type: 'object' }, description: 'A push of Cloud Pub/Sub' } as const;

/** What Pub/Sub writes into headers where it pushes without a wrapper. */
type PushHeaders = Readonly<
  Record<`x-goog-pubsub-${'message-id' | 'publish-time' | 'subscription-name'}`, string | undefined>
>;

@ApiTags('payments')
@Controller('payments')
export class IapController {
  constructor(
    private readonly redeeming: Redeeming,
    private readonly intake: Intake,
    private readonly traffic: Traffic,
    private readonly clock: Clock,
  ) {}

  @Post('iap_verify')
  @Operation({
    access: 'user',
    summary: 'Verify a purchase with its store, and have what it grants',
    description:
      'May be repeated at will. A purchase belongs to one account; a bare number or an unsigned receipt claims nothing.',
    answer: IapVerifyOut,
    limit: 'iap_verify',
    errors: [
      'receipt_malformed',
      'purchase_belongs_to_another_account',
      'validation_error',
      'receipt_invalid',
      'proof_required',
      'wrong_app',
      'sandbox_not_allowed',
      'store_unavailable',
      'store_not_configured',
    ],
  })
  async verifyPurchase(@Caller() caller: Principal, @Body() body: IapVerifyIn): Promise<IapVerifyOut> {
    const redemption = await this.redeeming.redeem(caller, IapVerifyIn.toReceipt(body));
    const { subscription } = redemption;
    const allowance = subscription === null ? null : await this.traffic.allowance(subscription);
    return IapVerifyOut.from(redemption, caller.user.id, this.clock.now(), allowance);
  }

  @Post('webhook/app_store')
  @ApiBody({ type: AppleNotificationIn })
  @Operation(OF_APPLE)
  async takeAppStoreNotification(@Body() body: unknown): Promise<StoreWebhookOut> {
    await this.intake.takeApple(AppleNotificationIn.signedPayloadOf(body));
    return TAKEN;
  }

  @Post('webhook/apple')
  @ApiBody({ type: AppleNotificationIn })
  @Operation({ ...OF_APPLE, summary: `${OF_APPLE.summary} (another name of the same)` })
  takeAppleNotification(@Body() body: unknown): Promise<StoreWebhookOut> {
    return this.takeAppStoreNotification(body);
  }

  @Post('webhook/google')
  @ApiBody(PUSH)
  @Operation(OF_GOOGLE)
  async takeGoogleNotification(
    @Headers('authorization') authorization: string | undefined,
    @Headers() headers: PushHeaders,
    @Body() body: unknown,
  ): Promise<StoreWebhookOut> {
    await this.intake.takeGoogle(authorization, body, {
      messageId: headers['x-goog-pubsub-message-id'],
      publishTime: headers['x-goog-pubsub-publish-time'],
      subscription: headers['x-goog-pubsub-subscription-name'],
    });
    return TAKEN;
  }

  @Post('webhook/google_play')
  @ApiBody(PUSH)
  @Operation({ ...OF_GOOGLE, summary: `${OF_GOOGLE.summary} (another name of the same)` })
  takeGooglePlayNotification(
    @Headers('authorization') authorization: string | undefined,
    @Headers() headers: PushHeaders,
    @Body() body: unknown,
  ): Promise<StoreWebhookOut> {
    return this.takeGoogleNotification(authorization, headers, body);
  }
}
