import { DataSource } from 'typeorm';
import { Asking, Inbox } from '#iap';
import { type Environment } from '#platform';
import { FakeApple, type FakeAppleNotification } from '../fakes/fake-apple.js';
import { FakeGoogle, type PushOptions, type Rtdn } from '../fakes/fake-google.js';
import { type Account, type Answer, type ApiOptions, expectOk, TestApi } from './api.js';
import { until } from './until.js';

/** The products that the tests sell, and the tariffs they stand for. */
export const MONTHLY = 'com.example.vpn.monthly';
export const YEARLY = 'com.example.vpn.yearly';
export const LIFETIME = 'com.example.vpn.lifetime';
/** A product that belongs to no tariff. */
export const UNMAPPED = 'com.example.vpn.unmapped';

/** The whole service, with an App Store and a Google Play of its own, on one clock that is moved by hand. */
export class TestStores {
  private constructor(
    readonly api: TestApi,
    readonly apple: FakeApple,
    readonly google: FakeGoogle,
    readonly admin: Account,
    /** Tariff ids, by product. */
    readonly tariffs: Readonly<Record<string, number>>,
  ) {}

  static async start(
    environment: Environment = {},
    logLines?: string[],
    more: Pick<ApiOptions, 'override' | 'databaseUrl'> = {},
  ): Promise<TestStores> {
    const running: { api?: TestApi } = {};
    const now = (): Date => running.api?.clock.now() ?? new Date();
    const apple = await FakeApple.start(now);
    const google = await FakeGoogle.start({ now });
    const api = await TestApi.start({
      environment: {
        ...apple.settings(),
        ...google.settings(),
        WG_ENDPOINT: 'vpn.example.com:51820',
        RATE_LIMIT_IAP_VERIFY: '10000',
        RATE_LIMIT_WEBHOOK: '100000',
        ...environment,
      },
      ...(logLines === undefined ? {} : { logLines }),
      ...more,
    });
    running.api = api;
    const admin = await api.admin();
    const tariffs: Record<string, number> = {};
    for (const [product, name, days, price, rank] of [
      [MONTHLY, 'Monthly', 30, '9.99', 1],
      [YEARLY, 'Yearly', 365, '59.99', 2],
      [LIFETIME, 'Lifetime', 0, '199.99', 3],
    ] as const) {
      const kind = days === 0 ? 'lifetime' : 'subscription';
      const storeProducts = ['apple', 'google'].map((provider) => ({ provider, product_id: product, kind }));
      const body = { name, price, duration_days: days, rank, store_products: storeProducts };
      tariffs[product] = expectOk(await api.post('/tariffs/', body, admin.token)).id;
    }
    return new TestStores(api, apple, google, admin, tariffs);
  }

  async stop(): Promise<void> {
    await this.api.stop();
    await this.apple.close();
    await this.google.close();
  }

  /** What a user hands to the stores with a purchase. */
  async tokenOf(account: Account): Promise<string> {
    return expectOk(await this.api.get('/auth/me', await this.signedIn(account))).app_account_token;
  }

  /** Apple tells of something, and it is dealt with. */
  async tellApple(notification: FakeAppleNotification): Promise<Answer> {
    const answer = await this.deliverApple(notification);
    await this.settle();
    return answer;
  }

  deliverApple(notification: FakeAppleNotification): Promise<Answer> {
    return this.api.post('/payments/webhook/app_store', notification);
  }

  /** Google tells of something, and it is dealt with. */
  async tellGoogle(notification: Rtdn | string, options: PushOptions = {}): Promise<Answer> {
    const answer = await this.deliverGoogle(notification, options);
    await this.settle();
    return answer;
  }

  deliverGoogle(notification: Rtdn | string, options: PushOptions = {}): Promise<Answer> {
    const { headers, body } = this.google.push(notification, options);
    return this.api.call('POST', '/payments/webhook/google', { headers, body });
  }

  /** The app shows a purchase. */
  async verify(account: Account, receipt: string, provider = 'apple', more: object = {}): Promise<Answer> {
    return this.api.post('/payments/iap_verify', { receipt, provider, ...more }, await this.signedIn(account));
  }

  /** Waits until nothing is left to be dealt with now. */
  async settle(): Promise<void> {
    await this.api.app.get(Inbox).process();
    await until(async () => {
      // By the service's own connections: this is asked again and again.
      const [row] = await this.api.app
        .get(DataSource)
        .query<{ waiting: number }[]>(
          `SELECT count(*)::int AS waiting FROM store_events WHERE status = 'received' AND next_try_at <= $1`,
          [this.api.clock.now()],
        );
      return row?.waiting === 0 ? true : undefined;
    });
  }

  /** The jobs that ask the stores have their turn. */
  async ask(): Promise<void> {
    await this.api.app.get(Asking).askDue();
  }

  // A test says what it expects of an answer by asserting on it.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  async subscription(account: Account): Promise<any> {
    return expectOk(await this.api.get('/auth/me/subscription', await this.signedIn(account)));
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  async payments(account: Account): Promise<any[]> {
    return expectOk(await this.api.get('/payments/', await this.signedIn(account)));
  }

  /** A fresh access token: the clock is moved by more than one lives. */
  signedIn({ email, password }: Account): Promise<string> {
    return this.api.login({ email, password });
  }
}
