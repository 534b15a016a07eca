import { ms, tellOfPlay } from './story.js';

const until = ms('2026-02-01');

tellOfPlay(
  'A charge that the bank took back ends access at once, though Play goes on saying ACTIVE',
  [
    {
      on: '2026-01-01',
      because: 'PURCHASED',
      item: { expiryTime: until },
      orders: [{ createTime: ms('2026-01-01'), expiryTime: until }],
    },
    {
      on: '2026-01-10',
      because: 'a notice of the void, which gives no reason',
      said: { voids: [{ orderId: 'GPA.1', at: ms('2026-01-10'), isPartial: false, reason: null }] },
    },
    { on: '2026-01-11', because: 'Play is asked, and says ACTIVE', item: { expiryTime: until } },
    {
      on: '2026-01-12',
      because: 'the list of voids gives the reason, and the instant',
      said: { voids: [{ orderId: 'GPA.1', at: ms('2026-01-09 18:00'), isPartial: false, reason: 7 }] },
    },
  ],
  {
    has: {
      '2026-01-09': 'access, active: monthly, until 2026-02-03, renews',
      '2026-01-10': 'no access, refunded: monthly, until 2026-02-03, refund',
      '2026-01-11': 'no access, refunded: monthly, until 2026-02-03, refund',
      '2026-01-12': 'no access, refunded: monthly, until 2026-02-03, chargeback',
    },
    paid: ['2026-01-01 purchase 9.99 USD, refunded, 9.99 back on 2026-01-09 18:00'],
  },
);
