import { ms, tellOfPlay } from './story.js';

const until = ms('2026-02-01');

tellOfPlay(
  'A pause begins where the paid time ends, and ends with the next payment',
  [
    {
      on: '2026-01-01',
      because: 'PURCHASED',
      item: { expiryTime: until },
      orders: [{ createTime: ms('2026-01-01'), expiryTime: until }],
    },
    {
      on: '2026-01-20',
      because: 'PAUSE_SCHEDULE_CHANGED',
      snapshot: { autoResumeTime: ms('2026-03-01') },
      item: { expiryTime: until },
    },
    {
      on: '2026-02-01',
      because: 'PAUSED',
      snapshot: { state: 'PAUSED', autoResumeTime: ms('2026-03-01') },
      item: { expiryTime: until },
    },
    {
      on: '2026-03-01',
      because: 'RECOVERED',
      item: { expiryTime: ms('2026-04-01'), orderId: 'GPA.1..0' },
      orders: [{ orderId: 'GPA.1..0', createTime: ms('2026-03-01'), expiryTime: ms('2026-04-01') }],
    },
    {
      on: '2026-03-10',
      because: 'CANCELED',
      snapshot: { state: 'CANCELED', cancelTime: ms('2026-03-10') },
      item: { expiryTime: ms('2026-04-01'), orderId: 'GPA.1..0', autoRenews: false },
    },
  ],
  {
    has: {
      '2026-01-20': 'access, active: monthly, until 2026-02-03, renews',
      '2026-02-01': 'no access, paused: monthly, until 2026-02-01, renews',
      '2026-03-01': 'access, active: monthly, until 2026-04-03, renews',
      '2026-03-10': 'access, cancelled: monthly, until 2026-04-01',
      '2026-04-01': 'no access, expired: monthly, until 2026-04-01',
    },
    paid: ['2026-01-01 purchase 9.99 USD, completed', '2026-03-01 renewal 9.99 USD, completed'],
  },
);
