import { type INestApplicationContext } from '@nestjs/common';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { type OpenRooms, openInstance, openRooms } from '../../../../test/support/rooms.js';
import { until } from '../../../../test/support/until.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { Metrics } from '../telemetry/metrics.js';
import { type OutboxMessage } from './outbox-message.js';
import { isBeyondLast, pauseAfter } from './outbox.rules.js';
import { Outbox, type OutboxDelivery, type OutboxOutcome } from './outbox.service.js';

let open: OpenRooms;
let outbox: Outbox;
let uow: UnitOfWork;
const logLines: string[] = [];
/** What arrived, by subject; and what becomes of it. */
const delivered: string[] = [];
let deliver: (delivery: OutboxDelivery<'mail'>) => Promise<OutboxOutcome>;

beforeAll(async () => {
  open = await openRooms([], {}, [], logLines);
  outbox = open.rooms.get(Outbox);
  uow = open.rooms.get(UnitOfWork);
  outbox.handle('mail', (delivery) => deliver(delivery));
});
beforeEach(async () => {
  await open.rooms.get(DataSource).query('TRUNCATE outbox');
  delivered.length = 0;
  logLines.length = 0;
  deliver = (delivery) => {
    delivered.push(delivery.payload.subject);
    return Promise.resolve('done');
  };
});
afterAll(() => open.close());

function message(subject: string): OutboxMessage {
  return { kind: 'mail', payload: { to: 'ann@example.com', subject, text: 'the code is 123456', language: 'en' } };
}

/** Writes messages that are due, without the delivery that a commit begins: as if the process had died right after it. */
async function putSilently(...subjects: readonly string[]): Promise<void> {
  const kept = deliver;
  deliver = () => Promise.resolve({ failed: 'held back' });
  await uow.run(() => outbox.put(...subjects.map(message)));
  await outbox.deliver();
  await open.rooms.get(DataSource).query('UPDATE outbox SET attempts = 0, next_try_at = created_at, error = NULL');
  deliver = kept;
  logLines.length = 0;
}

interface Row {
  readonly attempts: number;
  readonly failed_at: Date | null;
  readonly error: string | null;
  readonly next_try_at: Date;
}

function rows(): Promise<Row[]> {
  return open.rooms.get(DataSource).query('SELECT * FROM outbox ORDER BY id');
}

async function figure(name: string): Promise<number> {
  const text = await open.rooms.get(Metrics).render();
  return Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1]);
}

