import { beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import { type Account, expectOk, TestApi } from '../support/api.js';
import { TEST_ENVIRONMENT } from '../support/settings.js';
import { TcpProxy } from '../support/tcp-proxy.js';

let api: TestApi;
let admin: Account;
let user: Account;
const logLines: string[] = [];

beforeAll(async () => {
  api = await TestApi.start({ logLines });
  admin = await api.admin();
  user = await api.user();
});

const json = { 'content-type': 'application/json' };

describe('every route', () => {
  it('is there with and without the trailing slash, without a redirect', async () => {
    const peer = expectOk(await api.post('/vpn_peers/self/', {}, (await api.subscriber(admin)).token));
    const paths = [
      '/auth/me',
      '/auth/me/subscription',
      '/tariffs',
      '/vpn_peers',
      `/vpn_peers/${peer.id}`,
      '/payments',
      '/health/live',
    ];
    for (const path of paths) {
      expect((await api.get(path, admin.token)).status).toBe(200);
      expect((await api.get(`${path}/`, admin.token)).status).toBe(200);
      expect((await api.get(`${path}/?x=1`, admin.token)).status).toBe(200);
    }
  });

  it('says so when there is none', async () => {
    expect(await api.get('/nothing/here')).toMatchObject({
      status: 404,
      body: { detail: 'Not Found', code: 'route_not_found', request_id: expect.any(String) },
    });
  });

  it.each([
    ['PATCH', '/auth/me', 'GET, HEAD, PUT'],
    ['PUT', '/tariffs', 'GET, HEAD, POST'],
    ['POST', '/tariffs/7/', 'DELETE, GET, HEAD, PUT'],
    ['GET', '/payments/webhook/google?x=1', 'POST'],
    ['DELETE', '/', 'GET, HEAD'],
    ['OPTIONS', '/auth/login', 'POST'],
  ])('says which methods it answers to one that it does not: %s %s (E15)', async (method, path, allowed) => {
    const answer = await api.call(method, path);
    expect(answer).toMatchObject({ status: 405, body: { detail: 'Method Not Allowed', code: 'method_not_allowed' } });
    expect(answer.headers.get('allow')).toBe(allowed);
    expect(await api.call(method, '/nothing/here')).toMatchObject({ status: 404, body: { code: 'route_not_found' } });
  });

  it('answers 200 for every verb', async () => {
    const answers = [
      await api.post('/payments/', { amount: 1 }, user.token),
      await api.post('/tariffs/', { name: 'Two hundred', price: 1 }, admin.token),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });
});

describe('every answer', () => {
  it("carries a request id: the caller's own if it is sane", async () => {
    const idOf = async (headers: Record<string, string>): Promise<string> =>
      (await api.call('GET', '/', { headers })).headers.get('x-request-id')!;
    expect(await idOf({ 'x-request-id': 'app-7.f:3_a' })).toBe('app-7.f:3_a');
    const uuid = /^[0-9a-f-]{36}$/;
    expect(await idOf({})).toMatch(uuid);
    for (const insane of ['a b', 'x'.repeat(129), 'é', '<script>'])
      expect(await idOf({ 'x-request-id': insane })).toMatch(uuid);
    const refusal = await api.call('GET', '/auth/me', { headers: { 'x-request-id': 'mine' } });
    expect([refusal.headers.get('x-request-id'), refusal.body.request_id]).toEqual(['mine', 'mine']);
  });

  it('carries the headers that keep browsers and caches out of trouble', async () => {
    const { headers } = await api.get('/auth/me', user.token);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('access-control-allow-origin')).toBeNull();
    expect((await api.get('/tariffs')).headers.get('cache-control')).toBeNull();
  });
});

describe('a refusal', () => {
  it('speaks English or Russian to people, and always the same to programs', async () => {
    const refuse = async (language: string): Promise<{ detail: string; code: string; message: string }> =>
      (
        await api.call('POST', '/auth/register', {
          body: { email: user.email, password: 'correct horse' },
          headers: { 'accept-language': language },
        })
      ).body;
    const [english, russian] = [await refuse('de'), await refuse('ru-RU,ru;q=0.9')];
    expect([english.detail, english.code]).toEqual(['Email already registered', 'email_already_registered']);
    expect(russian).toMatchObject({
      detail: english.detail,
      code: english.code,
      message: 'Этот email уже зарегистрирован',
    });
    expect(english.message).toBe('This email is already registered');
  });

  it('of a body names every field at fault, in the words of FastAPI', async () => {
    const { status, body } = await api.call('POST', '/auth/register', {
      body: { email: 'x', password: 5 },
      headers: { 'accept-language': 'ru' },
    });
    expect(status).toBe(422);
    expect(body).toEqual({
      detail: [
        { loc: ['body', 'email'], msg: 'value is not a valid email address', type: 'value_error.email' },
        { loc: ['body', 'password'], msg: 'str type expected', type: 'type_error.str' },
      ],
      code: 'validation_error',
      message: 'Некоторые поля заполнены неверно',
      request_id: expect.any(String),
    });
  });
});

describe('a body', () => {
  const post = (body: string, headers: Record<string, string> = json): ReturnType<TestApi['call']> =>
    api.call('POST', '/auth/login', { body, headers });

  it.each(['{', '{"email":}', 'email=a', "{'email': 'a'}", '{"email":"a",}', '\u0000'])(
    'that is not JSON is 400: %p',
    async (body) => {
      expect(await post(body)).toMatchObject({ status: 400, body: { code: 'malformed_json' } });
    },
  );

  it('that is not UTF-8 is 400', async () => {
    const response = await fetch(`${api.url}/auth/login`, {
      method: 'POST',
      headers: json,
      body: Buffer.from('7b22ff223a317d', 'hex'),
    });
    expect(response.status).toBe(400);
  });

  it('of more than 100 kB is 413', async () => {
    expect(await post(JSON.stringify({ email: 'a'.repeat(100_001), password: 'x' }))).toMatchObject({
      status: 413,
      body: { code: 'body_too_large' },
    });
  });

  it('of another type, or compressed, is 415', async () => {
    expect((await post('email=a', { 'content-type': 'application/x-www-form-urlencoded' })).body.code).toBe(
      'unsupported_media_type',
    );
    expect((await post('<a/>', { 'content-type': 'text/xml' })).status).toBe(415);
    expect((await post('{}', { ...json, 'content-encoding': 'gzip' })).status).toBe(415);
  });

  it('with a charset, or none at all where none is needed, is fine', async () => {
    const body = JSON.stringify({ email: user.email, password: user.password });
    expect((await post(body, { 'content-type': 'application/json; charset=utf-8' })).status).toBe(200);
    expect((await api.call('POST', '/auth/admin/promote?user_id=1', { headers: json })).status).toBe(403);
    expect((await api.call('DELETE', '/payments/999999', { token: user.token, headers: json })).status).toBe(404);
  });

  it.each(['utf-16', 'UTF-16LE', 'iso-8859-1', '"utf-7"', ''])(
    'of another charset is 415: %p (A6)',
    async (charset) => {
      const refused = await post('{"email":"a"}', { 'content-type': `application/json; charset=${charset}` });
      expect(refused).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } });
    },
  );

  it.each(['utf-8', 'UTF-8', '"utf-8"', 'us-ascii'])('of the charset %p is read (A6)', async (charset) => {
    const body = JSON.stringify({ email: user.email, password: user.password });
    expect((await post(body, { 'content-type': `application/json;charset=${charset}` })).status).toBe(200);
  });

  it.each([
    ['a NUL character', '{"email":"a\\u0000b","password":"x"}'],
    ['a lone surrogate', '{"email":"\\ud800","password":"x"}'],
    ['a NUL character deep inside', '{"email":"a","password":"x","more":[{"a":{"b":"\\u0000"}}]}'],
    ['too deep a nesting', `{"email":"a","password":"x","more":${'['.repeat(30)}${']'.repeat(30)}}`],
    ['too many values', `{"email":"a","password":"x","more":[${'1,'.repeat(1001)}1]}`],
    ['an array', '[]'],
    ['a text', '"text"'],
    ['a number', '5'],
  ])('with %s is 422', async (_, body) => {
    expect(await post(body)).toMatchObject({ status: 422, body: { code: 'validation_error' } });
  });

  it('may have fields that nobody knows, prototype keys among them', async () => {
    const { email, password } = user;
    const extra = `{"email":"${email}","password":"${password}","x":1,"__proto__":{"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}}`;
    expect((await post(extra)).status).toBe(200);
    expect(({} as Record<string, unknown>)['isAdmin']).toBeUndefined();
  });
});

