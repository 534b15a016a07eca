import { EncryptionKey } from '#platform';
import { withRooms } from '../rooms.js';

export function acceptEncryptionKey(): Promise<void> {
  return withRooms(
    async (rooms) => {
      await rooms.get(EncryptionKey).accept();
      process.stdout.write('The keys of CONFIG_ENCRYPTION_KEY are accepted: the service starts with them\n');
    },
    { anyKey: true },
  );
}
