import { Enforcement } from '#peers';
import { Leases } from '#platform';
import { NotWell } from '../command.js';
import { withRooms } from '../rooms.js';

export function enforceAccess(force: boolean): Promise<void> {
  return withRooms(async (rooms) => {
    const done = await rooms.get(Leases).run('enforce-access', () => rooms.get(Enforcement).run({ force }));
    if (done === null) throw new NotWell('Nothing was done: another instance is at it. Try again in a minute');
    const { ended, changed, held, backlog } = done.result;
    process.stdout.write(
      `${ended} subscriptions ended; the devices of ${changed} users were suspended or let in again\n`,
    );
    if (held !== null) throw new NotWell(`${held} are over and were left, because that is too many: --force ends them`);
    if (backlog > 0) throw new NotWell(`${backlog} are left: subscriptions not ended, devices not shut out yet`);
  });
}
