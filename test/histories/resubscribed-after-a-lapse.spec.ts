import { tellOfAppStore, transaction } from './story.js';

tellOfAppStore(
  'Whoever comes back after a lapse has the same purchase again, and what he cancelled then does not follow him',
  [
    {
      on: '2026-01-01',
      because: 'he subscribes',
      transactions: [transaction('1', '2026-01-01', '2026-02-01')],
      renewal: {},
    },
    { on: '2026-01-10', because: 'he turns the renewal off', renewal: { willRenew: false } },
    { on: '2026-02-01', because: 'it expires', renewal: { willRenew: false, expirationIntent: 1 } },
    {
      on: '2026-05-01',
      because: 'he subscribes again; his device brings the transaction, and nothing else',
      transactions: [transaction('2', '2026-05-01', '2026-06-01')],
    },
    {
      on: '2026-05-03',
      because: 'the notification comes late, and wants a larger tariff from the next renewal on',
      renewal: { autoRenewProductId: 'plus' },
    },
  ],
  {
    has: {
      '2026-01-10': 'access, cancelled: monthly, until 2026-02-01',
      '2026-02-01': 'no access, expired: monthly, until 2026-02-01, voluntary',
      '2026-05-01': 'access, active: monthly, until 2026-06-01, renews',
      '2026-05-03': 'access, active: monthly, until 2026-06-01, renews, then plus',
      '2026-06-01': 'no access, expired: monthly, until 2026-06-01',
    },
    paid: ['2026-01-01 purchase 9.99 USD, completed', '2026-05-01 purchase 9.99 USD, completed'],
  },
);
