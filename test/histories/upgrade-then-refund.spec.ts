import { ms, tellOfAppStore, transaction } from './story.js';

const monthly = transaction('9', '2026-01-01', '2026-02-01');
const plus = transaction('10', '2026-01-11', '2026-02-11', { productId: 'plus', price: 19_990 });

tellOfAppStore(
  'An upgrade counts at once, and its refund does not bring back what it replaced',
  [
    { on: '2026-01-01', because: 'he subscribes', transactions: [monthly], renewal: {} },
    {
      on: '2026-01-11',
      because: 'he upgrades; Apple gives back what is left of the month',
      transactions: [
        {
          ...monthly,
          isUpgraded: true,
          revocationDate: ms('2026-01-11'),
          revocationType: 'REFUND_PRORATED',
          revocationPercentage: 67_742,
        },
        plus,
      ],
      renewal: { productId: 'plus', autoRenewProductId: 'plus' },
    },
    {
      on: '2026-01-20',
      because: 'he would rather have the small one again, from the next renewal on',
      transactions: [plus],
      renewal: { productId: 'plus', autoRenewProductId: 'monthly' },
    },
    {
      on: '2026-01-25',
      because: 'the upgrade is refunded',
      transactions: [{ ...plus, revocationDate: ms('2026-01-25'), revocationReason: 0, revocationType: 'REFUND_FULL' }],
      renewal: { productId: 'plus', autoRenewProductId: 'monthly', willRenew: false },
    },
  ],
  {
    has: {
      '2026-01-10': 'access, active: monthly, until 2026-02-01, renews',
      '2026-01-11': 'access, active: plus, until 2026-02-11, renews',
      '2026-01-20': 'access, active: plus, until 2026-02-11, renews, then monthly',
      '2026-01-25': 'no access, refunded: plus, until 2026-01-25, other',
    },
    paid: [
      '2026-01-01 purchase 9.99 USD, completed, 6.767 back on 2026-01-11',
      '2026-01-11 upgrade 19.99 USD, refunded, 19.99 back on 2026-01-25',
    ],
  },
);
