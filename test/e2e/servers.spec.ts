import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Diagnosis, generateKeyPair, Providers, Servers } from '#wireguard';
import { type Account, type Answer, expectOk, TestApi } from '../support/api.js';
import { newSshKey } from '../support/ssh-key.js';
import { newPrivateKey } from '../fakes/new-keys.js';
import { FakeWgEasy } from '../fakes/wg-easy.js';

type Json = Readonly<Record<string, unknown>>;

const FINGERPRINT = `SHA256:${'a'.repeat(43)}`;
const PRIVATE_KEY = newSshKey();
/** Of its second line: private already, and without what a pattern would read otherwise. */
const KEY_PART = /[A-Za-z0-9]{12,}/.exec(PRIVATE_KEY.split('\n').slice(2).join('\n'))?.[0] ?? 'none';
const SSH = { kind: 'ssh', host: 'de1.example.com', user: 'wgctl', private_key: PRIVATE_KEY, fingerprint: FINGERPRINT };
const EASY = { kind: 'wg-easy', url: 'https://easy.example.com', password: 'SECRET-TWO', api_key: 'SECRET-THREE' };

const logLines: string[] = [];
let api: TestApi;
let admin: Account;
let user: Account;
let sequence = 0;

beforeAll(async () => {
  api = await TestApi.start({ logLines });
  admin = await api.admin();
  user = await api.user();
});

function described(change: Json = {}): Json {
  return {
    name: `Server ${++sequence}`,
    region: `region-${sequence}`,
    endpoint: 'de1.vpn.example.com:51820',
    public_key: generateKeyPair().publicKey,
    subnet: '10.20.0.0/24',
    ...change,
  };
}

const post = (body: unknown, on = api): Promise<Answer> => on.post('/admin/servers', body, admin.token);
const put = (id: number, body: unknown): Promise<Answer> => api.put(`/admin/servers/${id}`, body, admin.token);
const get = (id: number): Promise<Answer> => api.get(`/admin/servers/${id}`, admin.token);
const remove = (id: number): Promise<Answer> => api.delete(`/admin/servers/${id}`, admin.token);
// eslint-disable-next-line @typescript-eslint/no-explicit-any
const added = async (change: Json = {}): Promise<any> => expectOk(await post(described(change)));
const locsOf = ({ body }: Answer): string[] => body.detail.map(({ loc }: { loc: string[] }) => loc.join('.'));
const catalogue = async (): Promise<Json[]> => expectOk(await api.get('/servers?limit=1000'));
const inCatalogue = async (id: number): Promise<Json | undefined> =>
  (await catalogue()).find((server) => server['id'] === id);

/** A device of somebody new; the whole answer. */
async function place(wanted: Json): Promise<Answer> {
  const account = await api.subscriber(admin);
  return api.post('/vpn_peers/self', wanted, account.token);
}

/** So many users with access, for what happens at the same moment. */
async function rush(count: number): Promise<readonly Account[]> {
  const accounts: Account[] = [];
  while (accounts.length < count) accounts.push(await api.subscriber(admin));
  return accounts;
}

const createIn = (region: string, { token }: Account): Promise<Answer> =>
  api.post('/vpn_peers/self', { region }, token);

async function settingsServer(): Promise<number> {
  const [row] = await api.rows<{ id: number }>('SELECT id FROM vpn_servers WHERE from_settings');
  return row!.id;
}

