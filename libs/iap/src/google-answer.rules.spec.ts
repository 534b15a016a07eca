import { describe, expect, it } from '@jest/globals';
import { ordersBefore, readMoney, readProduct, readSubscription } from './google-answer.rules.js';

describe('the orders before an order', () => {
  it('are the renewals of lower numbers, the newest first, and the first order', () => {
    expect(ordersBefore('GPA.1-2..2')).toEqual(['GPA.1-2..1', 'GPA.1-2..0', 'GPA.1-2']);
    expect(ordersBefore('GPA.1-2..0')).toEqual(['GPA.1-2']);
  });

  it.each(['GPA.1-2', '', '..1', 'GPA.1-2..', 'GPA.1-2..x', 'GPA.1-2..99999'])('are none of %j', (orderId) => {
    expect(ordersBefore(orderId)).toEqual([]);
  });
});

const ASKED = { seq: 1, keyOf: (token: string): string => token };

describe('the order of a subscription', () => {
  const line = { productId: 'vpn', expiryTime: '2026-12-22T10:00:00Z' };
  const ordersOf = (lineItems: readonly object[], state = 'ACTIVE'): unknown =>
    readSubscription(
      { subscriptionState: `SUBSCRIPTION_STATE_${state}`, latestOrderId: 'GPA.9', lineItems },
      ASKED,
    )?.snapshot.items.map(({ orderId }) => orderId);

  it('is the one that the whole purchase names, where no line names its own (H16)', () => {
    expect(ordersOf([line])).toEqual(['GPA.9']);
    expect(ordersOf([line, { productId: 'waits' }])).toEqual(['GPA.9', null]);
  });

  it('is its line’s own otherwise, because the other may have been declined (H16)', () => {
    expect(ordersOf([{ ...line, latestSuccessfulOrderId: 'GPA.8' }, line])).toEqual(['GPA.8', null]);
    expect(ordersOf([line], 'PENDING')).toEqual([null]);
  });
});

describe('an amount', () => {
  it.each([
    [{ currencyCode: 'USD', units: '9', nanos: 990_000_000 }, '9.99'],
    [{ currencyCode: 'USD' }, '0.00'],
    [{ currencyCode: 'JPY', units: '99999999999', nanos: 999_999_999 }, '99999999999.999999999'],
    [{ currencyCode: 'USD', units: '-9', nanos: -990_000_000 }, null],
    [{ currencyCode: 'USD', nanos: -1 }, null],
    [{ currencyCode: 'USD', units: '999999999999' }, null], // numeric(18, 6) has twelve digits before the point, and rounds
    [{ currencyCode: 'US', units: '1' }, null],
  ])('that is none, or that the ledger has no room for, is not known: %j (H33)', (money, amount) => {
    expect(readMoney(money)?.amount ?? null).toBe(amount);
  });
});

it.each([
  [{ quantity: 3, refundableQuantity: 3 }, 3],
  [{ quantity: 3, refundableQuantity: 2 }, 2],
  [{ quantity: 3 }, 3],
  [{}, undefined],
])('%j of a product are had (H11)', (productOfferDetails, quantity) => {
  const purchaseStateContext = { purchaseState: 'PURCHASED' };
  const found = readProduct(
    { purchaseStateContext, productLineItem: [{ productId: 'pass', productOfferDetails }] },
    ASKED,
  );
  expect(found?.snapshot.items[0]?.quantity).toBe(quantity);
});
