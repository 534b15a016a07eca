import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { Clock, DomainError } from '#kernel';
import { LOG, Settings } from '#platform';
import { type AppleNotification } from './apple-facts.js';
import { AppleStorefront } from './apple.storefront.js';
import { type PushMetadata, readPushMessage, wrapped } from './google-message.rules.js';
import { GooglePush } from './google.push.js';
import { Inbox } from './inbox.service.js';
import { tokenKey } from './store.js';
import { type NewStoreEvent, StoreEventsRepository } from './store-events.repository.js';

/**
 * Takes what the stores tell: checks who says it, keeps it, and only then lets it be answered. What it means is found out
 * afterwards, so an answer never waits for a store, and nothing that was answered is lost.
 */
@Injectable()
export class Intake {
  constructor(
    private readonly apple: AppleStorefront,
    private readonly push: GooglePush,
    private readonly events: StoreEventsRepository,
    private readonly inbox: Inbox,
    private readonly settings: Settings,
    private readonly clock: Clock,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /**
   * An App Store Server Notification of version 2.
   * @throws DomainError receipt_malformed | store_signature_invalid | store_not_configured
   */
  async takeApple(signedPayload: string): Promise<void> {
    const notification = await this.apple.readNotification(signedPayload);
    await this.keep(ofApple(notification, signedPayload));
  }

  /**
   * A push of Pub/Sub with a real-time developer notification.
   * @throws DomainError receipt_malformed | store_signature_invalid | store_unavailable | store_not_configured
   */
  async takeGoogle(authorization: string | undefined, body: unknown, metadata: PushMetadata = {}): Promise<void> {
    await this.push.authenticate(authorization);
    const { google } = this.settings;
    const push = wrapped(body, metadata, tokenKey);
    const message = readPushMessage(push);
    // Refused, so that it comes again once the subscription is mended: what is answered with 200 is lost.
    if (message === null) {
      this.log.error(
        'a push holds no message of Pub/Sub: is "payload unwrapping" of the subscription on, over something else than Play sends?',
      );
      throw new DomainError('receipt_malformed');
    }
    if (google?.pushSubscription !== undefined && message.subscription === null) {
      this.log.error(
        { messageId: message.messageId },
        'a push does not name its Pub/Sub subscription, which GOOGLE_PUBSUB_SUBSCRIPTION asks for: turn "payload unwrapping" off, or "write metadata" on',
      );
      throw new DomainError('receipt_malformed');
    }
    const isOurs = google?.pushSubscription === undefined || message.subscription === google.pushSubscription;
    if (!isOurs) {
      this.log.warn({ messageId: message.messageId }, 'a push of another Pub/Sub subscription was left aside');
      return;
    }
    await this.keep({
      provider: 'google',
      eventId: message.messageId,
      type: message.notificationType === null ? message.kind : `${message.kind}:${message.notificationType}`,
      subtype: null,
      environment: null,
      eventAt: message.eventAt ?? message.publishedAt ?? this.clock.now(),
      payload: JSON.stringify(push),
    });
  }

  /** Keeps an event; one that is known is dealt with already, or waits for its turn. */
  private async keep(event: NewStoreEvent): Promise<void> {
    if (await this.events.insert(event)) this.inbox.start();
  }
}

/** A notification of Apple's, as the inbox keeps it. */
export function ofApple(notification: AppleNotification, signedPayload: string): NewStoreEvent {
  return {
    provider: 'apple',
    eventId: notification.id,
    type: notification.type,
    subtype: notification.subtype,
    environment: notification.environment,
    eventAt: notification.signedAt,
    payload: signedPayload,
  };
}
