import { afterAll } from '@jest/globals';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Type } from '@nestjs/common';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { Client, type QueryResultRow } from 'pg';
import { HttpModule } from '../../apps/api/src/http/http.module.js';
import { createApp } from '../../apps/api/src/setup.js';
import { ManualClock } from '#kernel';
import { createLog, type Environment } from '#platform';
import { createTestDatabase, type TestDatabase } from './database.js';
import { TEST_ENVIRONMENT, testSettings } from './settings.js';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // A test says what it expects of an answer by asserting on it; a type would only promise it.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

export interface CallOptions {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Account {
  readonly id: number;
  readonly email: string;
  readonly password: string;
  readonly token: string;
}

export interface ApiOptions {
  readonly environment?: Environment;
  /** Collects the log; otherwise what is logged as an error is printed, because no test should cause one unseen. */
  readonly logLines?: string[];
  /** Another way to the same database. */
  readonly databaseUrl?: (direct: string) => string;
  /** Whether that way leads through a pooler. */
  readonly databaseIsPooled?: boolean;
  /** Routes beside those of the service, to try what stands before them. */
  readonly controllers?: readonly Type[];
  /** Puts fakes in the place of what reaches out. */
  readonly override?: (builder: TestingModuleBuilder) => TestingModuleBuilder;
}

let sequence = 0;
const running = new Set<TestApi>();

// Whatever a test file leaves running, also because a test failed, would keep the process alive.
afterAll(async () => {
  for (const api of running) await api.stop();
});

/** The whole service on a database of its own, listening on a free port, with a clock moved by hand. */
export class TestApi {
  private constructor(
    readonly app: NestFastifyApplication,
    readonly url: string,
    readonly clock: ManualClock,
    readonly database: TestDatabase,
  ) {}

  static async start(given: ApiOptions = {}): Promise<TestApi> {
    const { environment, logLines, databaseUrl, databaseIsPooled = false, controllers, override } = given;
    const database = await createTestDatabase();
    const clock = new ManualClock(new Date());
    const destination = logLines === undefined ? undefined : { write: (line: string) => void logLines.push(line) };
    const log = await createLog({ level: logLines === undefined ? 'error' : 'debug', pretty: false }, destination);
    const options = {
      settings: testSettings(environment),
      databaseUrl: databaseUrl?.(database.url) ?? database.url,
      databaseIsPooled,
      log,
      clock,
    };
    const app = await createApp(
      options,
      override === undefined && controllers === undefined
        ? undefined
        : async (module, adapter, nest) => {
            const imports = [module, HttpModule];
            const builder = Test.createTestingModule({ imports, controllers: [...(controllers ?? [])] });
            const rooms = await (override?.(builder) ?? builder).compile();
            return rooms.createNestApplication<NestFastifyApplication>(adapter, nest);
          },
    );
    await app.listen({ host: '127.0.0.1', port: 0 });
    const api = new TestApi(app, await app.getUrl(), clock, database);
    running.add(api);
    return api;
  }

  async stop(): Promise<void> {
    if (!running.delete(this)) return;
    await this.app.close();
    await this.database.drop();
  }

  async call(method: string, path: string, { token, body, headers = {} }: CallOptions = {}): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }

  get(path: string, token?: string): Promise<Answer> {
    return this.call('GET', path, { token });
  }

  post(path: string, body: unknown, token?: string): Promise<Answer> {
    return this.call('POST', path, { token, body });
  }

  put(path: string, body: unknown, token?: string): Promise<Answer> {
    return this.call('PUT', path, { token, body });
  }

  delete(path: string, token?: string): Promise<Answer> {
    return this.call('DELETE', path, { token });
  }

  /** Looks straight into the database: for what no answer shows. */
  async rows<Row extends QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: this.database.url });
    await client.connect();
    try {
      return (await client.query<Row>(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** A registered user, signed in. */
  async user(): Promise<Account> {
    const credentials = { email: `user-${++sequence}@example.com`, password: 'correct horse battery' };
    const { id } = expectOk(await this.post('/auth/register', credentials));
    return { id, ...credentials, token: await this.login(credentials) };
  }

  async login(credentials: { email: string; password: string }): Promise<string> {
    return expectOk(await this.post('/auth/login', credentials)).access_token;
  }

  async admin(): Promise<Account> {
    const account = await this.user();
    const query = `user_id=${account.id}&secret=${TEST_ENVIRONMENT.PROMOTE_SECRET}`;
    expectOk(await this.call('POST', `/auth/admin/promote?${query}`));
    return account;
  }

  /** A tariff; returns its id. */
  async tariff(admin: Account, change: Readonly<Record<string, unknown>> = {}): Promise<number> {
    const body = { name: `Tariff ${++sequence}`, price: '9.99', ...change };
    return expectOk(await this.post('/tariffs/', body, admin.token)).id;
  }

  /** A user with access: he is given a tariff of his own kind. */
  async subscriber(admin: Account, tariff: Readonly<Record<string, unknown>> = {}): Promise<Account> {
    const [account, tariffId] = [await this.user(), await this.tariff(admin, tariff)];
    await this.assign(admin, account, tariffId);
    return account;
  }

  async assign(admin: Account, { id }: Account, tariffId: number): Promise<void> {
    expectOk(await this.post(`/auth/assign_tariff?user_id=${id}`, { tariff_id: tariffId }, admin.token));
  }
}

/** The body of an answer that a test takes for granted. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export function expectOk(answer: Answer): any {
  if (answer.status !== 200) throw new Error(`expected 200, got ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}
