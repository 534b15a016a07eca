import { Promotion } from '#auth';
import { withRooms } from '../rooms.js';

export function promote(email: string): Promise<void> {
  return withRooms(async (rooms) => {
    const { id } = await rooms.get(Promotion).promoteByOperator(email);
    process.stdout.write(`User ${id} is an administrator\n`);
  });
}
