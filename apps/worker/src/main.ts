import { NestFactory } from '@nestjs/core';
import { createLog, loadSettings, logWarnings, NestLog, openDatabase, watchEventLoop } from '#platform';
import { WorkerModule } from './worker.module.js';

/** How long a job under way may take to finish, in milliseconds. */
const LONGEST_SHUTDOWN_MS = 4500;

async function start(): Promise<void> {
  const settings = await loadSettings();
  const log = await createLog({ level: settings.logLevel, pretty: settings.environment === 'development' });
  watchEventLoop(settings.watchdogSeconds);
  logWarnings(log);
  const database = await openDatabase(settings, { tell: (sentence) => log.warn(sentence) });
  const module = WorkerModule.with({ settings, databaseUrl: database.url, databaseIsPooled: database.isPooled, log });
  const worker = await NestFactory.createApplicationContext(module, { logger: new NestLog(log), abortOnError: false });
  log.info({ database: database.description, migrated: database.migrated }, 'running the jobs');

  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), LONGEST_SHUTDOWN_MS).unref();
    await worker.close();
    await database.close();
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, (name) => void stop(name));
}

try {
  await start();
} catch (error) {
  // Nothing runs yet that could log for us: the operator reads this on his terminal.
  process.stderr.write(`The worker did not start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
