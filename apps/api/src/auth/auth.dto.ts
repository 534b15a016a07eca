import { type AccessToken, type Preferences, type User } from '#auth';
import { type Allowance } from '#peers';
import {
  daysRemaining,
  PUBLIC_STATUSES,
  publicStatus,
  shownEnd,
  stateAt,
  type Subscription,
  SUBSCRIPTION_SOURCES,
  SUBSCRIPTION_STATES,
} from '#subscriptions';
import { type Locale, LOCALES } from '#platform';
import {
  GivenBoolean,
  GivenChoice,
  GivenEmail,
  GivenId,
  GivenPassword,
  GivenQueryId,
  GivenText,
} from '../http/given.decorator.js';
import {
  ShownBoolean,
  ShownBytes,
  ShownChoice,
  ShownId,
  ShownInstant,
  ShownInteger,
  ShownMoney,
  ShownText,
  ShownUuid,
} from '../http/shown.decorator.js';

export class RegisterIn {
  @GivenEmail()
  email: string;

  @GivenPassword({ optional: true, description: 'Required; 8 to 256 characters, any characters' })
  password?: string | null;
}

export class LoginIn {
  @GivenText({ max: 320, example: 'ann@example.com' })
  email: string;

  @GivenPassword()
  password: string;
}

/** What is left out, or null, stays as it is. */
export class MeChangeIn {
  @GivenChoice('Locale', LOCALES, { optional: true })
  locale?: Locale | null;

  @GivenBoolean({
    optional: true,
    description: 'Whether a store may be told how much was used of a purchase whose money is asked back',
  })
  refund_data_consent?: boolean | null;

  static toPreferences({ locale, refund_data_consent }: MeChangeIn): Preferences {
    return {
      ...(locale == null ? {} : { locale }),
      ...(refund_data_consent == null ? {} : { refundDataConsent: refund_data_consent }),
    };
  }
}

export class UserOut {
  @ShownId()
  id: number;

  @ShownText({ example: 'ann@example.com' })
  email: string;

  @ShownChoice('UserStatus', ['pending', 'active', 'blocked'], { example: 'active' })
  status: string;

  @ShownBoolean({ example: false })
  is_admin: boolean;

  @ShownBoolean({ description: 'Whether the address was proved', example: false })
  is_verified: boolean;

  @ShownText({ nullable: true, example: null })
  google_id: string | null;

  @ShownUuid({ description: 'Hand this to the store with every purchase' })
  app_account_token: string;

  @ShownChoice('Locale', LOCALES, { example: 'en' })
  locale: string;

  @ShownBoolean({
    description: 'Whether a store may be told how much was used of what is to be refunded',
    example: false,
  })
  refund_data_consent: boolean;

  @ShownInstant()
  created_at: string;

  static from(user: User): UserOut {
    return {
      id: user.id,
      email: user.email,
      status: user.status,
      is_admin: user.isAdmin,
      is_verified: user.isVerified,
      google_id: user.googleId,
      app_account_token: user.appAccountToken,
      locale: user.locale,
      refund_data_consent: user.refundDataConsent,
      created_at: user.createdAt.toISOString(),
    };
  }
}

export class TokenOut {
  @ShownText({ description: 'A JWT for the header `Authorization: Bearer ...`' })
  access_token: string;

  @ShownText({ example: 'bearer' })
  token_type: string;

  @ShownInteger({ description: 'Seconds', example: 3600 })
  expires_in: number;

  @ShownText({ nullable: true, example: null })
  refresh_token: string | null;

  @ShownInteger({ nullable: true, description: 'Seconds', example: null })
  refresh_expires_in: number | null;

  static from({ token, expiresInSeconds }: AccessToken): TokenOut {
    return {
      access_token: token,
      token_type: 'bearer',
      expires_in: expiresInSeconds,
      refresh_token: null,
      refresh_expires_in: null,
    };
  }
}

export class SubscriptionOut {
  @ShownId()
  id: number;

  @ShownId()
  user_id: number;

  @ShownId()
  tariff_id: number;

  @ShownText({ example: 'Monthly' })
  tariff_name: string;

  @ShownChoice('SubscriptionStatus', PUBLIC_STATUSES, { description: '`active` whenever access is granted' })
  status: string;

  @ShownChoice('SubscriptionState', SUBSCRIPTION_STATES, { description: 'The fine state', example: 'active' })
  state: string;

  @ShownInstant()
  started_at: string;

