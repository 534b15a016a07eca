import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { addDays } from '#kernel';
import { type OpenRooms, openRooms } from '../../../../test/support/rooms.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { inRequest } from '../telemetry/request-context.js';
import { type AuditEntry, type AuditRecord, differences, SYSTEM } from './audit-entry.js';
import { Audit } from './audit.service.js';

let open: OpenRooms;
let audit: Audit;
let uow: UnitOfWork;
let sequence = 0;

beforeAll(async () => {
  open = await openRooms([]);
  audit = open.rooms.get(Audit);
  uow = open.rooms.get(UnitOfWork);
});

afterAll(() => open.close());

function something(): AuditRecord {
  return { ...SYSTEM, action: 'user_block', target: `user:${++sequence}`, data: { from: 'active' } };
}

const write = (record: AuditRecord): Promise<void> => uow.run(() => audit.record(record));

async function found(target: string): Promise<readonly AuditEntry[]> {
  return (await audit.list({ target }, { skip: 0, limit: 10 })).items;
}

const sql = (text: string, ...values: unknown[]): Promise<unknown> => open.rooms.get(DataSource).query(text, values);

describe('a record', () => {
  it('is refused outside of the transaction of what it is about', async () => {
    const record = something();
    await expect(audit.record(record)).rejects.toThrow('outside');
    expect(await found(record.target)).toEqual([]);
  });

  it('is kept only if what it is about is', async () => {
    const record = something();
    const failing = uow.run(async () => {
      await audit.record(record);
      throw new Error('the act failed after all');
    });
    await expect(failing).rejects.toThrow('after all');
    expect(await found(record.target)).toEqual([]);
  });

  it('says when, by whose request and from which network, and not from which address', async () => {
    const [near, far, own] = [something(), something(), something()];
    await inRequest({ requestId: 'r-1', address: '203.0.113.77' }, () => write(near));
    await inRequest({ requestId: 'r-2', address: '2001:db8:1:2:3:4:5:6' }, () => write(far));
    await write(own);
    expect(await found(near.target)).toMatchObject([
      { ...near, at: open.clock.now(), requestId: 'r-1', network: '203.0.113.0/24' },
    ]);
    expect(await found(far.target)).toMatchObject([{ requestId: 'r-2', network: '2001:db8:1::/48' }]);
    expect(await found(own.target)).toMatchObject([{ requestId: null, network: null }]);
  });

  it('cannot be changed or deleted, by whatever statement', async () => {
    const record = something();
    await write(record);
    const before = await found(record.target);
    const refusal = 'stays as it is';
    await expect(sql(`UPDATE audit_log SET actor_id = 7 WHERE target = $1`, record.target)).rejects.toThrow(refusal);
    await expect(sql(`UPDATE audit_log SET at = '2020-01-01' WHERE target = $1`, record.target)).rejects.toThrow(
      refusal,
    );
    await expect(sql(`DELETE FROM audit_log WHERE target = $1`, record.target)).rejects.toThrow(refusal);
    await expect(sql(`TRUNCATE audit_log`)).rejects.toThrow(refusal);
    expect(await found(record.target)).toEqual(before);
  });

  it('is forgotten after a year, and not before', async () => {
    const [old, young] = [something(), something()];
    const now = new Date();
    open.clock.set(addDays(now, -367));
    await write(old);
    open.clock.set(addDays(now, -364));
    await write(young);
    open.clock.set(addDays(now, 500)); // an instance whose clock is ahead forgets no more than the others
    expect(await audit.forgetOld()).toBe(1);
    expect(await found(old.target)).toEqual([]);
    expect(await found(young.target)).toHaveLength(1);
    open.clock.set(now);
  });
});

describe('differences', () => {
  it('are what was and what is, of the fields that are asked for', () => {
    const before = { name: 'a', deviceLimit: 1, dns: ['1.1.1.1'], secret: 'x' };
    const after = { name: 'a', deviceLimit: null, dns: ['1.1.1.1'], secret: 'y' };
    expect(differences<object>(before, after, [])).toEqual({});
    expect(differences<typeof before | typeof after>(before, after, ['name', 'deviceLimit', 'dns'])).toEqual({
      device_limit: { from: 1, to: null },
    });
  });
});
