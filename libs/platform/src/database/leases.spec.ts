import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { SystemRandomness } from '#kernel';
import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { until } from '../../../../test/support/until.js';
import { acquireEmbeddedPostgres } from './embedded-postgres.js';
import { LeasesRepository } from './leases.repository.js';
import { type Lease, LEASE_TIMES, LeaseLostError, Leases, type LeaseTimes } from './leases.service.js';
import { migrate } from './migrate.js';
import { UnitOfWork } from './unit-of-work.js';

/** One process, as it were. */
class Instance {
  readonly uow: UnitOfWork;
  readonly leases: Leases;

  private constructor(
    readonly dataSource: DataSource,
    times: LeaseTimes,
  ) {
    this.uow = new UnitOfWork(dataSource);
    this.leases = new Leases(this.uow, new LeasesRepository(this.uow), new SystemRandomness(), times);
  }

  /** With `maxUses` 1, each statement has a session of its own, as behind a pooler in transaction mode. */
  static async open(url: string, times: Partial<LeaseTimes> = {}, maxUses?: number): Promise<Instance> {
    const extra = { connectionTimeoutMillis: 5000, lock_timeout: 2000, ...(maxUses === undefined ? {} : { maxUses }) };
    const dataSource = await new DataSource({ type: 'postgres', url, poolSize: 4, extra }).initialize();
    return new Instance(dataSource, { ...LEASE_TIMES, ...times });
  }

  async close(): Promise<void> {
    await this.leases.beforeApplicationShutdown();
    await this.dataSource.destroy();
  }
}

interface Work {
  readonly work: (lease: Lease) => Promise<string>;
  readonly lease: () => Promise<Lease>;
  readonly end: () => void;
}

/** Work that goes on until it is let go. */
function openWork(): Work {
  let end: () => void = () => undefined;
  let begun: (lease: Lease) => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const lease = new Promise<Lease>((resolve) => (begun = resolve));
  const work = async (given: Lease): Promise<string> => {
    begun(given);
    await ended;
    return 'done';
  };
  return { work, lease: () => lease, end: () => end() };
}