describe('POST /admin/servers', () => {
  it('adds a server, with what it leaves out by default, and fills its pool', async () => {
    const body = described();
    const answer = await post(body);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      id: expect.any(Number),
      ...body,
      status: 'active',
      country: null,
      provider: 'db',
      applies: false,
      adopted: false,
      from_settings: false,
      subnet6: null,
      capacity: null,
      preshared_keys: false,
      dns: ['1.1.1.1'],
      mtu: 1420,
      peers: { pending: 0, active: 0, suspended: 0, removing: 0 },
      max_peers: 253,
      load: 0,
      online: true,
    });
    const [pool] = await api.rows('SELECT count(*)::int FROM vpn_server_addresses WHERE server_id = $1', [
      answer.body.id,
    ]);
    expect(pool).toEqual({ count: 253 });
    expect((await get(answer.body.id)).body).toEqual(answer.body);
  });

  it('takes everything a server can have, and says networks in their canonical form', async () => {
    const full = {
      country: 'DE',
      status: 'draining',
      provider: 'host',
      applies: true,
      endpoint: '[2001:db8::1]:443',
      capacity: 100,
      preshared_keys: true,
      dns: ['9.9.9.9', '2620:fe::fe'],
      mtu: 1280,
    };
    const access = { ...SSH, port: 2222, interface: 'wg1' };
    const body = await added({ ...full, access, subnet: '10.21.5.9/16', subnet6: 'fd00:21:0::5/64' });
    expect(body).toMatchObject({ ...full, subnet: '10.21.0.0/16', subnet6: 'fd00:21::/64', max_peers: 100 });
  });

  it('gives peers the IPv6 address that goes with their IPv4 one', async () => {
    const { region } = await added({ subnet6: 'fd00:22::/112' });
    expect((await place({ region })).body).toMatchObject({ wg_ip: '10.20.0.2/32', wg_ip6: 'fd00:22::2/128' });
  });

  it('makes one server of a repeated request', async () => {
    const headers = { 'idempotency-key': 'server-1' };
    const call = { token: admin.token, body: described(), headers };
    const first = expectOk(await api.call('POST', '/admin/servers', call));
    expect(expectOk(await api.call('POST', '/admin/servers', call))).toEqual(first);
  });

  it('refuses a name that is taken', async () => {
    const { name } = await added();
    expect(await post(described({ name }))).toMatchObject({ status: 409, body: { detail: 'Server already exists' } });
  });

  it.each<[string, Json]>([
    ['name', { name: undefined }],
    ['name', { name: ' ' }],
    ['name', { name: '12' }],
    ['name', { name: 'a\nb' }],
    ['name', { name: 'x'.repeat(65) }],
    ['status', { status: 'unreachable' }],
    ['region', { region: 'EU central' }],
    ['region', { region: 'x'.repeat(33) }],
    ['country', { country: 'de' }],
    ['country', { country: 'DEU' }],
    ['provider', { provider: 'openvpn' }],
    ['endpoint', { endpoint: undefined }],
    ['endpoint', { endpoint: 'vpn.example.com' }],
    ['endpoint', { endpoint: 'vpn.example.com:0' }],
    ['endpoint', { endpoint: 'vpn.example.com:65536' }],
    ['endpoint', { endpoint: 'vpn.example.com:51820\nPostUp = id' }],
    ...['[fd00:::1]:51820', 'a..b:51820', '[1:2:3]:51820', 'vpn-.x:51820', 'vpn.123:51820', 'v_n.x:51820'].map(
      (endpoint): [string, Json] => ['endpoint', { endpoint }],
    ),
    ['public_key', { public_key: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dh=' }],
    ['access.host', { access: { ...SSH, host: 'a..b' } }],
    ['capacity', { capacity: 65_536 }],
    ['dns', { dns: ['2606:4700:4700::1111', '2606:4700:4700::1001'] }],
    ['dns', { dns: ['127.0.0.1'] }],
    ['dns', { dns: ['::ffff:1.1.1.1'] }],
    ['public_key', { public_key: undefined }],
    ['public_key', { public_key: `${'A'.repeat(43)}=` }],
    ['subnet', { subnet: undefined }],
    ['subnet', { subnet: '10.0.0.0/15' }],
    ['subnet', { subnet: '10.0.0.0/31' }],
    ['subnet', { subnet: 'fd00::/64' }],
    ['subnet6', { subnet6: '2001:db8::/64' }],
    ['subnet6', { subnet6: 'fd00::/63' }],
    ['subnet6', { subnet6: 'fd00::/113' }],
    ['subnet6', { subnet6: 'fd00::' }],
    ['capacity', { capacity: 0 }],
    ['capacity', { capacity: 1.5 }],
    ['dns', { dns: ['resolver'] }],
    ['dns', { dns: ['fe80::1%eth0'] }],
    ['dns', { dns: '1.1.1.1' }],
    ['mtu', { mtu: 1279 }],
    ['applies', { provider: 'host', applies: false, access: SSH }],
    ['applies', { applies: 'yes' }],
    ['access', { applies: true }],
    ['access', { provider: 'wg-easy' }],
    ['access', { access: [] }],
    ['access.kind', { access: { host: 'x' } }],
    ['access.kind', { access: { kind: 'telnet' } }],
    ['access.kind', { provider: 'wg-easy', access: SSH }],
    ['access.kind', { access: EASY }],
    ['access.host', { access: { ...SSH, host: undefined } }],
    ['access.host', { access: { ...SSH, host: 'de1.example.com -oProxyCommand=id' } }],
    ['access.port', { access: { ...SSH, port: 70_000 } }],
    ['access.user', { access: { ...SSH, user: '-l root' } }],
    ['access.private_key', { access: { ...SSH, private_key: undefined } }],
    ['access.private_key', { access: { ...SSH, private_key: 'ssh-ed25519 AAAA SECRET-FOUR' } }],
    ['access.fingerprint', { access: { ...SSH, fingerprint: 'MD5:00' } }],
    ['access.interface', { access: { kind: 'local', interface: 'wg0; id' } }],
    ['access.url', { provider: 'wg-easy', access: { ...EASY, url: undefined } }],
    ['access.url', { provider: 'wg-easy', access: { ...EASY, url: 'ftp://easy.example.com' } }],
    ['access.password', { provider: 'wg-easy', access: { kind: 'wg-easy', url: EASY.url } }],
    ['access.api_key', { provider: 'wg-easy', access: { ...EASY, api_key: 'SECRET-FIVE\r\nX: 1' } }],
  ])('names %s as the field at fault in %j', async (field, change) => {
    const answer = await post(described(change));
    expect([answer.status, locsOf(answer)]).toEqual([422, [`body.${field}`]]);
  });

  it('names all fields at fault at once', async () => {
    const access = { kind: 'ssh', host: '-x', user: '-y' };
    const answer = await post(described({ region: 'X', country: 'x1', subnet: 'x', access }));
    expect(locsOf(answer)).toEqual([
      'body.region',
      'body.country',
      'body.access.host',
      'body.access.user',
      'body.access.private_key',
      'body.subnet',
    ]);
  });

  it('asks for the fingerprint of a host in production only', async () => {
    const unproven = { ...SSH, fingerprint: null };
    expect((await post(described({ access: unproven }))).status).toBe(200);
    const production = await TestApi.start({
      environment: {
        NODE_ENV: 'production',
        DATABASE_URL: 'postgresql://a/b',
        BCRYPT_COST: '10',
        WG_SERVER_PUBLIC_KEY: generateKeyPair().publicKey,
        WG_ENDPOINT: 'vpn.example.net:51820',
      },
    });
    const { token } = await production.admin();
    const answer = await production.post('/admin/servers', described({ access: unproven }), token);
    expect([answer.status, locsOf(answer)]).toEqual([422, ['body.access.fingerprint']]);
    expect((await production.post('/admin/servers', described({ access: SSH }), token)).status).toBe(200);
    await production.stop();
  });
});

