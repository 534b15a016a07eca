import { HealthChecks } from '#platform';
import { NotWell } from '../command.js';
import { withRooms } from '../rooms.js';

/** One line for each thing looked at. */
export function examine(): Promise<void> {
  return withRooms(
    async (rooms) => {
      // Who comes here has read them.
      process.stdout.write('ok\tsettings\tcan be read\n');
      const findings = await rooms.get(HealthChecks).examine();
      for (const { isWell, about, says } of findings) {
        process.stdout.write(`${[isWell ? 'ok' : 'problem', about, says].join('\t')}\n`);
      }
      const problems = findings.filter(({ isWell }) => !isWell).length;
      if (problems > 0) throw new NotWell(`Found ${problems} ${problems === 1 ? 'problem' : 'problems'}`);
    },
    { anyKey: true },
  );
}
