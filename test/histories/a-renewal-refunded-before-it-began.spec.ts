import { ms, tellOfAppStore, transaction } from './story.js';

const first = transaction('1', '2026-01-01', '2026-02-01');
const early = transaction('2', '2026-02-01', '2026-03-01', { transactionReason: 'RENEWAL' });
const again = transaction('3', '2026-02-01', '2026-03-01', { transactionReason: 'RENEWAL' });

tellOfAppStore(
  'A renewal that is charged a day early and refunded the same day takes nothing of the month that runs',
  [
    { on: '2026-01-01', because: 'he subscribes', transactions: [first], renewal: {} },
    { on: '2026-01-31', because: 'the renewal is charged', transactions: [early], renewal: {} },
    {
      on: '2026-01-31 06:00',
      because: 'and refunded',
      transactions: [{ ...early, revocationDate: ms('2026-01-31 06:00'), revocationReason: 0 }],
      renewal: { willRenew: false },
    },
    { on: '2026-01-31 12:00', because: 'he thinks better of it', renewal: {} },
    { on: '2026-02-01', because: 'it renews after all', transactions: [again], renewal: {} },
  ],
  {
    has: {
      '2026-01-31': 'access, active: monthly, until 2026-03-01, renews',
      '2026-01-31 06:00': 'access, cancelled: monthly, until 2026-02-01',
      '2026-01-31 12:00': 'access, active: monthly, until 2026-02-01, renews',
      '2026-02-01': 'access, active: monthly, until 2026-03-01, renews',
    },
    paid: [
      '2026-01-01 purchase 9.99 USD, completed',
      '2026-02-01 renewal 9.99 USD, refunded, 9.99 back on 2026-01-31 06:00',
      '2026-02-01 renewal 9.99 USD, completed',
    ],
  },
);
