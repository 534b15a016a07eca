import { type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type Logger } from 'pino';
import { NestLog, openDatabase, type Settings } from '#platform';
import { CliModule } from './cli.module.js';

export interface CommandContext {
  /** What stands behind the command's name. */
  readonly args: readonly string[];
  readonly settings: Settings;
  readonly log: Logger;
}

/** Something an operator, or cron, can have done. */
export interface Command {
  readonly name: string;
  /** Each way to call it, and what that does. */
  readonly usage: readonly (readonly [call: string, what: string])[];
  run(context: CommandContext): Promise<void>;
}

/** A call that is not understood; the message says what is. */
export class UsageError extends Error {}

/** A call that was understood and done, and found something that is not well; the message says what. */
export class NotWell extends Error {}

/** Runs `work` with every room open, as the service would have them, and closes them again. */
export async function withRooms(
  { settings, log }: CommandContext,
  work: (rooms: INestApplicationContext) => Promise<void>,
): Promise<void> {
  const database = await openDatabase(settings);
  try {
    const module = CliModule.with({ settings, databaseUrl: database.url, log });
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
