import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type INestApplicationContext } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { IapModule } from '#iap';
import { SystemRandomness } from '#kernel';
import { PeersModule } from '#peers';
import { EncryptionKey, HealthChecks, Metrics, SealedColumns, SecretBox, SYSTEM } from '#platform';
import { Servers } from '#wireguard';
import { openInstance, openRooms, type OpenRooms } from '../support/rooms.js';
import { TEST_ENVIRONMENT } from '../support/settings.js';

const FIRST = TEST_ENVIRONMENT.CONFIG_ENCRYPTION_KEY;
const SECOND = randomBytes(32).toString('base64');
const REFUSED = /^CONFIG_ENCRYPTION_KEY: none of its keys opens .* docs\/database\.md/;

let open: OpenRooms;
let database: Client;
const instances: INestApplicationContext[] = [];

beforeEach(async () => {
  open = await openRooms([PeersModule, IapModule]);
  database = new Client({ connectionString: open.databaseUrl });
  await database.connect();
});
afterEach(async () => {
  await Promise.all(instances.splice(0).map((rooms) => rooms.close()));
  await database.end();
  await open.close();
});

/** One more process with these keys. */
async function withKeys(...keys: string[]): Promise<INestApplicationContext> {
  const environment = { CONFIG_ENCRYPTION_KEY: keys.join(',') };
  const rooms = await openInstance([PeersModule, IapModule], {
    databaseUrl: open.databaseUrl,
    clock: open.clock,
    environment,
  });
  instances.push(rooms);
  return rooms;
}

const start = async (...keys: string[]): Promise<void> => (await withKeys(...keys)).get(EncryptionKey).verifyAndKeep();
const boxOf = (...keys: string[]): SecretBox => new SecretBox(keys, new SystemRandomness(), open.clock);

async function canary(): Promise<string | undefined> {
  return (await database.query<{ sealed: string }>('SELECT sealed FROM encryption_canary')).rows[0]?.sealed;
}

async function findings(...keys: string[]): Promise<readonly string[]> {
  const all = await (await withKeys(...keys)).get(HealthChecks).examine();
  return all
    .filter(({ about }) => about === 'encryption key')
    .map(({ isWell, says }) => `${isWell ? 'ok' : 'problem'} ${says}`);
}

describe('the encryption key of an installation', () => {
  it('is the one of the first process that serves, of several at once too: others are refused, and change nothing (E3)', async () => {
    await database.query('DELETE FROM vpn_servers');
    const outcomes = await Promise.allSettled([
      open.rooms.get(EncryptionKey).verifyAndKeep(),
      (await withKeys(FIRST)).get(EncryptionKey).verifyAndKeep(),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    const kept = await canary();
    expect(boxOf(FIRST).keyOf(kept!)).toBe(0);
    await start(FIRST);
    await expect(start(SECOND)).rejects.toThrow(REFUSED);
    expect(await canary()).toBe(kept);
  });

  it('can be replaced: the new one first, the old one after it until nothing needs it (E3)', async () => {
    await database.query('DELETE FROM vpn_servers');
    await start(FIRST);
    await start(SECOND, FIRST);
    expect(boxOf(SECOND).keyOf((await canary())!)).toBe(0);
    await start(SECOND, FIRST);
    await start(SECOND);
    await expect(start(FIRST)).rejects.toThrow(REFUSED);
  });

  it('is recognised after an upgrade by what is sealed already; no canary is left by another one (E3)', async () => {
    // The first server's pair, which the rooms made when they were opened.
    await expect(start(SECOND)).rejects.toThrow(REFUSED);
    expect(await canary()).toBeUndefined();
    await start(SECOND, FIRST);
    expect(boxOf(SECOND).keyOf((await canary())!)).toBe(0);
  });

  it('is only looked at by commands (E3)', async () => {
    await open.rooms.get(EncryptionKey).verify();
    await expect((await withKeys(SECOND)).get(EncryptionKey).verify()).rejects.toThrow(REFUSED);
    expect(await canary()).toBeUndefined();
  });

  it('may be given up for good, by a command (E3)', async () => {
    await start(FIRST);
    await (await withKeys(SECOND)).get(EncryptionKey).accept();
    await start(SECOND);
    await expect(start(FIRST)).rejects.toThrow(REFUSED);
  });
});

describe('a server whose access no key opens', () => {
  it('can be told anew how it is reached (E3)', async () => {
    const {
      rows: [server],
    } = await database.query<{ id: number }>(
      `UPDATE vpn_servers SET sealed_access = $1, from_settings = false RETURNING id`,
      [boxOf(SECOND).seal('{}')],
    );
    const access = { kind: 'local', interface: 'wg7' } as const;
    await open.rooms.get(Servers, { strict: false }).change(SYSTEM, server!.id, { access });
    const { rows } = await database.query<{ sealed_access: string }>('SELECT sealed_access FROM vpn_servers');
    expect(JSON.parse(boxOf(FIRST).open(rows[0]!.sealed_access))).toMatchObject({ access });
  });
});

describe('what is sealed', () => {
  it('is counted for operators, by column, where no key opens it or only an older one does (E3)', async () => {
    await start(FIRST);
    expect(await findings(FIRST)).toEqual(['ok opens all 1 sealed texts examined']);
    expect(await findings(SECOND, FIRST)).toEqual([
      'ok opens all 1 sealed texts examined; 1 of them by an older key of CONFIG_ENCRYPTION_KEY: keep it',
    ]);
    await database.query(
      `INSERT INTO outbox (kind, sealed_payload, created_at, next_try_at) SELECT 'mail', $1, now(), now() FROM generate_series(1, 3)`,
      [boxOf(SECOND).seal('{}')],
    );
    expect(await findings(FIRST)).toEqual([
      'problem outbox.sealed_payload: 3 of 3 examined cannot be opened: CONFIG_ENCRYPTION_KEY lacks a key',
    ]);
    const figures = await (await withKeys(FIRST)).get(Metrics).render();
    expect(figures).toContain('sealed_rows_unreadable{column="outbox.sealed_payload"} 3\n');
    expect(figures).toContain('sealed_rows_unreadable{column="vpn_servers.sealed_private_key"} 0\n');
  });

  it('is looked for in every column whose name says that it is sealed (E3)', async () => {
    const { rows } = await database.query<{ name: string }>(
      `SELECT table_name || '.' || column_name AS name FROM information_schema.columns WHERE table_schema = 'public'
         AND (column_name LIKE 'sealed%' OR column_name IN ('wg_private_key', 'wg_preshared_key'))`,
    );
    const listed = open.rooms
      .get(SealedColumns)
      .list()
      .map(({ table, column }) => `${table}.${column}`);
    const elsewhere = ['encryption_canary.sealed', 'idempotency_keys.sealed_answer'];
    expect([...listed, ...elsewhere].sort()).toEqual(rows.map(({ name }) => name).sort());
  });
});
