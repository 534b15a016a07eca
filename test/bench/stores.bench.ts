import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { Inbox } from '#iap';
import { MONTHLY, TestStores } from '../support/stores.js';

/** Deliveries that are measured, and after how long the next one comes, answered or not, in milliseconds. */
const DELIVERIES = 500;
const EVERY_MS = 40;
/** How long a store may wait for its answer, in milliseconds. */
const LONGEST_MS = 200;

let stores: TestStores;
beforeAll(async () => {
  stores = await TestStores.start();
});
afterAll(() => stores.stop());

describe('npm run bench:stores', () => {
  it('measures how long a store waits for its answer', async () => {
    const user = await stores.api.user();
    const accountToken = await stores.tokenOf(user);
    const { apple, google } = stores;
    const sale = { productId: MONTHLY, price: 9990, currency: 'USD', accountToken };
    const apples = Array.from({ length: DELIVERIES }, () => apple.subscribe(sale));
    const pushes = Array.from({ length: DELIVERIES }, () => google.push(google.testNotification()));
    await measure(
      'App Store',
      apples.map((one) => () => stores.deliverApple(one)),
    );
    await measure(
      'Google Play',
      pushes.map((push) => () => stores.api.call('POST', '/payments/webhook/google', push)),
    );
    const begun = performance.now();
    await stores.settle();
    print(`what was left to deal with: ${Math.round(performance.now() - begun)} ms`);
  }, 300_000);

  it('counts the queries behind one notification', async () => {
    const told = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD' });
    await stores.tellApple(told);
    const id = told.originalTransactionId;
    const inbox = stores.api.app.get(Inbox);
    jest.spyOn(inbox, 'start').mockImplementation(() => undefined); // taken and dealt with are counted apart
    const renewal = stores.apple.renew(id);
    const query = jest.spyOn(Client.prototype, 'query');
    await stores.deliverApple(renewal);
    print(`to take a renewal of the App Store: ${query.mock.calls.length} queries`);
    query.mockClear();
    await inbox.process();
    print(`to deal with it: ${query.mock.calls.length} queries`);
    if (process.env['BENCH_QUERIES'] !== undefined)
      for (const [text] of query.mock.calls) print(`  ${text.replaceAll(/\s+/g, ' ').slice(0, 160)}`);
    query.mockRestore();
  });
});

async function measure(what: string, deliveries: readonly (() => Promise<{ status: number }>)[]): Promise<void> {
  const took: number[] = [];
  const deliver = async (next: () => Promise<{ status: number }>): Promise<void> => {
    const begun = performance.now();
    expect((await next()).status).toBe(200);
    took.push(performance.now() - begun);
  };
  const underWay: Promise<void>[] = [];
  for (const next of deliveries) {
    underWay.push(deliver(next));
    await delay(EVERY_MS);
  }
  await Promise.all(underWay);
  took.sort((left, right) => left - right);
  const at = (share: number): number => Math.round(took[Math.floor((took.length - 1) * share)] ?? 0);
  const verdict = at(0.99) < LONGEST_MS ? '' : `: more than ${LONGEST_MS} ms, MISSED`;
  print(`${what}: ${took.length} answers, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms${verdict}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
