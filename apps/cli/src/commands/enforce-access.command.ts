import { Enforcement } from '#peers';
import { Leases } from '#platform';
import { type Command, NotWell, UsageError, withRooms } from '../command.js';

/** The job that takes away what is over, by hand or from cron. */
export const enforceAccessCommand: Command = {
  name: 'enforce-access',
  usage: [
    ['enforce-access', 'End what is over and shut its devices out; the stores are asked about theirs first'],
    ['enforce-access --force', 'The same, even if so much ends at once that it looks like a fault'],
  ],
  run: (context) =>
    withRooms(context, async (rooms) => {
      const [option] = context.args;
      if (option !== undefined && option !== '--force') throw new UsageError(`${option} is not known`);
      const work = (): ReturnType<Enforcement['run']> => rooms.get(Enforcement).run({ force: option === '--force' });
      const done = await rooms.get(Leases).run('enforce-access', work);
      if (done === null) throw new NotWell('Nothing was done: another instance is at it. Try again in a minute');
      const { ended, changed, held, backlog } = done.result;
      process.stdout.write(
        `${ended} subscriptions ended; the devices of ${changed} users were suspended or let in again\n`,
      );
      if (held !== null)
        throw new NotWell(`${held} are over and were left, because that is too many: --force ends them`);
      if (backlog > 0) throw new NotWell(`${backlog} are left: subscriptions not ended, devices not shut out yet`);
    }),
};
