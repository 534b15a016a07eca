import { describe, expect, it, jest } from '@jest/globals';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { call, dataFolder, poll, Service } from '../support/service.js';

jest.setTimeout(120_000);

const CREDENTIALS = { email: 'ann@example.com', password: 'correct horse battery' };

async function signIn(base: string): Promise<string> {
  return (await call(base, 'POST', '/auth/login', { body: CREDENTIALS })).access_token;
}

async function serverProcesses(dataDirectory: string): Promise<string[]> {
  const pids = await new Promise<string>((resolve) =>
    execFile('pgrep', ['-f', `postgres -D ${dataDirectory}`], (_error, stdout) => resolve(stdout)),
  );
  return pids.split('\n').filter((line) => line !== '');
}

/** The command line as an operator runs it, on the data of a service. */
const cli = (
  args: string[],
  dataDirectory: string,
  input = '',
  environment: Readonly<Record<string, string>> = {},
): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], DATA_DIR: dataDirectory, ...environment };
    const child = execFile(process.execPath, ['scripts/run.mjs', 'cli', ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
    child.stdin?.end(input);
  });

describe('a service that is started with nothing set', () => {
  it('serves, says where, keeps its secrets to itself, and leaves nothing running', async () => {
    const dataDirectory = await dataFolder();
    const service = await Service.start({ dataDirectory });
    const base = await service.url();
    expect(await call(base, 'GET', '/')).toEqual({ msg: 'VPN API is running' });
    expect((await fetch(`${base}/docs`)).status).toBe(200);
    expect(service.output).toContain(`${base}/docs`);
    expect(service.output).toContain('embedded PostgreSQL');
    expect(service.output).toContain(join(dataDirectory, 'secrets.env'));
    const secrets = parseEnv(await readFile(join(dataDirectory, 'secrets.env'), 'utf8'));
    const user = await call(base, 'POST', '/auth/register', { body: CREDENTIALS });
    await call(base, 'POST', `/auth/admin/promote?user_id=${user.id}&secret=${secrets['PROMOTE_SECRET']}`);
    for (const secret of Object.values(secrets)) expect(service.output).not.toContain(secret);
    expect(await service.stop()).toBe(0);
    expect(await serverProcesses(dataDirectory)).toEqual([]);
  });

  it('has lost nothing that it acknowledged when it is killed in the middle of writing, and starts again on the same data', async () => {
    const dataDirectory = await dataFolder();
    let service = await Service.start({ dataDirectory });
    await call(await service.url(), 'POST', '/auth/register', { body: CREDENTIALS });
    const acknowledged: number[] = [];
    for (let round = 0; round < 3; round++) {
      const base = await service.url();
      const token = await signIn(base);
      const write = async (): Promise<void> => {
        for (;;) {
          const body = { amount: 1, provider_payment_id: `${round}-${Math.random()}` };
          acknowledged.push((await call(base, 'POST', '/payments/', { token, body })).id);
        }
      };
      const writers = Promise.allSettled(Array.from({ length: 5 }, write));
      const target = acknowledged.length + 50;
      await poll(() => (acknowledged.length >= target ? true : undefined));
      service.signal('SIGKILL');
      await writers;
      await service.exited();
      service = await Service.start({ dataDirectory });
    }
    const base = await service.url();
    const token = await signIn(base);
    const kept = new Set<number>();
    for (let skip = 0; ; skip += 1000) {
      const page: { id: number }[] = await call(base, 'GET', `/payments/?limit=1000&skip=${skip}`, { token });
      for (const { id } of page) kept.add(id);
      if (page.length < 1000) break;
    }
    expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
    expect(await service.stop()).toBe(0);
    expect(await serverProcesses(dataDirectory)).toEqual([]);
  });

  it('may be started three times at once: one of them migrates, all of them serve, the last to leave stops the database', async () => {
    const dataDirectory = await dataFolder();
    const services = [1, 2, 3].map(() => Service.spawn({ dataDirectory }));
    const bases = await Promise.all(services.map((service) => service.url()));
    await call(bases[0]!, 'POST', '/auth/register', { body: CREDENTIALS });
    for (const base of bases) expect(await signIn(base)).toEqual(expect.any(String));
    expect(services.filter(({ output }) => output.includes('migrations applied'))).toHaveLength(1);
    const [first, ...others] = services;
    expect(await first!.stop()).toBe(0);
    for (const base of bases.slice(1)) expect(await signIn(base)).toEqual(expect.any(String));
    expect(await Promise.all(others.map((service) => service.stop()))).toEqual([0, 0]);
    expect(await serverProcesses(dataDirectory)).toEqual([]);
  });

  it.each([
    ['kept connections', true],
    ['a new connection for each request', false],
  ])('loses no request when it is stopped under load (%s), and is gone within five seconds', async (_, keepAlive) => {
    const service = await Service.start({ dataDirectory: await dataFolder() });
    const base = await service.url();
    await call(base, 'POST', '/auth/register', { body: CREDENTIALS });
    const token = await signIn(base);
    const agent = new Agent({ keepAlive, maxSockets: 20 });
    const outcomes: string[] = [];
    let stopping = false;
    /** One request on a kept connection: its status, or the code of what went wrong. */
    const send = (): Promise<string> =>
      new Promise((resolve) => {
        const options = { agent, headers: { authorization: `Bearer ${token}` } };
        const sent = request(`${base}/auth/me`, options, (response) => {
          response.resume();
          response.on('end', () => resolve(String(response.statusCode)));
          response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
        });
        sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
        sent.end();
      });
    const client = async (): Promise<void> => {
      for (;;) {
        const outcome = await send();
        if (outcome === 'ECONNREFUSED' && stopping) return; // the door is closed: this one was never taken
        outcomes.push(outcome);
      }
    };
    const clients = Array.from({ length: 20 }, client);
    await poll(() => (outcomes.length > 500 ? true : undefined));
    stopping = true;
    const begun = Date.now();
    const code = await service.stop();
    const took = Date.now() - begun;
    await Promise.all(clients);
    agent.destroy();
    expect(code).toBe(0);
    expect(took).toBeLessThan(5000);
    expect(outcomes.filter((outcome) => outcome !== '200')).toEqual([]);
  });

  it('stops in order when the npm that started it is told to stop, and leaves no process behind (E2)', async () => {
    const dataDirectory = await dataFolder();
    const service = await Service.start({ dataDirectory, byNpm: true });
    const base = await service.url();
    await service.stop();
    await poll(() => (service.output.includes('stopped') ? true : undefined));
    await expect(fetch(base)).rejects.toThrow();
    expect(await serverProcesses(dataDirectory)).toEqual([]);
  });

  it('is not ready, but goes on answering, while a balancer takes it out', async () => {
    const environment = { SHUTDOWN_DELAY_SECONDS: '2' };
    const service = await Service.start({ dataDirectory: await dataFolder(), environment });
    const base = await service.url();
    service.signal('SIGTERM');
    const refused = await poll(async () => {
      const response = await fetch(`${base}/health/ready`);
      return response.status === 503 ? response : undefined;
    });
    expect(await refused.json()).toEqual({ status: 'unavailable', failing: ['shutting_down'] });
    expect((await fetch(`${base}/`)).status).toBe(200);
    expect(await service.exited()).toBe(0);
  });
});

