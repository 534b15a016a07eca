import { type FakeApple, type FakeAppleNotification } from '../fakes/fake-apple.js';
import { type FakeGoogle, type Rtdn, SUBSCRIPTION } from '../fakes/fake-google.js';
import { type Dice } from './dice.js';
import { MONTHLY, YEARLY } from './stores.js';

/** A piece of news, of either store. */
export interface Told {
  readonly news: { readonly apple: FakeAppleNotification } | { readonly google: Rtdn };
  /** The first word of a purchase. */
  readonly isFirst: boolean;
}

/** Somebody with a purchase in a store. */
export interface Subscriber {
  /** What can happen to him now. */
  possible(): readonly string[];
  /** It happens; what his store tells of it. */
  does(deed: string): readonly Told[];
}

/** Short periods, in days: lives must not become so long that Play forgets what is over. */
const PERIOD = 7;
const DAY_MS = 24 * 3_600_000;

/** Two to whom the same happens at the same moments: all news of the first is heard, of the second's some may be lost. */
export class Twins {
  /** What happened so far, for who reads of a failure. */
  readonly deeds: string[] = [];

  constructor(
    private readonly first: Subscriber,
    private readonly second: Subscriber,
    private readonly dice: Dice,
  ) {}

  /** Something happens to both, or, one time in four, nothing. */
  live(): { readonly heard: readonly Told[]; readonly missed: readonly Told[] } {
    const deed = this.dice.below(4) === 0 ? undefined : this.dice.of(this.first.possible());
    if (deed === undefined) return { heard: [], missed: [] };
    this.deeds.push(deed);
    return { heard: this.first.does(deed), missed: this.second.does(deed) };
  }
}

/** A subscriber in the App Store. */
export class AppStoreSubscriber implements Subscriber {
  private phase: 'new' | 'renewing' | 'cancelled' | 'grace' | 'retry' | 'over' | 'refunded' = 'new';
  private id = '';
  private latestId = '';
  private endsAt = 0;
  private isYearly = false;
  private willBeYearly = false;

  constructor(
    private readonly store: FakeApple,
    private readonly now: () => Date,
    private readonly accountToken: string,
  ) {}

  possible(): readonly string[] {
    const isPast = this.time() >= this.endsAt;
    switch (this.phase) {
      case 'new':
        return ['subscribe', 'try'];
      case 'renewing':
        if (isPast) return ['renew', 'renew', 'fail', 'fail with grace'];
        return ['cancel', this.isYearly ? 'downgrade later' : 'upgrade', 'extend', 'ask for money', 'refund'];
      case 'cancelled':
        return isPast ? ['expire'] : ['return', 'refund', ...(this.isYearly ? [] : ['upgrade'])];
      case 'grace':
        return ['recover', 'end grace'];
      case 'retry':
        return ['recover', 'expire unpaid'];
      case 'over':
        return ['buy again'];
      case 'refunded':
        return ['buy again', 'reverse the refund'];
    }
  }

  does(deed: string): readonly Told[] {
    const isFirst = this.phase === 'new';
    return [{ news: { apple: this.happen(deed) }, isFirst }];
  }

  private happen(deed: string): FakeAppleNotification {
    const { store, id } = this;
    switch (deed) {
      case 'subscribe':
      case 'try':
        return this.begin(deed === 'try');
      case 'renew':
        this.isYearly = this.willBeYearly;
        return this.paid(store.renew(id), this.endsAt);
      case 'recover':
        return this.paid(store.recover(id));
      case 'buy again':
        this.willBeYearly = this.isYearly;
        return this.paid(store.resubscribe(id));
      case 'upgrade':
        this.isYearly = this.willBeYearly = true;
        return this.paid(store.upgrade(id, { productId: YEARLY, price: 59_990 }));
      case 'downgrade later':
        this.willBeYearly = false;
        return store.downgrade(id, { productId: MONTHLY, price: 9990 });
      case 'extend':
        this.endsAt += 3 * DAY_MS;
        return store.extend(id, 3);
      case 'cancel':
        return this.become('cancelled', store.setAutoRenew(id, false));
      case 'return':
        return this.become('renewing', store.setAutoRenew(id, true));
      case 'fail':
        return this.become('retry', store.failToRenew(id));
      case 'fail with grace':
        return this.become('grace', store.failToRenew(id, { grace: 6 }));
      case 'end grace':
        return this.become('retry', store.expireGrace(id));
      case 'expire':
        return this.become('over', store.expire(id));
      case 'expire unpaid':
        return this.become('over', store.expire(id, 'BILLING_RETRY'));
      case 'ask for money':
        return store.requestRefund(this.latestId);
      case 'refund':
        return this.become('refunded', store.refund(this.latestId));
      case 'reverse the refund':
        return this.become('renewing', store.reverseRefund(this.latestId));
      default:
        throw new Error(`What is "${deed}"?`);
    }
  }

