import { ms, tellOfAppStore, transaction } from './story.js';

const first = transaction('1', '2026-01-01', '2026-02-01');
const second = transaction('2', '2026-02-01', '2026-03-01', { transactionReason: 'RENEWAL' });
const third = transaction('3', '2026-03-01', '2026-04-01', { transactionReason: 'RENEWAL' });
const refund = { revocationReason: 1, revocationType: 'REFUND_FULL' };

tellOfAppStore(
  'A refund of last month leaves this month alone; a refund of this month ends it, until a dispute is lost',
  [
    { on: '2026-01-01', because: 'he subscribes', transactions: [first], renewal: {} },
    { on: '2026-01-31', because: 'the renewal is charged a day early', transactions: [second], renewal: {} },
    { on: '2026-03-01', because: 'it renews again', transactions: [third], renewal: {} },
    {
      on: '2026-03-05',
      because: 'February is refunded',
      transactions: [{ ...second, ...refund, revocationDate: ms('2026-03-05') }],
    },
    {
      on: '2026-03-10',
      because: 'March is refunded too, two thirds of it',
      transactions: [
        {
          ...third,
          ...refund,
          revocationType: 'REFUND_PRORATED',
          revocationPercentage: 66_667,
          revocationDate: ms('2026-03-10'),
        },
      ],
      renewal: { willRenew: false },
    },
    {
      on: '2026-03-20',
      because: 'the refund of March is reversed',
      transactions: [third],
      renewal: { willRenew: false },
    },
    { on: '2026-04-01', because: 'it expires', renewal: { willRenew: false, expirationIntent: 1 } },
  ],
  {
    has: {
      '2026-01-15': 'access, active: monthly, until 2026-02-01, renews',
      '2026-01-31 12:00': 'access, active: monthly, until 2026-03-01, renews',
      '2026-03-06': 'access, active: monthly, until 2026-04-01, renews',
      '2026-03-10': 'no access, refunded: monthly, until 2026-03-10, app_issue',
      '2026-03-20': 'access, cancelled: monthly, until 2026-04-01',
      '2026-04-01': 'no access, expired: monthly, until 2026-04-01, voluntary',
    },
    paid: [
      '2026-01-01 purchase 9.99 USD, completed',
      '2026-02-01 renewal 9.99 USD, refunded, 9.99 back on 2026-03-05',
      '2026-03-01 renewal 9.99 USD, completed',
    ],
  },
);
