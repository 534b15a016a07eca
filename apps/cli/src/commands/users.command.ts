import { type Command } from 'commander';

/** Accounts, from the operator's side. */
export function addUsers(program: Command): void {
  const users = program.command('users').description('Accounts');
  users
    .command('promote')
    .description('Make somebody who has registered an administrator; the first one is made like this')
    .argument('<email>', 'the address they registered with')
    .action(async (email: string) => (await import('./users.action.js')).promote(email));
}