  @ShownInstant({
    nullable: true,
    description:
      'The end of what is paid for; while a store grants more time beyond it, the end of that: never past while access is granted. Null = for life',
  })
  ended_at: string | null;

  @ShownInstant({
    nullable: true,
    description: 'When access ends, or ended, if nothing renews it: `ended_at` or later. Null = for life',
  })
  access_until: string | null;

  @ShownInteger({ example: 30, description: '0 = for life' })
  duration_days: number;

  /** The same, as older versions of the app read it. Not in the document: generators would write one name twice. */
  durationDays: number;

  @ShownMoney()
  price: string;

  @ShownInteger({ example: 12, minimum: 0, description: '36500 = for life' })
  days_remaining: number;

  @ShownBoolean({ example: false })
  is_lifetime: boolean;

  @ShownBoolean({ example: false })
  auto_renewing: boolean;

  @ShownChoice('SubscriptionSource', SUBSCRIPTION_SOURCES, { description: 'Who gave it', example: 'apple' })
  store: string;

  @ShownBoolean({ example: false })
  is_trial: boolean;

  @ShownBytes({
    nullable: true,
    example: 1_250_000_000,
    description: 'Bytes in the running period, both ways, half a minute old at most; null when access is not granted',
  })
  traffic_used_bytes: number | null;

  @ShownInteger({ nullable: true, example: 100, description: 'Gigabytes (10^9 bytes) in a period; null = no limit' })
  traffic_limit_gb: number | null;

  @ShownInstant({ nullable: true, description: 'The end of the running period; null when none is known' })
  traffic_resets_at: string | null;

  static from(subscription: Subscription, now: Date, allowance: Allowance | null): SubscriptionOut {
    const { tariff, accessUntil } = subscription;
    const end = shownEnd(subscription, now);
    return {
      id: subscription.id,
      user_id: subscription.userId,
      tariff_id: tariff.id,
      tariff_name: tariff.name,
      status: publicStatus(subscription, now),
      state: stateAt(subscription, now),
      started_at: subscription.startedAt.toISOString(),
      ended_at: end?.toISOString() ?? null,
      access_until: accessUntil?.toISOString() ?? null,
      duration_days: tariff.durationDays,
      durationDays: tariff.durationDays,
      price: tariff.price,
      days_remaining: daysRemaining(subscription, now),
      is_lifetime: end === null,
      auto_renewing: subscription.autoRenewing,
      store: subscription.source,
      is_trial: subscription.isTrial,
      traffic_used_bytes: allowance?.usedBytes ?? null,
      traffic_limit_gb: tariff.trafficLimitGb,
      traffic_resets_at: allowance?.resetsAt?.toISOString() ?? null,
    };
  }
}

export class PromoteQuery {
  @GivenQueryId()
  user_id: number;

  @GivenText({ max: 512, optional: true, description: 'PROMOTE_SECRET; also accepted in the header X-Promote-Secret' })
  secret?: string | null;
}

export class PromoteIn {
  @GivenText({ max: 512, optional: true, description: 'PROMOTE_SECRET, for those who keep it out of addresses' })
  secret?: string | null;
}

export class PromotedOut {
  @ShownText({ example: 'user promoted' })
  msg: string;

  @ShownId()
  user_id: number;
}

export class UserQuery {
  @GivenQueryId()
  user_id: number;
}

export class TariffChoiceIn {
  @GivenId({ example: 3 })
  tariff_id: number;
}

export class AssignedOut {
  @ShownText({ example: 'tariff assigned' })
  msg: string;

  @ShownId()
  user_id: number;

  @ShownId({ example: 3 })
  tariff_id: number;
}

export class SubscribedOut {
  @ShownText({ example: 'subscription activated' })
  msg: string;

  @ShownId({ description: 'The subscription' })
  id: number;

  @ShownId({ description: 'The same' })
  user_tariff_id: number;

  @ShownId({ example: 3 })
  tariff_id: number;

  @ShownInstant()
  started_at: string;

  @ShownInstant({ nullable: true, description: 'Null = for life' })
  ended_at: string | null;

  static from(subscription: Subscription): SubscribedOut {
    return {
      msg: 'subscription activated',
      id: subscription.id,
      user_tariff_id: subscription.id,
      tariff_id: subscription.tariff.id,
      started_at: subscription.startedAt.toISOString(),
      ended_at: subscription.endedAt?.toISOString() ?? null,
    };
  }
}
