import { ms, tellOfAppStore, transaction } from './story.js';

const failed = { isInBillingRetry: true, gracePeriodExpiresDate: ms('2026-02-17'), expirationIntent: 2 };

tellOfAppStore(
  'A card that fails costs no access within the grace, and is recovered after it',
  [
    {
      on: '2026-01-01',
      because: 'he subscribes',
      transactions: [transaction('1', '2026-01-01', '2026-02-01')],
      renewal: {},
    },
    { on: '2026-02-01', because: 'the charge fails, with grace', renewal: failed },
    { on: '2026-02-17', because: 'the grace is over, Apple goes on trying', renewal: failed },
    {
      on: '2026-02-20',
      because: 'the card works again; only the transaction reaches us',
      transactions: [transaction('2', '2026-02-20', '2026-03-20', { transactionReason: 'RENEWAL' })],
    },
    { on: '2026-02-21', because: 'so does what comes next', renewal: {} },
  ],
  {
    has: {
      '2026-01-31': 'access, active: monthly, until 2026-02-01, renews',
      '2026-02-01': 'access, grace: monthly, until 2026-02-17, renews',
      '2026-02-16 23:59': 'access, grace: monthly, until 2026-02-17, renews',
      '2026-02-17': 'no access, retry: monthly, until 2026-02-17, renews',
      '2026-02-20': 'access, active: monthly, until 2026-03-20, renews',
      '2026-02-21': 'access, active: monthly, until 2026-03-20, renews',
      '2026-03-20': 'no access, expired: monthly, until 2026-03-20',
    },
    paid: ['2026-01-01 purchase 9.99 USD, completed', '2026-02-20 renewal 9.99 USD, completed'],
  },
);
