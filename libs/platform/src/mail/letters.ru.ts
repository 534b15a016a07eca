import { type LetterCatalogue } from './letter.js';

const instant = new Intl.DateTimeFormat('ru', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
const day = new Intl.DateTimeFormat('ru', { dateStyle: 'long', timeZone: 'UTC' });

export const ru: LetterCatalogue = {
  access_ends: ({ tariff, endsAt }) => ({
    subject: `Доступ к VPN заканчивается ${day.format(endsAt)}`,
    paragraphs: [
      'Здравствуйте!',
      `Ваша подписка «${tariff}» заканчивается ${instant.format(endsAt)} (UTC) и не продлевается автоматически.`,
      'Чтобы устройства остались на связи, продлите её в приложении до этого времени. Настройки сохранятся.',
    ],
  }),
  access_ended: ({ tariff, endedAt }) => ({
    subject: 'Доступ к VPN закончился',
    paragraphs: [
      'Здравствуйте!',
      `Ваша подписка «${tariff}» закончилась ${instant.format(endedAt)} (UTC), и ваши устройства больше не могут подключаться.`,
      'Её можно продлить в приложении в любое время. Устройства ещё некоторое время хранятся и заработают без новой настройки.',
    ],
  }),
  payment_failed: ({ tariff, store, endsAt }) => ({
    subject: 'Оплата VPN не прошла',
    paragraphs: [
      'Здравствуйте!',
      `${store} не удалось списать оплату за подписку «${tariff}». Попытка будет повторена, а пока вы остаётесь на связи.`,
      `Проверьте способ оплаты в ${store} до ${instant.format(endsAt)} (UTC): после этого ваши устройства не смогут подключаться.`,
    ],
  }),
  payment_stopped: ({ tariff, store, stoppedAt }) => ({
    subject: 'Доступ к VPN остановлен: оплата не прошла',
    paragraphs: [
      'Здравствуйте!',
      `${store} не удалось списать оплату за подписку «${tariff}», поэтому с ${instant.format(stoppedAt)} (UTC) ваши устройства не могут подключаться.`,
      `Подписка не отменена: обновите способ оплаты в ${store}, и устройства снова подключатся без новой настройки.`,
    ],
  }),
  purchase_came: ({ tariff, store, movedAt }) => ({
    subject: 'Подписка на VPN перенесена в ваш аккаунт',
    paragraphs: [
      'Здравствуйте!',
      `С ${instant.format(movedAt)} (UTC) подписка «${tariff}» из ${store} принадлежит вашему аккаунту.`,
      'Ни к какому другому аккаунту она больше не относится. Если вы об этом ничего не знаете, напишите в поддержку.',
    ],
  }),
  purchase_left: ({ tariff, store, movedAt }) => ({
    subject: 'Ваша подписка на VPN перенесена в другой аккаунт',
    paragraphs: [
      'Здравствуйте!',
      `${instant.format(movedAt)} (UTC) ваша подписка «${tariff}» из ${store} была перенесена в другой аккаунт.`,
      'Ваши устройства больше не получают по ней доступ. Если вы этого не хотели, напишите в поддержку: её можно вернуть.',
    ],
  }),
};