describe('a lease', () => {
  let database: TestDatabase;
  let observer: Client;
  const instances: Instance[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
    observer = new Client({ connectionString: database.url });
    await observer.connect();
    await observer.query('CREATE TABLE notes (text varchar)');
  });
  beforeEach(() => observer.query('TRUNCATE leases, notes'));
  afterEach(async () => {
    for (const instance of instances.splice(0)) await instance.close();
  });
  afterAll(async () => {
    await observer.end();
    await database.drop();
  });

  async function open(times?: Partial<LeaseTimes>, maxUses?: number): Promise<Instance> {
    const instance = await Instance.open(database.url, times, maxUses);
    instances.push(instance);
    return instance;
  }

  it('has one holder at a time, and a greater number for each', async () => {
    const [first, second] = [await open(), await open()];
    const { work, lease, end } = openWork();
    const run = first.leases.run('job', work);
    expect((await lease()).fence).toBe(1);
    expect(await second.leases.run('job', () => Promise.resolve('too'))).toBeNull();
    expect(await first.leases.run('job', () => Promise.resolve('too'))).toBeNull();
    expect(await second.leases.run('another', () => Promise.resolve('yes'))).toEqual({ result: 'yes' });
    end();
    expect(await run).toEqual({ result: 'done' });
    expect(await second.leases.run('job', ({ fence }) => Promise.resolve(fence))).toEqual({ result: 2 });
  });

  it('is given back when the work fails', async () => {
    const { leases } = await open();
    await expect(leases.run('job', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await leases.run('job', () => Promise.resolve(1))).toEqual({ result: 1 });
  });

  it('goes to exactly one of many who ask at once', async () => {
    const asking = await Promise.all([1, 2, 3, 4].map(() => open()));
    const { work, end } = openWork();
    const runs = asking.map(({ leases }) => leases.run('job', work));
    const [, ...others] = await until(async () => {
      const settled = await Promise.all(runs.map((run) => Promise.race([run, Promise.resolve('running')])));
      return settled.filter((one) => one === null).length === 3 ? settled : undefined;
    });
    expect(others).toHaveLength(3);
    end();
    expect((await Promise.all(runs)).filter((one) => one !== null)).toEqual([{ result: 'done' }]);
  });

  it('is renewed while the work runs, with a session of its own for each statement (B3)', async () => {
    const holder = await open({ leaseSeconds: 1, renewEveryMs: 100 }, 1);
    const { work, lease, end } = openWork();
    const run = holder.leases.run('job', work);
    await lease();
    await until(async () => {
      const { rows } = await observer.query(
        "SELECT clock_timestamp() > acquired_at + interval '2 s' AS old FROM leases",
      );
      return rows[0]?.old === true ? true : undefined;
    });
    expect(await (await open()).leases.run('job', () => Promise.resolve('too'))).toBeNull();
    end();
    expect(await run).toEqual({ result: 'done' });
  });

  it('passes from a holder that died to another, and refuses what the dead one still writes (F2)', async () => {
    // It never renews, as a machine that lost its network; it does not know either.
    const dead = await open({ leaseSeconds: 1, renewEveryMs: 1e6, trustMs: 1e6 });
    const next = await open();
    const { work, lease, end } = openWork();
    const write = (text: string): Promise<unknown> => dead.uow.manager.query('INSERT INTO notes VALUES ($1)', [text]);
    const run = dead.leases.run('job', async (given) => {
      await dead.uow.run(() => write('in time'));
      await work(given);
      await dead.uow.run(() => write('too late'));
    });
    await lease();
    const took = await until(
      async () => (await next.leases.run('job', ({ fence }) => Promise.resolve(fence))) ?? undefined,
    );
    expect(took).toEqual({ result: 2 });
    end();
    await expect(run).rejects.toThrow(LeaseLostError);
    expect((await observer.query('SELECT text FROM notes')).rows).toEqual([{ text: 'in time' }]);
  });

  it('is not taken over in the middle of a transaction of its holder', async () => {
    const slow = await open({ leaseSeconds: 1, renewEveryMs: 1e6, trustMs: 1e6 });
    const next = await open();
    await slow.leases.run('job', () =>
      slow.uow.run(async () => {
        await until(async () => {
          const { rows } = await observer.query('SELECT expires_at < clock_timestamp() AS over FROM leases');
          return rows[0]?.over === true ? true : undefined;
        });
        expect(await next.leases.run('job', () => Promise.resolve('too'))).toBeNull();
      }),
    );
    expect(await next.leases.run('job', () => Promise.resolve('now'))).toEqual({ result: 'now' });
  });

  it('tells its holder when it is lost, and does not wait for work that hangs', async () => {
    const holder = await open({ renewEveryMs: 50 });
    const { work, lease } = openWork(); // never ends
    const run = holder.leases.run('job', work);
    const { signal } = await lease();
    const rejected = expect(run).rejects.toThrow('somebody else has it');
    await observer.query('UPDATE leases SET fence = fence + 1');
    await rejected;
    expect(signal.aborted).toBe(true);
  });

  it('ends when the work goes on for longer than any should', async () => {
    const holder = await open({ renewEveryMs: 50, longestMs: 100 });
    await expect(holder.leases.run('job', openWork().work)).rejects.toThrow('takes too long');
  });

  it('leaves alone what begins after the commit, and what is done outside', async () => {
    const { leases, uow } = await open();
    let later: Promise<unknown> | undefined;
    await leases.run('job', () =>
      uow.run(() => {
        uow.afterCommit(() => {
          later = new Promise((resolve) => setTimeout(resolve, 50)).then(() =>
            uow.run(() => uow.manager.query("INSERT INTO notes VALUES ('later')")),
          );
        });
        return Promise.resolve();
      }),
    );
    await later; // by now the lease was given back
    expect((await observer.query('SELECT text FROM notes')).rows).toEqual([{ text: 'later' }]);
  });

  it('is given back at the end of the process, and had no more after that (I1)', async () => {
    const [ending, other] = [await open(), await open()];
    const heedless = openWork();
    const hanging = ending.leases.run('hanging', heedless.work);
    let begun = false;
    const run = ending.leases.run('job', ({ signal }) => {
      begun = true;
      return new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('I was told')), { once: true });
      });
    });
    const rejected = expect(run).rejects.toThrow('I was told');
    await heedless.lease();
    await until(() => Promise.resolve(begun ? true : undefined));
    await ending.leases.beforeApplicationShutdown();
    await rejected;
    await expect(ending.leases.run('other', () => Promise.resolve('no'))).rejects.toThrow('the process is ending');
    expect(await other.leases.run('job', () => Promise.resolve('yes'))).toEqual({ result: 'yes' });
    expect(await other.leases.run('hanging', () => Promise.resolve('no'))).toBeNull();
    heedless.end();
    await hanging;
  });
});

describe('a lease when the database stands still', () => {
  it('is lost while it does, and had again by anybody afterwards (F2)', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'vpn-leases-'));
    const server = await acquireEmbeddedPostgres({ directory, database: 'vpn_test', durable: false });
    const times = { leaseSeconds: 2, renewEveryMs: 100, retryAfterMs: 100, trustMs: 1500 };
    await migrate(server.url);
    const [first, second] = [await Instance.open(server.url, times), await Instance.open(server.url, times)];
    const pids = await processesOf(server.directory);
    const signal = (name: NodeJS.Signals): void => pids.forEach((pid) => process.kill(pid, name));
    try {
      for (let stall = 1; stall <= 2; stall++) {
        const { work, lease } = openWork(); // never ends: a statement that has no answer
        const run = first.leases.run('job', work);
        await lease();
        pids.splice(0, pids.length, ...(await processesOf(server.directory)));
        const lost = expect(run).rejects.toThrow('not renewed in time');
        signal('SIGSTOP');
        await lost.finally(() => signal('SIGCONT'));
        for (const { leases } of [first, second]) {
          const again = await until(async () => (await leases.run('job', () => Promise.resolve('yes'))) ?? undefined);
          expect(again).toEqual({ result: 'yes' });
        }
      }
    } finally {
      signal('SIGCONT');
      await first.close();
      await second.close();
      await server.release();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

/** The server of a cluster and its children. */
async function processesOf(directory: string): Promise<number[]> {
  const [pid] = (await readFile(join(directory, 'cluster', 'postmaster.pid'), 'utf8')).split('\n');
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return [Number(pid), ...children.trim().split(' ').map(Number)];
}
