import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { join, resolve } from 'node:path';
import { FakeApple, type FakeAppleNotification } from '../fakes/fake-apple.js';
import { FakeGoogle, type Rtdn, SUBSCRIPTION } from '../fakes/fake-google.js';
import { Deliveries, type Delivery } from './deliveries.js';
import { keepKeys, readKeys } from './kept-keys.js';
import { MovedClock } from './moved-clock.js';

export type Store = 'apple' | 'google';

/** What a verb is called with, by name. */
export type Words = Readonly<Record<string, string | boolean | undefined>>;

/** What came of it: for people, and what the app would send to POST /payments/iap_verify. */
export interface Told {
  readonly lines: readonly string[];
  readonly receipt?: string;
}

export interface SimulatorOptions {
  /** The App Store answers here, Google on the next port, and what is told to the stores is taken on the one after. */
  readonly port: number;
  /** The service that is told of what happens. */
  readonly service: string;
  /** The data folder: keys, the root certificate and the clock are kept in it. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

interface Purchase {
  readonly number: number;
  readonly store: Store;
  readonly productId: string;
  /** Apple's original transaction, or Play's purchase token. */
  readonly id: string;
  /** Apple's latest. */
  transactionId: string;
  last: string;
}

export interface Verb {
  readonly call: string;
  readonly what: string;
  /** Names of what stands behind the verb, in order. */
  readonly words: readonly string[];
}

/** What the stores can be told, as `npm run stores:fake -- help` shows it. */
export const VERBS = {
  buy: {
    call: 'buy apple|google PRODUCT [--user TOKEN] [--price 9.99] [--currency USD] [--days 30] [--trial] [--sandbox] [--once]',
    what: 'somebody buys; --user is app_account_token of GET /auth/me, --once is for life. Prints the receipt',
    words: ['store', 'product'],
  },
  renew: { call: 'renew [N]', what: 'the next period is paid', words: ['purchase'] },
  fail: {
    call: 'fail [N] [--grace] [--days 6]',
    what: 'the bank refuses, with days of grace or without',
    words: ['purchase'],
  },
  hold: { call: 'hold [N]', what: 'the same as a failure without grace', words: ['purchase'] },
  recover: { call: 'recover [N]', what: 'the bank pays after all', words: ['purchase'] },
  cancel: { call: 'cancel [N]', what: 'renewal is turned off; what is paid goes on', words: ['purchase'] },
  restart: { call: 'restart [N]', what: 'renewal is turned on again', words: ['purchase'] },
  pause: { call: 'pause [N] [--days 30]', what: 'Play only: a pause begins', words: ['purchase'] },
  resume: { call: 'resume [N]', what: 'Play only: the pause is over', words: ['purchase'] },
  expire: { call: 'expire [N]', what: 'it is over', words: ['purchase'] },
  refund: { call: 'refund [N]', what: 'the last payment is given back, and access ends', words: ['purchase'] },
  reverse: { call: 'reverse [N]', what: 'Apple only: the refund is taken back', words: ['purchase'] },
  revoke: {
    call: 'revoke [N]',
    what: 'the store takes it away (Apple: who shared it with the family shares it no more)',
    words: ['purchase'],
  },
  upgrade: {
    call: 'upgrade PRODUCT [N] [--price P] [--days D]',
    what: 'another product, at once',
    words: ['product', 'purchase'],
  },
  downgrade: {
    call: 'downgrade PRODUCT [N] [--price P]',
    what: 'another product, from the next renewal on',
    words: ['product', 'purchase'],
  },
  receipt: {
    call: 'receipt [N]',
    what: 'prints what the app would send to POST /payments/iap_verify',
    words: ['purchase'],
  },
  list: { call: 'list', what: 'all purchases, with their numbers', words: [] },
  test: { call: 'test apple|google', what: 'the test notification of the store', words: ['store'] },
  fault: {
    call: 'fault apple|google 503|429|drop|html|slow [--times N]',
    what: 'the store answers so from now on (or N times) when it is asked',
    words: ['store', 'kind'],
  },
  heal: { call: 'heal [apple|google]', what: 'no more faults', words: ['store'] },
  clock: { call: 'clock [+30d]', what: 'what time it is for the stores and the service; moves it on', words: ['by'] },
} as const satisfies Readonly<Record<string, Verb>>;