describe('what is no request at all', () => {
  const raw = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1', () => socket.write(text));
      let answer = '';
      socket.on('data', (chunk) => (answer += chunk.toString()));
      socket.on('end', () => resolve(answer));
      socket.on('error', reject);
    });

  it.each(['NONSENSE\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n'])(
    'is answered 400 in our shape: %j',
    async (text) => {
      const answer = await raw(text);
      expect(answer).toMatch(/^HTTP\/1.1 400 /);
      expect(answer).toContain('"code":"malformed_request"');
    },
  );

  it('with too long headers is answered 431', async () => {
    expect(await raw(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 /);
  });

  it('with a malformed address is answered 400', async () => {
    expect(await raw('GET /tariffs/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1.1 400 [\s\S]*malformed_request/,
    );
  });
});

describe('a connection', () => {
  let hasty: TestApi;

  beforeAll(async () => {
    hasty = await TestApi.start({ environment: { REQUEST_TIMEOUT_SECONDS: '1' } });
  });

  /** Sends a beginning, then one byte after the other, until the other side has ended the connection for good. */
  const drip = (beginning: string): Promise<string> =>
    new Promise((resolve) => {
      let answer = '';
      const socket = connect({
        port: Number(new URL(hasty.url).port),
        host: '127.0.0.1',
        allowHalfOpen: beginning !== '',
      });
      const timer = setInterval(() => beginning !== '' && socket.write('x'), 100);
      socket.on('connect', () => socket.write(beginning));
      socket.on('data', (chunk) => (answer += chunk.toString()));
      socket.on('error', () => undefined); // cut off while we were writing
      socket.on('close', () => {
        clearInterval(timer);
        resolve(answer);
      });
    });
  const POST = 'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';

  it.each([
    ['says nothing', ''],
    ['drips its headers', `${POST}X-Slow: `],
    ['drips its body', `${POST}Content-Length: 5000\r\n\r\n{"email":"`],
    ['drips its body in chunks', `${POST}Transfer-Encoding: chunked\r\n\r\nfff\r\n{"email":"`],
    ['drips a body for nobody', 'POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n'],
    ['drips after it was refused', 'NONSENSE\r\n\r\n'],
  ])(
    'that %s is cut at the limit, whatever it goes on sending (A4)',
    async (_, beginning) => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => drip(beginning)));
      expect(answers).toHaveLength(20);
      expect((await hasty.get('/health/live')).status).toBe(200);
    },
    20_000,
  );

  it('has half a minute for a request, and waits for the next one longer than a proxy does (A4, I8)', async () => {
    const limitsOf = ({ app }: TestApi): unknown => {
      const { requestTimeout, headersTimeout, keepAliveTimeout } = app.getHttpServer();
      return { requestTimeout, headersTimeout, keepAliveTimeout };
    };
    expect(limitsOf(api)).toEqual({ requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 65_000 });
    const patient = await TestApi.start({ environment: { KEEP_ALIVE_SECONDS: '130', REQUEST_TIMEOUT_SECONDS: '60' } });
    expect(limitsOf(patient)).toEqual({ requestTimeout: 60_000, headersTimeout: 10_000, keepAliveTimeout: 130_000 });
    const { headers } = await patient.get('/health/live');
    expect(headers.get('keep-alive')).toBe('timeout=130');
    await patient.stop();
  });
});

