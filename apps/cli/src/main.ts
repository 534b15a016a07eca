import { Command, CommanderError } from 'commander';
import { readFileSync } from 'node:fs';
import { DomainError, ERRORS, type FieldIssue } from '#kernel';
import { NotWell, UsageError } from './command.js';
import { addAcceptEncryptionKey } from './commands/accept-encryption-key.command.js';
import { addDemo } from './commands/demo.command.js';
import { addDoctor } from './commands/doctor.command.js';
import { addEnforceAccess } from './commands/enforce-access.command.js';
import { addMigrate } from './commands/migrate.command.js';
import { addServers } from './commands/servers.command.js';
import { addStores } from './commands/stores.command.js';
import { addUsers } from './commands/users.command.js';

/** Exit codes: 0 done, 1 it could not be done or something is not well, 2 it was asked for in a way that is not understood. */
const program = new Command('npm run cli --')
  .description(
    'What operators and cron run. Settings come from the environment and from .env, as for the service itself.',
  )
  .version(versionOf(), '-V, --version', 'Print the version')
  .helpCommand('help [command]', 'Explain a command')
  .helpOption('-h, --help', 'Explain a command')
  .showHelpAfterError('(--help explains it)')
  .exitOverride();
program
  .command('version')
  .description('Print the version')
  .action(() => void process.stdout.write(`${versionOf()}\n`));
const commands = [
  addAcceptEncryptionKey,
  addDemo,
  addDoctor,
  addEnforceAccess,
  addMigrate,
  addServers,
  addStores,
  addUsers,
];
for (const add of commands) add(program);

try {
  await program.parseAsync();
  process.exit(0);
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2); // commander has said what is wrong
  process.stderr.write(`${describe(error)}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
}

function versionOf(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  };
  return version;
}

function describe(error: unknown): string {
  if (error instanceof UsageError) return `error: ${error.message}`;
  if (error instanceof NotWell) return error.message;
  if (error instanceof DomainError) return [ERRORS[error.code].detail, ...error.issues.map(describeIssue)].join('\n');
  if (!(error instanceof Error)) return String(error);
  // A fault of the settings, or a database that cannot be reached, says what to do; a stack would only hide it.
  return ['SettingsError', 'StartError'].includes(error.name) ? error.message : (error.stack ?? error.message);
}

function describeIssue({ loc, msg }: FieldIssue): string {
  return `  ${loc.slice(1).join('.')}: ${msg}`;
}