export type VerbName = keyof typeof VERBS;

const ALWAYS = 1_000_000;
const SLOW_MS = 10_000;
const SECOND_MS = 1000;
const PLAY_NAMES = new Map<unknown, string>(Object.entries(SUBSCRIPTION).map(([name, number]) => [number, name]));

/** Something was asked for that cannot be; the message says what can. */
export class Refusal extends Error {}

/** Both stores with people who do with their purchases what they are told to, and notifications that find their way by themselves. */
export class StoreSimulator {
  /** What the service must be started with. */
  readonly environment: Readonly<Record<string, string>>;
  private readonly purchases: Purchase[] = [];
  private readonly deliveries: Deliveries;
  private readonly ticking: NodeJS.Timeout;

  private constructor(
    private readonly options: SimulatorOptions,
    private readonly clock: MovedClock,
    private readonly apple: FakeApple,
    private readonly google: FakeGoogle,
    private readonly control: Server,
  ) {
    this.deliveries = new Deliveries(options.say);
    const kept = keepKeys(storesFolder(options.folder), apple, google);
    this.environment = { ...kept, DEV_CLOCK_FILE: clock.path };
    apple.webhookUrl = `${options.service}/payments/webhook/app_store`;
    control.on('request', (request, response) => {
      void this.serve(request).then(({ status, told }) => {
        response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(told));
      });
    });
    // What follows from the time, and from what the service itself asks of Google, is told like everything else.
    this.ticking = setInterval(() => {
      google.letTimePass();
      const told = this.fromGoogle();
      if (told.length > 0) void this.deliveries.add(...told);
    }, SECOND_MS);
  }

  static async start(options: SimulatorOptions): Promise<StoreSimulator> {
    const folder = storesFolder(options.folder);
    mkdirSync(folder, { recursive: true });
    const clock = new MovedClock(join(folder, 'clock'));
    const keys = readKeys(folder);
    // What is sold is forgotten when the stores are stopped, but the service remembers it: no number may come twice.
    const series = Math.floor(Date.now() / SECOND_MS);
    const { now } = clock;
    const control = createServer();
    await new Promise<void>((listening, reject) =>
      control.once('error', reject).listen(options.port + 2, '127.0.0.1', listening),
    );
    const apple = await FakeApple.start(now, { port: options.port, kept: keys?.apple, series });
    const google = await FakeGoogle.start({ now, port: options.port + 1, kept: keys?.google, series });
    const simulator = new StoreSimulator(options, clock, apple, google, control);
    const lines = Object.entries(simulator.environment).map(([name, value]) => `${name}='${value}'`);
    writeFileSync(environmentFile(options.folder), `${lines.join('\n')}\n`, { mode: 0o600 });
    return simulator;
  }

  async close(): Promise<void> {
    clearInterval(this.ticking);
    this.deliveries.close();
    this.control.closeAllConnections();
    this.control.close();
    await this.apple.close();
    await this.google.close();
  }

  /** Has something happen. @throws Refusal */
  async do(verb: VerbName, words: Words = {}): Promise<Told> {
    switch (verb) {
      case 'buy':
        return this.buy(words);
      case 'list':
        return { lines: this.list() };
      case 'receipt':
        return { lines: [], receipt: this.receiptOf(this.chosen(words)) };
      case 'clock':
        return this.moveClock(words);
      case 'fault':
        return this.breakStore(words);
      case 'heal':
        return this.heal(words);
      case 'test':
        return this.test(words);
      default:
        return this.happen(verb, this.chosen(words), words);
    }
  }

  private async buy(words: Words): Promise<Told> {
    const store = storeIn(words);
    const productId = needed(words, 'product');
    const accountToken = textIn(words, 'user');
    const price = textIn(words, 'price') ?? '9.99';
    const currency = textIn(words, 'currency') ?? 'USD';
    const days = numberIn(words, 'days') ?? 30;
    const isOnce = words['once'] === true;
    const trial = words['trial'] === true;
    const isSandbox = words['sandbox'] === true;
    if (store === 'apple') {
      const sale = {
        productId,
        price: thousandths(price),
        currency,
        accountToken,
        customer: accountToken,
        environment: isSandbox ? ('Sandbox' as const) : ('Production' as const),
      };
      const told = isOnce ? this.apple.oneTime(sale) : this.apple.subscribe({ ...sale, period: days, trial });
      const purchase = this.remember('apple', productId, told.originalTransactionId, told.transactionId);
      return this.tell(purchase, [this.fromApple(told, purchase)]);
    }
    const sale = {
      productId,
      price,
      currency,
      test: isSandbox,
      ...(accountToken === undefined ? {} : { accountToken }),
    };
    const told = isOnce ? this.google.oneTime(sale) : this.google.subscribe({ ...sale, periodDays: days, trial });
    return this.tell(this.remember('google', productId, told.purchaseToken), this.fromGoogle());
  }

  private happen(verb: VerbName, purchase: Purchase, words: Words): Promise<Told> {
    try {
      return purchase.store === 'apple' ? this.atApple(verb, purchase, words) : this.atGoogle(verb, purchase, words);
    } catch (error) {
      throw error instanceof Refusal ? error : new Refusal(error instanceof Error ? error.message : String(error));
    }
  }

  private atApple(verb: VerbName, purchase: Purchase, words: Words): Promise<Told> {
    const { apple } = this;
    const { id, transactionId } = purchase;
    const days = numberIn(words, 'days');
    const price = textIn(words, 'price');
    const changed = {
      ...(price === undefined ? {} : { price: thousandths(price) }),
      ...(days === undefined ? {} : { period: days }),
    };
    const happened: Partial<Record<VerbName, () => FakeAppleNotification>> = {
      renew: () => apple.renew(id),
      fail: () => apple.failToRenew(id, words['grace'] === true ? { grace: days ?? 6 } : {}),
      hold: () => apple.failToRenew(id),
      recover: () => apple.recover(id),
      cancel: () => apple.setAutoRenew(id, false),
      restart: () => apple.setAutoRenew(id, true),
      expire: () => apple.expire(id),
      refund: () => apple.refund(transactionId),
      reverse: () => apple.reverseRefund(transactionId),
      revoke: () => apple.revokeFamily(id),
      upgrade: () => apple.upgrade(id, { productId: needed(words, 'product'), ...changed }),
      downgrade: () => apple.downgrade(id, { productId: needed(words, 'product'), ...changed }),
    };
    const told = happened[verb]?.();
    if (told === undefined) throw new Refusal(`there is no "${verb}" at Apple`);
    purchase.transactionId = told.transactionId;
    return this.tell(purchase, [this.fromApple(told, purchase)]);
  }

  private atGoogle(verb: VerbName, purchase: Purchase, words: Words): Promise<Told> {
    const { google } = this;
    const { id: token } = purchase;
    const days = numberIn(words, 'days');
    const changed = (): Parameters<FakeGoogle['changePlan']>[1] => ({
      productId: needed(words, 'product'),
      price: textIn(words, 'price') ?? '9.99',
      ...(days === undefined ? {} : { periodDays: days }),
    });
    const happened: Partial<Record<VerbName, () => Rtdn>> = {
      renew: () => google.renew(token),
      fail: () => (words['grace'] === true ? google.grace(token, days ?? 6) : google.hold(token)),
      hold: () => google.hold(token),
      recover: () => google.recover(token),
      cancel: () => google.cancel(token),
      restart: () => google.restart(token),
      pause: () => google.pause(token, days ?? 30),
      resume: () => google.resume(token),
      expire: () => google.expire(token),
      refund: () => google.refund(google.orderOf(token), { revoke: true }),
      revoke: () => google.revoke(token),
      upgrade: () => google.changePlan(token, changed()),
      downgrade: () => google.changePlan(token, { ...changed(), deferred: true }),
    };
    const told = happened[verb]?.();
    if (told === undefined) throw new Refusal(`there is no "${verb}" at Google Play`);
    const now =
      told.purchaseToken === token ? purchase : this.remember('google', needed(words, 'product'), told.purchaseToken);
    return this.tell(now, this.fromGoogle());
  }

  private async tell(purchase: Purchase, deliveries: readonly Delivery[]): Promise<Told> {
    purchase.last = deliveries.map(({ what }) => what.replace(/^\S+ \S+ /, '')).join(', ');
    const isTaken = await this.deliveries.add(...deliveries);
    const { number, store, productId, last } = purchase;
    const state = isTaken ? 'the service was told' : `the service does not take it: ${this.deliveries.count} wait`;
    return { lines: [`#${number} ${store} ${productId}: ${last} (${state})`], receipt: this.receiptOf(purchase) };
  }

  private fromApple(told: FakeAppleNotification, purchase?: Purchase): Delivery {
    const { notificationType, subtype } = payloadOf(told.signedPayload);
    const what = [notificationType, subtype].filter((word) => word !== undefined).join(':');
    return {
      what: `${purchase === undefined ? '-' : `#${purchase.number}`} apple ${what}`,
      send: () => this.apple.deliver(told, `${this.options.service}/payments/webhook/app_store`),
    };
  }

  private fromGoogle(): readonly Delivery[] {
    return this.google.takeNotifications().map((told) => {
      const { headers, body } = this.google.push(told);
      const number = this.purchases.find(({ id }) => id === told.purchaseToken)?.number;
      return {
        what: `${number === undefined ? '-' : `#${number}`} google ${playName(told)}`,
        send: async () => {
          const url = `${this.options.service}/payments/webhook/google`;
          return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).status;
        },
      };
    });
  }

  private async test(words: Words): Promise<Told> {
    const delivery =
      storeIn(words) === 'apple'
        ? [this.fromApple(this.apple.test())]
        : [this.google.testNotification()].map((told) => {
            const { headers, body } = this.google.push(told);
            const url = `${this.options.service}/payments/webhook/google`;
            const send = async (): Promise<number> =>
              (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).status;
            return { what: '- google test', send };
          });
    const isTaken = await this.deliveries.add(...delivery);
    return { lines: [isTaken ? 'the service took it' : 'the service does not take it'] };
  }

  private breakStore(words: Words): Told {
    const store = storeIn(words);
    const kind = needed(words, 'kind');
    const times = numberIn(words, 'times') ?? ALWAYS;
    const fault =
      kind === 'drop' || kind === 'html'
        ? ({ kind, times } as const)
        : kind === 'slow'
          ? ({ kind: 'delay', ms: SLOW_MS, times } as const)
          : kind === '429'
            ? ({ kind: 'rate_limit', times } as const)
            : ({ kind: 'status', status: Number(kind), times } as const);
    if (fault.kind === 'status' && !(fault.status >= 400 && fault.status < 600)) {
      throw new Refusal('a fault is a status such as 503, or drop, html, slow');
    }
    if (store === 'apple') this.apple.fault('*', fault);
    else this.google.fault('*', fault);
    return { lines: [`${store} answers ${kind} ${times === ALWAYS ? 'until healed' : `${times} times`}`] };
  }

  private heal(words: Words): Told {
    const store = words['store'] === undefined ? undefined : storeIn(words);
    if (store !== 'google') this.apple.clearFaults();
    if (store !== 'apple') this.google.heal();
    return { lines: [`${store ?? 'both stores'} answer as they should`] };
  }

  private async moveClock(words: Words): Promise<Told> {
    const by = textIn(words, 'by');
    if (by !== undefined) {
      try {
        this.clock.move(by);
      } catch (error) {
        throw new Refusal(error instanceof Error ? error.message : String(error));
      }
      this.google.letTimePass();
      await this.deliveries.add(...this.fromGoogle());
    }
    return { lines: [`it is ${this.clock.now().toISOString()}`] };
  }

  private list(): readonly string[] {
    if (this.purchases.length === 0) return ['nothing was bought yet'];
    return this.purchases.map(({ number, store, productId, id, last }) => {
      const name = store === 'apple' ? id : `${id.slice(0, 16)}...`;
      return `#${number}  ${store}  ${productId}  ${name}  ${last}`;
    });
  }

  private receiptOf({ store, id, transactionId }: Purchase): string {
    return store === 'apple' ? this.apple.transactionJws(transactionId) : id;
  }

  private remember(store: Store, productId: string, id: string, transactionId = ''): Purchase {
    const purchase = { number: this.purchases.length + 1, store, productId, id, transactionId, last: '' };
    this.purchases.push(purchase);
    return purchase;
  }

  /** By its number; the last one of all unless told. */
  private chosen(words: Words): Purchase {
    const wanted = textIn(words, 'purchase')?.replace(/^#/, '');
    const found =
      wanted === undefined
        ? this.purchases.at(-1)
        : this.purchases.find(({ number, id }) => String(number) === wanted || id === wanted);
    if (found === undefined)
      throw new Refusal(wanted === undefined ? 'nothing was bought yet' : `there is no #${wanted}`);
    return found;
  }

  private async serve(request: IncomingMessage): Promise<{ status: number; told: Told }> {
    const verb = (request.url ?? '/').slice(1);
    try {
      if (request.method !== 'POST' || !isVerb(verb)) throw new Refusal(`POST /${Object.keys(VERBS).join(', /')}`);
      return { status: 200, told: await this.do(verb, await wordsIn(request)) };
    } catch (error) {
      const known = error instanceof Refusal;
      const message = error instanceof Error ? error.message : String(error);
      return { status: known ? 400 : 500, told: { lines: [message] } };
    }
  }
}