describe('a message', () => {
  it('is delivered as soon as its transaction is committed, and then forgotten', async () => {
    await uow.run(() => outbox.put(message('at once')));
    await until(async () => ((await rows()).length === 0 ? true : undefined));
    expect(delivered).toEqual(['at once']);
  });

  it('is not delivered before the commit, and never after a rollback', async () => {
    const rollback = uow.run(async () => {
      await outbox.put(message('undone'));
      expect(await uow.outside(() => outbox.deliver())).toBe(0);
      throw new Error('changed my mind');
    });
    await expect(rollback).rejects.toThrow('changed my mind');
    expect(await outbox.deliver()).toBe(0);
    expect(await rows()).toEqual([]);
    expect(delivered).toEqual([]);
  });

  it('cannot be put outside of a transaction', async () => {
    await expect(outbox.put(message('loose'))).rejects.toThrow('outside a transaction');
  });

  it('is delivered outside of any transaction', async () => {
    deliver = () => {
      uow.assertClosed();
      return Promise.resolve('done');
    };
    await uow.run(() => outbox.put(message('free')));
    await until(async () => ((await rows()).length === 0 ? true : undefined));
  });

  it('cannot be read in the database where it holds a secret', async () => {
    await putSilently('sealed');
    const [row] = await open.rooms.get(DataSource).query<object[]>('SELECT * FROM outbox');
    expect(JSON.stringify(row)).not.toMatch(/ann@|123456|sealed"/);
  });

  it('has its turn in the order of their being put', async () => {
    await putSilently('one', 'two', 'three');
    await outbox.deliver();
    expect(delivered).toEqual(['one', 'two', 'three']);
  });

  it('that is put while others are on their way is delivered by the same run', async () => {
    deliver = async ({ payload: { subject } }) => {
      delivered.push(subject);
      if (subject === 'first') await uow.run(() => outbox.put(message('second')));
      return 'done';
    };
    await putSilently('first');
    expect(await outbox.deliver()).toBe(2);
    expect(delivered).toEqual(['first', 'second']);
  });
});

describe('a message that cannot be delivered', () => {
  it('is tried again after 1, 5 and 30 minutes, 2 and 12 hours, and then given up', async () => {
    await putSilently('in vain');
    deliver = ({ payload: { subject } }) => {
      delivered.push(subject);
      return Promise.resolve({ failed: 'nobody there' });
    };
    for (const minutes of [0, 1, 5, 30, 120, 720]) {
      open.clock.advance({ minutes, seconds: -1 });
      expect(await outbox.deliver()).toBe(0);
      open.clock.advance({ seconds: 1 });
      expect(await outbox.deliver()).toBe(1);
    }
    expect(await rows()).toMatchObject([{ attempts: 6, error: 'nobody there', failed_at: open.clock.now() }]);
    const line = { level: 'error', kind: 'mail', attempt: 6, error: 'nobody there', msg: 'a message was given up' };
    expect(JSON.parse(logLines.at(-1)!)).toMatchObject(line);
    open.clock.advance({ days: 1 });
    expect(await outbox.deliver()).toBe(0);
  });

  it('is given up at once when it was refused for good, and forgotten a month later', async () => {
    deliver = () => Promise.resolve({ refused: 'no such user' });
    await uow.run(() => outbox.put(message('unwanted')));
    await until(async () => (await rows()).find((row) => row.failed_at !== null));
    open.clock.advance({ days: 29 });
    expect(await outbox.forgetFailed()).toBe(0);
    open.clock.advance({ days: 2 });
    expect(await outbox.forgetFailed()).toBe(1);
  });

  it('is tried again when its handler stumbles, and what it holds is not logged', async () => {
    await putSilently('stumbling');
    deliver = () => Promise.reject(new Error('a fault of ours'));
    await outbox.deliver();
    expect(await rows()).toMatchObject([{ attempts: 1, error: 'unexpected', failed_at: null }]);
    expect(logLines.join('')).toContain('a fault of ours');
    expect(logLines.join('')).not.toMatch(/ann@|123456/);
  });

  it('does not hold up the others', async () => {
    await putSilently('bad', 'good');
    const deliverGood = deliver;
    deliver = (delivery) =>
      delivery.payload.subject === 'bad' ? Promise.reject(new Error('no')) : deliverGood(delivery);
    await outbox.deliver();
    expect(delivered).toEqual(['good']);
    expect(await rows()).toHaveLength(1);
  });
});

describe('several instances', () => {
  const others: INestApplicationContext[] = [];
  beforeAll(async () => {
    for (let count = 0; count < 3; count++) {
      const other = await openInstance([], { databaseUrl: open.databaseUrl, clock: open.clock });
      other.get(Outbox).handle('mail', (delivery) => deliver(delivery));
      others.push(other);
    }
  });
  afterAll(async () => {
    for (const other of others) await other.close();
  });

  it('share the messages, each of which is delivered once', async () => {
    const subjects = Array.from({ length: 200 }, (_, place) => `message ${place}`);
    await putSilently(...subjects);
    await Promise.all([outbox, ...others.map((other) => other.get(Outbox))].map((each) => each.deliver()));
    expect(delivered.toSorted()).toEqual(subjects.toSorted());
    expect(await rows()).toEqual([]);
  });

  it('take over from one that died, once its lease has run out', async () => {
    await putSilently('orphan');
    const [second] = others;
    const deliverWell = deliver;
    let wake: ((outcome: OutboxOutcome) => void) | undefined;
    deliver = () => new Promise((resolve) => (wake = resolve));
    const first = outbox.deliver();
    const wakeFirst = await until(() => Promise.resolve(wake));
    deliver = deliverWell;
    expect(await second!.get(Outbox).deliver()).toBe(0);
    open.clock.advance({ seconds: 120 });
    expect(await second!.get(Outbox).deliver()).toBe(1);
    expect(delivered).toEqual(['orphan']);
    wakeFirst({ failed: 'too late to matter' });
    await first;
    expect(await rows()).toEqual([]);
  });

  it('give up what kills each of them', async () => {
    await putSilently('poison');
    await open.rooms.get(DataSource).query('UPDATE outbox SET attempts = 6, leased_until = created_at');
    await outbox.deliver();
    expect(delivered).toEqual([]);
    expect(await rows()).toMatchObject([{ error: 'lost' }]);
  });

  it('leave alone what they have no handler for', async () => {
    await putSilently('for somebody else');
    const stranger = await openInstance([], { databaseUrl: open.databaseUrl, clock: open.clock });
    expect(await stranger.get(Outbox).deliver()).toBe(0);
    await stranger.close();
    expect(await rows()).toMatchObject([{ attempts: 0 }]);
  });
});

describe('what operators see', () => {
  it('is how many wait, since when, and how many were given up', async () => {
    expect(await figure('vpn_outbox_waiting')).toBe(0);
    expect(await figure('vpn_outbox_oldest_seconds')).toBe(0);
    await putSilently('one', 'two', 'three');
    await open.rooms
      .get(DataSource)
      .query(`UPDATE outbox SET failed_at = now() WHERE id = (SELECT min(id) FROM outbox)`);
    open.clock.advance({ seconds: 90 });
    expect(await figure('vpn_outbox_waiting')).toBe(2);
    expect(await figure('vpn_outbox_failed')).toBe(1);
    expect(await figure('vpn_outbox_oldest_seconds')).toBe(90);
  });
});

describe('the pauses', () => {
  it('grow from a minute to half a day, and the sixth attempt is the last', () => {
    expect([1, 2, 3, 4, 5, 6].map(pauseAfter)).toEqual([60, 300, 1800, 7200, 43_200, null]);
    expect([6, 7].map(isBeyondLast)).toEqual([false, true]);
  });
});
