import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type Settings } from '#platform';
import { type Command } from '../command.js';

type Json = Record<string, unknown>;

/** Walks the main job against a running service, exactly as the app would, and prints each step. */
export const demoCommand: Command = {
  name: 'demo',
  usage: [['demo [--url URL]', 'Walk the main job against the running service, step by step']],
  async run({ args, settings }) {
    const fallback = `http://localhost:${settings.http.port}`;
    const { values } = parseArgs({ args: [...args], options: { url: { type: 'string', default: fallback } } });
    const walk = new Walk(values.url);
    const suffix = randomBytes(3).toString('hex');
    const credentials = { email: `demo-${suffix}@example.com`, password: `demo ${randomBytes(6).toString('hex')}` };

    const admin = await administrator(walk, settings);
    const user = await walk.step('Register a user', 'POST', '/auth/register', { body: credentials });
    const { access_token: token } = await walk.step('Log him in', 'POST', '/auth/login', { body: credentials });
    const tariff = await walk.step('Create a tariff', 'POST', '/tariffs/', {
      token: admin,
      body: { name: `Demo ${suffix}`, price: '0.00', duration_days: 30, device_limit: 2 },
    });
    await walk.step('Assign it', 'POST', `/auth/assign_tariff?user_id=${String(user['id'])}`, {
      token: admin,
      body: { tariff_id: tariff['id'] },
    });
    await walk.step('Look at the subscription', 'GET', '/auth/me/subscription', { token: String(token) });
    await walk.step('Add a device', 'POST', '/vpn_peers/self', {
      token: String(token),
      body: { device_name: 'demo phone' },
    });
    const config = await walk.step('Fetch its config', 'GET', '/vpn_peers/self/config', { token: String(token) });
    process.stdout.write(`\nThe text for wg-quick:\n\n${hideKey(String(config['wg_quick']))}\n`);
  },
};

const CLOSED =
  'There is an administrator already, so the bootstrap secret is closed. Start the service with PROMOTE_MODE=always for the demo.';

/**
 * The token of the demo's own administrator: made by the first run with the bootstrap secret, which then closes that door
 * (PROMOTE_MODE=once), and signed in again by later runs.
 */
async function administrator(walk: Walk, settings: Settings): Promise<string> {
  const secret = settings.auth.promoteSecret;
  if (secret === undefined) throw new Error('PROMOTE_SECRET is not set: the demo cannot make an administrator');
  const password = createHash('sha256').update(`demo ${secret}`).digest('hex');
  const credentials = { email: 'demo-admin@example.com', password };
  const user = await walk.attempt('Register the demo administrator', 'POST', '/auth/register', { body: credentials });
  const login = await walk.step('Log him in', 'POST', '/auth/login', { body: credentials });
  if (user !== undefined) {
    const path = `/auth/admin/promote?user_id=${String(user['id'])}`;
    const headers = { 'x-promote-secret': secret };
    const promoted = await walk.attempt('Promote him with the bootstrap secret', 'POST', path, { headers });
    if (promoted === undefined) throw new Error(CLOSED);
  }
  return String(login['access_token']);
}

function hideKey(text: string): string {
  return text.replace(/^(PrivateKey = ).*$/m, '$1(shown to the device only)');
}

interface StepOptions {
  readonly token?: string;
  readonly body?: Json;
  readonly headers?: Readonly<Record<string, string>>;
}

class Walk {
  constructor(private readonly base: string) {}

  /** One request; the walk ends if the service refuses it. */
  async step(title: string, method: string, path: string, options: StepOptions): Promise<Json> {
    const { response, answer } = await this.call(title, method, path, options);
    if (!response.ok) throw new Error(`The service answered ${response.status}: ${JSON.stringify(answer['detail'])}`);
    return answer;
  }

  /** One request that may be refused: then undefined. */
  async attempt(title: string, method: string, path: string, options: StepOptions): Promise<Json | undefined> {
    const { response, answer } = await this.call(title, method, path, options);
    return response.ok ? answer : undefined;
  }

  private async call(
    title: string,
    method: string,
    path: string,
    { token, body, headers = {} }: StepOptions,
  ): Promise<{ response: Response; answer: Json }> {
    const response = await fetch(this.base + path, {
      method,
      headers: {
        ...headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as Json;
    process.stdout.write(`\n${title}\n  ${method} ${path} -> ${response.status}\n  ${shorten(answer)}\n`);
    return { response, answer };
  }
}

/** One line of an answer; secrets and long texts cut short. */
function shorten(answer: Json): string {
  const hidden = ['access_token', 'wg_private_key', 'wg_quick'];
  const shown = Object.entries(answer).map(([name, value]) => [name, hidden.includes(name) && value ? '...' : value]);
  return JSON.stringify(Object.fromEntries(shown));
}