describe('a caller behind https', () => {
  it.each([
    ['test', '127.0.0.1', 'https', true],
    ['test', '127.0.0.1', 'HTTPS, http', true],
    ['test', '127.0.0.1', 'http', false],
    ['test', '127.0.0.1', undefined, false],
    ['test', '10.0.0.0/8', 'https', false], // not from a proxy that is trusted
    ['test', '', 'https', false],
  ])('is told to stay there: %s, proxies %p, forwarded %p: %p (A7)', async (NODE_ENV, TRUST_PROXY, scheme, told) => {
    const own = await TestApi.start({ environment: { NODE_ENV, TRUST_PROXY } });
    const answer = await own.call('GET', '/', { headers: scheme === undefined ? {} : { 'x-forwarded-proto': scheme } });
    expect(answer.headers.get('strict-transport-security')).toBe(told ? 'max-age=31536000' : null);
    await own.stop();
  });
});

describe('the documents', () => {
  it('are served where they are wanted, and only there, and can be tried (E9)', async () => {
    expect((await api.get('/openapi.json')).body.openapi).toBe('3.0.0');
    const page = await api.get('/docs');
    expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')]);
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
    // The page shows the picture of a QR code from memory.
    expect(page.headers.get('content-security-policy')).toContain("img-src 'self' data: blob:");
    expect((await api.get('/docs/swagger-ui-init.js')).body).toContain('"persistAuthorization": true');
    expect((await api.get('/openapi.json')).body.components.securitySchemes.bearer.description).toMatch(/access_token/);
    const closed = await TestApi.start({ environment: { DOCS: '0' } });
    expect((await closed.get('/docs')).status).toBe(404);
    expect((await closed.get('/openapi.json')).status).toBe(404);
    await closed.stop();
  });
});

