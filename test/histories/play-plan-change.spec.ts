import { ms, tellOfPlay } from './story.js';

const yearly = { basePlanId: 'yearly', price: { amount: '59.99', currency: 'USD' } };
const order = { createTime: ms('2026-01-01'), expiryTime: ms('2026-02-01') };

tellOfPlay(
  'A plan that is exchanged at Play: the old token grants nothing any more, whatever is said of it later',
  [
    { on: '2026-01-01', because: 'PURCHASED', item: { expiryTime: ms('2026-02-01') }, orders: [order] },
    {
      on: '2026-01-10',
      because: 'another plan is to follow at the next renewal',
      item: { expiryTime: ms('2026-02-01'), replacementProductId: 'plus' },
    },
    { on: '2026-01-12', because: 'the new token names this one', said: { supersededBy: 'the new token' } },
    {
      on: '2026-01-13',
      because: 'a late answer still calls the old token active',
      item: { expiryTime: ms('2026-02-01') },
    },
    { on: '2026-01-14', because: 'EXPIRED', snapshot: { state: 'EXPIRED' }, item: { expiryTime: ms('2026-01-12') } },
  ],
  {
    has: {
      '2026-01-05': 'access, active: monthly, until 2026-02-03, renews',
      '2026-01-10': 'access, active: monthly, until 2026-02-03, renews, then plus',
      '2026-01-12': 'no access, superseded: monthly, until 2026-02-03, replaced',
      '2026-01-13': 'no access, superseded: monthly, until 2026-02-03, replaced',
      '2026-01-14': 'no access, superseded: monthly, until 2026-01-12, replaced',
    },
    paid: ['2026-01-01 purchase 9.99 USD, completed'],
  },
);

tellOfPlay(
  'The new token carries on with the new plan',
  [
    {
      on: '2026-01-12',
      because: 'PURCHASED in place of the old one',
      snapshot: { linkedKey: 'the old token' },
      item: { ...yearly, expiryTime: ms('2027-01-12'), orderId: 'GPA.7' },
      orders: [
        {
          ...yearly,
          orderId: 'GPA.7',
          createTime: ms('2026-01-12'),
          expiryTime: ms('2027-01-12'),
          total: { amount: '53.12', currency: 'USD' },
        },
      ],
    },
  ],
  {
    has: { '2026-01-12': 'access, active: yearly, until 2027-01-14, renews' },
    paid: ['2026-01-12 upgrade 53.12 USD, completed'],
  },
);