  private begin(trial: boolean): FakeAppleNotification {
    const { accountToken } = this;
    const sale = { productId: MONTHLY, price: 9990, currency: 'USD', period: PERIOD, trial, accountToken };
    const told = this.store.subscribe(sale);
    this.id = told.originalTransactionId;
    return this.paid(told);
  }

  private paid(told: FakeAppleNotification, from = this.time()): FakeAppleNotification {
    this.latestId = told.transactionId;
    this.endsAt = from + PERIOD * DAY_MS;
    return this.become('renewing', told);
  }

  private become(phase: AppStoreSubscriber['phase'], told: FakeAppleNotification): FakeAppleNotification {
    this.phase = phase;
    return told;
  }

  private time(): number {
    return this.now().getTime();
  }
}

/** A subscriber in Google Play. */
export class PlaySubscriber implements Subscriber {
  private phase: 'new' | 'renewing' | 'cancelled' | 'grace' | 'stopped' | 'over' = 'new';
  private token = '';
  private endsAt = 0;

  constructor(
    private readonly store: FakeGoogle,
    private readonly now: () => Date,
    private readonly accountToken: string,
  ) {}

  possible(): readonly string[] {
    const isPast = this.time() >= this.endsAt;
    switch (this.phase) {
      case 'new':
        return ['subscribe', 'try'];
      case 'renewing':
        if (isPast) return ['renew', 'renew', 'grace', 'hold', 'pause'];
        return ['cancel', 'change plan', 'change plan later', 'defer', 'revoke', 'void', 'price'];
      case 'cancelled':
        return isPast ? ['expire'] : ['return', 'revoke', 'void'];
      case 'grace':
        return ['recover', 'hold'];
      case 'stopped':
        return ['recover', 'expire'];
      case 'over':
        return ['subscribe'];
    }
  }

  does(deed: string): readonly Told[] {
    this.store.takeNotifications();
    this.happen(deed);
    return this.store.takeNotifications().map((google) => ({ news: { google }, isFirst: isOfNewToken(google) }));
  }

  private happen(deed: string): void {
    const { store, token, accountToken } = this;
    const sale = { productId: MONTHLY, periodDays: PERIOD, accountToken };
    switch (deed) {
      case 'subscribe':
      case 'try':
        this.begin(store.subscribe({ ...sale, trial: deed === 'try' }));
        return;
      case 'change plan':
        this.begin(store.changePlan(token, { ...sale, productId: YEARLY, price: '59.99' }));
        return;
      case 'change plan later': {
        const { endsAt } = this;
        this.begin(store.changePlan(token, { ...sale, productId: YEARLY, price: '59.99', deferred: true }));
        this.endsAt = endsAt;
        return;
      }
      case 'renew':
        store.renew(token);
        this.endsAt += PERIOD * DAY_MS;
        return;
      case 'recover':
        store.recover(token);
        this.become('renewing', PERIOD);
        return;
      case 'grace':
        store.grace(token);
        this.become('grace');
        return;
      case 'hold':
        store.hold(token);
        this.become('stopped');
        return;
      case 'pause':
        store.pause(token);
        this.become('stopped');
        return;
      case 'cancel':
        store.cancel(token);
        this.become('cancelled');
        return;
      case 'return':
        store.restart(token);
        this.become('renewing');
        return;
      case 'defer':
        this.endsAt += 2 * DAY_MS;
        store.defer(token, new Date(this.endsAt));
        return;
      case 'price':
        store.priceChange(token, '11.99');
        return;
      case 'expire':
        store.expire(token);
        this.become('over');
        return;
      case 'revoke':
        store.revoke(token);
        this.become('over');
        return;
      case 'void':
        store.voidOrder(store.orderOf(token));
        this.become('over');
        return;
      default:
        throw new Error(`What is "${deed}"?`);
    }
  }

  private begin({ purchaseToken }: Rtdn): void {
    this.token = purchaseToken;
    this.become('renewing', PERIOD);
  }

  private become(phase: PlaySubscriber['phase'], days?: number): void {
    this.phase = phase;
    if (days !== undefined) this.endsAt = this.time() + days * DAY_MS;
  }

  private time(): number {
    return this.now().getTime();
  }
}

function isOfNewToken({ data }: Rtdn): boolean {
  const about = data['subscriptionNotification'];
  return JSON.stringify(about ?? null).includes(`"notificationType":${SUBSCRIPTION.purchased},`);
}
