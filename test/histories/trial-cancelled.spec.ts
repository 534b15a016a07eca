import { tellOfAppStore, transaction } from './story.js';

const trial = transaction('1', '2026-01-01', '2026-01-08', { offerType: 1, offerDiscountType: 'FREE_TRIAL', price: 0 });

tellOfAppStore(
  'A trial that is cancelled lasts until its end, and nothing is charged',
  [
    { on: '2026-01-01', because: 'the trial begins', transactions: [trial], renewal: {} },
    { on: '2026-01-03', because: 'he turns the renewal off', transactions: [trial], renewal: { willRenew: false } },
    { on: '2026-01-04', because: 'and on', transactions: [trial], renewal: { willRenew: true } },
    { on: '2026-01-05', because: 'and off', transactions: [trial], renewal: { willRenew: false } },
    { on: '2026-01-08', because: 'it expires', renewal: { willRenew: false, expirationIntent: 1 } },
  ],
  {
    has: {
      '2026-01-01': 'access, trial: monthly, until 2026-01-08, renews',
      '2026-01-03': 'access, cancelled: monthly, until 2026-01-08',
      '2026-01-04': 'access, trial: monthly, until 2026-01-08, renews',
      '2026-01-07 23:59': 'access, cancelled: monthly, until 2026-01-08',
      '2026-01-08': 'no access, expired: monthly, until 2026-01-08, voluntary',
    },
    paid: ['2026-01-01 purchase 0.00 USD, completed'],
  },
);
