import { createLog, loadSettings, SettingsError } from '#platform';
import { DomainError, ERRORS, type FieldIssue } from '#kernel';
import { type Command, NotWell, UsageError } from './command.js';
import { demoCommand } from './commands/demo.command.js';
import { enforceAccessCommand } from './commands/enforce-access.command.js';
import { migrateCommand } from './commands/migrate.command.js';
import { serversCommand } from './commands/servers.command.js';
import { storesCommand } from './commands/stores.command.js';

const COMMANDS: readonly Command[] = [demoCommand, enforceAccessCommand, migrateCommand, serversCommand, storesCommand];

/** Exit codes: 0 done, 1 it could not be done, 2 it was asked for in a way that is not understood. */
const [name = 'help', ...args] = process.argv.slice(2);
const command = COMMANDS.find((candidate) => candidate.name === name);
if (command === undefined) {
  process.stdout.write(`${help()}\n`);
  process.exit(['help', '--help', '-h'].includes(name) ? 0 : 2);
}
try {
  const settings = await loadSettings();
  const log = await createLog({ level: 'warn', pretty: false }, process.stderr);
  await command.run({ args, settings, log });
  process.exit(0);
} catch (error) {
  process.stderr.write(`${describe(error)}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
}

function help(): string {
  return [
    'Usage: npm run cli -- <command>',
    '',
    ...COMMANDS.flatMap(({ usage }) => usage.map(([call, what]) => `  ${call.padEnd(34)} ${what}`)),
    `  ${'help'.padEnd(34)} This text`,
    '',
    'Settings come from the environment and from .env, as for the service itself (see .env.example).',
  ].join('\n');
}

function describe(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n\n${help()}`;
  if (error instanceof SettingsError || error instanceof NotWell) return error.message;
  if (error instanceof DomainError) return [ERRORS[error.code].detail, ...error.issues.map(describeIssue)].join('\n');
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function describeIssue({ loc, msg }: FieldIssue): string {
  return `  ${loc.slice(1).join('.')}: ${msg}`;
}