describe('the address itself', () => {
  const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

  it('leads a browser to the documents, and tells programs that they are right (E9)', async () => {
    const visit = (base: string, accept: string) => fetch(base, { redirect: 'manual', headers: { accept } });
    const shown = await visit(api.url, HTML);
    expect([shown.status, shown.headers.get('location')]).toEqual([302, '/docs']);
    for (const accept of ['*/*', 'application/json']) {
      const plain = await visit(api.url, accept);
      expect([plain.status, await plain.json()]).toEqual([200, { msg: 'VPN API is running' }]);
    }
    const closed = await TestApi.start({ environment: { DOCS: '0' } });
    expect((await visit(closed.url, HTML)).status).toBe(200);
    await closed.stop();
  });
});

describe('browsers', () => {
  const preflight = (to: TestApi, origin: string, method: string): ReturnType<TestApi['call']> =>
    to.call('OPTIONS', '/vpn_peers/7', {
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization,content-type,idempotency-key',
      },
    });
  const listOf = (answer: Awaited<ReturnType<typeof preflight>>, header: string): readonly string[] =>
    (answer.headers.get(header) ?? '').split(',').map((item) => item.trim().toLowerCase());

  it('may use every method, and read what is said in headers, from the listed origins (F11)', async () => {
    const origin = 'https://admin.example.com';
    const open = await TestApi.start({ environment: { CORS_ORIGINS: origin } });
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      const asked = await preflight(open, origin, method);
      expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, origin]);
      expect(listOf(asked, 'access-control-allow-methods')).toContain(method.toLowerCase());
      expect(listOf(asked, 'access-control-allow-headers')).toEqual(
        expect.arrayContaining(['authorization', 'content-type', 'idempotency-key']),
      );
    }
    const readable = [
      'x-total-count',
      'retry-after',
      'ratelimit-limit',
      'ratelimit-remaining',
      'ratelimit-reset',
      'x-request-id',
    ];
    for (const path of ['/tariffs', '/auth/me', '/nothing', '/tariffs/0']) {
      const answer = await open.call('GET', path, { headers: { origin } });
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
      expect(listOf(answer, 'access-control-expose-headers')).toEqual(expect.arrayContaining(readable));
    }
    await open.stop();
  });

  it('may call from this machine in development, where no origin is listed, and from nowhere else (E15)', async () => {
    const own = await TestApi.start({ environment: { NODE_ENV: 'development', BCRYPT_COST: '10' } });
    for (const origin of ['http://localhost:53211', 'http://127.0.0.1:8080', 'http://[::1]:3000', 'http://localhost']) {
      const asked = await preflight(own, origin, 'PUT');
      expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, origin]);
    }
    for (const origin of ['http://localhost.evil.example', 'https://evil.example', 'null']) {
      expect((await preflight(own, origin, 'PUT')).headers.get('access-control-allow-origin')).toBeNull();
    }
    await own.stop();
    expect((await preflight(api, 'http://localhost:53211', 'PUT')).status).toBe(405);
  });

  it('may call from the listed origins only', async () => {
    const open = await TestApi.start({ environment: { CORS_ORIGINS: 'https://admin.example.com' } });
    const allowed = await open.call('GET', '/', { headers: { origin: 'https://admin.example.com' } });
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://admin.example.com');
    const refused = await open.call('GET', '/', { headers: { origin: 'https://evil.example.com' } });
    expect(refused.headers.get('access-control-allow-origin')).not.toBe('https://evil.example.com');
    await open.stop();
  });
});

