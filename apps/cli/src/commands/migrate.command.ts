import { type Command } from 'commander';
import { openContext } from '../command.js';

/** Brings the schema up to date. The service does the same when it starts; this is for those who do it beforehand. */
export function addMigrate(program: Command): void {
  program
    .command('migrate')
    .description('Bring the database schema up to date')
    .action(async () => {
      const { openDatabase } = await import('#platform');
      const { settings } = await openContext();
      const database = await openDatabase(settings, { tell: (sentence) => void process.stderr.write(`${sentence}\n`) });
      await database.close();
      const names = database.migrated.map((name) => `  ${name}\n`).join('');
      process.stdout.write(names === '' ? 'The schema is up to date.\n' : `Applied:\n${names}`);
    });
}
