import { ms, tellOfPlay } from './story.js';

const renewal = { orderId: 'GPA.1..0', createTime: ms('2026-02-20'), expiryTime: ms('2026-03-20') };

tellOfPlay(
  'A card that fails at Play: silence, grace, hold, recovery with a new day of the month',
  [
    {
      on: '2026-01-01',
      because: 'PURCHASED',
      item: { expiryTime: ms('2026-02-01') },
      orders: [{ createTime: ms('2026-01-01'), expiryTime: ms('2026-02-01') }],
    },
    {
      on: '2026-02-02',
      because: 'IN_GRACE_PERIOD, a day after the charge failed',
      snapshot: { state: 'IN_GRACE_PERIOD' },
      item: { expiryTime: ms('2026-02-05') },
    },
    {
      on: '2026-02-05',
      because: 'ON_HOLD',
      snapshot: { state: 'ON_HOLD' },
      item: { expiryTime: ms('2026-02-05') },
    },
    {
      on: '2026-02-20',
      because: 'RECOVERED',
      item: { expiryTime: ms('2026-03-20'), orderId: 'GPA.1..0' },
      orders: [renewal],
    },
  ],
  {
    has: {
      '2026-01-15': 'access, active: monthly, until 2026-02-03, renews',
      '2026-02-01 12:00': 'access, active: monthly, until 2026-02-03, renews',
      '2026-02-02': 'access, grace: monthly, until 2026-02-05, renews',
      '2026-02-05': 'no access, retry: monthly, until 2026-02-05, renews',
      '2026-02-20': 'access, active: monthly, until 2026-03-22, renews',
    },
    paid: ['2026-01-01 purchase 9.99 USD, completed', '2026-02-20 renewal 9.99 USD, completed'],
  },
);
