import { Asking, Inbox, Repair, Support } from '#iap';
import { SYSTEM } from '#platform';
import { NotWell } from '../command.js';
import { withRooms } from '../rooms.js';
import { renderList, type Row } from '../table.js';

const PAGE = 100;

export function replay(id?: number): Promise<void> {
  return withRooms(async (rooms) => {
    const support = rooms.get(Support);
    const count = id === undefined ? await support.replayFailed() : (await support.replay(SYSTEM, id), 1);
    await rooms.get(Inbox).process();
    process.stdout.write(`${count} events were dealt with once more\n`);
  });
}

export function reconcile(id?: number): Promise<void> {
  return withRooms(async (rooms) => {
    if (id !== undefined) {
      const { state, accessUntil } = await rooms.get(Support).reconcile(id);
      process.stdout.write(`${state}, access until ${accessUntil?.toISOString() ?? 'for life, or none'}\n`);
      return;
    }
    const { asked, unanswered } = await rooms.get(Repair).reconcileAll((done) => {
      process.stderr.write(`${done} purchases so far\n`);
    });
    await rooms.get(Asking).askDue();
    process.stdout.write(`${asked - unanswered} of ${asked} purchases were asked about\n`);
    if (unanswered > 0) throw new NotWell(`${unanswered} were not answered: they are asked about again by the job`);
  });
}

export function listUnclaimed(json: boolean): Promise<void> {
  return withRooms(async (rooms) => {
    const support = rooms.get(Support);
    const rows: Row[] = [];
    for (let skip = 0; ; skip += PAGE) {
      const { items } = await support.listPurchases({ unclaimed: true }, { skip, limit: PAGE });
      for (const { id, provider, reference, state, productId, createdAt } of items) {
        rows.push({ id, store: provider, reference, product: productId, state, since: createdAt.toISOString() });
      }
      if (items.length < PAGE) break;
    }
    process.stdout.write(renderList(['id', 'store', 'reference', 'product', 'state', 'since'], rows, json));
  });
}

export function testApple(environment: 'production' | 'sandbox'): Promise<void> {
  return withRooms(async (rooms) => {
    const { refusal, clockAheadSeconds } = await rooms.get(Support).requestTest(environment);
    if (clockAheadSeconds !== null) process.stdout.write(`${describeClock(clockAheadSeconds)}\n`);
    if (refusal !== undefined) throw new NotWell(refusal);
    process.stdout.write('Apple sends a test notification: the log and GET /admin/iap/events show whether it came\n');
  });
}

export function testGoogle(): Promise<void> {
  return withRooms(async (rooms) => {
    const missing = await rooms.get(Support).missingRights();
    if (missing.length > 0) throw new NotWell(`Play refuses the service account: it lacks ${missing.join('; ')}`);
    process.stdout.write('Play takes the service account, with the rights that it needs\n');
  });
}

function describeClock(aheadSeconds: number): string {
  if (Math.abs(aheadSeconds) < 2) return "This machine's clock agrees with Apple's";
  const where = aheadSeconds > 0 ? 'ahead of' : 'behind';
  return `This machine's clock is ${Math.abs(aheadSeconds)} s ${where} Apple's`;
}
