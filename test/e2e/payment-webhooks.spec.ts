import { beforeAll, describe, expect, it } from '@jest/globals';
import { createHmac } from 'node:crypto';
import { type Account, type Answer, expectOk, TestApi } from '../support/api.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const [SECRET, OLD_SECRET, OTHERS_SECRET] = [
  'the present secret of acme',
  'the old secret of acme',
  'what bank signs with',
];
const ENVIRONMENT = {
  PAYMENT_WEBHOOK_SECRETS: JSON.stringify({ acme: [SECRET, OLD_SECRET], bank: OTHERS_SECRET }),
};

let api: TestApi;
let admin: Account;
let sequence = 0;

beforeAll(async () => {
  api = await TestApi.start({ environment: ENVIRONMENT });
  admin = await api.admin();
});

interface Sending {
  readonly of?: TestApi;
  readonly provider?: string;
  readonly secret?: string;
  /** Seconds from now at which it says it was signed. */
  readonly age?: number;
  readonly signature?: string | null;
}

const digest = (secret: string, time: number, body: string): string =>
  createHmac('sha256', secret).update(`${time}.${body}`).digest('hex');

function send(event: object | string, sending: Sending = {}): Promise<Answer> {
  const { of = api, provider = 'acme', secret = SECRET, age = 0, signature } = sending;
  const body = typeof event === 'string' ? event : JSON.stringify(event);
  const time = Math.floor(of.clock.now().getTime() / 1000) - age;
  const header = signature === undefined ? `t=${time},v1=${digest(secret, time, body)}` : signature;
  const headers = { 'content-type': 'application/json', ...(header === null ? {} : { 'x-signature': header }) };
  return of.call('POST', `/payments/webhook/${provider}`, { body, headers });
}

const eventId = (): string => `evt_${++sequence}`;

interface Written {
  readonly buyer: Account;
  readonly id: number;
  readonly reference: string;
  readonly status: () => Promise<string>;
  readonly tell: (status: string, more?: object) => Promise<Answer>;
}

/** A payment that waits for its provider's word, with a tariff of 30 days unless it is said otherwise. */
async function written(body: object = {}, of = api, by = admin): Promise<Written> {
  const buyer = await of.user();
  const tariff_id = await of.tariff(by, { price: '9.90' });
  const reference = `INV-${++sequence}`;
  const { id } = expectOk(
    await of.post(
      '/payments/',
      { amount: 9.9, provider: 'acme', provider_payment_id: reference, tariff_id, ...body },
      buyer.token,
    ),
  );
  return {
    buyer,
    id,
    reference,
    status: async () => expectOk(await of.get(`/payments/${id}`, buyer.token)).status,
    tell: (status, more = {}) => send({ event_id: eventId(), provider_payment_id: reference, status, ...more }, { of }),
  };
}

const accessOf = async ({ buyer }: Written): Promise<unknown> =>
  (await api.get('/auth/me/subscription', buyer.token)).body?.status;

describe('the signature of POST /payments/webhook/{provider}', () => {
  const refused = { status: 401, body: { code: 'webhook_signature_invalid', detail: 'webhook_signature_invalid' } };

  it('may be made with any secret of the provider, and stand beside others', async () => {
    const { tell, reference } = await written();
    expect((await tell('failed')).status).toBe(200);
    const body = JSON.stringify({ event_id: eventId(), provider_payment_id: reference, status: 'failed' });
    expect((await send(body, { secret: OLD_SECRET })).status).toBe(200);
    const time = Math.floor(api.clock.now().getTime() / 1000);
    const both = `t=${time},v1=${digest('who knows', time, body)},v1=${digest(SECRET, time, body)}`;
    expect((await send(body, { signature: both })).status).toBe(200);
  });

  it('is of the bytes as they are, whatever they look like', async () => {
    const { reference } = await written();
    const body = `\n{ "status":"failed" , "provider_payment_id":"${reference}","event_id":"\\u0065vt_bytes", "é":1e0 }\t`;
    expect(await send(body)).toMatchObject({ status: 200, body: { event_id: 'evt_bytes' } });
    const time = Math.floor(api.clock.now().getTime() / 1000);
    const rewritten = digest(SECRET, time, JSON.stringify(JSON.parse(body)));
    expect(await send(body, { signature: `t=${time},v1=${rewritten}` })).toMatchObject(refused);
  });

  it('is refused when it is missing, malformed, of another secret, of another body, or too old', async () => {
    const { reference, status } = await written();
    const event = { event_id: eventId(), provider_payment_id: reference, status: 'completed' };
    const time = Math.floor(api.clock.now().getTime() / 1000);
    for (const sending of [
      { signature: null },
      { signature: 'nonsense' },
      { secret: OTHERS_SECRET },
      { signature: `t=${time},v1=${digest(SECRET, time, '{}')}` },
      { signature: `t=${time + 1},v1=${digest(SECRET, time, JSON.stringify(event))}` },
      { age: 302 },
      { age: -302 },
    ]) {
      expect(await send(event, sending)).toMatchObject(refused);
    }
    expect(await status()).toBe('pending');
    expect(await api.rows('SELECT 1 FROM payment_events WHERE event_id = $1', [event.event_id])).toEqual([]);
    expect((await send(event, { age: 298 })).status).toBe(200);
  });

  it('comes before everything that the body says', async () => {
    expect(await send({}, { signature: null })).toMatchObject(refused);
    expect((await send({})).status).toBe(422);
    expect((await send('', {})).status).toBe(422);
    expect((await send('{"event_id": ')).body.code).toBe('malformed_json');
  });

  it('is of nobody when there is no such provider', async () => {
    for (const provider of ['nobody', 'constructor', 'ACME', '__proto__']) {
      expect(await send({}, { provider })).toMatchObject({
        status: 404,
        body: { code: 'payment_provider_unknown', detail: 'Payment provider not found' },
      });
    }
  });
});

