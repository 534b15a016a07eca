import { randomBytes } from 'node:crypto';
import { Promotion } from '#auth';
import { NotWell, openContext, UsageError } from '../command.js';
import { withRooms } from '../rooms.js';

type Json = Record<string, unknown>;

/** Addresses of this machine alone. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * Walks the main job against a running service as the app would, and prints each step and what it made. It makes an administrator and
 * a tariff, so it does nothing outside of development, nor to a service elsewhere.
 */
export async function demo(url: string | undefined): Promise<void> {
  const { settings } = await openContext();
  if (settings.environment === 'production') {
    throw new NotWell('nothing was done: the demo makes an administrator and a tariff, and is for development only');
  }
  const base = addressOf(url ?? `http://localhost:${settings.http.port}`);
  const walk = new Walk(base);
  const suffix = randomBytes(3).toString('hex');
  const person = (name: string): { email: string; password: string } => ({
    email: `${name}-${suffix}@example.com`,
    password: `demo ${randomBytes(6).toString('hex')}`,
  });
  const [admin, user] = [person('demo-admin'), person('demo')];

  await walk.step('Register an administrator', 'POST', '/auth/register', { body: admin });
  process.stdout.write(`\nPromote them: npm run cli -- users promote ${admin.email}\n`);
  await withRooms(async (rooms) => {
    await rooms.get(Promotion).promoteByOperator(admin.email);
  });
  const { access_token: adminToken } = await walk.step('Log them in', 'POST', '/auth/login', { body: admin });
  const account = await walk.step('Register a user', 'POST', '/auth/register', { body: user });
  const { access_token: token } = await walk.step('Log them in', 'POST', '/auth/login', { body: user });
  const tariff = await walk.step('Create a tariff that only administrators can give', 'POST', '/tariffs/', {
    token: String(adminToken),
    body: { name: `Demo ${suffix}`, price: '0.00', duration_days: 30, device_limit: 2, is_active: false },
  });
  await walk.step('Assign it', 'POST', `/auth/assign_tariff?user_id=${String(account['id'])}`, {
    token: String(adminToken),
    body: { tariff_id: tariff['id'] },
  });
  await walk.step('Look at the subscription', 'GET', '/auth/me/subscription', { token: String(token) });
  await walk.step('Add a device', 'POST', '/vpn_peers/self', {
    token: String(token),
    body: { device_name: 'demo phone' },
  });
  const config = await walk.step('Fetch its config', 'GET', '/vpn_peers/self/config', { token: String(token) });
  process.stdout.write(`\nThe text for wg-quick:\n\n${hideKey(String(config['wg_quick']))}\n`);
  process.stdout.write(
    [
      'What the demo made, in the database of this service:',
      `  administrator  ${admin.email}  password: ${admin.password}`,
      `  user           ${user.email}  password: ${user.password}`,
      `  tariff         ${String(tariff['id'])}, which nobody can take by themselves`,
      '',
    ].join('\n'),
  );
}

/** @throws UsageError for what is no address, NotWell for one that is not of this machine */
function addressOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) throw new UsageError(`${text} is no address`);
  if (!LOOPBACK.test(url.hostname)) throw new NotWell(`nothing was done: ${url.hostname} is not this machine`);
  return url.origin;
}

function hideKey(text: string): string {
  return text.replace(/^(PrivateKey = ).*$/m, '$1(shown to the device only)');
}

interface StepOptions {
  readonly token?: string;
  readonly body?: Json;
}

class Walk {
  constructor(private readonly base: string) {}

  /** One request; the walk ends if the service refuses it. */
  async step(title: string, method: string, path: string, { token, body }: StepOptions): Promise<Json> {
    const response = await this.send(path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as Json;
    process.stdout.write(`\n${title}\n  ${method} ${path} -> ${response.status}\n  ${shorten(answer)}\n`);
    if (!response.ok) throw new NotWell(`The service answered ${response.status}: ${JSON.stringify(answer['detail'])}`);
    return answer;
  }

  private async send(path: string, request: RequestInit): Promise<Response> {
    try {
      return await fetch(this.base + path, request);
    } catch {
      throw new NotWell(`No service answers at ${this.base}: start it with "npm start" first, or name it with --url`);
    }
  }
}

/** One line of an answer; secrets and long texts cut short. */
function shorten(answer: Json): string {
  const hidden = ['access_token', 'wg_private_key', 'wg_quick'];
  const shown = Object.entries(answer).map(([name, value]) => [name, hidden.includes(name) && value ? '...' : value]);
  return JSON.stringify(Object.fromEntries(shown));
}
