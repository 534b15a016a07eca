import { DAY_MS } from '#kernel';
import { type SubscriptionState } from '#subscriptions';
import { type GoogleFacts, type GoogleOrder, type GoogleVoid } from '../../libs/iap/src/google-facts.js';
import { googleItem, googleOrder, googleSnapshot, onDay } from './store-facts.js';

export const PLAY_DEEDS = [
  'pay',
  'abandon',
  'renew',
  'grace',
  'hold',
  'pause',
  'recover',
  'cancel',
  'restart',
  'expire',
  'revoke',
  'defer',
  'void',
  'void an older one',
  'refund a part',
  'replace',
] as const;

/** Something that is tried after some days; what is not possible then does not happen. */
export interface PlayDeed {
  readonly deed: (typeof PLAY_DEEDS)[number];
  readonly afterDays: number;
}

export type PlayPlan = 'renewing' | 'trial' | 'prepaid' | 'pending';

const MONTH_MS = 30 * DAY_MS;
const SILENT_GRACE_MS = 2 * DAY_MS;

/**
 * One purchase token, as Play lives it: what is learnt of it (`news`), and what is true of it. It knows nothing of how facts are
 * merged or judged.
 */
export class PlayLife {
  readonly news: Partial<GoogleFacts>[] = [];
  readonly orders = new Map<string, GoogleOrder>();
  now = onDay(0);
  private seq = 0;
  private state = 'ACTIVE';
  private expiry: number;
  private renews: boolean | null;
  private readonly voids = new Map<string, GoogleVoid>();
  private isReplaced = false;
  private isRevoked = false;

  constructor(private readonly plan: PlayPlan) {
    this.expiry = onDay(plan === 'trial' ? 7 : 30);
    this.renews = plan === 'prepaid' ? null : true;
    if (plan === 'pending') this.state = 'PENDING';
    else this.order(plan === 'trial' ? '0.00' : '9.99');
    this.tell();
  }

  /** What is true at an instant from now on, if nothing else happens. */
  stateAt(at: number): SubscriptionState {
    if (this.isReplaced) return 'superseded';
    if (this.voids.has(this.latest()?.orderId ?? '')) return 'refunded';
    if (this.isRevoked) return 'revoked';
    const goesOn = this.state === 'ACTIVE' && this.renews === true ? SILENT_GRACE_MS : 0;
    const isOver = at >= this.expiry + goesOn;
    switch (this.state) {
      case 'PENDING':
        return 'pending';
      case 'PENDING_PURCHASE_CANCELED':
        return 'void';
      case 'ON_HOLD':
        return 'retry';
      case 'PAUSED':
        return 'paused';
      case 'CANCELED':
        return isOver ? 'expired' : 'cancelled';
      case 'IN_GRACE_PERIOD':
        return isOver ? 'expired' : 'grace';
      case 'ACTIVE':
        if (isOver) return 'expired';
        return this.plan === 'trial' && this.orders.size === 1 ? 'trial' : 'active';
      default:
        return 'expired';
    }
  }

  /** Everything that can be asked for now: the purchase, its orders, the list of voids. */
  snapshot(): Partial<GoogleFacts> {
    this.seq += 1;
    const orders = [...this.orders.values()].map((order) => ({ ...order, seq: this.seq }));
    return { ...this.fetched(), orders, voids: [...this.voids.values()] };
  }

  attempt({ deed, afterDays }: PlayDeed): void {
    this.now += afterDays * DAY_MS + 1;
    if (this.does(deed)) this.tell();
  }

