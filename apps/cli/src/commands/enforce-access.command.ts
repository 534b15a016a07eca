import { Access } from '#peers';
import { Exclusive } from '#platform';
import { type Command, withRooms } from '../command.js';

/** The job that ends what is over, by hand or from cron. */
export const enforceAccessCommand: Command = {
  name: 'enforce-access',
  usage: [['enforce-access', 'Suspend the devices of everybody whose access has ended']],
  run: (context) =>
    withRooms(context, async (rooms) => {
      const done = await rooms.get(Exclusive).run('enforce-access', () => rooms.get(Access).enforce());
      const said = done === null ? 'another instance is at it' : `access of ${done.result} users has ended`;
      process.stdout.write(`${said}\n`);
    }),
};