describe('what a provider tells of a payment', () => {
  it('completes it, which grants what it pays for', async () => {
    const payment = await written();
    const event = { event_id: eventId(), provider_payment_id: payment.reference, status: 'completed' };
    expect(await send({ ...event, amount: '9.9', currency: 'usd', more: { of: 'theirs' } })).toMatchObject({
      status: 200,
      body: { event_id: event.event_id, payment_id: payment.id, status: 'completed' },
    });
    expect(await payment.status()).toBe('completed');
    expect(await accessOf(payment)).toBe('active');
  });

  it('fails it, and a later success counts', async () => {
    const payment = await written();
    expect((await payment.tell('failed')).body.status).toBe('failed');
    expect(await accessOf(payment)).toBeUndefined();
    expect((await payment.tell('completed')).body.status).toBe('completed');
    expect(await accessOf(payment)).toBe('active');
  });

  it('gives it back, which ends what it paid for, and a success that comes late changes nothing', async () => {
    const payment = await written();
    await payment.tell('completed');
    const { id: peer } = expectOk(await api.post('/vpn_peers/self', {}, payment.buyer.token));
    expect((await payment.tell('refunded')).body.status).toBe('refunded');
    expect(await accessOf(payment)).toBe('refunded');
    expect(expectOk(await api.get(`/vpn_peers/${peer}`, payment.buyer.token)).status).toBe('suspended');
    expect(await payment.tell('completed')).toMatchObject({ status: 200, body: { status: 'refunded' } });
    expect(await payment.tell('failed')).toMatchObject({ status: 200, body: { status: 'refunded' } });
    expect(await accessOf(payment)).toBe('refunded');
    expect(expectOk(await api.get(`/payments/${payment.id}`, payment.buyer.token))).toMatchObject({
      status: 'refunded',
      refunded_amount: '9.90',
      refunded_at: expect.stringMatching(/Z$/),
    });
  });

  it('grants nothing when the refund is heard of before the success', async () => {
    const payment = await written();
    expect((await payment.tell('refunded')).body.status).toBe('refunded');
    expect((await payment.tell('completed')).body.status).toBe('refunded');
    expect(await accessOf(payment)).toBeUndefined();
  });

  it('is nothing new when an administrator was faster', async () => {
    const payment = await written();
    expectOk(await api.put(`/payments/${payment.id}`, { status: 'completed' }, admin.token));
    expect((await payment.tell('completed')).body.status).toBe('completed');
    expect(await api.rows('SELECT id FROM user_tariffs WHERE user_id = $1', [payment.buyer.id])).toHaveLength(1);
  });

  it('must be of as much money as was written down', async () => {
    const payment = await written();
    for (const money of [
      { amount: '0.01' },
      { amount: 9.91 },
      { currency: 'EUR' },
      { amount: '9.90', currency: 'EUR' },
    ]) {
      expect(await payment.tell('completed', money)).toMatchObject({
        status: 422,
        body: {
          code: 'payment_amount_differs',
          detail: expect.arrayContaining([expect.objectContaining({ loc: ['body', Object.keys(money).at(-1)] })]),
        },
      });
    }
    expect(await payment.status()).toBe('pending');
    expect((await payment.tell('completed', { amount: null })).status).toBe(200);
  });

  it("is of its own payments only, never of a store's", async () => {
    const payment = await written();
    const event = { event_id: eventId(), provider_payment_id: payment.reference, status: 'completed' };
    expect(await send(event, { provider: 'bank', secret: OTHERS_SECRET })).toMatchObject({
      status: 404,
      body: { code: 'payment_not_found' },
    });
    await api.rows(`UPDATE payments SET kind = 'purchase' WHERE id = $1`, [payment.id]);
    expect((await payment.tell('completed')).body.code).toBe('payment_not_found');
  });

  it.each([
    { event_id: '' },
    { event_id: 7 },
    { event_id: 'x'.repeat(256) },
    { provider_payment_id: null },
    { status: 'pending' },
    { status: 'COMPLETED' },
    { amount: '9.999' },
    { amount: -1 },
    { currency: 'dollars' },
  ])('is refused as %j', async (change) => {
    const event = { event_id: eventId(), provider_payment_id: 'x', status: 'completed', ...change };
    expect((await send(event)).status).toBe(422);
  });
});

