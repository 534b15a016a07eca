import { type Command } from 'commander';

/** What an operator looks at first. */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description(
      'Look at the settings, the database, the encryption key, the jobs and the servers, without a call to a server or a store',
    )
    .addHelpText('after', '\nExit code 1: something is wrong. To have the servers called as well: servers doctor.')
    .action(async () => {
      const { examine } = await import('./doctor.action.js');
      await examine();
    });
}
