import { type INestApplicationContext, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { ManualClock } from '#kernel';
import { createLog, type Environment, PlatformModule } from '#platform';
import { createTestDatabase } from './database.js';
import { testSettings } from './settings.js';

export interface OpenRooms {
  readonly rooms: INestApplicationContext;
  readonly clock: ManualClock;
  readonly databaseUrl: string;
  close(): Promise<void>;
}

/** Real rooms on a real database of their own, without HTTP. */
export async function openRooms(modules: readonly Type[], environment?: Environment): Promise<OpenRooms> {
  const database = await createTestDatabase();
  const clock = new ManualClock('2026-11-22T10:00:00Z');
  const log = await createLog({ level: 'silent', pretty: false });
  const platform = PlatformModule.with({ settings: testSettings(environment), databaseUrl: database.url, log, clock });
  const rooms = await Test.createTestingModule({ imports: [platform, ...modules] }).compile();
  await rooms.init();
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
