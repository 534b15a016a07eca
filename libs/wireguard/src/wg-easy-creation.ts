import { type DomainError, type Randomness } from '#kernel';
import { type WgEasyApi } from './wg-easy-api.js';
import { type WgEasyClient } from './wg-easy-dialect.js';
import { refused, unavailable } from './wg-easy-http.js';
import { isPassing, isSilence, outcomeOf, pause, refusalOf } from './wg-easy-retry.js';
import { Experience, type Turns } from './wg-easy-turns.js';
import { type PeerMaterial } from './wireguard.provider.js';

type Clients = readonly WgEasyClient[];

/** The wg-easy that clients are made on. */
export interface WgEasyUnderCreation {
  clients(): Promise<Clients>;
  /** The API as it is opened now, or will be. */
  opened(): Promise<WgEasyApi>;
  /** Whether it has not been opened anew since. */
  isCurrent(opening: Promise<WgEasyApi>): boolean;
  secretsOf(client: WgEasyClient): Promise<Pick<PeerMaterial, 'privateKey' | 'presharedKey' | 'addresses'>>;
  /** Deletes clients when there is time. */
  discard(clients: Clients): void;
  assertRights(): Promise<void>;
}

/** Somebody who waits for a client. */
interface Order {
  readonly peerId: number;
  /** When they leave, by `performance.now()`. */
  readonly until: number;
  /** Nobody was being served when they came: tried in any case, or what was slow once would be taken for slow for ever. */
  readonly isAlone: boolean;
  readonly resolve: (material: PeerMaterial) => void;
  readonly reject: (why: unknown) => void;
  /** Another one with each try: what an earlier one has made may still appear. */
  name: string;
  tries: number;
  refusal: DomainError | undefined;
  /** What the try before was refused with. */
  lastRefusal: DomainError | undefined;
  opening: Promise<WgEasyApi> | undefined;
  isServed: boolean;
}

/** 64 random bits: wg-easy takes the same name twice, and another person's client must never be taken for this one. */
const NAME_BYTES = 8;
/** How long clients are made before those that are there are handed out, in milliseconds: the first one waits for the last. */
const BATCH_MS = 1000;
const CONFIGS_AT_ONCE = 4;
/** What is expected of a wg-easy that nobody has asked yet, in milliseconds. */
const FIRST_CREATE_MS = 100;
const FIRST_LIST_MS = 50;
const FIRST_CONFIG_MS = 20;
/** What is left over for the caller's own work, in milliseconds. */
const MARGIN_MS = 100;
/** How often one client is tried for; those who wait for it have mostly left before. */
const MOST_TRIES = 8;
/** Clients of a /24, which is version 14's only pool and version 15's first: all but network, server and broadcast address. */
const POOL_SIZE = 253;
/** How many names of clients that nobody got are remembered: those of longer ago are strangers with a name of ours, for the sweep. */
const MOST_ABANDONED = 1000;

/**
 * Makes clients for people who wait for them, in batches: as many as there is time for one after another, then one list that shows
 * them all. Who cannot be served before they leave is told so at once, and nothing is begun for those who have left; so however many
 * ask, those who are served are as many as can be. What was made for somebody who did not get it is deleted.
 */
export class WgEasyCreation {
  private readonly waiting: Order[] = [];
  private readonly abandoned = new Set<string>();
  private readonly creating = new Experience(FIRST_CREATE_MS);
  private readonly listing = new Experience(FIRST_LIST_MS);
  private readonly reading = new Experience(FIRST_CONFIG_MS);
  /** How many are being made or handed out just now; null while nobody is at it. */
  private begun: number | null = null;

  constructor(
    private readonly server: WgEasyUnderCreation,
    private readonly turns: Turns,
    private readonly namePrefix: string,
    private readonly randomness: Randomness,
  ) {}

  /**
   * A client with keys and addresses of wg-easy's choice, under a name that no other has.
   * @throws DomainError server_unavailable (busy, among others) | server_refused
   */
  async create(peerId: number, until: number): Promise<PeerMaterial> {
    const name = this.newName(peerId);
    const isAlone = this.begun === null;
    const wait = isAlone ? 0 : this.expectedWait();
    if (performance.now() + wait > until) throw busy(wait);
    return new Promise((resolve, reject) => {
      const unbegun = {
        name,
        tries: 0,
        refusal: undefined,
        lastRefusal: undefined,
        opening: undefined,
        isServed: false,
      };
      this.waiting.push({ peerId, until, isAlone, resolve, reject, ...unbegun });
      if (isAlone) void this.work();
    });
  }

  /** Deletes those of these clients that were made for somebody who did not get them. */
  discardAbandoned(clients: Clients): void {
    if (this.abandoned.size === 0) return;
    const found = clients.filter(({ name }) => this.abandoned.has(name));
    if (found.length > 0) this.server.discard(found);
  }

  private async work(): Promise<void> {
    this.begun = 0;
    while (this.waiting.length > 0) {
      const orders: Order[] = [];
      try {
        await this.turns.take('urgent', () => this.batch(orders));
      } catch (error) {
        for (const order of orders) this.refuse(order, error);
      }
      this.begun = 0;
      const again = orders.filter(({ refusal }) => refusal !== undefined);
      if (again.length > 0) await pause(Math.max(...again.map(({ tries }) => tries)), this.randomness);
      for (const order of again) {
        this.abandon(order.name);
        Object.assign(order, { name: this.newName(order.peerId), lastRefusal: order.refusal, refusal: undefined });
      }
      this.waiting.unshift(...again);
    }
    this.begun = null;
  }

