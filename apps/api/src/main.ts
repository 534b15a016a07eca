import {
  createLog,
  loadSettings,
  logWarnings,
  openDatabase,
  SettingsError,
  StartError,
  watchEventLoop,
} from '#platform';
import { announce } from './announce.js';
import { Shutdown } from './http/shutdown.js';
import { createApp } from './setup.js';

/** How long what is under way may take to finish after the delay for balancers, in milliseconds. */
const LONGEST_SHUTDOWN_MS = 4500;

/** In production a failure is a line of the log, as everything else is. */
let isProduction = false;

async function start(): Promise<void> {
  const settings = await loadSettings();
  isProduction = settings.environment === 'production';
  const log = await createLog({ level: settings.logLevel, pretty: settings.environment === 'development' });
  watchEventLoop(settings.watchdogSeconds);
  logWarnings(log);
  const database = await openDatabase(settings, { tell: (sentence) => log.warn(sentence) });
  const app = await createApp({ settings, databaseUrl: database.url, databaseIsPooled: database.isPooled, log });
  await app.listen({ host: settings.http.host, port: settings.http.port });
  announce({ settings, log, database, url: await app.getUrl() });

  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    log.info({ signal }, 'stopping');
    const delaySeconds = settings.http.shutdownDelaySeconds;
    setTimeout(() => process.exit(1), delaySeconds * 1000 + LONGEST_SHUTDOWN_MS).unref();
    await app.get(Shutdown).run(app, delaySeconds);
    await database.close();
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, (name) => void stop(name));
}

try {
  await start();
} catch (error) {
  // Nothing runs yet that could answer or log for us: the operator reads this on the terminal.
  process.stderr.write(`${error instanceof SettingsError ? error.message : startFailure(error)}\n`);
  process.exit(1);
}

function startFailure(error: unknown): string {
  const known = error as NodeJS.ErrnoException;
  if (known.code === 'EADDRINUSE') return `The service did not start: ${known.message}. Set PORT to another port.`;
  if (error instanceof StartError)
    return isProduction ? logLine(error.message) : `The service did not start: ${error.message}.`;
  return `The service did not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

function logLine(reason: string): string {
  return JSON.stringify({
    level: 'fatal',
    time: new Date().toISOString(),
    msg: `The service did not start: ${reason}`,
  });
}
