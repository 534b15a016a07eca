import { afterAll } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const running = new Set<Service>();
const folders: string[] = [];

afterAll(async () => {
  await Promise.all([...running].map((service) => service.stop()));
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** A data folder of its own, gone after the test file. */
export async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vpn-service-'));
  folders.push(folder);
  return join(folder, 'data');
}

export interface ServiceOptions {
  readonly dataDirectory: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Starts it by `npm start`, as people and process managers do, and signals npm. */
  readonly byNpm?: boolean;
}

/** The built service as a process of its own, with nothing set but what is given. */
export class Service {
  output = '';
  private readonly exit: Promise<number | null>;

  private constructor(private readonly child: ChildProcess) {
    this.exit = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
  }

  /** Starts it without waiting. */
  static spawn({ dataDirectory, environment = {}, byNpm = false }: ServiceOptions): Service {
    const node = [process.execPath, '--require', './scripts/threadpool.cjs', 'scripts/run.mjs', 'api'] as const;
    const [command, ...args] = byNpm ? (['npm', 'start'] as const) : node;
    const child = spawn(command, args, {
      env: { PATH: process.env['PATH'], PORT: '0', DATA_DIR: dataDirectory, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const service = new Service(child);
    running.add(service);
    void service.exit.then(() => running.delete(service));
    return service;
  }

  /** Starts it and waits until it serves. */
  static async start(options: ServiceOptions): Promise<Service> {
    const service = Service.spawn(options);
    await service.url();
    return service;
  }

  /** Where it serves, once it does. */
  async url(): Promise<string> {
    const found = await poll(
      () => /API {7}(http:\S+)/.exec(this.output)?.[1] ?? (running.has(this) ? undefined : 'gone'),
    );
    if (found === 'gone') throw new Error(`The service did not start:\n${this.output}`);
    return found;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The exit code, once there is one; null after a kill. */
  exited(): Promise<number | null> {
    return this.exit;
  }

  async stop(): Promise<number | null> {
    this.signal('SIGTERM');
    return this.exit;
  }
}

/** Asks again until there is an answer. */
export async function poll<T>(ask: () => T | undefined | Promise<T | undefined>, limitMs = 30_000): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`There was no answer within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export interface Call {
  readonly token?: string;
  readonly body?: unknown;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export async function call(base: string, method: string, path: string, { token, body }: Call = {}): Promise<any> {
  const response = await fetch(base + path, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}
