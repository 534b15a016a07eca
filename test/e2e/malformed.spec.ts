import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { type Answer, expectOk, TestApi } from '../support/api.js';
import { type ApiDocument } from '../support/api-document.js';
import { type MalformedRequest, malformedRequests, oneFieldAtFault } from '../support/malformed.js';

const REQUESTS = 2000;
const AT_ONCE = 10;
const SEED = Number(process.env['FUZZ_SEED'] ?? 20261122);

const document = JSON.parse(readFileSync('openapi.json', 'utf8')) as ApiDocument;
let api: TestApi;
let admin: string;
let user: string;

beforeAll(async () => {
  api = await TestApi.start({ logLines: [], environment: { WG_ENDPOINT: 'vpn.example.com:51820' } });
  const target = await api.user(); // whatever has the id 1 is there to be changed
  const operator = await api.admin();
  await api.assign(operator, target, await api.tariff(operator));
  expectOk(await api.post('/vpn_peers/self', {}, target.token));
  expectOk(await api.post('/payments/', { amount: 1 }, target.token));
  [admin, user] = [operator.token, (await api.user()).token];
});

/** Sends them, and tells of every answer that is a fault of ours. */
async function send(
  requests: Iterator<MalformedRequest>,
  tokens: readonly (string | undefined)[],
  limit = Number.POSITIVE_INFINITY,
): Promise<{ bad: unknown[]; statuses: ReadonlyMap<number, number> }> {
  const bad: unknown[] = [];
  const statuses = new Map<number, number>();
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (sent < limit) {
      const next = requests.next();
      if (next.done === true) return;
      const token = tokens[sent++ % tokens.length];
      const { method, path, body, headers } = next.value;
      const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const answer = await api.call(method, path, {
        headers: { 'content-type': 'application/json', ...authorization, ...headers },
        body,
      });
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      if (isOurFault(answer)) bad.push({ request: { ...next.value, body: body?.slice(0, 300) }, answer: answer.body });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { bad, statuses };
}

function isOurFault({ status, body }: Answer): boolean {
  const text = JSON.stringify(body);
  const leaks = /at .*\.(ts|js):|SELECT |INSERT |node_modules|QueryFailed|constraint|127\.0\.0\.1/.test(text);
  const isOff = status === 503 && body.code === 'store_not_configured'; // the stores are not set up here
  return (status >= 500 && !isOff) || leaks;
}

describe('malformed requests made from openapi.json', () => {
  it(`are refused for what they are, ${REQUESTS} of them: no 5xx, and nothing internal in an answer (seed ${SEED})`, async () => {
    const { bad, statuses } = await send(malformedRequests(document, SEED), [admin, user, undefined], REQUESTS);
    expect(bad.slice(0, 3)).toEqual([]);
    expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(REQUESTS);
    expect(statuses.get(422)).toBeGreaterThan(REQUESTS / 5); // they got as far as being looked at
    expect((await api.get('/health/ready')).status).toBe(200);
  }, 120_000);

  it('are refused with any one field of any object at fault, however deep it is nested (A2)', async () => {
    const requests = [...oneFieldAtFault(document)];
    const deep = requests
      .filter(({ way }) => way.length > 1)
      .map(({ operationId, way }) => `${operationId}:${way.join('.')}`);
    expect(deep).toContain('updateTariff:store_products.0.provider');
    expect(deep).toContain('createServer:access.kind');
    const { bad, statuses } = await send(requests.values(), [admin]);
    expect(bad.slice(0, 3)).toEqual([]);
    expect(statuses.get(422)).toBeGreaterThan(requests.length / 3);
  }, 120_000);
});
