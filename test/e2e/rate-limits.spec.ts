import { beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Headers, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { DomainError } from '#kernel';
import { Operation } from '../../apps/api/src/http/operation.decorator.js';
import { TariffChoiceIn } from '../../apps/api/src/auth/auth.dto.js';
import { DELETED, DeletedOut } from '../../apps/api/src/http/deleted.dto.js';
import { type Account, type Answer, expectOk, TestApi } from '../support/api.js';

/** Routes with a limit of each kind, and one without. */
@ApiTags('operations')
@Controller('tried')
class TriedController {
  @Post('by-user')
  @Operation({ access: 'user', summary: 'Counts users', answer: DeletedOut, limit: 'iap_verify' })
  countUser(@Body() _: TariffChoiceIn): DeletedOut {
    return DELETED;
  }

  @Post('by-address')
  @Operation({ access: 'public', summary: 'Counts failures of addresses', answer: DeletedOut, limit: 'webhook' })
  countAddress(@Headers('x-signature') signature: string | undefined): DeletedOut {
    if (signature !== 'good') throw new DomainError('store_signature_invalid');
    return DELETED;
  }

  @Post('freely')
  @Operation({ access: 'public', summary: 'Counts nothing', answer: DeletedOut })
  countNothing(): DeletedOut {
    return DELETED;
  }
}

let api: TestApi;

beforeAll(async () => {
  const environment = { RATE_LIMIT_IAP_VERIFY: '3', RATE_LIMIT_WEBHOOK: '2', TRUST_PROXY: '127.0.0.1,10.0.0.0/8' };
  api = await TestApi.start({ environment, controllers: [TriedController] });
});

describe('a limit for each user', () => {
  const verify = ({ token }: Account, body: unknown = { tariff_id: 1 }): Promise<Answer> =>
    api.post('/tried/by-user', body, token);

  it('says with every answer how much is left, and refuses what is too much until the window ends', async () => {
    const user = await api.user();
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await verify(user));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429]);
    expect(answers.map(({ headers }) => headers.get('ratelimit-remaining'))).toEqual(['2', '1', '0', '0', '0']);
    for (const { headers } of answers) {
      expect(headers.get('ratelimit-limit')).toBe('3');
      expect(Number(headers.get('ratelimit-reset'))).toBeGreaterThanOrEqual(1);
      expect(Number(headers.get('ratelimit-reset'))).toBeLessThanOrEqual(60);
    }
    const [first, , , refused] = answers;
    expect(first?.headers.get('retry-after')).toBeNull();
    expect(refused?.headers.get('retry-after')).toBe(refused?.headers.get('ratelimit-reset'));
    expect(refused?.body).toMatchObject({ detail: 'Too many requests', code: 'too_many_requests' });
  });

  it('is his own: what others do is not counted against him', async () => {
    const [busy, calm] = [await api.user(), await api.user()];
    for (let i = 0; i < 4; i++) await verify(busy);
    expect((await verify(busy)).status).toBe(429);
    expectOk(await verify(calm));
  });

  it('is the same from wherever he calls', async () => {
    const { token } = await api.user();
    const statuses = [];
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']) {
      const headers = { 'x-forwarded-for': address };
      statuses.push((await api.call('POST', '/tried/by-user', { token, body: { tariff_id: 1 }, headers })).status);
    }
    expect(statuses).toEqual([200, 200, 200, 429]);
  });

  it('is asked after who he is, and before what he says', async () => {
    expect((await api.post('/tried/by-user', {})).status).toBe(401);
    const user = await api.user();
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await verify(user, { tariff_id: 'no number' })).status);
    expect(statuses).toEqual([422, 422, 422, 429]);
  });

  it('is refused in his language', async () => {
    const { token } = await api.user();
    const call = { token, body: { tariff_id: 1 }, headers: { 'accept-language': 'ru' } };
    for (let i = 0; i < 3; i++) await api.call('POST', '/tried/by-user', call);
    expect((await api.call('POST', '/tried/by-user', call)).body.message).toMatch(/^Слишком много запросов/);
  });
});

