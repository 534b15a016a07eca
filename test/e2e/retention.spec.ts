import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounts } from '#auth';
import { Inbox } from '#iap';
import { Idempotency, Outbox } from '#platform';
import { TestApi } from '../support/api.js';

/** More than one statement deletes at a time. */
const BACKLOG = 2500;

let api: TestApi;

beforeAll(async () => {
  api = await TestApi.start();
});
afterAll(() => api.stop());

const OLD = "now() - interval '400 days'";

describe('what is too old', () => {
  it.each([
    ['sessions', 'id, user_id, created_at, expires_at', `gen_random_uuid(), $1, ${OLD}, ${OLD}`],
    ['idempotency_keys', 'user_id, key, fingerprint, created_at', `$1, 'old-' || n, '', ${OLD}`],
    [
      'outbox',
      'kind, payload, created_at, next_try_at, failed_at',
      `'mail', '{}', ${OLD}, ${OLD}, ${OLD} + ($1 * interval '0 s')`,
    ],
    [
      'store_events',
      'provider, event_id, type, event_at, received_at, sealed_payload, status',
      `'apple', 'old-' || n || $1, 'TEST', ${OLD}, ${OLD}, '', 'done'`,
    ],
  ])('in %s goes, however much has piled up (F10)', async (table, columns, values) => {
    const { id } = await api.user();
    await api.rows(`INSERT INTO ${table} (${columns}) SELECT ${values} FROM generate_series(1, ${BACKLOG}) n`, [id]);
    const forget: Readonly<Record<string, () => Promise<number>>> = {
      sessions: () => api.app.get(Accounts).forgetEndedSessions(),
      idempotency_keys: () => api.app.get(Idempotency).forgetOld(),
      outbox: () => api.app.get(Outbox).forgetFailed(),
      store_events: () => api.app.get(Inbox).forgetOld(),
    };
    expect(await forget[table]!()).toBe(BACKLOG);
  });
});
