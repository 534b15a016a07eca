import { randomBytes } from 'node:crypto';
import { type Store, type Told, type VerbName, type Words } from './store-simulator.js';

export interface YearOptions {
  readonly service: string;
  readonly store: Store;
  readonly productId: string;
  /** Asks the stores for something. */
  readonly tell: (verb: VerbName, words: Words) => Promise<Told>;
  readonly say: (line: string) => void;
}

/** What the service says of a subscription, as far as a year looks at it. */
interface Seen {
  readonly status: string;
  readonly state: string;
  readonly ended_at: string | null;
  readonly auto_renewing: boolean;
}

interface Step {
  /** How much time passes first. */
  readonly after: string;
  readonly what: string;
  readonly verb: VerbName;
  readonly words?: Words;
  /** What the service should say soon after. */
  readonly then: {
    readonly access: boolean;
    readonly renews?: boolean;
    readonly state?: string;
    readonly isLonger?: boolean;
  };
}

const HAS = { access: true, renews: true } as const;
/** And for longer than before. */
const PAID = { ...HAS, isLonger: true } as const;
/** How long the service may take to deal with what it was told, in milliseconds. */
const PATIENCE_MS = 5000;

/** Eleven renewals with all that may come between them. A renewal is paid a day before the period ends. */
function stepsOf(store: Store): readonly Step[] {
  const given: readonly Step[] =
    store === 'apple'
      ? [{ after: '+1d', what: 'Apple takes the refund back', verb: 'reverse', then: HAS }]
      : [{ after: '+1d', what: 'He buys it again', verb: 'buy', then: HAS }];
  return [
    { after: '+29d', what: 'The second month is paid', verb: 'renew', then: PAID },
    { after: '+30d', what: 'The third month is paid', verb: 'renew', then: PAID },
    { after: '+30d', what: 'The fourth month is paid', verb: 'renew', then: PAID },
    {
      after: '+31d',
      what: 'The bank refuses, days of grace begin',
      verb: 'fail',
      words: { grace: true, days: '6' },
      then: { access: true, state: 'grace' },
    },
    { after: '+3d', what: 'The bank pays within them', verb: 'recover', then: PAID },
    { after: '+29d', what: 'The sixth month is paid', verb: 'renew', then: PAID },
    {
      after: '+31d',
      what: 'The bank refuses, there is no grace',
      verb: 'fail',
      then: { access: false, state: 'retry' },
    },
    { after: '+5d', what: 'The bank pays after all', verb: 'recover', then: PAID },
    { after: '+28d', what: 'He turns the renewal off', verb: 'cancel', then: { access: true, renews: false } },
    { after: '+1h', what: 'He turns it on again', verb: 'restart', then: HAS },
    { after: '+1d', what: 'The eighth month is paid', verb: 'renew', then: PAID },
    { after: '+12d', what: 'He gets his money back', verb: 'refund', then: { access: false } },
    ...given,
    { after: store === 'apple' ? '+15d' : '+28d', what: 'The tenth month is paid', verb: 'renew', then: PAID },
    { after: '+30d', what: 'The eleventh month is paid', verb: 'renew', then: PAID },
    { after: '+30d', what: 'He turns the renewal off', verb: 'cancel', then: { access: true, renews: false } },
    { after: '+40d', what: 'The last month is over', verb: 'expire', then: { access: false, renews: false } },
  ];
}

/**
 * A year of a subscriber's life, in seconds: somebody new registers with the service, and after each thing that happens the service
 * is asked what he has. Answers how many times it said something else than it should.
 */