describe('a limit for each address', () => {
  const notify = async (forwardedFor: string): Promise<number> =>
    (await api.call('POST', '/tried/by-address', { headers: { 'x-forwarded-for': forwardedFor } })).status;

  it('counts an IPv4 address by itself, however it is written', async () => {
    expect(await notify('198.51.100.1')).toBe(401);
    expect(await notify('::ffff:198.51.100.1')).toBe(401);
    expect(await notify('198.51.100.1')).toBe(429);
    expect(await notify('198.51.100.2')).toBe(401);
  });

  it('counts all addresses of an IPv6 /64 as one', async () => {
    expect(await notify('2001:db8:0:1::1')).toBe(401);
    expect(await notify('2001:db8:0:1:ffff::2')).toBe(401);
    expect(await notify('2001:db8:0:1::3')).toBe(429);
    expect(await notify('2001:db8:0:2::1')).toBe(401);
  });

  it('is not got round by claiming to be somebody else', async () => {
    expect(await notify('192.0.2.1, 203.0.113.5')).toBe(401);
    expect(await notify('192.0.2.2, 203.0.113.5, 10.1.1.1')).toBe(401);
    expect(await notify('junk, 203.0.113.5')).toBe(429);
  });

  it('counts what claims junk by the connection it came on', async () => {
    expect(await notify('junk')).toBe(401);
    expect(await notify('203.0.113.77, junk')).toBe(401);
    expect(await notify('')).toBe(429);
  });

  it('never refuses what proves who sends it, and says what is left of the failures (H19)', async () => {
    const address = '198.51.100.77';
    const call = (signature: string): Promise<Answer> =>
      api.call('POST', '/tried/by-address', { headers: { 'x-forwarded-for': address, 'x-signature': signature } });
    const left = async (signature: string): Promise<unknown[]> => {
      const { status, headers } = await call(signature);
      return [status, headers.get('ratelimit-remaining'), headers.has('retry-after')];
    };
    for (let i = 0; i < 5; i++) expect(await left('good')).toEqual([200, '2', false]);
    expect(await left('bad')).toEqual([401, '1', false]);
    expect(await left('good')).toEqual([200, '1', false]);
    expect(await left('bad')).toEqual([401, '0', false]);
    expect(await left('bad')).toEqual([429, '0', true]);
    for (let i = 0; i < 5; i++) expect(await left('good')).toEqual([200, '0', false]);
    expect(await left('bad')).toEqual([429, '0', true]);
  });
});

describe('without a proxy to trust', () => {
  it('an address is that of the connection, whatever is forwarded', async () => {
    const bare = await TestApi.start({ environment: { RATE_LIMIT_WEBHOOK: '2' }, controllers: [TriedController] });
    const statuses = [];
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
      const headers = { 'x-forwarded-for': address };
      statuses.push((await bare.call('POST', '/tried/by-address', { headers })).status);
    }
    expect(statuses).toEqual([401, 401, 429]);
    await bare.stop();
  });
});

describe('a route', () => {
  it('without a limit says nothing of limits, and refuses nobody', async () => {
    for (let i = 0; i < 5; i++) {
      const { status, headers } = await api.call('POST', '/tried/freely');
      expect(status).toBe(200);
      expect([...headers.keys()].filter((name) => name.startsWith('ratelimit'))).toEqual([]);
    }
  });

  it('with a limit says so in the document', async () => {
    const { paths } = expectOk(await api.get('/openapi.json'));
    const { responses } = paths['/tried/by-user'].post;
    const ofLimits = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'];
    expect(Object.keys(responses['200'].headers)).toEqual(ofLimits);
    expect(Object.keys(responses['429'].headers)).toEqual(['Retry-After', ...ofLimits]);
    expect(Object.keys(responses['429'].content['application/json'].examples)).toEqual(['too_many_requests']);
    expect(paths['/tried/freely'].post.responses['429']).toBeUndefined();
  });
});
