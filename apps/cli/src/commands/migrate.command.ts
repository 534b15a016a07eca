import { openDatabase } from '#platform';
import { type Command } from '../command.js';

/** Brings the schema up to date. The service does the same when it starts; this is for those who do it beforehand. */
export const migrateCommand: Command = {
  name: 'migrate',
  usage: [['migrate', 'Bring the database schema up to date']],
  async run({ settings }) {
    const database = await openDatabase(settings);
    await database.close();
    const names = database.migrated.map((name) => `  ${name}\n`).join('');
    process.stdout.write(names === '' ? 'The schema is up to date.\n' : `Applied:\n${names}`);
  },
};