describe('a service in production', () => {
  it('refuses to start without its settings, and names all of them at once', async () => {
    const environment = { NODE_ENV: 'production', SECRET_KEY: 'change-me-change-me-change-me-change-me' };
    const service = Service.spawn({ dataDirectory: await dataFolder(), environment });
    expect(await service.exited()).toBe(1);
    for (const name of ['SECRET_KEY', 'DATABASE_URL', 'CONFIG_ENCRYPTION_KEY', 'WG_SERVER_PUBLIC_KEY', 'WG_ENDPOINT']) {
      expect(service.output).toContain(name);
    }
    expect(service.output).not.toContain('change-me');
  });
});

describe('a service that is split by roles', () => {
  it('has jobs without HTTP, which bring peers to their server for an API that does not', async () => {
    const dataDirectory = await dataFolder();
    const settings = { WG_APPLY_ENABLED: '1', WG_INTERFACE: 'vpn-none' };
    const api = await Service.start({ dataDirectory, environment: { ROLES: 'api', ...settings } });
    const worker = Service.spawn({ dataDirectory, environment: { ROLES: 'jobs', ...settings, METRICS_PORT: '0' } });
    await poll(() => (worker.output.includes('running the jobs') ? true : undefined));
    expect(worker.output).not.toContain('API  ');
    // There is no such interface here: that the worker has asked for it is what the server's row says.
    await poll(() => (worker.output.includes('a WireGuard server could not be told') ? true : undefined));
    expect(api.output).not.toContain('a WireGuard server could not be told');
    expect(await worker.stop()).toBe(0);
    expect(await api.stop()).toBe(0);
  });
});

