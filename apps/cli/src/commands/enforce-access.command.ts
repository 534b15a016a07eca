import { Access } from '#peers';
import { Exclusive } from '#platform';
import { type Command, withRooms } from '../command.js';

/** The job that makes devices follow their owners' access, by hand or from cron. */
export const enforceAccessCommand: Command = {
  name: 'enforce-access',
  usage: [
    [
      'enforce-access',
      'Suspend the devices of all whose access has ended or is used up, and let those back in who have it',
    ],
  ],
  run: (context) =>
    withRooms(context, async (rooms) => {
      const done = await rooms.get(Exclusive).run('enforce-access', () => rooms.get(Access).enforce());
      const said =
        done === null
          ? 'another instance is at it'
          : `the devices of ${done.result} users were suspended or let in again`;
      process.stdout.write(`${said}\n`);
    }),
};