describe('an event', () => {
  it('counts once, and is answered the same ever after', async () => {
    const payment = await written();
    const event = { event_id: eventId(), provider_payment_id: payment.reference, status: 'completed' };
    const first = expectOk(await send(event));
    await payment.tell('refunded');
    api.clock.advance({ minutes: 7 });
    const reordered = {
      status: event.status,
      provider_payment_id: event.provider_payment_id,
      event_id: event.event_id,
    };
    expect(expectOk(await send(reordered))).toEqual(first);
    expect(await payment.status()).toBe('refunded');
  });

  it('is not another one under the same id', async () => {
    const [payment, other] = [await written(), await written()];
    const event = { event_id: eventId(), provider_payment_id: payment.reference, status: 'failed' };
    expectOk(await send(event));
    for (const change of [{ status: 'completed' }, { provider_payment_id: other.reference }, { amount: '9.90' }]) {
      expect(await send({ ...event, ...change })).toMatchObject({
        status: 422,
        body: { code: 'webhook_event_reused', detail: [{ loc: ['body', 'event_id'] }] },
      });
    }
    expect([await payment.status(), await other.status()]).toEqual(['failed', 'pending']);
  });

  it('may have the id of an event of another provider', async () => {
    const [payment, other] = [await written(), await written({ provider: 'bank' })];
    const event = { event_id: eventId(), status: 'completed' };
    expectOk(await send({ ...event, provider_payment_id: payment.reference }));
    expectOk(
      await send({ ...event, provider_payment_id: other.reference }, { provider: 'bank', secret: OTHERS_SECRET }),
    );
  });

  it('waits for its payment: it is heard again once that is written down', async () => {
    const reference = `late-${++sequence}`;
    const event = { event_id: eventId(), provider_payment_id: reference, status: 'completed' };
    expect(await send(event)).toMatchObject({ status: 404, body: { code: 'payment_not_found' } });
    await written({ provider_payment_id: reference });
    expect(await send(event)).toMatchObject({ status: 200, body: { status: 'completed' } });
  });

  it('counts once when twenty deliveries of it arrive at once', async () => {
    const payment = await written();
    const event = { event_id: eventId(), provider_payment_id: payment.reference, status: 'completed' };
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(event)));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(200));
    const granted = await api.rows<{ days: number }>(
      `SELECT extract(day FROM ended_at - started_at)::int AS days FROM user_tariffs WHERE user_id = $1`,
      [payment.buyer.id],
    );
    expect(granted).toEqual([{ days: 30 }]);
    expect(await api.rows('SELECT 1 FROM payment_events WHERE event_id = $1', [event.event_id])).toHaveLength(1);
  });

  it('and all others of the same payment, and an administrator, may arrive at once: it is granted once', async () => {
    const payment = await written();
    const answers = await Promise.all([
      ...Array.from({ length: 20 }, (_, index) => payment.tell(index % 3 === 0 ? 'failed' : 'completed')),
      api.put(`/payments/${payment.id}`, { status: 'completed' }, admin.token),
    ]);
    expect(answers.filter(({ status }) => status !== 200 && status !== 409)).toEqual([]);
    expect(await payment.status()).toBe('completed');
    const granted = await api.rows<{ days: number }>(
      `SELECT extract(day FROM ended_at - started_at)::int AS days FROM user_tariffs WHERE user_id = $1`,
      [payment.buyer.id],
    );
    expect(granted).toEqual([{ days: 30 }]);
  });

  it('is refused for now without a database, and taken by the next delivery', async () => {
    const server = new URL(api.database.url);
    const proxy = await TcpProxy.to(server.hostname, Number(server.port));
    const own = await TestApi.start({
      environment: ENVIRONMENT,
      databaseUrl: (direct) =>
        direct.replace(`:${server.port}/`, `:${proxy.port}/`).replace(server.hostname, '127.0.0.1'),
      logLines: [],
    });
    const payment = await written({}, own, await own.admin());
    const event = { event_id: eventId(), provider_payment_id: payment.reference, status: 'completed' };
    proxy.cut();
    const refused = await send(event, { of: own });
    expect(refused).toMatchObject({ status: 503, body: { code: 'database_unavailable' } });
    expect(refused.headers.get('retry-after')).toBe('5');
    proxy.mend();
    expect((await own.get('/health/ready')).status).toBe(200);
    expect((await send(event, { of: own })).body.status).toBe('completed');
    await own.stop();
    proxy.close();
  });
});