describe('an address that the service is not to connect to', () => {
  const hosts = ['127.0.0.1', '127.1', '2130706433', '::1', 'localhost', '10.0.0.5', '192.168.1.1', 'fd12::1'];
  const nowhere = ['169.254.169.254', 'fe80::1', '0.0.0.0', '::', '224.0.0.1', '168.63.129.16', 'fd00:ec2::254'];

  it.each([...hosts, ...nowhere])('is refused for SSH and for wg-easy: %s', async (host) => {
    const ssh = await post(described({ access: { ...SSH, host } }));
    expect([ssh.status, locsOf(ssh)]).toEqual([422, ['body.access.host']]);
    const url = `http://${host.includes(':') ? `[${host}]` : host}:51821`;
    const easy = await post(described({ provider: 'wg-easy', access: { ...EASY, url } }));
    expect([easy.status, locsOf(easy)]).toEqual([422, ['body.access.url']]);
  });

  it.each(['https://admin:SECRET-SIX@easy.example.com', 'http://easy.example.com/?next=http://10.0.0.1'])(
    'is refused with more in it than an address: %s',
    async (url) => {
      const answer = await post(described({ provider: 'wg-easy', access: { ...EASY, url } }));
      expect([answer.status, locsOf(answer)]).toEqual([422, ['body.access.url']]);
    },
  );

  it('is refused as well when an existing server is to be reached there', async () => {
    const { id } = await added({ access: SSH });
    const answer = await put(id, { access: { ...SSH, host: '169.254.169.254' } });
    expect([answer.status, locsOf(answer)]).toEqual([422, ['body.access.host']]);
  });

  it('may be private or loopback where the operator allows that, and never link-local or metadata', async () => {
    const open = await TestApi.start({ environment: { ALLOW_PRIVATE_TARGETS: '1' } });
    const { token } = await open.admin();
    const add = async (host: string): Promise<number> =>
      (await open.post('/admin/servers', described({ status: 'disabled', access: { ...SSH, host } }), token)).status;
    for (const host of hosts) expect([host, await add(host)]).toEqual([host, 200]);
    for (const host of nowhere) expect([host, await add(host)]).toEqual([host, 422]);
    await open.stop();
  });
});

describe('what proves who we are', () => {
  it('is sealed in the database, and is in no answer and no line of the log', async () => {
    const { id } = await added({ provider: 'wg-easy', status: 'disabled', access: EASY });
    const answers = [
      await post(described({ access: SSH })),
      await post(described({ access: { ...SSH, host: '127.0.0.1' } })),
      await put(id, { access: { ...EASY, password: 'SECRET-SEVEN' } }),
      await put(id, { access: { ...EASY, url: 'http://admin:SECRET-EIGHT@x' } }),
      await get(id),
      await api.get('/admin/servers', admin.token),
      await api.get(`/admin/servers/${id}/health`, admin.token),
      await api.get('/servers'),
      await api.post(`/admin/servers/${id}/drain`, {}, admin.token),
    ];
    for (const { body } of answers) {
      expect(JSON.stringify(body)).not.toMatch(/SECRET|sealed|easy\.example|de1\.example|gAAAA/);
      expect(JSON.stringify(body)).not.toContain(KEY_PART);
    }
    expect(logLines.join('')).not.toMatch(/SECRET|easy\.example/);
    expect(logLines.join('')).not.toContain(KEY_PART);
    const [row] = await api.rows<{ sealed_access: string }>('SELECT sealed_access FROM vpn_servers WHERE id = $1', [
      id,
    ]);
    expect(row?.sealed_access).toMatch(/^gAAAA/);
    const kept = JSON.stringify(await api.rows('SELECT * FROM idempotency_keys'));
    expect([kept.includes('SECRET'), kept.includes(KEY_PART)]).toEqual([false, false]);
  });
});