  /** Makes what there is time for, and hands it out. What is worth another try keeps its refusal. */
  private async batch(orders: Order[]): Promise<void> {
    const endsAt = performance.now() + BATCH_MS;
    let leavesFirst = Infinity;
    // Those who come meanwhile are served in the next one.
    for (let left = this.waiting.length; left > 0; left--) {
      const [next] = this.waiting;
      const done = performance.now() + this.creating.expectedMs + this.finishing(orders.length + 1);
      if (next === undefined || (orders.length > 0 && (performance.now() > endsAt || done > leavesFirst))) break;
      this.waiting.shift();
      if (performance.now() > next.until || (done > next.until && !(next.isAlone && next.tries === 0))) {
        this.refuse(next, next.lastRefusal ?? busy(this.expectedWait()));
        continue;
      }
      orders.push(next);
      this.begun = orders.length;
      leavesFirst = Math.min(leavesFirst, next.until);
      await this.begin(next);
      if (isSilence(next.refusal)) break;
    }
    if (orders.length > 0) await this.handOut(orders);
  }

  private async begin(order: Order): Promise<void> {
    const opening = this.server.opened();
    order.opening = opening;
    order.tries++;
    order.refusal = await refusalOf(async () => {
      const api = await opening;
      await this.creating.of(() => api.create(order.name));
    });
  }

  private async handOut(orders: readonly Order[]): Promise<void> {
    const clients = await this.listing.of(() => this.server.clients());
    this.discardAbandoned(clients);
    const byName = new Map(clients.map((client) => [client.name, client]));
    const ready: { readonly order: Order; readonly client: WgEasyClient }[] = [];
    for (const order of orders) {
      const client = byName.get(order.name);
      if (client?.isOnInterface === true) ready.push({ order, client });
      else if (client !== undefined) this.refuse(order, order.refusal ?? unavailable('unconfirmed'));
      else if (isFull(clients) || !this.isWorthAnotherTry(order))
        this.refuse(order, await this.reasonFor(order, clients));
    }
    const deliver = async (): Promise<void> => {
      for (let next = ready.shift(); next !== undefined; next = ready.shift())
        await this.deliver(next.order, next.client);
    };
    await Promise.all(Array.from({ length: CONFIGS_AT_ONCE }, deliver));
  }

  private async deliver(order: Order, client: WgEasyClient): Promise<void> {
    const secrets = await outcomeOf(this.reading.of(() => this.server.secretsOf(client)));
    if (secrets instanceof Error) {
      this.refuse(order, secrets);
      return;
    }
    Object.assign(order, { isServed: true, refusal: undefined });
    order.resolve({ peerId: order.peerId, publicKey: client.publicKey, remoteId: client.id, ...secrets });
  }

  /** Nothing is there of it: the session had ended before it was heard, or it was refused for a reason that passes. */
  private isWorthAnotherTry({ tries, refusal, opening }: Order): boolean {
    if (refusal === undefined || isSilence(refusal) || tries === MOST_TRIES) return false;
    const wasNotHeard = tries === 1 && opening !== undefined && !this.server.isCurrent(opening);
    return isPassing(refusal) || wasNotHeard;
  }

  private async reasonFor({ refusal }: Order, clients: Clients): Promise<DomainError> {
    // A full pool is answered 500 like any fault; what is left of it has to be counted.
    if (isPassing(refusal) && isFull(clients)) return refused('pool', refusal);
    const isBlind = clients.length === 0 ? await refusalOf(() => this.server.assertRights()) : undefined;
    return isBlind ?? refusal ?? unavailable('unconfirmed');
  }

  /** In the end. What may have been made all the same is remembered, to be deleted. */
  private refuse(order: Order, why: unknown): void {
    if (order.isServed) return;
    if (order.tries > 0) this.abandon(order.name);
    order.refusal = undefined;
    order.reject(why);
  }

  private abandon(name: string): void {
    this.abandoned.add(name);
    const [oldest] = this.abandoned;
    if (this.abandoned.size > MOST_ABANDONED && oldest !== undefined) this.abandoned.delete(oldest);
  }

  /** How long one who comes now would wait, in milliseconds. */
  private expectedWait(): number {
    const each = this.creating.expectedMs;
    const batches = 1 + Math.floor((this.waiting.length * each) / BATCH_MS);
    const current = this.begun === null ? 0 : each + this.finishing(this.begun);
    return current + (this.waiting.length + 1) * each + batches * this.finishing(1) + MARGIN_MS;
  }

  /** How long it takes to hand so many out, in milliseconds. */
  private finishing(count: number): number {
    return this.listing.expectedMs + Math.ceil(count / CONFIGS_AT_ONCE) * this.reading.expectedMs + MARGIN_MS;
  }

  /** Never anything that a user typed: version 14 writes names into a file that is run as root. */
  private newName(peerId: number): string {
    if (!Number.isSafeInteger(peerId) || peerId < 1) throw new Error('A peer id is a positive integer');
    return `vpn-${this.namePrefix}-${peerId}-${this.randomness.bytes(NAME_BYTES).toString('hex')}`;
  }
}

function busy(waitMs: number): DomainError {
  return unavailable('busy', undefined, Math.max(1, Math.ceil(waitMs / 1000)));
}

/** Whether a pool of the usual size is used up: that many addresses, and all of one /24. */
function isFull(clients: Clients): boolean {
  const networks = new Set(clients.map(({ addresses: [first = ''] }) => first.slice(0, first.lastIndexOf('.'))));
  return clients.length >= POOL_SIZE && networks.size === 1;
}
