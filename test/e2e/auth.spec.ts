import { beforeAll, describe, expect, it } from '@jest/globals';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Account, expectOk, TestApi } from '../support/api.js';
import { TEST_ENVIRONMENT } from '../support/settings.js';

let api: TestApi;
let admin: Account;

beforeAll(async () => {
  api = await TestApi.start();
  admin = await api.admin();
});

describe('POST /auth/register', () => {
  it('opens an account that is active at once', async () => {
    const { status, body } = await api.post('/auth/register', { email: 'test@test.com', password: 'Test12345' });
    expect(status).toBe(200);
    expect(body).toEqual({
      id: expect.any(Number),
      email: 'test@test.com',
      status: 'active',
      is_admin: false,
      is_verified: false,
      google_id: null,
      app_account_token: expect.stringMatching(/^[0-9a-f-]{36}$/),
      locale: 'en',
      refund_data_consent: false,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
  });

  it('keeps one account for one address, however it is spelled', async () => {
    await api.post('/auth/register', { email: 'once@example.com', password: 'correct horse' });
    const { status, body } = await api.post('/auth/register', {
      email: ' ONCE@Example.com ',
      password: 'correct horse',
    });
    expect(status).toBe(400);
    expect(body).toMatchObject({ detail: 'Email already registered', code: 'email_already_registered' });
  });

  it('keeps one account when the same address comes twenty times at once', async () => {
    const credentials = { email: 'race@example.com', password: 'correct horse' };
    const answers = await Promise.all(Array.from({ length: 20 }, () => api.post('/auth/register', credentials)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array<number>(19).fill(400)]);
  });

  it.each([
    [{ email: 'a@example.com' }, 400, 'Password is required for registration'],
    [{ email: 'a@example.com', password: null }, 400, 'Password is required for registration'],
    [{ email: 'a@example.com', password: '' }, 400, 'Password is required for registration'],
    [{ email: 'a@example.com', password: 'short' }, 400, 'Password must be at least 8 characters'],
    [
      { email: 'a@example.com', password: 'password1' },
      400,
      'Password must be at least 8 characters and not one of the most common passwords',
    ],
  ])('refuses %j', async (body, status, detail) => {
    const answer = await api.post('/auth/register', body);
    expect(answer).toMatchObject({ status, body: { detail } });
  });

  it.each([
    [{ password: 'correct horse' }, 'email', 'value_error.missing'],
    [{ email: 'nope', password: 'correct horse' }, 'email', 'value_error.email'],
    [{ email: 5, password: 'correct horse' }, 'email', 'type_error.str'],
    [{ email: 'a@example.com', password: 12345678 }, 'password', 'type_error.str'],
    [{ email: 'a@example.com', password: 'a'.repeat(257) }, 'password', 'value_error.any_str.max_length'],
  ])('names the field at fault in %j', async (body, name, type) => {
    const answer = await api.post('/auth/register', body);
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({ code: 'validation_error', detail: [{ loc: ['body', name], type }] });
  });

  it('remembers the language of the app', async () => {
    const { body } = await api.call('POST', '/auth/register', {
      body: { email: 'ru@example.com', password: 'correct horse' },
      headers: { 'accept-language': 'ru-RU' },
    });
    expect(body.locale).toBe('ru');
  });
});

describe('PUT /auth/me', () => {
  it('changes what is given, and leaves the rest', async () => {
    const { token } = await api.user();
    expect((await api.put('/auth/me', { locale: 'ru' }, token)).body).toMatchObject({
      locale: 'ru',
      refund_data_consent: false,
    });
    await api.put('/auth/me', { refund_data_consent: true, locale: null }, token);
    expect((await api.get('/auth/me', token)).body).toMatchObject({ locale: 'ru', refund_data_consent: true });
  });

  it('takes no language that nothing is written in', async () => {
    const { token } = await api.user();
    const { status, body } = await api.put('/auth/me', { locale: 'fr' }, token);
    expect([status, body.detail[0].loc]).toEqual([422, ['body', 'locale']]);
  });
});

describe('POST /auth/login', () => {
  it('answers a token that opens the door', async () => {
    const { email, password, id } = await api.user();
    const { status, body } = await api.post('/auth/login', { email: email.toUpperCase(), password });
    expect(status).toBe(200);
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'bearer',
      expires_in: 3600,
      refresh_token: null,
      refresh_expires_in: null,
    });
    expect((await api.get('/auth/me', body.access_token)).body).toMatchObject({ id, email });
  });

  it.each([
    ['wrong password', 'test@test.com', 'not this one'],
    ['unknown address', 'nobody@example.com', 'correct horse'],
    ['something that is no address', 'nobody', 'correct horse'],
    ['empty password', 'test@test.com', ''],
  ])('answers the same for a %s', async (_, email, password) => {
    const answer = await api.post('/auth/login', { email, password });
    expect(answer).toMatchObject({ status: 401, body: { detail: 'Invalid credentials', code: 'invalid_credentials' } });
  });

  it("takes the older service's passwords and hashes them anew", async () => {
    const vectors = JSON.parse(readFileSync('test/vectors/passlib.json', 'utf8')) as {
      scheme: string;
      password: string;
      hash: string;
    }[];
    for (const scheme of ['pbkdf2_sha256', 'bcrypt', 'bcrypt_sha256 v1']) {
      const { password, hash } = vectors.find((vector) => vector.scheme === scheme)!;
      const { email, id } = await api.user();
      await api.rows('UPDATE users SET hashed_password = $2 WHERE id = $1', [id, hash]);
      expectOk(await api.post('/auth/login', { email, password }));
      const [row] = await api.rows<{ hashed_password: string }>('SELECT hashed_password FROM users WHERE id = $1', [
        id,
      ]);
      expect(row?.hashed_password).toMatch(/^\$bcrypt-sha256\$v=2,t=2b,r=4\$/);
      expectOk(await api.post('/auth/login', { email, password }));
    }
  });

  it('lets nobody into an account without a password', async () => {
    const { email, id } = await api.user();
    await api.rows('UPDATE users SET hashed_password = NULL WHERE id = $1', [id]);
    for (const password of ['', ' ', 'null']) {
      expect((await api.post('/auth/login', { email, password })).status).toBe(401);
    }
  });

  it('tells a blocked user so, but only with the right password', async () => {
    const { email, password, id } = await api.user();
    expectOk(await api.put(`/admin/users/${id}/status`, { status: 'blocked' }, admin.token));
    expect(await api.post('/auth/login', { email, password })).toMatchObject({
      status: 403,
      body: { detail: 'User not active' },
    });
    expect((await api.post('/auth/login', { email, password: 'wrong wrong' })).status).toBe(401);
  });
});