describe('health', () => {
  it('is live without looking at anything, and ready when the database is', async () => {
    expect(await api.get('/health/live')).toMatchObject({ status: 200, body: { status: 'ok', failing: [] } });
    expect(await api.get('/health/ready')).toMatchObject({ status: 200, body: { status: 'ok', failing: [] } });
    expect((await api.get('/')).body).toEqual({ msg: 'VPN API is running' });
  });

  it('names migrations that are missing', async () => {
    const own = await TestApi.start();
    await own.rows(`UPDATE migrations SET name = 'x' || name`);
    expect(await own.get('/health/ready')).toMatchObject({
      status: 503,
      body: { status: 'unavailable', failing: ['migrations'] },
    });
    await own.rows(`UPDATE migrations SET name = substr(name, 2)`);
  });

  it('names a database that is gone, refuses for now, and heals by itself', async () => {
    const server = new URL(api.database.url);
    const proxy = await TcpProxy.to(server.hostname, Number(server.port));
    const own = await TestApi.start({
      databaseUrl: (direct) =>
        direct.replace(`:${server.port}/`, `:${proxy.port}/`).replace(server.hostname, '127.0.0.1'),
      logLines: [],
    });
    const { token } = await own.user();
    proxy.cut();
    expect(await own.get('/health/ready')).toMatchObject({ status: 503, body: { failing: ['database'] } });
    expect((await own.get('/health/live')).status).toBe(200);
    for (const refused of [
      await own.get('/tariffs/'),
      await own.get('/auth/me', token),
      await own.post('/payments/', { amount: 1 }, token),
    ]) {
      expect(refused).toMatchObject({
        status: 503,
        body: { code: 'database_unavailable', detail: 'Service temporarily unavailable' },
      });
      expect(refused.headers.get('retry-after')).toBe('5');
    }
    proxy.mend();
    expect((await own.get('/health/ready')).status).toBe(200);
    expect((await own.post('/payments/', { amount: 1 }, token)).status).toBe(200);
    await own.stop();
    proxy.close();
  });
});

describe('the log', () => {
  it('has a line for every request, with its id and without its query', async () => {
    logLines.length = 0;
    await api.call('GET', '/tariffs/?skip=1', { headers: { 'x-request-id': 'look-for-me' } });
    const line = logLines.map((text) => JSON.parse(text) as object).find((one) => 'path' in one);
    expect(line).toMatchObject({
      requestId: 'look-for-me',
      method: 'GET',
      path: '/tariffs/',
      status: 200,
      msg: 'request',
    });
  });

  it('holds no secret, whatever was sent', async () => {
    logLines.length = 0;
    const subscriber = await api.subscriber(admin);
    const peer = expectOk(await api.post('/vpn_peers/self', {}, subscriber.token));
    const config = expectOk(await api.get('/vpn_peers/self/config', subscriber.token));
    await api.call('POST', '/auth/login', { body: '{"email":"a","password":"hunter2-in-broken-json"', headers: json });
    await api.post('/auth/login', { email: 'a', password: 'hunter2-wrong' });
    await api.call('POST', '/auth/admin/promote?user_id=1&secret=hunter2-query', {
      headers: { 'x-promote-secret': 'hunter2-header' },
    });
    await api.call('GET', '/auth/me', { headers: { authorization: 'Bearer hunter2-token' } });
    const log = logLines.join('\n');
    expect(log).toContain('"path":"/auth/admin/promote"');
    const secrets = [
      'hunter2',
      subscriber.password,
      subscriber.token,
      peer.wg_private_key,
      TEST_ENVIRONMENT.PROMOTE_SECRET,
      'PrivateKey',
    ];
    for (const secret of secrets) expect(log).not.toContain(secret);
    expect(config.wg_quick).toContain(peer.wg_private_key);
  });
});