describe('a service with another key than the one that its database is sealed with', () => {
  it('does not start, nor do its jobs or commands, until that key is back or is given up for good (E3)', async () => {
    const dataDirectory = await dataFolder();
    const server = { WG_APPLY_ENABLED: '1', WG_INTERFACE: 'vpn-none' };
    const other = { ...server, CONFIG_ENCRYPTION_KEY: randomBytes(32).toString('base64') };
    await (await Service.start({ dataDirectory, environment: server })).stop();
    const refusal = /CONFIG_ENCRYPTION_KEY: none of its keys opens what this database has sealed/;
    for (const environment of [other, { ...other, ROLES: 'jobs' }]) {
      const service = Service.spawn({ dataDirectory, environment });
      expect(await service.exited()).toBe(1);
      expect(service.output).toMatch(refusal);
      expect(service.output).not.toContain('running the jobs');
      expect(service.output).not.toMatch(/^ +at /m); // it says what to do, not where in the code
    }
    expect(await cli(['servers', 'list'], dataDirectory, '', other)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(refusal),
    });
    const doctor = await cli(['doctor'], dataDirectory, '', other);
    expect(doctor).toMatchObject({ code: 1, stdout: expect.stringMatching(/^problem\tencryption key\tCONFIG_/m) });
    expect(doctor.stdout).toContain('vpn_servers.sealed_access: 1 of 1 examined cannot be opened');
    await (await Service.start({ dataDirectory, environment: server })).stop();
    expect(await cli(['accept-encryption-key'], dataDirectory, '', other)).toMatchObject({ code: 0, stderr: '' });
    await (await Service.start({ dataDirectory, environment: other })).stop();
    expect(await Service.spawn({ dataDirectory, environment: server }).exited()).toBe(1);
  });
});

describe('two services on one port', () => {
  it('are one: the second says that the port is taken', async () => {
    const dataDirectory = await dataFolder();
    const first = await Service.start({ dataDirectory });
    const { port } = new URL(await first.url());
    const second = Service.spawn({ dataDirectory, environment: { PORT: port } });
    expect(await second.exited()).toBe(1);
    expect(second.output).toContain('Set PORT to another port');
    expect(await call(await first.url(), 'GET', '/health/ready')).toMatchObject({ status: 'ok' });
  });
});

