import { type Command } from 'commander';

/** The job that takes away what is over, by hand or from cron. */
export function addEnforceAccess(program: Command): void {
  program
    .command('enforce-access')
    .description('End what is over and shut its devices out; the stores are asked about theirs first')
    .option('--force', 'Even if so much ends at once that it looks like a fault')
    .addHelpText('after', '\nExit code 1: something is left, or another instance was at it. Fit for cron.')
    .action(async ({ force = false }: { force?: boolean }) => {
      const { enforceAccess } = await import('./enforce-access.action.js');
      await enforceAccess(force);
    });
}
