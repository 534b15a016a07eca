import { ENFORCE_ACCESS, Enforcement } from '#peers';
import { JobRuns } from '#platform';
import { NotWell } from '../command.js';
import { withRooms } from '../rooms.js';

export function enforceAccess(force: boolean): Promise<void> {
  return withRooms(async (rooms) => {
    const work = rooms.get(Enforcement);
    const done = await rooms.get(JobRuns).run('enforce-access', () => work.run({ force }), ENFORCE_ACCESS);
    if (done === null) throw new NotWell('Nothing was done: another instance is at it. Try again in a minute');
    const { ended, suspended, reopened, held, backlog } = done.result;
    process.stdout.write(
      `${ended} subscriptions ended\n` +
        `${suspended.devices} devices of ${suspended.users} users were suspended\n` +
        `${reopened.devices} devices of ${reopened.users} users were let in again\n`,
    );
    if (held !== null) throw new NotWell(`${held} are over and were left, because that is too many: --force ends them`);
    if (backlog > 0) throw new NotWell(`${backlog} are left: subscriptions not ended, devices not shut out yet`);
  });
}
