import { type Logger } from 'pino';
import { type OpenDatabase, type Settings } from '#platform';

interface Started {
  readonly settings: Settings;
  readonly log: Logger;
  readonly database: OpenDatabase;
  readonly url: string;
}

/** Says that the service is up: a line for machines in production, directions for a newcomer in development. */
export function announce({ settings, log, database, url }: Started): void {
  const { migrated, description } = database;
  if (settings.environment === 'production') {
    log.info({ url, database: description, migrated }, 'listening');
    return;
  }
  const base = url.replace(/\/\/(0\.0\.0\.0|127\.0\.0\.1|\[::1?\])/, '//localhost');
  const lines = [
    '',
    `  API       ${base}`,
    ...(settings.http.docs ? [`  Docs      ${base}/docs`] : []),
    `  Database  ${description}${migrated.length > 0 ? ` (${migrated.length} migrations applied)` : ''}`,
    `  Secrets   ${settings.dataDirectory}/secrets.env (made for development, kept between starts)`,
    '  Try       npm run demo        walks the main job against this service and prints each step',
    '            npm run cli -- help',
    '',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
