import { type LetterCatalogue } from './letter.js';

const instant = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
const day = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' });

export const en: LetterCatalogue = {
  access_ends: ({ tariff, endsAt }) => ({
    subject: `Your VPN access ends on ${day.format(endsAt)}`,
    paragraphs: [
      'Hello,',
      `your subscription "${tariff}" ends on ${instant.format(endsAt)} (UTC) and does not renew by itself.`,
      'If you want your devices to stay connected, renew it in the app before then. They keep their settings.',
    ],
  }),
  access_ended: ({ tariff, endedAt }) => ({
    subject: 'Your VPN access has ended',
    paragraphs: [
      'Hello,',
      `your subscription "${tariff}" ended on ${instant.format(endedAt)} (UTC), and your devices can no longer connect.`,
      'You can renew it in the app at any time. Your devices are kept for a while and will work again without a new set-up.',
    ],
  }),
  payment_failed: ({ tariff, store, endsAt }) => ({
    subject: 'Your VPN payment did not go through',
    paragraphs: [
      'Hello,',
      `${store} could not charge you for your subscription "${tariff}". It will try again, and until then you stay connected.`,
      `Please check your payment method in ${store} before ${instant.format(endsAt)} (UTC): after that your devices can no longer connect.`,
    ],
  }),
  payment_stopped: ({ tariff, store, stoppedAt }) => ({
    subject: 'Your VPN access has stopped: the payment failed',
    paragraphs: [
      'Hello,',
      `${store} could not charge you for your subscription "${tariff}", so your devices can no longer connect since ${instant.format(stoppedAt)} (UTC).`,
      `The subscription is not cancelled: update your payment method in ${store}, and your devices connect again without a new set-up.`,
    ],
  }),
  purchase_came: ({ tariff, store, movedAt }) => ({
    subject: 'A VPN subscription was moved to your account',
    paragraphs: [
      'Hello,',
      `since ${instant.format(movedAt)} (UTC) the subscription "${tariff}" from ${store} belongs to your account.`,
      'It belongs to no other account any more. If you know nothing of this, write to our support.',
    ],
  }),
  purchase_left: ({ tariff, store, movedAt }) => ({
    subject: 'Your VPN subscription was moved to another account',
    paragraphs: [
      'Hello,',
      `on ${instant.format(movedAt)} (UTC) your subscription "${tariff}" from ${store} was moved to another account.`,
      'It no longer gives your devices access. If you did not want this, write to our support: it can be moved back.',
    ],
  }),
};
