import { type Command } from 'commander';

/** For when the key of the secrets is lost for good. */
export function addAcceptEncryptionKey(program: Command): void {
  program
    .command('accept-encryption-key')
    .description(
      'Have the service start with the keys of CONFIG_ENCRYPTION_KEY, though they do not open what is sealed',
    )
    .addHelpText('after', '\nOnly when the key is lost for good: docs/database.md says what is lost with it.')
    .action(async () => {
      const { acceptEncryptionKey } = await import('./accept-encryption-key.action.js');
      await acceptEncryptionKey();
    });
}