export function isVerb(text: string): text is VerbName {
  return Object.hasOwn(VERBS, text);
}

/** Where the settings are written that the service must be started with. */
export function environmentFile(folder: string): string {
  return resolve(folder, 'stores-fake.env');
}

function storesFolder(folder: string): string {
  return resolve(folder, 'stores-fake');
}

function storeIn(words: Words): Store {
  const store = words['store'];
  if (store !== 'apple' && store !== 'google') throw new Refusal('the store is apple or google');
  return store;
}

function textIn(words: Words, name: string): string | undefined {
  const value = words[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function needed(words: Words, name: string): string {
  const value = textIn(words, name);
  if (value === undefined) throw new Refusal(`which ${name}?`);
  return value;
}

function numberIn(words: Words, name: string): number | undefined {
  const value = textIn(words, name);
  if (value === undefined) return undefined;
  if (!/^\d{1,5}(?:\.\d{1,3})?$/.test(value)) throw new Refusal(`${name}: ${value} is no number`);
  return Number(value);
}

function thousandths(price: string): number {
  if (!/^\d{1,6}(?:\.\d{1,3})?$/.test(price)) throw new Refusal(`${price} is no price`);
  return Math.round(Number(price) * 1000);
}

function playName({ data }: Rtdn): string {
  for (const kind of ['subscriptionNotification', 'oneTimeProductNotification', 'voidedPurchaseNotification']) {
    const about = data[kind];
    if (typeof about !== 'object' || about === null) continue;
    const type = 'notificationType' in about ? about.notificationType : undefined;
    if (kind === 'voidedPurchaseNotification') return 'voided';
    return kind === 'subscriptionNotification' ? (PLAY_NAMES.get(type) ?? String(type)) : `one-time ${String(type)}`;
  }
  return 'test';
}

function payloadOf(jws: string): { readonly notificationType: string; readonly subtype?: string } {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8'));
}

async function wordsIn(request: IncomingMessage): Promise<Words> {
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) text += String(chunk);
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object');
    const entries = Object.entries(value).filter(([, word]) => typeof word === 'string' || typeof word === 'boolean');
    return Object.fromEntries(entries);
  } catch {
    throw new Refusal('the body must be a JSON object of texts and booleans');
  }
}
