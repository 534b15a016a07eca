import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MetricsServer } from '#platform';
import { type Account, expectOk, TestApi } from '../support/api.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const TOKEN = 'h7Wq2nXt9KzV4mRb8YcD5sJe';

let api: TestApi;
let admin: Account;

beforeAll(async () => {
  api = await TestApi.start({ environment: { METRICS_TOKEN: TOKEN, METRICS_PORT: '0' } });
  admin = await api.admin();
});
afterAll(() => api.stop());

async function scrape(url: string, authorization?: string): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization } });
  return { status: response.status, text: await response.text() };
}

describe('the metrics', () => {
  it('count peers, by server and status, and what is left of the pool', async () => {
    const user = await api.subscriber(admin);
    const other = await api.subscriber(admin);
    expectOk(await api.post('/vpn_peers/self', {}, user.token));
    expectOk(await api.post('/vpn_peers/self', {}, other.token));
    expectOk(await api.put(`/admin/users/${other.id}/status`, { status: 'blocked' }, admin.token));
    const { status, text } = await scrape(`${api.url}/metrics`, `Bearer ${TOKEN}`);
    expect(status).toBe(200);
    expect(text).toContain('vpn_peers{server="1",status="active"} 1\n');
    expect(text).toContain('vpn_peers{server="1",status="suspended"} 1\n');
    expect(text).toContain('vpn_pool_addresses{server="1"} 1021\n');
    expect(text).toContain('vpn_pool_used{server="1"} 2\n');
    expect(text).toContain('vpn_pool_days_left{server="1"} 3566.5\n');
    expect(text).toContain('vpn_server_held_removals{server="1"} 0\n');
    for (const n of ['I2', 'I5', 'I7', 'I8']) expect(text).toContain(`invariant_violations{n="${n}"} 0\n`);
    expect(text).toContain('process_resident_memory_bytes');
  });

  it('tell of the calls to a server as long as it is called', async () => {
    const figures = ['vpn_server_failures{server="1"} 9\n', 'vpn_server_held_removals{server="1"} 4\n'];
    const read = async (): Promise<string> => (await scrape(`${api.url}/metrics`, `Bearer ${TOKEN}`)).text;
    await api.rows(`UPDATE vpn_servers SET applies = true WHERE id = 1`);
    await api.rows(`INSERT INTO vpn_server_health (server_id, failures, held_removals, swept_at, next_sweep_at)
      VALUES (1, 9, 4, now() - interval '1 day', now() + interval '1 day')
      ON CONFLICT (server_id) DO UPDATE SET failures = 9, held_removals = 4, swept_at = now() - interval '1 day'`);
    const called = await read();
    for (const figure of figures) expect(called).toContain(figure);
    expect(called).toMatch(/^vpn_server_swept_seconds_ago\{server="1"\} 8\d{4}/m);
    await api.rows(`UPDATE vpn_servers SET status = 'disabled' WHERE id = 1`);
    const disabled = await read();
    for (const figure of figures) expect(disabled).toContain(figure.replace(/\d\n$/, '0\n'));
    expect(disabled).not.toContain('vpn_server_swept_seconds_ago{');
    await api.rows(`UPDATE vpn_servers SET status = 'active', applies = false WHERE id = 1`);
    expect(await read()).not.toContain('vpn_server_swept_seconds_ago{');
  });

  it('beside the API are for those who know the token', async () => {
    expect(await scrape(`${api.url}/metrics`)).toMatchObject({ status: 401 });
    expect(await scrape(`${api.url}/metrics`, 'Bearer wrong')).toMatchObject({ status: 401 });
    expect(await scrape(`${api.url}/metrics`, `Bearer ${admin.token}`)).toMatchObject({ status: 401 });
  });

  it('tell operators in detail what is well, and nobody else (B3)', async () => {
    const detail = `${api.url}/health/detail`;
    expect(await scrape(detail)).toMatchObject({ status: 401 });
    const { status, text } = await scrape(detail, `Bearer ${TOKEN}`);
    expect(JSON.parse(text)).toMatchObject({
      status: 'unavailable',
      findings: expect.arrayContaining([
        { about: 'database', isWell: true, says: expect.any(String) },
        { about: 'jobs', isWell: false, says: expect.stringContaining('no process has ever run them') },
      ]),
    });
    expect(status).toBe(503);
    const base = `http://127.0.0.1:${api.app.get(MetricsServer).port}`;
    expect(await scrape(`${base}/health`)).toMatchObject({ status: 503, text });
    expect((await scrape(`${api.url}/health/ready`)).text).toBe('{"status":"ok","failing":[]}');
  });

  it('have a port of their own, with nothing else on it', async () => {
    const base = `http://127.0.0.1:${api.app.get(MetricsServer).port}`;
    expect((await scrape(`${base}/metrics`)).text).toContain('vpn_peers{');
    expect(await scrape(`${base}/auth/me`)).toMatchObject({ status: 404 });
  });

  it('that need no database are served while it is away, and the others are counted (F13)', async () => {
    const server = new URL(api.database.url);
    const proxy = await TcpProxy.to(server.hostname, Number(server.port || 5432));
    const own = await TestApi.start({
      environment: { METRICS_TOKEN: TOKEN },
      databaseUrl: (direct) => Object.assign(new URL(direct), { host: `127.0.0.1:${proxy.port}` }).href,
      logLines: [],
    });
    expect((await scrape(`${own.url}/metrics`, `Bearer ${TOKEN}`)).text).toContain('vpn_metrics_missing 0\n');
    proxy.cut();
    const { status, text } = await scrape(`${own.url}/metrics`, `Bearer ${TOKEN}`);
    expect(status).toBe(200);
    expect(text).toContain('process_resident_memory_bytes');
    expect(text).toContain('vpn_database_connections{state="awaited"} 0\n');
    expect(text).not.toContain('vpn_peers{');
    expect(text).toMatch(/^vpn_metrics_missing [1-9]/m);
    proxy.mend();
    expect((await scrape(`${own.url}/metrics`, `Bearer ${TOKEN}`)).text).toContain('vpn_metrics_missing 0\n');
    await own.stop();
    proxy.close();
  });

  it('are not there unless they are asked for', async () => {
    const silent = await TestApi.start();
    expect(await scrape(`${silent.url}/metrics`)).toMatchObject({ status: 404 });
    expect(silent.app.get(MetricsServer).port).toBeUndefined();
    await silent.stop();
  });
});
