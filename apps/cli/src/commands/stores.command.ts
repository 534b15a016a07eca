import { Asking, Inbox, Repair, Support } from '#iap';
import { SYSTEM } from '#platform';
import { type Command, NotWell, UsageError, withRooms } from '../command.js';

const PAGE = 100;

/** What operators do about purchases in the stores. */
export const storesCommand: Command = {
  name: 'stores',
  usage: [
    ['stores replay', 'Deal once more with all events of the stores that were given up'],
    ['stores replay <id>', 'Deal once more with one event, whatever became of it'],
    ['stores reconcile', 'Ask the stores about every purchase that may still change'],
    ['stores reconcile <id>', 'Ask the store about one purchase'],
    ['stores unclaimed', 'List the purchases that nobody has claimed'],
    ['stores test-apple [sandbox]', 'Ask Apple for its test notification, to see that it arrives'],
  ],
  run: (context) =>
    withRooms(context, async (rooms) => {
      const [action, id] = context.args;
      const support = rooms.get(Support);
      switch (action) {
        case 'replay': {
          const count = id === undefined ? await support.replayFailed() : (await support.replay(SYSTEM, idOf(id)), 1);
          await rooms.get(Inbox).process();
          process.stdout.write(`${count} events were dealt with once more\n`);
          return;
        }
        case 'reconcile': {
          if (id !== undefined) {
            const { state, accessUntil } = await support.reconcile(idOf(id));
            process.stdout.write(`${state}, access until ${accessUntil?.toISOString() ?? 'for life, or none'}\n`);
            return;
          }
          const { asked, unanswered } = await rooms.get(Repair).reconcileAll();
          await rooms.get(Asking).askDue();
          process.stdout.write(`${asked - unanswered} of ${asked} purchases were asked about\n`);
          if (unanswered > 0)
            throw new NotWell(`${unanswered} were not answered: they are asked about again by the job`);
          return;
        }
        case 'unclaimed':
          return printUnclaimed(support);
        case 'test-apple': {
          if (id !== undefined && id !== 'sandbox') throw new UsageError(`${id} is not known`);
          const { refusal, clockAheadSeconds } = await support.requestTest(id ?? 'production');
          if (clockAheadSeconds !== null) process.stdout.write(`${describeClock(clockAheadSeconds)}\n`);
          if (refusal !== undefined) throw new NotWell(refusal);
          process.stdout.write(
            'Apple sends a test notification: the log and GET /admin/iap/events show whether it came\n',
          );
          return;
        }
        default:
          throw new UsageError('stores replay, stores reconcile, stores unclaimed or stores test-apple');
      }
    }),
};

async function printUnclaimed(support: Support): Promise<void> {
  for (let skip = 0; ; skip += PAGE) {
    const { items, total } = await support.listPurchases({ unclaimed: true }, { skip, limit: PAGE });
    if (skip === 0) process.stdout.write(`${total} purchases have no owner\n`);
    for (const { id, provider, reference, state, productId, createdAt } of items) {
      const product = productId ?? 'product unknown';
      process.stdout.write(
        `${id}  ${provider}  ${reference}  ${product}  ${state}  since ${createdAt.toISOString()}\n`,
      );
    }
    if (items.length < PAGE) return;
  }
}

function describeClock(aheadSeconds: number): string {
  if (Math.abs(aheadSeconds) < 2) return "This machine's clock agrees with Apple's";
  const where = aheadSeconds > 0 ? 'ahead of' : 'behind';
  return `This machine's clock is ${Math.abs(aheadSeconds)} s ${where} Apple's`;
}

function idOf(text: string): number {
  const id = Number(text);
  if (!Number.isSafeInteger(id) || id < 1) throw new UsageError(`${text} is no id`);
  return id;
}