export async function playYear({ service, store, productId, tell, say }: YearOptions): Promise<number> {
  await assertSold(service, store, productId);
  const credentials = { email: `year-${randomBytes(4).toString('hex')}@example.com`, password: 'a whole year long' };
  const subscriber = new Subscriber(service, credentials);
  const user = await subscriber.register();
  say(`${credentials.email} buys ${productId} at ${store}`);
  let wrong = 0;

  let endedAt = '';
  const look = async (title: string, { access, renews, state, isLonger }: Step['then']): Promise<void> => {
    const isAsItShould = (seen: Seen | null): boolean =>
      (seen?.status === 'active') === access &&
      (renews === undefined || seen?.auto_renewing === renews) &&
      (state === undefined || seen?.state === state) &&
      (isLonger !== true || (seen?.ended_at ?? '') > endedAt);
    const seen = await subscriber.awaitSubscription(isAsItShould);
    const day = (await tell('clock', {})).lines[0]?.slice(6, 16) ?? '';
    const says =
      seen === null
        ? 'nothing'
        : `${seen.status} (${seen.state}) until ${seen.ended_at?.slice(0, 10) ?? 'for ever'}${seen.auto_renewing ? ', renews' : ''}`;
    const isRight = isAsItShould(seen);
    if (!isRight) wrong++;
    endedAt = seen?.ended_at ?? '';
    say(`${day}  ${title.padEnd(38)}  ${says}${isRight ? '' : '  <- NOT AS IT SHOULD BE'}`);
  };

  const buy = async (): Promise<void> => {
    const { receipt = '' } = await tell('buy', { store, product: productId, user: user.app_account_token });
    await subscriber.verify(store, receipt);
  };
  await buy();
  await look('He buys the first month', HAS);
  for (const { after, what, verb, words = {}, then } of stepsOf(store)) {
    await tell('clock', { by: after });
    await (verb === 'buy' ? buy() : tell(verb, words));
    await look(what, then);
  }
  const payments = await subscriber.payments();
  const kept = payments.filter(({ status }) => status === 'completed').length;
  say(`${payments.length} payments, ${kept} of them kept; ${wrong} answers were not as they should be`);
  return wrong;
}

/** Nothing comes of a purchase that no tariff is sold as. */
async function assertSold(service: string, store: Store, productId: string): Promise<void> {
  const tariffs: { store_products: { provider: string; product_id: string }[] }[] = await answerOf(
    fetch(`${service}/tariffs/`),
  );
  const isSold = tariffs.some((tariff) =>
    tariff.store_products.some((one) => one.provider === store && one.product_id === productId),
  );
  if (!isSold) throw new Error(`no tariff is sold as ${productId} at ${store}: docs/stores-local.md makes one`);
}

/** The app of somebody, in as much as a year needs it. */
class Subscriber {
  constructor(
    private readonly service: string,
    private readonly credentials: { readonly email: string; readonly password: string },
  ) {}

  async register(): Promise<{ readonly app_account_token: string }> {
    await answerOf(this.post('/auth/register', this.credentials));
    return this.get('/auth/me');
  }

  async verify(provider: Store, receipt: string): Promise<void> {
    await answerOf(this.post('/payments/iap_verify', { provider, receipt }, await this.signedIn()));
  }

  payments(): Promise<readonly { readonly status: string }[]> {
    return this.get('/payments/');
  }

  /** What he has, once it is as it should be, or in the end. */
  async awaitSubscription(isAsItShould: (seen: Seen | null) => boolean): Promise<Seen | null> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const seen = await this.get<Seen | null>('/auth/me/subscription');
      if (isAsItShould(seen) || performance.now() > deadline) return seen;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  private async get<T>(path: string): Promise<T> {
    return answerOf(fetch(this.service + path, { headers: { authorization: `Bearer ${await this.signedIn()}` } }));
  }

  private post(path: string, body: object, token?: string): Promise<Response> {
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const headers = { 'content-type': 'application/json', ...authorization };
    return fetch(this.service + path, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  /** A fresh token each time: one lives for an hour, and days pass here in no time. */
  private async signedIn(): Promise<string> {
    const { access_token }: { access_token: string } = await answerOf(this.post('/auth/login', this.credentials));
    return access_token;
  }
}

async function answerOf<T>(request: Promise<Response>): Promise<T> {
  const response = await request;
  if (!response.ok) throw new Error(`${new URL(response.url).pathname}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