describe('an access token', () => {
  it.each([
    'Bearer T x',
    'Bearer T T',
    'Bearer T,',
    'Bearer T;x=1',
    'x Bearer T',
    'Bearer x T',
    'BearerT',
    'T',
    'Bearer',
    'Tokens',
  ])('stands alone behind its word: %j is refused (A5)', async (written) => {
    const authorization = written.replaceAll('T', () => admin.token);
    const answer = await api.call('GET', '/auth/me', { headers: { authorization } });
    expect(answer).toMatchObject({ status: 401, body: { detail: 'Could not validate credentials' } });
  });

  it.each(['Bearer', 'bearer', 'BEARER'])('may have that word in any case: %s (A5)', async (word) => {
    const headers = { authorization: `${word} ${admin.token}` };
    expect((await api.call('GET', '/auth/me', { headers })).status).toBe(200);
  });

  const forge = (header: object, claims: object, secret: string): string => {
    const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  const claimsOf = (token: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;
  const HEADER = { alg: 'HS256', typ: 'at+jwt', kid: 'k0' };

  it('is needed, and must be good', async () => {
    const missing = await api.get('/auth/me');
    expect(missing).toMatchObject({ status: 401, body: { detail: 'Not authenticated' } });
    expect(missing.headers.get('www-authenticate')).toBe('Bearer');
    const bad = await api.get('/auth/me', 'nonsense');
    expect(bad).toMatchObject({ status: 401, body: { detail: 'Could not validate credentials' } });
    expect(bad.headers.get('www-authenticate')).toBe('Bearer');
    const other = await api.call('GET', '/auth/me', { headers: { authorization: `Basic ${admin.token}` } });
    expect(other).toMatchObject({ status: 401, body: { detail: 'Could not validate credentials' } });
  });

  it('made with our key but other claims is as bad as any', async () => {
    const claims = claimsOf(admin.token);
    const key = TEST_ENVIRONMENT.SECRET_KEY;
    expect((await api.get('/auth/me', forge(HEADER, claims, key))).status).toBe(200);
    const changes = [
      { iss: 'other' },
      { aud: 'vpn-admin' },
      { sub: 'test@test.com' },
      { sub: '999999' },
      { sid: '6f1c3f0e-2f1a-4a53-9d8f-0a4f5f6b7c8d' },
      { exp: 1 },
      { exp: undefined },
      { exp: '9999999999' },
    ];
    for (const change of changes) {
      expect((await api.get('/auth/me', forge(HEADER, { ...claims, ...change }, key))).status).toBe(401);
    }
    expect((await api.get('/auth/me', forge({ ...HEADER, alg: 'none' }, claims, key))).status).toBe(401);
    expect((await api.get('/auth/me', forge({ ...HEADER, typ: 'JWT' }, claims, key))).status).toBe(401);
    expect((await api.get('/auth/me', forge(HEADER, claims, `${key}x`))).status).toBe(401);
    expect((await api.get('/auth/me', `${'a'.repeat(9000)}.b.c`)).status).toBe(401);
  });

  it('ends with its hour, and with its session', async () => {
    const account = await api.user();
    const second = await api.login(account);
    await api.rows('UPDATE sessions SET revoked_at = now() WHERE user_id = $1 AND id = $2', [
      account.id,
      claimsOf(account.token)['sid'],
    ]);
    expect((await api.get('/auth/me', account.token)).status).toBe(401);
    expect((await api.get('/auth/me', second)).status).toBe(200);
    api.clock.advance({ minutes: 61 });
    expect((await api.get('/auth/me', second)).status).toBe(401);
    admin = { ...admin, token: await api.login(admin) };
  });

  it('of a blocked user is out on the next request, and in again when he is let in', async () => {
    const { id, token } = await api.user();
    expectOk(await api.put(`/admin/users/${id}/status`, { status: 'blocked' }, admin.token));
    expect(await api.get('/auth/me', token)).toMatchObject({ status: 403, body: { detail: 'User not active' } });
    expectOk(await api.put(`/admin/users/${id}/status`, { status: 'active' }, admin.token));
    expect((await api.get('/auth/me', token)).status).toBe(200);
  });
});

describe('POST /auth/admin/promote', () => {
  const promote = (id: number, query = '', options: Parameters<TestApi['call']>[2] = {}): ReturnType<TestApi['call']> =>
    api.call('POST', `/auth/admin/promote?user_id=${id}${query}`, options);
  const SECRET = TEST_ENVIRONMENT.PROMOTE_SECRET;

  it('makes an active administrator, with the secret in the query, the header or the body', async () => {
    const ways = [
      (id: number) => promote(id, `&secret=${SECRET}`),
      (id: number) => promote(id, '', { headers: { 'x-promote-secret': SECRET } }),
      (id: number) => promote(id, '', { body: { secret: SECRET } }),
      (id: number) => promote(id, '', { token: admin.token }),
    ];
    for (const way of ways) {
      const { id, token } = await api.user();
      expect(await way(id)).toMatchObject({ status: 200, body: { msg: 'user promoted', user_id: id } });
      expect((await api.get('/auth/me', token)).body).toMatchObject({ is_admin: true, status: 'active' });
    }
  });

  it('refuses everybody else', async () => {
    const { id, token } = await api.user();
    const refusal = { status: 403, body: { detail: 'Admin privileges required to promote' } };
    expect(await promote(id)).toMatchObject(refusal);
    expect(await promote(id, '&secret=wrong')).toMatchObject(refusal);
    expect(await promote(id, '', { token })).toMatchObject(refusal);
    expect((await promote(id, '', { token: 'nonsense' })).status).toBe(401);
    expect((await api.get('/auth/me', token)).body.is_admin).toBe(false);
  });

  it('says when there is no such user, or no such id', async () => {
    expect(await promote(999_999, `&secret=${SECRET}`)).toMatchObject({
      status: 404,
      body: { detail: 'User not found' },
    });
    expect((await api.call('POST', `/auth/admin/promote?secret=${SECRET}`)).status).toBe(422);
    expect((await api.call('POST', `/auth/admin/promote?user_id=abc&secret=${SECRET}`)).status).toBe(422);
  });

  it('works once by secret where PROMOTE_MODE is once, even for twenty who try together, and again when nobody is left', async () => {
    const once = await TestApi.start({ environment: { PROMOTE_MODE: 'once' } });
    const users = await Promise.all(Array.from({ length: 20 }, () => once.user()));
    const answers = await Promise.all(
      users.map(({ id }) => once.call('POST', `/auth/admin/promote?user_id=${id}&secret=${SECRET}`)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(19);
    await once.rows(`UPDATE users SET status = 'blocked' WHERE is_admin`);
    const [user] = users;
    expect((await once.call('POST', `/auth/admin/promote?user_id=${user!.id}&secret=${SECRET}`)).status).toBe(200);
    await once.stop();
  });

  it('is closed to secrets where none is set', async () => {
    const closed = await TestApi.start({ environment: { PROMOTE_SECRET: '' } });
    const { id } = await closed.user();
    expect((await closed.call('POST', `/auth/admin/promote?user_id=${id}&secret=`)).status).toBe(403);
    await closed.stop();
  });
});

describe('POST /auth/assign_tariff', () => {
  const assign = (userId: number | string, body: unknown, token = admin.token): ReturnType<TestApi['call']> =>
    api.post(`/auth/assign_tariff?user_id=${userId}`, body, token);

  it('starts a subscription of the tariff from now, and makes the user active', async () => {
    const [user, tariff_id] = [await api.user(), await api.tariff(admin, { name: 'Month', duration_days: 30 })];
    expectOk(await api.put(`/admin/users/${user.id}/status`, { status: 'blocked' }, admin.token));
    expect(await assign(user.id, { tariff_id })).toMatchObject({
      status: 200,
      body: { msg: 'tariff assigned', user_id: user.id, tariff_id },
    });
    const { body } = await api.get('/auth/me/subscription', user.token);
    expect(body).toEqual({
      id: expect.any(Number),
      user_id: user.id,
      tariff_id,
      tariff_name: 'Month',
      status: 'active',
      state: 'active',
      started_at: api.clock.now().toISOString(),
      ended_at: expect.stringMatching(/Z$/),
      access_until: body.ended_at,
      duration_days: 30,
      durationDays: 30,
      price: '9.99',
      days_remaining: 30,
      is_lifetime: false,
      auto_renewing: false,
      store: 'admin',
      is_trial: false,
      traffic_used_bytes: 0,
      traffic_limit_gb: null,
      traffic_resets_at: body.ended_at,
    });
    expect(new Date(body.ended_at).getTime() - new Date(body.started_at).getTime()).toBe(30 * 86_400_000);
  });

  it('knows lifetimes', async () => {
    const user = await api.subscriber(admin, { duration_days: 0 });
    expect((await api.get('/auth/me/subscription', user.token)).body).toMatchObject({
      ended_at: null,
      is_lifetime: true,
      days_remaining: 36500,
      status: 'active',
    });
  });

  it('refuses what already runs, whom or what there is not, and whoever is no administrator', async () => {
    const [user, tariff_id] = [await api.user(), await api.tariff(admin)];
    expectOk(await assign(user.id, { tariff_id }));
    expect(await assign(user.id, { tariff_id })).toMatchObject({
      status: 400,
      body: { detail: 'Tariff already assigned to user' },
    });
    expect(await assign(999_999, { tariff_id })).toMatchObject({ status: 404, body: { detail: 'User not found' } });
    expect(await assign(user.id, { tariff_id: 999_999 })).toMatchObject({
      status: 404,
      body: { detail: 'Tariff not found' },
    });
    expect(await assign(user.id, { tariff_id }, user.token)).toMatchObject({
      status: 403,
      body: { detail: 'Admin privileges required' },
    });
    expect((await assign('x', { tariff_id })).body.detail).toEqual([
      { loc: ['query', 'user_id'], msg: 'value is not a valid integer', type: 'type_error.integer' },
    ]);
    expect((await assign(user.id, {})).body.detail[0]).toMatchObject({
      loc: ['body', 'tariff_id'],
      type: 'value_error.missing',
    });
  });

  it('may be repeated when the first one is over', async () => {
    const [user, tariff_id] = [await api.user(), await api.tariff(admin, { duration_days: 1 })];
    expectOk(await assign(user.id, { tariff_id }));
    api.clock.advance({ days: 1 });
    admin = { ...admin, token: await api.login(admin) };
    expectOk(await assign(user.id, { tariff_id }));
  });
});

describe('GET /auth/me/subscription', () => {
  it('answers JSON null to who never had one', async () => {
    const { token } = await api.user();
    const { status, headers, body } = await api.get('/auth/me/subscription', token);
    expect([status, body]).toEqual([200, null]);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
  });

  it('shows one that is over as expired, with no days left', async () => {
    const user = await api.subscriber(admin, { duration_days: 2 });
    api.clock.advance({ days: 2 });
    const token = await api.login(user);
    expect((await api.get('/auth/me/subscription', token)).body).toMatchObject({
      status: 'expired',
      state: 'expired',
      days_remaining: 0,
    });
    admin = { ...admin, token: await api.login(admin) };
  });
});

describe('POST /auth/subscribe', () => {
  it('gives a free tariff, once', async () => {
    const [user, tariff_id] = [await api.user(), await api.tariff(admin, { price: 0, duration_days: 3 })];
    const { status, body } = await api.post('/auth/subscribe', { tariff_id }, user.token);
    expect(status).toBe(200);
    expect(body).toEqual({
      msg: 'subscription activated',
      id: expect.any(Number),
      user_tariff_id: body.id,
      tariff_id,
      started_at: expect.stringMatching(/Z$/),
      ended_at: expect.stringMatching(/Z$/),
    });
    expect(await api.post('/auth/subscribe', { tariff_id }, user.token)).toMatchObject({
      status: 400,
      body: { detail: 'already_has_active_subscription' },
    });
    api.clock.advance({ days: 3 });
    const token = await api.login(user);
    expect(await api.post('/auth/subscribe', { tariff_id }, token)).toMatchObject({
      status: 400,
      body: { detail: 'free_tariff_already_used' },
    });
    admin = { ...admin, token: await api.login(admin) };
  });

  it('gives no paid tariff, no hidden one, and none that there is not', async () => {
    const { token } = await api.user();
    const paid = await api.tariff(admin);
    const hidden = await api.tariff(admin, { price: 0, is_active: false });
    expect(await api.post('/auth/subscribe', { tariff_id: paid }, token)).toMatchObject({
      status: 402,
      body: { detail: 'Payment required' },
    });
    for (const tariff_id of [hidden, 999_999]) {
      expect(await api.post('/auth/subscribe', { tariff_id }, token)).toMatchObject({
        status: 404,
        body: { detail: 'Tariff not found' },
      });
    }
  });
});

describe('PUT /admin/users/{id}/status', () => {
  it('answers the user as he is now', async () => {
    const { id } = await api.user();
    const { status, body } = await api.put(`/admin/users/${id}/status`, { status: 'blocked' }, admin.token);
    expect([status, body.status]).toEqual([200, 'blocked']);
  });

  it('refuses an unknown user and an unknown status', async () => {
    expect(await api.put('/admin/users/999999/status', { status: 'blocked' }, admin.token)).toMatchObject({
      status: 404,
      body: { detail: 'User not found' },
    });
    expect(
      (await api.put(`/admin/users/${admin.id}/status`, { status: 'asleep' }, admin.token)).body.detail[0],
    ).toMatchObject({
      loc: ['body', 'status'],
      type: 'type_error.enum',
    });
  });
});
