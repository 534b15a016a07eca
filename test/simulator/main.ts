import { parseArgs } from 'node:util';
import {
  environmentFile,
  isVerb,
  type Store,
  StoreSimulator,
  type Told,
  type VerbName,
  VERBS,
  type Words,
} from './store-simulator.js';
import { playYear } from './year.js';

const OPTIONS = {
  port: { type: 'string', default: '8200' },
  service: { type: 'string', default: 'http://127.0.0.1:8000' },
  data: { type: 'string', default: process.env['DATA_DIR'] ?? 'data' },
  user: { type: 'string' },
  price: { type: 'string' },
  currency: { type: 'string' },
  days: { type: 'string' },
  times: { type: 'string' },
  trial: { type: 'boolean' },
  sandbox: { type: 'boolean' },
  once: { type: 'boolean' },
  grace: { type: 'boolean' },
} as const;

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  const { port: portText, service, data, ...rest } = values;
  const port = Number(portText);
  if (!Number.isInteger(port) || port < 1 || port > 65_533) throw new Error(`--port: ${portText} is no port`);
  const [verb = 'start', ...words] = positionals;
  const tell = (asked: VerbName, given: Words): Promise<Told> => ask(port + 2, asked, given);

  if (verb === 'start') return start({ port, service, folder: data });
  if (verb === 'year') {
    const [store = 'apple', productId = 'com.example.vpn.monthly'] = words;
    if (!isStore(store)) throw new Error('the store is apple or google');
    return (await playYear({ service, store, productId, tell, say: print })) === 0 ? 0 : 1;
  }
  if (!isVerb(verb)) {
    print(usage());
    return verb === 'help' ? 0 : 1;
  }
  const names: readonly string[] = VERBS[verb].words;
  if (words.length > names.length) throw new Error(`npm run stores:fake -- ${VERBS[verb].call}`);
  const named = Object.fromEntries(words.map((word, index) => [names[index] ?? '', word]));
  const { lines, receipt } = await tell(verb, { ...rest, ...named });
  const isReceiptWanted = verb === 'buy' || verb === 'receipt' || verb === 'upgrade' || verb === 'downgrade';
  // What a script takes is all there is on the standard output.
  for (const line of lines) (isReceiptWanted ? process.stderr : process.stdout).write(`${line}\n`);
  if (isReceiptWanted && receipt !== undefined) print(receipt);
  return 0;
}

async function start({ port, service, folder }: { port: number; service: string; folder: string }): Promise<number> {
  const simulator = await StoreSimulator.start({ port, service, folder, say: print });
  print(`The App Store   http://127.0.0.1:${port}
Google Play     http://127.0.0.1:${port + 1}
told by         npm run stores:fake -- help
tell            ${service}

Start the service with these settings; they are in ${environmentFile(folder)}:

${Object.entries(simulator.environment)
  .map(([name, value]) => `${name}='${value}'`)
  .join('\n')}
`);
  await new Promise<void>((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop());
  });
  await simulator.close();
  return 0;
}

/** Has the stores that run do something. */
async function ask(port: number, verb: VerbName, words: Words): Promise<Told> {
  const response = await fetch(`http://127.0.0.1:${port}/${verb}`, {
    method: 'POST',
    body: JSON.stringify(words),
  }).catch(() => {
    throw new Error('The stores do not run: start them with "npm run stores:fake" in another terminal.');
  });
  const told = (await response.json()) as Told;
  if (!response.ok) throw new Error(told.lines.join('\n'));
  return told;
}

function usage(): string {
  const verbs = [
    { call: '(nothing)', what: 'starts the stores: [--port 8200] [--service URL] [--data data]' },
    ...Object.values(VERBS),
    { call: 'year [apple|google] [PRODUCT]', what: "a year of a subscriber's life, and what the service says of it" },
  ];
  return `npm run stores:fake -- ...\n\n${verbs.map(({ call, what }) => `${call}\n    ${what}`).join('\n')}\n
N is the number of a purchase in "list", the last one unless told.`;
}

function isStore(text: string): text is Store {
  return text === 'apple' || text === 'google';
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
