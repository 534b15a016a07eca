import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { openRooms, type OpenRooms } from '../../../../test/support/rooms.js';
import { Metrics } from '../telemetry/metrics.js';
import { HealthChecks } from './health-checks.js';
import { JobRuns } from './job-runs.service.js';

let open: OpenRooms;
let database: Client;
let runs: JobRuns;

beforeAll(async () => {
  open = await openRooms([]);
  database = new Client({ connectionString: open.databaseUrl });
  await database.connect();
  runs = open.rooms.get(JobRuns);
});
beforeEach(() => database.query('TRUNCATE job_runs, leases'));
afterAll(async () => {
  await database.end();
  await open.close();
});

const later = (seconds: number): Promise<unknown> =>
  database.query(
    `UPDATE job_runs SET known_since = known_since - $1 * interval '1 s', succeeded_at = succeeded_at - $1 * interval '1 s',
       failed_at = failed_at - $1 * interval '1 s'`,
    [seconds],
  );
const about = async (name: string): Promise<unknown> =>
  (await open.rooms.get(HealthChecks).examine()).find((finding) => finding.about === `job ${name}`);

async function figure(name: string, job: string): Promise<number> {
  const text = await open.rooms.get(Metrics).render();
  return Number(new RegExp(`^${name}\\{job="${job}"\\} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
}

describe('the runs of a job', () => {
  it('are a sign that grows older while the job is not done, whoever does it (B3)', async () => {
    await runs.know([{ name: 'lamp', limitSeconds: 600 }]);
    expect(await about('lamp')).toMatchObject({ isWell: true });
    await later(601);
    expect(await about('lamp')).toMatchObject({ isWell: false, says: expect.stringMatching(/^never done in 601 s/) });
    expect(await figure('job_last_success_age_seconds', 'lamp')).toBeGreaterThan(600);
    expect(await figure('job_last_success_limit_seconds', 'lamp')).toBe(600);
    await runs.run('lamp', () => Promise.resolve());
    expect(await about('lamp')).toMatchObject({ isWell: true });
    expect(await figure('job_last_success_age_seconds', 'lamp')).toBeLessThan(600);
  });

  it('that failed, or did not do what they were for, are no success', async () => {
    await runs.know([{ name: 'lamp', limitSeconds: 600 }]);
    await later(601);
    const failing = Object.assign(new Error('no'), { code: '57P01' });
    await expect(runs.run('lamp', () => Promise.reject(failing))).rejects.toThrow('no');
    expect(await about('lamp')).toMatchObject({ isWell: false, says: expect.stringContaining('failed: 57P01') });
    expect(await figure('job_failing', 'lamp')).toBe(1);
    await runs.run('lamp', () => Promise.resolve(7), { problemOf: () => 'held', figuresOf: (held) => ({ held }) });
    expect(await about('lamp')).toMatchObject({ isWell: false, says: expect.stringContaining('failed: held') });
    expect((await runs.list())[0]).toMatchObject({ figures: { held: 7 }, hasSucceeded: false });
    await runs.run('lamp', () => Promise.resolve());
    expect(await figure('job_failing', 'lamp')).toBe(0);
  });

  it('that met the lease of another instance are no run at all', async () => {
    await database.query(
      "INSERT INTO leases VALUES ('lamp', 'somebody', 1, clock_timestamp(), clock_timestamp() + interval '1 minute')",
    );
    expect(await runs.run('lamp', () => Promise.resolve(1), { isExclusive: true })).toBeNull();
    expect(await runs.list()).toEqual([]);
  });

  it('are written every ten seconds at most while nothing changes', async () => {
    await database.query('CREATE TABLE IF NOT EXISTS writes (at timestamptz DEFAULT clock_timestamp())');
    await database.query(`
      CREATE OR REPLACE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO writes DEFAULT VALUES; RETURN NULL; END $$;
      CREATE TRIGGER count_write AFTER INSERT OR UPDATE ON job_runs FOR EACH STATEMENT EXECUTE FUNCTION count_write()`);
    for (let time = 0; time < 20; time++) await runs.run('often', () => Promise.resolve());
    const { rows } = await database.query<{ count: number }>('SELECT count(*)::int AS count FROM writes');
    // An INSERT that becomes an UPDATE fires both statement triggers.
    expect(rows[0]?.count).toBeLessThanOrEqual(4);
  });
});
