import { type Command } from 'commander';
import { UsageError } from '../command.js';

/** What operators do about purchases in the stores. */
export function addStores(program: Command): void {
  const stores = program.command('stores').description('Purchases in the App Store and Google Play');
  const actions = () => import('./stores.action.js');
  stores
    .command('replay')
    .description('Process again the events of the stores that were given up, or one event')
    .argument('[id]', 'an event, whatever became of it', readId)
    .action(async (id?: number) => (await actions()).replay(id));
  stores
    .command('reconcile')
    .description('Ask the stores about every purchase that may still change, or about one')
    .argument('[id]', 'a purchase', readId)
    .action(async (id?: number) => (await actions()).reconcile(id));
  stores
    .command('unclaimed')
    .description('List the purchases that nobody has claimed')
    .option('--json', 'as JSON, for programs')
    .action(async ({ json = false }: { json?: boolean }) => (await actions()).listUnclaimed(json));
  stores
    .command('test-apple')
    .description('Ask Apple for its test notification, to see that it arrives')
    .argument('[environment]', 'production or sandbox', readEnvironment, 'production' as const)
    .action(async (environment: 'production' | 'sandbox') => (await actions()).testApple(environment));
  stores
    .command('test-google')
    .description('Ask Play whether the service account has the rights that it needs')
    .action(async () => (await actions()).testGoogle());
}

function readId(text: string): number {
  const id = Number(text);
  if (!Number.isSafeInteger(id) || id < 1) throw new UsageError(`${text} is no id`);
  return id;
}

function readEnvironment(text: string): 'production' | 'sandbox' {
  if (text !== 'production' && text !== 'sandbox') throw new UsageError(`${text} is neither production nor sandbox`);
  return text;
}
