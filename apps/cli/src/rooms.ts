import { type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { NestLog, openDatabase } from '#platform';
import { CliModule } from './cli.module.js';
import { openContext } from './command.js';

/** Runs `work` with every room open, as the service would have them, and closes them again. */
export async function withRooms(work: (rooms: INestApplicationContext) => Promise<void>): Promise<void> {
  const { settings, log } = await openContext();
  const database = await openDatabase(settings, { tell: (sentence) => void process.stderr.write(`${sentence}\n`) });
  try {
    const module = CliModule.with({ settings, databaseUrl: database.url, databaseIsPooled: database.isPooled, log });
    const rooms = await NestFactory.createApplicationContext(module, { logger: new NestLog(log), abortOnError: false });
    try {
      await work(rooms);
    } finally {
      await rooms.close();
    }
  } finally {
    await database.close();
  }
}
