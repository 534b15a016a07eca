import { ms, tellOfAppStore, transaction } from './story.js';

const shared = { ownership: 'FAMILY_SHARED' };
const first = transaction('1', '2026-01-01', '2026-02-01', shared);
const second = transaction('2', '2026-02-01', '2026-03-01', { ...shared, transactionReason: 'RENEWAL' });

tellOfAppStore(
  'A member of a family has access without paying, and loses it at once when sharing ends',
  [
    { on: '2026-01-01', because: 'his mother shares her subscription', transactions: [first], renewal: {} },
    { on: '2026-02-01', because: 'it renews', transactions: [second], renewal: {} },
    {
      on: '2026-02-10',
      because: 'she stops sharing',
      transactions: [{ ...second, revocationDate: ms('2026-02-10'), revocationType: 'FAMILY_REVOKE' }],
      renewal: { willRenew: false },
    },
  ],
  {
    has: {
      '2026-01-15': 'access, active: monthly, until 2026-02-01, renews',
      '2026-02-09': 'access, active: monthly, until 2026-03-01, renews',
      '2026-02-10': 'no access, revoked: monthly, until 2026-02-10, family_sharing_ended',
      '2026-02-11': 'no access, revoked: monthly, until 2026-02-10, family_sharing_ended',
    },
    paid: [],
  },
);