  private does(deed: PlayDeed['deed']): boolean {
    const { state } = this;
    const isLive = ['ACTIVE', 'IN_GRACE_PERIOD', 'ON_HOLD', 'PAUSED', 'CANCELED'].includes(state);
    const renews = this.renews === true && (state === 'ACTIVE' || state === 'IN_GRACE_PERIOD');
    switch (deed) {
      case 'pay':
      case 'abandon':
        if (state !== 'PENDING') return false;
        this.state = deed === 'pay' ? 'ACTIVE' : 'PENDING_PURCHASE_CANCELED';
        if (deed === 'pay') this.pay(this.now);
        return true;
      case 'renew':
        if (!renews || state !== 'ACTIVE') return false;
        this.now = Math.max(this.now, this.expiry);
        this.pay(this.expiry);
        return true;
      case 'grace':
        if (!renews || state !== 'ACTIVE') return false;
        this.now = Math.max(this.now, this.expiry);
        return this.become('IN_GRACE_PERIOD', this.now + 3 * DAY_MS);
      case 'hold':
      case 'pause':
        if (!renews) return false;
        this.now = Math.max(this.now, this.expiry);
        return this.become(deed === 'hold' ? 'ON_HOLD' : 'PAUSED', this.expiry);
      case 'recover':
        if (!['IN_GRACE_PERIOD', 'ON_HOLD', 'PAUSED'].includes(state)) return false;
        this.state = 'ACTIVE';
        this.pay(this.now);
        return true;
      case 'cancel':
        if (!isLive || this.renews !== true) return false;
        this.renews = false;
        return this.become('CANCELED', this.expiry);
      case 'restart':
        if (state !== 'CANCELED' || this.now >= this.expiry) return false;
        this.renews = true;
        return this.become('ACTIVE', this.expiry);
      case 'expire':
      case 'revoke':
        if (!isLive) return false;
        this.renews = this.renews === null ? null : false;
        if (deed === 'expire') this.now = Math.max(this.now, this.expiry);
        else this.isRevoked = true;
        return this.become('EXPIRED', Math.min(this.now, this.expiry));
      case 'defer':
        return state === 'ACTIVE' && this.become(state, this.expiry + 10 * DAY_MS);
      case 'void':
        return this.takeBack(this.latest());
      case 'void an older one':
        return this.orders.size > 1 && this.takeBack([...this.orders.values()][0]);
      case 'refund a part': {
        const order = this.latest();
        if (order?.state !== 'PROCESSED' || order.total?.amount !== '9.99') return false;
        const refunded = { amount: '3.33', currency: 'USD' };
        this.orders.set(order.orderId, { ...order, state: 'PARTIALLY_REFUNDED', refunded });
        return true;
      }
      case 'replace':
        this.isReplaced = state !== 'PENDING';
        return this.isReplaced;
    }
  }

  private become(state: string, expiry: number): true {
    this.state = state;
    this.expiry = expiry;
    return true;
  }

  private pay(from: number): void {
    this.expiry = from + MONTH_MS;
    this.order('9.99');
  }

  private order(amount: string): void {
    const count = this.orders.size;
    const orderId = count === 0 ? 'GPA.1' : `GPA.1..${count - 1}`;
    const total = { amount, currency: 'USD' };
    const phase = amount === '0.00' ? 'trial' : 'base';
    const order = googleOrder({ orderId, total, phase, createTime: this.now, expiryTime: this.expiry });
    this.orders.set(orderId, order);
  }

  private takeBack(order: GoogleOrder | undefined): boolean {
    if (order === undefined || this.voids.has(order.orderId)) return false;
    const { orderId, total } = order;
    this.orders.set(orderId, { ...order, state: 'REFUNDED', refunded: total });
    this.voids.set(orderId, { orderId, at: this.now, isPartial: false, reason: 7 });
    return true;
  }

  private latest(): GoogleOrder | undefined {
    return [...this.orders.values()].at(-1);
  }

  private fetched(): Partial<GoogleFacts> {
    const isTrial = this.plan === 'trial' && this.orders.size === 1;
    const isBegun = this.orders.size > 0;
    const item = googleItem({
      expiryTime: isBegun ? this.expiry : null,
      orderId: this.latest()?.orderId ?? null,
      autoRenews: this.renews,
      phase: isTrial ? 'trial' : 'base',
    });
    const startTime = [...this.orders.values()][0]?.createTime ?? null;
    const snapshot = googleSnapshot({ seq: this.seq, state: this.state, startTime, items: [item] });
    return { snapshot, supersededBy: this.isReplaced ? 'the next token' : null };
  }

  /** What is learnt after a notification: the purchase, the order that it names, and what the notification itself said. */
  private tell(): void {
    this.seq += 1;
    const orders = [...this.orders.values()].map((order) => ({ ...order, seq: this.seq }));
    this.news.push({
      ...this.fetched(),
      orders,
      voids: [...this.voids.values()],
      revokedAt: this.isRevoked ? this.now : null,
    });
  }
}
