import { type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EncryptionKey, NestLog, openDatabase } from '#platform';
import { CliModule } from './cli.module.js';
import { openContext } from './command.js';

/**
 * Runs `work` with every room open, as the service would have them, and closes them again. With keys that are not the database's
 * nothing is run, unless that is what `work` is about.
 */
export async function withRooms(
  work: (rooms: INestApplicationContext) => Promise<void>,
  { anyKey = false } = {},
): Promise<void> {
  const { settings, log } = await openContext();
  const database = await openDatabase(settings, { tell: (sentence) => void process.stderr.write(`${sentence}\n`) });
  try {
    const module = CliModule.with({ settings, databaseUrl: database.url, databaseIsPooled: database.isPooled, log });
    const rooms = await NestFactory.createApplicationContext(module, { logger: new NestLog(log), abortOnError: false });
    try {
      if (!anyKey) await rooms.get(EncryptionKey).verify();
      await work(rooms);
    } finally {
      await rooms.close();
    }
  } finally {
    await database.close();
  }
}
