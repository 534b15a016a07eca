import { type INestApplicationContext, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Accounts, type User } from '#auth';
import { ManualClock } from '#kernel';
import { createLog, type Environment, PlatformModule, SYSTEM } from '#platform';
import { type NewTariff, type Tariff, Tariffs } from '#tariffs';
import { FirstServer } from '#wireguard';
import { createTestDatabase } from './database.js';
import { testSettings } from './settings.js';

export interface OpenRooms {
  readonly rooms: INestApplicationContext;
  readonly clock: ManualClock;
  readonly databaseUrl: string;
  close(): Promise<void>;
}

/** What stands in for a wire that leaves the building. */
export interface Replacement {
  readonly provider: Type;
  readonly by: object;
}

/** Real rooms on a real database of their own, without HTTP. */
export async function openRooms(
  modules: readonly Type[],
  environment?: Environment,
  replacements: readonly Replacement[] = [],
  logLines?: string[],
): Promise<OpenRooms> {
  const database = await createTestDatabase();
  const clock = new ManualClock('2026-11-22T10:00:00Z');
  const instance = { databaseUrl: database.url, clock, environment, replacements, logLines };
  const rooms = await openInstance(modules, instance);
  return {
    rooms,
    clock,
    databaseUrl: database.url,
    close: async () => {
      await rooms.close();
      await database.drop();
    },
  };
}

interface Instance {
  readonly databaseUrl: string;
  readonly clock: ManualClock;
  readonly environment?: Environment | undefined;
  readonly replacements?: readonly Replacement[];
  /** Collects the log. */
  readonly logLines?: string[] | undefined;
}

/** One more process, as it were, on the same database and by the same clock. Whoever opens it closes it. */
export async function openInstance(
  modules: readonly Type[],
  { databaseUrl, clock, environment, replacements = [], logLines }: Instance,
): Promise<INestApplicationContext> {
  const destination = logLines === undefined ? undefined : { write: (line: string) => void logLines.push(line) };
  const log = await createLog({ level: logLines === undefined ? 'silent' : 'debug', pretty: false }, destination);
  const platform = PlatformModule.with({ settings: testSettings(environment), databaseUrl, log, clock });
  const builder = Test.createTestingModule({ imports: [platform, ...modules] });
  for (const { provider, by } of replacements) builder.overrideProvider(provider).useValue(by);
  const rooms = await builder.compile();
  await firstServerIn(rooms)?.update();
  return rooms.init();
}

/** As a process that serves has it; undefined without the room that keeps servers. */
function firstServerIn(rooms: INestApplicationContext): FirstServer | undefined {
  try {
    return rooms.get(FirstServer, { strict: false });
  } catch {
    return undefined;
  }
}

let sequence = 0;

/** Somebody with an account. */
export function userIn({ rooms }: OpenRooms, locale = 'en'): Promise<User> {
  const email = `user-${++sequence}@example.com`;
  return rooms.get(Accounts).register({ email, password: 'correct horse battery', locale });
}

/** A month for 9.99 without limits, but for what a test cares about. */
export function tariffIn({ rooms }: OpenRooms, change: Partial<NewTariff> = {}): Promise<Tariff> {
  return rooms.get(Tariffs).create(SYSTEM, {
    name: `Tariff ${++sequence}`,
    description: null,
    durationDays: 30,
    price: '9.99',
    currency: 'USD',
    deviceLimit: null,
    trafficLimitGb: null,
    rank: 0,
    isActive: true,
    storeProducts: [],
    ...change,
  });
}