describe('the key to log in to a host with', () => {
  const pkcs8 = (encryption: object = {}): string =>
    newPrivateKey('rsa')
      .export({ format: 'pem', type: 'pkcs8', ...encryption })
      .toString();

  it.each<[string, string]>([
    ['PKCS #8, as openssl makes it', pkcs8()],
    ['PKCS #8 with a passphrase', pkcs8({ cipher: 'aes-256-cbc', passphrase: 'x' })],
    ['cut off', PRIVATE_KEY.split('\n').slice(0, 3).join('\n')],
    ['a public key', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN0wMlJyLxPb3Iyp5vvJ8DPgsYNF8xiGXnyIGmvoyUfB'],
  ])(
    'is refused where nobody can log in with it (%s), and the answer says how to convert it (G5)',
    async (_what, key) => {
      const answer = await post(described({ access: { ...SSH, private_key: key } }));
      expect(locsOf(answer)).toEqual(['body.access.private_key']);
      expect(answer.body.detail[0].msg).toContain('ssh-keygen -p -f FILE');
      expect(JSON.stringify(answer.body)).not.toContain(key.split('\n').at(1) ?? key);
    },
  );

  it('is read when the service starts with it in the settings (G5)', async () => {
    const environment = {
      WG_APPLY_ENABLED: '1',
      WG_HOST_SSH: 'wgctl@203.0.113.1',
      WG_HOST_SSH_KEY: pkcs8().replaceAll('\n', String.raw`\n`),
    };
    await expect(TestApi.start({ environment })).rejects.toThrow(
      /WG_HOST_SSH_KEY is not a private key .*ssh-keygen -p/,
    );
  });
});

describe('GET /admin/servers', () => {
  it('lists all servers by id, paged, and counts them', async () => {
    await added();
    const all = await api.get('/admin/servers', admin.token);
    const ids = all.body.map(({ id }: { id: number }) => id);
    expect(ids).toEqual([...ids].sort((left, right) => left - right));
    expect(all.headers.get('x-total-count')).toBe(String(ids.length));
    const page = await api.get('/admin/servers?skip=1&limit=2', admin.token);
    expect(page.body.map(({ id }: { id: number }) => id)).toEqual(ids.slice(1, 3));
    expect(page.headers.get('x-total-count')).toBe(String(ids.length));
  });

  it('counts peers by status, and says how full a server is', async () => {
    const { id, region } = await added({ capacity: 8 });
    const account = await api.subscriber(admin);
    for (let count = 0; count < 2; count++) {
      expectOk(await api.post('/vpn_peers/self', { region }, account.token));
    }
    expectOk(await place({ region }));
    expectOk(await api.put(`/admin/users/${account.id}/status`, { status: 'blocked' }, admin.token));
    expect((await get(id)).body).toMatchObject({
      peers: { pending: 0, active: 1, suspended: 2, removing: 0 },
      max_peers: 8,
      load: 0.38,
    });
  });

  it('is for administrators', async () => {
    expect((await api.get('/admin/servers', user.token)).status).toBe(403);
    expect((await api.get('/admin/servers')).status).toBe(401);
  });
});

describe('a server that does not answer', () => {
  const fail = (id: number, failures: number): Promise<unknown> =>
    api.rows(
      `INSERT INTO vpn_server_health (server_id, next_sweep_at, failures, failure) VALUES ($1, now(), $2, 'timeout')
       ON CONFLICT (server_id) DO UPDATE SET failures = $2, failure = 'timeout'`,
      [id, failures],
    );

  it('is unreachable after five failures in a row, offline in the catalogue, and gets new peers where there is no other: they wait', async () => {
    const { id, region } = await added({ access: SSH });
    await fail(id, 4);
    expect((await get(id)).body).toMatchObject({ status: 'active', online: true });
    await fail(id, 5);
    expect((await get(id)).body).toMatchObject({ status: 'unreachable', online: false });
    api.clock.advance({ seconds: 2 });
    expect(await inCatalogue(id)).toMatchObject({ online: false });
    const { id: other } = await added({ region });
    expect(await place({ region })).toMatchObject({ status: 200, body: { server_id: other } });
    expectOk(await put(other, { status: 'draining' }));
    expect(await place({ region })).toMatchObject({ status: 200, body: { server_id: id, status: 'pending' } });
    expect((await api.get(`/admin/servers/${id}/health`, admin.token)).body).toMatchObject({
      server_id: id,
      status: 'unreachable',
      failures: 5,
      failure: 'timeout',
    });
    expectOk(await put(id, { status: 'disabled' }));
    expect((await get(id)).body).toMatchObject({ status: 'disabled', online: false });
  });

  it('is not held against a server that an operator applies to', async () => {
    const { id, region } = await added({ applies: false, access: SSH });
    await fail(id, 9);
    expect((await get(id)).body).toMatchObject({ status: 'active', online: true });
    expect((await place({ region })).status).toBe(200);
  });
});

describe('GET /admin/servers/{id}/health', () => {
  it('says that nothing is known before the first sweep, and what the last one found', async () => {
    const { id } = await added();
    const path = `/admin/servers/${id}/health`;
    expect((await api.get(path, admin.token)).body).toEqual({
      server_id: id,
      status: 'active',
      adopted: false,
      swept_at: null,
      failures: 0,
      failure: null,
      live_peers: 0,
      strangers: 0,
      held_removals: null,
    });
    await api.rows(
      `INSERT INTO vpn_server_health (server_id, next_sweep_at, swept_at, live_peers, strangers, held_removals)
       VALUES ($1, now(), '2026-11-22T10:00:00Z', 12, 3, 7)`,
      [id],
    );
    expect((await api.get(path, admin.token)).body).toMatchObject({
      swept_at: '2026-11-22T10:00:00.000Z',
      live_peers: 12,
      strangers: 3,
      held_removals: 7,
    });
    expect((await api.get('/admin/servers/999999/health', admin.token)).status).toBe(404);
  });
});

describe('PUT /admin/servers/{id}', () => {
  it('changes what is given, and leaves what is left out or null', async () => {
    const before = await added({ country: 'DE', capacity: 5 });
    const change = { name: `${before.name} b`, region: 'eu-west', dns: ['8.8.8.8'], mtu: 1400 };
    const { body } = await put(before.id, { ...change, endpoint: null, subnet: null, access: null, unknown: 1 });
    expect(body).toEqual({ ...before, ...change });
    expect((await put(before.id, {})).body).toEqual(body);
    expect((await get(before.id)).body).toEqual(body);
  });

  it('takes a country, an IPv6 subnet and a capacity away where `clear` names them, and only then (I2)', async () => {
    const before = await added({ country: 'DE', capacity: 5, subnet6: 'fd00:5::/64' });
    expect((await put(before.id, { mtu: 1400 })).body).toMatchObject({ country: 'DE', capacity: 5 });
    const none = { country: null, capacity: null, subnet6: null };
    expect((await put(before.id, { ...none, dns: [], clear: [] })).body).toEqual({ ...before, mtu: 1400 });
    expect((await put(before.id, { clear: Object.keys(none) })).body).toEqual({
      ...before,
      ...none,
      mtu: 1400,
      max_peers: 253,
    });
  });

  it.each([
    [{ clear: ['endpoint'] }, 'clear'],
    [{ clear: 'country' }, 'clear'],
    [{ clear: [null] }, 'clear'],
    [{ clear: ['country'], country: 'FR' }, 'country'],
  ])('refuses to clear what cannot be, or is given as well: %j (I2)', async (change, field) => {
    const { id } = await added({ country: 'DE' });
    expect(await put(id, change)).toMatchObject({ status: 422, body: { detail: [{ loc: ['body', field] }] } });
    expect((await get(id)).body.country).toBe('DE');
  });

  it('keeps the IPv6 subnet while a device has an address of it', async () => {
    const { id, region } = await added({ subnet6: 'fd00:6::/64' });
    const account = await api.subscriber(admin);
    const { body } = await api.post('/vpn_peers/self', { region }, account.token);
    expect(body.wg_ip6).not.toBeNull();
    expect(await put(id, { clear: ['subnet6'] })).toMatchObject({ status: 409, body: { code: 'server_in_use' } });
    expectOk(await put(id, { clear: ['capacity', 'country'] }));
    expectOk(await api.delete(`/vpn_peers/${body.id}`, account.token));
    expect((await put(id, { clear: ['subnet6'] })).body.subnet6).toBeNull();
  });

  it('moves an empty server into another subnet, and its pool with it', async () => {
    const { id, region } = await added();
    expect((await put(id, { subnet: '10.99.0.0/29' })).body).toMatchObject({ subnet: '10.99.0.0/29', max_peers: 5 });
    expect((await place({ region })).body.wg_ip).toBe('10.99.0.2/32');
  });

  it('keeps the subnets and the kind of provider of a server that has peers, and changes all else', async () => {
    const { id, region, subnet } = await added({ access: SSH, applies: false });
    expectOk(await place({ region }));
    for (const change of [
      { subnet: '10.99.0.0/24' },
      { subnet6: 'fd00:99::/64' },
      { provider: 'wg-easy', applies: true, access: EASY },
    ]) {
      expect(await put(id, change)).toMatchObject({ status: 409, body: { code: 'server_in_use' } });
    }
    const { publicKey } = generateKeyPair();
    const allowed = { subnet, endpoint: '203.0.113.5:443', public_key: publicKey, capacity: 9, provider: 'host' };
    expect((await put(id, { ...allowed, applies: true })).body).toMatchObject(allowed);
  });

  it('refuses what does not fit the rest', async () => {
    const { id } = await added();
    expect(locsOf(await put(id, { applies: true }))).toEqual(['body.access']);
    expect(locsOf(await put(id, { provider: 'host' }))).toEqual(['body.applies']);
    expect(locsOf(await put(id, { provider: 'host', applies: true, access: EASY }))).toEqual(['body.access.kind']);
    expect(locsOf(await put(id, { mtu: 1, status: 'gone' }))).toEqual(['body.status', 'body.mtu']);
    expect((await put(id, { access: { kind: 'local' }, applies: true })).body.applies).toBe(true);
  });

  it('starts to observe again when a server is reached in another place', async () => {
    const { id } = await added({ access: SSH });
    await api.app.get(Servers).adopt(id);
    expect((await put(id, { access: { ...SSH, user: 'other' } })).body.adopted).toBe(true);
    expect((await put(id, { access: { ...SSH, host: 'de2.example.com' } })).body.adopted).toBe(false);
  });

  it('has the host make the keys of new peers from the change of its provider on', async () => {
    const { id } = await added({ access: { kind: 'local' } });
    const chooses = async (): Promise<string | undefined> =>
      (await api.app.get(Providers).of(await api.app.get(Servers).get(id)))?.chooses;
    expect(await chooses()).toBe('nothing');
    expectOk(await put(id, { provider: 'host' }));
    expect(await chooses()).toBe('keys');
  });

  it('refuses a taken name and an unknown server', async () => {
    const [{ name }, { id }] = [await added(), await added()];
    expect((await put(id, { name })).body.code).toBe('server_already_exists');
    expect(await put(999_999, { name: 'x' })).toMatchObject({ status: 404, body: { detail: 'Server not found' } });
  });
});

describe('the server of the WG_* settings', () => {
  it('may be named, placed, limited, drained and switched off, and that outlives a start', async () => {
    const own = await TestApi.start();
    const { token } = await own.admin();
    const [{ id }] = expectOk(await own.get('/admin/servers', token));
    const change = { name: 'Home', region: 'eu', country: 'DE', capacity: 10, status: 'disabled' };
    expectOk(await own.put(`/admin/servers/${id}`, change, token));
    const again = await TestApi.start({ databaseUrl: () => own.database.url });
    expect((await again.get(`/admin/servers/${id}`, token)).body).toMatchObject({ ...change, from_settings: true });
    await again.stop();
    await own.stop();
  });

  it.each<[string, Json]>([
    ['endpoint', { endpoint: 'other.example.com:1' }],
    ['key', { public_key: generateKeyPair().publicKey }],
    ['subnet', { subnet: '10.30.0.0/24' }],
    ['resolvers', { dns: ['8.8.8.8'] }],
    ['MTU', { mtu: 1300 }],
    ['provider', { provider: 'host', access: SSH, applies: true }],
    ['access', { access: SSH }],
    ['preshared keys', { preshared_keys: true }],
  ])('does not take another %s: the next start would undo it', async (_what, change) => {
    const id = await settingsServer();
    const before = (await get(id)).body;
    expect(await put(id, { ...change, region: 'lost' })).toMatchObject({
      status: 409,
      body: { code: 'server_from_settings' },
    });
    expect((await get(id)).body).toEqual(before);
  });

  it('takes back what it said itself', async () => {
    const id = await settingsServer();
    const { body } = await get(id);
    expect((await put(id, body)).body).toEqual(body);
  });

  it('is not deleted', async () => {
    expect(await remove(await settingsServer())).toMatchObject({ status: 409, body: { code: 'server_from_settings' } });
  });
});

describe('DELETE /admin/servers/{id}', () => {
  it('deletes a server that nothing is on, and its pool', async () => {
    const { id } = await added();
    expect(await remove(id)).toMatchObject({ status: 200, body: { msg: 'deleted' } });
    expect((await get(id)).status).toBe(404);
    expect((await remove(id)).status).toBe(404);
    expect(await api.rows('SELECT 1 FROM vpn_server_addresses WHERE server_id = $1', [id])).toEqual([]);
  });

  it('keeps one that has peers, suspended ones too', async () => {
    const { id, region } = await added();
    const account = await api.subscriber(admin);
    const peer = expectOk(await api.post('/vpn_peers/self', { region }, account.token));
    expectOk(await api.put(`/admin/users/${account.id}/status`, { status: 'blocked' }, admin.token));
    expect(await remove(id)).toMatchObject({ status: 409, body: { detail: 'Server still has peers' } });
    expectOk(await api.delete(`/vpn_peers/${peer.id}`, admin.token));
    expect((await remove(id)).status).toBe(200);
  });

  it('keeps one that a key has yet to leave, unless nobody here takes it off any more', async () => {
    const { id } = await added({ access: SSH });
    await api.rows('INSERT INTO vpn_peer_leftovers (server_id, public_key, created_at) VALUES ($1, $2, now())', [
      id,
      generateKeyPair().publicKey,
    ]);
    expect((await remove(id)).body.code).toBe('server_in_use');
    expectOk(await put(id, { applies: false }));
    expect((await remove(id)).status).toBe(200);
  });
});

describe('GET /servers', () => {
  it('is public, tells what the app shows and no more, and counts', async () => {
    const { id, name, region } = await added({ country: 'FR', capacity: 3 });
    expectOk(await place({ region }));
    api.clock.advance({ seconds: 2 });
    expect(await inCatalogue(id)).toEqual({ id, name, region, country: 'FR', load: 0.33, online: true });
    const { body, headers } = await api.get('/servers/?skip=1&limit=1');
    expect(body).toHaveLength(1);
    expect(Number(headers.get('x-total-count'))).toBe((await catalogue()).length);
    expect((await api.get('/servers?limit=0')).status).toBe(422);
  });

  it('shows a change at once, and no server that is drained or disabled', async () => {
    const { id } = await added();
    expect(await inCatalogue(id)).toBeDefined();
    expectOk(await put(id, { country: 'NL' }));
    expect(await inCatalogue(id)).toMatchObject({ country: 'NL' });
    for (const status of ['draining', 'disabled']) {
      expectOk(await put(id, { status }));
      expect(await inCatalogue(id)).toBeUndefined();
      expectOk(await put(id, { status: 'active' }));
      expect(await inCatalogue(id)).toBeDefined();
    }
  });

  it('looks at the database once a second', async () => {
    const { id } = await added();
    await catalogue();
    await api.rows(`UPDATE vpn_servers SET country = 'IT' WHERE id = $1`, [id]);
    expect(await inCatalogue(id)).toMatchObject({ country: null });
    api.clock.advance({ seconds: 1 });
    expect(await inCatalogue(id)).toMatchObject({ country: 'IT' });
  });
});

describe('a new device', () => {
  it('goes to the least full server of its region, by what each can hold', async () => {
    const region = 'balanced';
    const small = await added({ region, capacity: 2 });
    const large = await added({ region, capacity: 200 });
    const placed = [];
    for (let count = 0; count < 4; count++) placed.push((await place({ region })).body.server_id);
    expect(placed).toEqual([small.id, large.id, large.id, large.id]);
  });

  it('goes to no full server, whatever its addresses, and to no server of another region', async () => {
    const region = 'narrow';
    const { id } = await added({ region, capacity: 1 });
    expect((await place({ region })).body.server_id).toBe(id);
    expect(await place({ region })).toMatchObject({ status: 503, body: { code: 'no_server_available' } });
    expect(await place({ server_id: id })).toMatchObject({ status: 503, body: { code: 'no_server_available' } });
    expect(await place({ region: 'nowhere' })).toMatchObject({ status: 422 });
  });

  it('goes to no server beyond its capacity, however many come at the same moment', async () => {
    const region = 'rush';
    const { id } = await added({ region, capacity: 7 });
    const answers = await Promise.all((await rush(20)).map((account) => createIn(region, account)));
    const placed = answers.filter(({ status }) => status === 200);
    expect(placed).toHaveLength(7);
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.map(({ status, body }) => `${status} ${body.code}`)).toEqual(
      Array.from({ length: 13 }, () => '503 no_server_available'),
    );
    expect((await get(id)).body.peers.active).toBe(7);
  });

  it('goes to another server of its region when others have filled the first meanwhile', async () => {
    const region = 'overflow';
    const servers = [await added({ region, capacity: 8 }), await added({ region, capacity: 12 })];
    const answers = await Promise.all((await rush(20)).map((account) => createIn(region, account)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    const held = await Promise.all(servers.map(async ({ id }) => (await get(id)).body.peers.active));
    expect(held).toEqual([8, 12]);
  });

  it('that is moved there does not go beyond the capacity either', async () => {
    const [from, to] = [await added({ region: 'leaving' }), await added({ region: 'arriving', capacity: 3 })];
    const accounts = await rush(8);
    const peers = await Promise.all(accounts.map((account) => createIn(from.region, account)));
    const moves = await Promise.all(
      peers.map(({ body }, index) =>
        api.post(`/vpn_peers/${body.id}/move`, { server_id: to.id }, accounts[index]?.token),
      ),
    );
    expect(moves.filter(({ status }) => status === 200)).toHaveLength(3);
    expect((await get(to.id)).body.peers.active).toBe(3);
    expect((await get(from.id)).body.peers.active).toBe(5);
  });

  it('prefers a server with addresses to one that has capacity on paper only', async () => {
    const region = 'paper';
    const paper = await added({ region, subnet: '10.20.0.0/30', capacity: 1000 });
    expect((await place({ region })).body.server_id).toBe(paper.id);
    const real = await added({ region, capacity: 2 });
    expect((await place({ region })).body.server_id).toBe(real.id);
    expect((await place({ region })).body.server_id).toBe(real.id);
  });

  it('goes to no draining server, whose own devices stay and are served', async () => {
    const { id, region } = await added();
    const account = await api.subscriber(admin);
    expectOk(await api.post('/vpn_peers/self', { region }, account.token));
    expect((await api.post(`/admin/servers/${id}/drain`, undefined, admin.token)).body).toMatchObject({
      id,
      status: 'draining',
      peers: { active: 1 },
    });
    expect((await place({ region })).body.code).toBe('no_server_available');
    expect(expectOk(await api.get('/vpn_peers/self/config', account.token)).wg_quick).toContain('[Peer]');
    expect((await api.post('/admin/servers/999999/drain', {}, admin.token)).status).toBe(404);
  });
});

describe('a look from end to end', () => {
  let easy: FakeWgEasy;
  beforeAll(async () => {
    easy = await FakeWgEasy.start('15.4.0');
  });
  afterAll(() => easy.close());

  it('finds a well server well, and says what is wrong with others', async () => {
    const open = await TestApi.start({ environment: { ALLOW_PRIVATE_TARGETS: '1', WG_ENDPOINT: 'localhost:51820' } });
    const { token } = await open.admin();
    const access = { kind: 'wg-easy', url: easy.url, username: easy.username, password: easy.password };
    const add = async (change: Json): Promise<number> =>
      expectOk(await open.post('/admin/servers', described({ provider: 'wg-easy', access, ...change }), token)).id;
    const examine = async (id: number): Promise<string[]> => {
      const findings = await open.app.get(Diagnosis).examine(await open.app.get(Servers).get(id));
      return findings.map(({ about, isWell, says }) => `${isWell ? 'ok' : 'problem'} ${about} ${says}`);
    };
    const id = await add({ public_key: easy.serverKey });
    expect(await examine(id)).toEqual([
      'ok settings make sense',
      'ok connection answers, with 0 peers',
      'ok public key is the one that devices are given',
      'ok addresses 0 of 253 taken (wg-easy has a pool of its own)',
    ]);
    const own = easy.add('vpn-1-abc');
    expect(await examine(id)).toHaveLength(4);
    const [row] = await open.rows<{ prefix: string }>('SELECT client_prefix AS prefix FROM vpn_servers WHERE id = $1', [
      id,
    ]);
    Object.assign(own, { name: `vpn-${row!.prefix}-1-0123456789abcdef` });
    expect(await examine(id)).toContainEqual(
      expect.stringMatching(/^problem settings the server's own configs have the endpoint vpn\.example\.com:51820/),
    );
    expect(await examine(await add({}))).toContainEqual(
      expect.stringContaining(`problem public key is ${easy.serverKey}, but`),
    );
    const refused = await add({ access: { ...access, password: 'SECRET-NINE-IS-LONG' } });
    expect(await examine(refused)).toContain('problem connection server_refused (authentication)');
    const elsewhere = await add({ access: { ...access, url: 'http://127.0.0.1:1' } });
    expect(await examine(elsewhere)).toContainEqual(
      expect.stringMatching(/^problem connection server_unavailable \(network\): connect ECONNREFUSED/),
    );
    const [{ id: first }] = expectOk(await open.get('/admin/servers', token));
    expect(await examine(first)).toEqual([
      'problem settings no device reaches the endpoint localhost:51820',
      'ok connection none: an operator applies the export',
      'ok addresses 0 of 1021 taken',
    ]);
    await open.rows(`UPDATE vpn_servers SET endpoint = '[1:2:3]:51820', dns = '{2606:4700:4700::1111}' WHERE id = $1`, [
      first,
    ]);
    expect((await examine(first))[0]).toBe(
      'problem settings the endpoint is not host:port as every client reads it; devices have no IPv6, and all resolvers are IPv6: they get none',
    );
    await open.stop();
  });
});
