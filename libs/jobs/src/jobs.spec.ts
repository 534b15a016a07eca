import { afterAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { ManualClock } from '#kernel';
import { Applying, Enforcement } from '#peers';
import { Leases } from '#platform';
import { createTestDatabase } from '../../../test/support/database.js';
import { openInstance } from '../../../test/support/rooms.js';
import { until } from '../../../test/support/until.js';
import { JobsModule } from './jobs.module.js';

const database = await createTestDatabase();
afterAll(() => database.drop());

describe('the jobs', () => {
  it('are stopped and waited for before anything that they use is destroyed (I1)', async () => {
    let begun = 0;
    let finish: () => void = () => undefined;
    let leasedAtTheEnd: unknown;
    const applyAll = async (): Promise<number> => {
      begun += 1;
      await new Promise<void>((resolve) => (finish = resolve));
      // What a job does on its way out still has its lease and its database.
      leasedAtTheEnd = await rooms.get(Leases).run('at the end', () => Promise.resolve('yes'));
      return 0;
    };
    const rooms = await openInstance([JobsModule], {
      databaseUrl: database.url,
      clock: new ManualClock('2026-11-22T10:00:00Z'),
      replacements: [{ provider: Applying, by: { applyAll, start: () => undefined } }],
    });
    await until(() => Promise.resolve(begun > 0 ? true : undefined), 10);
    const closing = rooms.close();
    finish();
    await closing;
    expect(leasedAtTheEnd).toEqual({ result: 'yes' });
    await expect(rooms.get(Leases).run('after', () => Promise.resolve())).rejects.toThrow('the process is ending');
    expect(begun).toBe(1);
  });

  it('are all known from the start, with how old their last success may be (F2)', async () => {
    const rooms = await openInstance([JobsModule], {
      databaseUrl: database.url,
      clock: new ManualClock('2026-11-22T10:00:00Z'),
      replacements: [{ provider: Enforcement, by: {} }],
    });
    await rooms.close();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query<{ name: string; limit: number }>(
      'SELECT name, limit_seconds AS "limit" FROM job_runs ORDER BY name',
    );
    await client.end();
    expect(Object.fromEntries(rows.map(({ name, limit }) => [name, limit]))).toEqual({
      'acknowledge-purchases': 600,
      'add-up-loads': 600,
      'apply-peers': 600,
      'ask-stores': 600,
      'deliver-outbox': 600,
      'enforce-access': 600,
      'forget-answers': 10_800,
      'forget-audit': 10_800,
      'forget-outbox': 10_800,
      'forget-peers': 10_800,
      'forget-sessions': 10_800,
      'forget-store-events': 10_800,
      'process-store-events': 600,
      remind: 600,
      'repair-stores': 1800,
      'sweep-servers': 600,
    });
  });
});