describe('the command line', () => {
  it('explains each command, and names what it does not understand without printing all it knows (E13)', async () => {
    const dataDirectory = await dataFolder();
    const help = await cli(['help'], dataDirectory);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const name of [
      'accept-encryption-key',
      'demo',
      'enforce-access',
      'migrate',
      'servers',
      'stores',
      'users',
      'version',
    ]) {
      expect(help.stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
      expect((await cli([name, '--help'], dataDirectory)).stdout).toContain(`npm run cli -- ${name}`);
    }
    expect((await cli(['servers', 'sync', '--help'], dataDirectory)).stdout).toContain('--force');
    expect((await cli(['version'], dataDirectory)).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    for (const [args, word] of [
      [['nonsense'], "'nonsense'"],
      [['servers', 'nonsense'], "'nonsense'"],
      [['migrate', '--nonsense'], "'--nonsense'"],
      [['servers', 'doctor', '--force'], "'--force'"],
      [['servers', 'export', '--serv', '1'], "'--serv'"],
      [['servers', 'add'], "'--file <file>'"],
      [['servers', 'export', '--server', '77'], '"77"'],
      [['stores', 'replay', 'x'], 'x is no id'],
    ] as const) {
      const { code, stdout, stderr } = await cli([...args], dataDirectory);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/^error: /);
      expect(stderr).toContain(word);
      expect(stderr.split('\n').length).toBeLessThanOrEqual(4);
    }
    expect((await cli(['servers'], dataDirectory)).code).toBe(2);
  });

  it('works beside a running service, on its database, and walks the main job twice', async () => {
    const dataDirectory = await dataFolder();
    expect((await cli(['migrate'], dataDirectory)).stdout).toContain('Initial');
    const service = await Service.start({ dataDirectory });
    const url = await service.url();
    for (let round = 1; round <= 2; round++) {
      const demo = await cli(['demo', '--url', url], dataDirectory);
      expect([demo.code, demo.stderr]).toEqual([0, '']);
      expect(demo.stdout).toContain('PrivateKey = (shown to the device only)');
      const { stdout } = await cli(['servers', 'export'], dataDirectory);
      expect(stdout).toMatch(/^\[Interface\]\nPrivateKey = .{44}\nListenPort = 51820\n/);
      expect(stdout.match(/\[Peer\]/g)).toHaveLength(round);
    }
    const list = await cli(['servers', 'list'], dataDirectory);
    expect(list.stdout).toMatch(
      /^ID {2}NAME +STATUS +REGION +PROVIDER +ENDPOINT +SUBNET +PUBLIC_KEY\n1 +default +active /,
    );
    const [server] = JSON.parse((await cli(['servers', 'list', '--json'], dataDirectory)).stdout);
    expect(server).toMatchObject({ id: 1, name: 'default', status: 'active' });
    expect(await call(url, 'GET', '/tariffs/')).toEqual([]); // what the demo sold is for nobody else (E1)
    expect(await cli(['demo', '--url', 'http://127.0.0.1:1'], dataDirectory)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^No service answers at http:\/\/127\.0\.0\.1:1: start it with "npm start" first/),
    });
  });

  it('makes administrators, and shows the main job to nobody but a developer on their own machine (E1)', async () => {
    const dataDirectory = await dataFolder();
    const service = await Service.start({ dataDirectory });
    const url = await service.url();
    await call(url, 'POST', '/auth/register', { body: CREDENTIALS });
    for (let round = 1; round <= 2; round++) {
      expect(await cli(['users', 'promote', ' Ann@Example.com'], dataDirectory)).toMatchObject({
        code: 0,
        stdout: 'User 1 is an administrator\n',
      });
    }
    expect(await call(url, 'GET', '/auth/me', { token: await signIn(url) })).toMatchObject({ is_admin: true });
    expect(await cli(['users', 'promote', 'nobody@example.com'], dataDirectory)).toMatchObject({
      code: 1,
      stderr: 'User not found\n',
    });
    expect(await cli(['demo', '--url', 'https://vpn.example.com'], dataDirectory)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'nothing was done: vpn.example.com is not this machine\n',
    });
    const production = { NODE_ENV: 'production', DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' };
    const { code, stdout } = await cli(['demo', '--url', url], dataDirectory, '', production);
    expect([code, stdout]).toEqual([1, '']);
    const admin = await signIn(url);
    expect(await call(url, 'GET', '/payments/', { token: admin })).toEqual([]);
  });

  it('runs beside a service that has the port of the metrics (E11)', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const port = String((taken.address() as AddressInfo).port);
    const list = await cli(['servers', 'list', '--json'], await dataFolder(), '', { METRICS_PORT: port });
    taken.close();
    expect(list).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
  });

  it('adds, drains and looks over servers', async () => {
    const dataDirectory = await dataFolder();
    const nothingYet = await cli(['servers', 'list', '--json'], dataDirectory);
    expect(nothingYet).toMatchObject({ code: 0, stdout: '[]\n' }); // only what serves writes the first one
    await (await Service.start({ dataDirectory })).stop();
    const server = {
      name: 'Frankfurt 1',
      endpoint: 'de1.vpn.example.com:51820',
      public_key: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=',
      subnet: '10.20.0.0/24',
    };
    const add = (input: unknown): ReturnType<typeof cli> =>
      cli(['servers', 'add', '--file', '-'], dataDirectory, JSON.stringify(input));
    expect(
      await add({ ...server, access: { kind: 'ssh', host: '127.0.0.1', user: '-x', private_key: 'SECRET' } }),
    ).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^Validation error\n {2}access\.user: .*\n {2}access\.private_key: .*\n$/),
    });
    expect((await add(server)).stdout).toMatch(/\n2 +Frankfurt 1 +active /);
    expect(await add(server)).toMatchObject({ code: 1, stderr: 'Server already exists\n' });
    const bad = await cli(['servers', 'add', '--file', '-'], dataDirectory, '{"password": SECRET}');
    expect([bad.code, bad.stderr]).toEqual([2, expect.not.stringContaining('SECRET')]);
    expect((await cli(['servers', 'add', '--file', join(dataDirectory, 'no')], dataDirectory)).code).toBe(2);
    expect((await cli(['servers', 'drain', 'Frankfurt 1'], dataDirectory)).stdout).toMatch(
      /\n2 +Frankfurt 1 +draining /,
    );
    const doctor = await cli(['servers', 'doctor', '--server', '2', '--json'], dataDirectory);
    expect([doctor.code, doctor.stderr]).toEqual([0, '']);
    expect(JSON.parse(doctor.stdout)).toEqual([
      { result: 'ok', server: 'Frankfurt 1', about: 'settings', finding: 'make sense' },
      { result: 'ok', server: 'Frankfurt 1', about: 'connection', finding: 'none: an operator applies the export' },
      { result: 'ok', server: 'Frankfurt 1', about: 'addresses', finding: '0 of 253 taken' },
    ]);
    expect((await add({ ...server, name: 'Paris 1', speed: 'fast' })).stderr).toContain('speed');
    // The first server of a service that was told nothing is at an address that no device reaches.
    expect(await cli(['servers', 'doctor'], dataDirectory)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/\nproblem +default +settings /),
      stderr: 'Found 1 problem\n',
    });
  });
});
