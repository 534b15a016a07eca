import { secretWeakness } from './secret-strength.rules.js';
import { type SettingsReader } from './settings-reader.js';

const NAME = 'PAYMENT_WEBHOOK_SECRETS';
const SECRET_LENGTH = 24;
const PROVIDER = /^[a-z][a-z0-9_]{1,31}$/;
/** Their notifications have ways of their own, and are signed otherwise. */
const STORES: readonly string[] = ['apple', 'google', 'app_store', 'google_play'];

/** The secrets of each provider that may tell us of payments: the old and the new one while it changes. None when unset. */
export function readWebhookSecrets(read: SettingsReader, production: boolean): ReadonlyMap<string, readonly string[]> {
  const text = read.text(NAME);
  const secrets = new Map<string, readonly string[]>();
  if (text === undefined) return secrets;
  for (const [provider, given] of entriesOf(read, text)) {
    const list = listOf(given);
    const fault = faultOf(provider, list, production);
    if (fault === undefined && list !== undefined) secrets.set(provider, list);
    else read.fault(`${NAME}, ${PROVIDER.test(provider) ? `provider ${provider},` : 'name of a provider,'} ${fault}`);
  }
  return secrets;
}

function entriesOf(read: SettingsReader, text: string): [string, unknown][] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined; // the parser's message quotes the text, which holds secrets
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return Object.entries(parsed);
  read.fault(`${NAME} must be JSON such as {"acme":["secret","the one before it"]}`);
  return [];
}

/** One secret may stand without brackets. */
function listOf(given: unknown): readonly string[] | undefined {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  return list.every((secret) => typeof secret === 'string' && secret !== '') ? (list as readonly string[]) : undefined;
}

function faultOf(provider: string, secrets: readonly string[] | undefined, production: boolean): string | undefined {
  if (!PROVIDER.test(provider)) return 'must be 2 to 32 of a-z, 0-9 and _, beginning with a letter';
  if (STORES.includes(provider)) return 'must not be a store: those sign in ways of their own';
  if (secrets === undefined || secrets.length === 0) return 'must have a secret, or a list of them';
  if (!production) return undefined;
  const [weakness] = secrets.flatMap((secret) => secretWeakness(secret, SECRET_LENGTH) ?? []);
  return weakness;
}
