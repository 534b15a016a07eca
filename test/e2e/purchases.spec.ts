import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Account } from '../support/api.js';
import { MONTHLY, TestStores } from '../support/stores.js';
import { until } from '../support/until.js';

let stores: TestStores;
beforeAll(async () => {
  stores = await TestStores.start();
});
afterAll(() => stores.stop());

describe('a subscription bought in the App Store', () => {
  let user: Account;

  it('is verified, and answered in the form that the app reads', async () => {
    user = await stores.api.user();
    const bought = stores.apple.subscribe({ productId: MONTHLY, price: 9990, currency: 'USD' });
    const { status, body } = await stores.verify(user, stores.apple.transactionJws(bought.transactionId));
    expect(body).toMatchObject({ valid: true, status: 'verified', user_id: user.id });
    expect(status).toBe(200);
    expect(await stores.subscription(user)).toMatchObject({ status: 'active', state: 'active', auto_renewing: true });
    expect(await stores.payments(user)).toMatchObject([{ amount: '9.99', status: 'completed', provider: 'apple' }]);
    expect((await stores.tellApple(bought)).status).toBe(200);
    expect(await stores.payments(user)).toHaveLength(1);
    stores.api.clock.advance({ days: 30 });
    await stores.tellApple(stores.apple.renew(bought.originalTransactionId));
    expect(await stores.payments(user)).toHaveLength(2);
    expect(await stores.subscription(user)).toMatchObject({ status: 'active' });
    await stores.tellApple(stores.apple.refund());
    expect(await stores.subscription(user)).toMatchObject({ status: 'refunded' });
  });
});

describe('a subscription bought in Google Play', () => {
  it('is verified, acknowledged and followed', async () => {
    const user = await stores.api.user();
    const bought = stores.google.subscribe({ productId: MONTHLY });
    const { body } = await stores.verify(user, bought.purchaseToken, 'google_play');
    expect(body).toMatchObject({ valid: true, status: 'verified' });
    expect(stores.google.isAcknowledged(bought.purchaseToken)).toBe(true);
    await stores.tellGoogle(stores.google.cancel(bought.purchaseToken));
    expect(await stores.subscription(user)).toMatchObject({ status: 'active', state: 'cancelled' });
    await stores.tellGoogle(stores.google.revoke(bought.purchaseToken));
    expect(await stores.subscription(user)).toMatchObject({ status: 'revoked' });
  });
});

describe('Apple is told', () => {
  it('whose a purchase is that named nobody, so that all it sends later names him', async () => {
    const user = await stores.api.user();
    const bought = stores.apple.subscribe({ productId: MONTHLY });
    await stores.verify(user, stores.apple.transactionJws(bought.transactionId));
    const token = await stores.tokenOf(user);
    await until(async () => (await namedIn(stores.apple.renew(bought.originalTransactionId))) === token || undefined);
  });
});

/** Whom a notification's transaction names. */
async function namedIn({ signedPayload }: { signedPayload: string }): Promise<string | undefined> {
  const read = (jws: string): { appAccountToken?: string; data: { signedTransactionInfo: string } } =>
    JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString());
  return Promise.resolve(read(read(signedPayload).data.signedTransactionInfo).appAccountToken);
}
