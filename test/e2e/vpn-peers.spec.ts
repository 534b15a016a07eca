import { beforeAll, describe, expect, it } from '@jest/globals';
import jsqr from 'jsqr';
import { PNG } from 'pngjs';
import { publicKeyOf, generateKeyPair } from '#wireguard';
import { ServerExport } from '#peers';
import { type Account, expectOk, TestApi } from '../support/api.js';

let api: TestApi;
let admin: Account;
let user: Account;

beforeAll(async () => {
  api = await TestApi.start({ environment: { WG_ENDPOINT: 'vpn.example.com:51820', WG_DNS: '1.1.1.1,8.8.8.8' } });
  admin = await api.admin();
  user = await api.subscriber(admin);
});

const add = (body: object = {}, account = user): ReturnType<TestApi['post']> =>
  api.post('/vpn_peers/self', body, account.token);
const added = async (
  body: object = {},
  account = user,
): Promise<{ id: number; wg_ip: string; wg_private_key: string }> => expectOk(await add(body, account));
const configOf = async (account = user): Promise<string> =>
  expectOk(await api.get('/vpn_peers/self/config', account.token)).wg_quick;

describe('POST /vpn_peers/self', () => {
  it('adds a device with a key pair of ours, whose private half is shown this one time', async () => {
    const { status, body } = await add({ device_name: "Ann's phone" });
    expect(status).toBe(200);
    expect(body).toEqual({
      id: expect.any(Number),
      user_id: user.id,
      server_id: expect.any(Number),
      device_name: "Ann's phone",
      wg_public_key: publicKeyOf(body.wg_private_key),
      wg_private_key: expect.stringMatching(/^.{43}=$/),
      wg_ip: expect.stringMatching(/^10\.8\.\d+\.\d+\/32$/),
      wg_ip6: null,
      allowed_ips: '0.0.0.0/0, ::/0',
      active: true,
      status: 'active',
      suspended_reason: null,
      last_handshake_at: null,
      rx_bytes: 0,
      tx_bytes: 0,
      created_at: expect.stringMatching(/Z$/),
    });
    expect((await api.get(`/vpn_peers/${body.id}`, user.token)).body).toEqual({ ...body, wg_private_key: null });
    const [row] = await api.rows<{ wg_private_key: string }>('SELECT wg_private_key FROM vpn_peers WHERE id = $1', [
      body.id,
    ]);
    expect(row?.wg_private_key).toMatch(/^gAAAA/);
    expect(JSON.stringify(row)).not.toContain(body.wg_private_key);
  });

  it("takes the device's own key, and then holds no private key at all", async () => {
    const { publicKey } = generateKeyPair();
    const { body } = await add({ wg_public_key: publicKey });
    expect(body).toMatchObject({ wg_public_key: publicKey, wg_private_key: null });
    const [row] = await api.rows('SELECT wg_private_key FROM vpn_peers WHERE id = $1', [body.id]);
    expect(row).toEqual({ wg_private_key: null });
    expect(await configOf()).toMatch(/^# PrivateKey = .*device/m);
  });

  it("takes the same key of the same user for the same device, and refuses another's", async () => {
    const { publicKey } = generateKeyPair();
    const first = await added({ wg_public_key: publicKey });
    expect((await added({ wg_public_key: publicKey })).id).toBe(first.id);
    expect(await add({ wg_public_key: publicKey }, await api.subscriber(admin))).toMatchObject({
      status: 409,
      body: { detail: 'public_key_taken' },
    });
  });

  it('ignores an address from a user, and heeds it from an administrator', async () => {
    expect((await added({ wg_ip: '10.8.3.77/32' })).wg_ip).not.toBe('10.8.3.77/32');
    const body = { user_id: user.id, wg_ip: '10.8.3.77/32' };
    expect((await api.post('/vpn_peers/', body, admin.token)).body.wg_ip).toBe('10.8.3.77/32');
    expect(await api.post('/vpn_peers/', body, admin.token)).toMatchObject({
      status: 409,
      body: { detail: 'address_taken' },
    });
    expect((await api.post('/vpn_peers/', { ...body, wg_ip: '10.8.0.1' }, admin.token)).body.detail[0].loc).toEqual([
      'body',
      'wg_ip',
    ]);
  });

  it('routes what the device asks for', async () => {
    const { allowed_ips } = expectOk(await add({ allowed_ips: '10.0.0.5/8,192.168.0.0/16' }));
    expect(allowed_ips).toBe('10.0.0.0/8, 192.168.0.0/16');
    expect(await configOf()).toContain('AllowedIPs = 10.0.0.0/8, 192.168.0.0/16\n');
  });

  it('refuses who has no subscription, whose is over, or who asks for a server there is not', async () => {
    const refusal = { status: 403, body: { detail: 'no_active_subscription' } };
    expect(await add({}, await api.user())).toMatchObject(refusal);
    const short = await api.subscriber(admin, { duration_days: 1 });
    await api.rows(`UPDATE user_tariffs SET access_until = $2 WHERE user_id = $1`, [short.id, api.clock.now()]);
    expect(await add({}, short)).toMatchObject(refusal);
    expect(await add({ server_id: 999 })).toMatchObject({
      status: 422,
      body: { detail: [{ loc: ['body', 'server_id'] }] },
    });
    await api.rows(`UPDATE vpn_servers SET status = 'draining'`);
    expect(await add()).toMatchObject({ status: 503, body: { detail: 'no_server_available' } });
    await api.rows(`UPDATE vpn_servers SET status = 'active'`);
  });

  it.each([
    { wg_public_key: 'nope' },
    { wg_public_key: `${'A'.repeat(43)}=` },
    { allowed_ips: '0.0.0.0/0\nPostUp = id' },
    { allowed_ips: '' },
    { wg_ip: '10.8.0.7/24' },
    { device_name: 'x'.repeat(65) },
    { server_id: 'one' },
  ])('refuses %j', async (body) => {
    expect((await add(body)).status).toBe(422);
  });

  it('holds the device limit, exactly, against fifty at once', async () => {
    const limited = await api.subscriber(admin, { device_limit: 5 });
    const answers = await Promise.all(Array.from({ length: 50 }, () => add({}, limited)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
    const refused = answers.filter(({ status }) => status === 409);
    expect(refused).toHaveLength(45);
    expect(refused[0]?.body).toMatchObject({ detail: 'device_limit_reached', message: expect.stringContaining('5') });
    const [first] = (await api.get('/vpn_peers/', limited.token)).body;
    expectOk(await api.delete(`/vpn_peers/${first.id}`, limited.token));
    expect((await add({}, limited)).status).toBe(200);
  });

  it('counts suspended devices against the limit of a user who comes back', async () => {
    const limited = await api.subscriber(admin, { device_limit: 1 });
    await added({}, limited);
    await api.rows(`UPDATE vpn_peers SET status = 'suspended' WHERE user_id = $1`, [limited.id]);
    expect((await add({}, limited)).body.detail).toBe('device_limit_reached');
  });

  it('gives 200 users 200 addresses at once', async () => {
    const tariffId = await api.tariff(admin);
    await api.rows(
      `WITH made AS (INSERT INTO users (email, status, created_at)
         SELECT 'crowd-' || n || '@example.com', 'active', now() FROM generate_series(1, 200) n RETURNING id)
       INSERT INTO user_tariffs (user_id, tariff_id, started_at, state, source) SELECT id, $1, '2026-01-01', 'active', 'admin' FROM made`,
      [tariffId],
    );
    const users = await api.rows<{ id: number }>(`SELECT id FROM users WHERE email LIKE 'crowd-%'`);
    const answers = await Promise.all(users.map(({ id }) => api.post('/vpn_peers/', { user_id: id }, admin.token)));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(200).fill(200));
    expect(new Set(answers.map(({ body }) => body.wg_ip)).size).toBe(200);
  });
});

describe('POST /vpn_peers/', () => {
  it('adds a device for oneself, or for anybody when an administrator does it', async () => {
    expect((await api.post('/vpn_peers/', { user_id: user.id }, user.token)).status).toBe(200);
    expect((await api.post('/vpn_peers/', { user_id: user.id }, admin.token)).body.user_id).toBe(user.id);
    expect(await api.post('/vpn_peers/', { user_id: user.id }, (await api.subscriber(admin)).token)).toMatchObject({
      status: 403,
      body: { detail: 'Not allowed' },
    });
  });

  it('needs the subscription of whoever it is for, and him to be active', async () => {
    const without = await api.user();
    expect(await api.post('/vpn_peers/', { user_id: without.id }, admin.token)).toMatchObject({
      status: 403,
      body: { detail: 'no_active_subscription' },
    });
    const blocked = await api.subscriber(admin);
    expectOk(await api.put(`/admin/users/${blocked.id}/status`, { status: 'blocked' }, admin.token));
    expect(await api.post('/vpn_peers/', { user_id: blocked.id }, admin.token)).toMatchObject({
      status: 403,
      body: { detail: 'User not active' },
    });
    expect((await api.post('/vpn_peers/', { user_id: 999_999 }, admin.token)).body.detail).toBe('User not found');
    expect((await api.post('/vpn_peers/', {}, admin.token)).body.detail[0].loc).toEqual(['body', 'user_id']);
  });
});

describe('GET /vpn_peers/self/config', () => {
  it('is what wg-quick takes, for the newest device', async () => {
    const owner = await api.subscriber(admin);
    await added({}, owner);
    const newest = await added({}, owner);
    const [server] = await api.rows<{ public_key: string }>('SELECT public_key FROM vpn_servers');
    expect(await configOf(owner)).toBe(`[Interface]
PrivateKey = ${newest.wg_private_key}
Address = ${newest.wg_ip}
DNS = 1.1.1.1, 8.8.8.8
MTU = 1420

[Peer]
PublicKey = ${server!.public_key}
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = vpn.example.com:51820
PersistentKeepalive = 25
`);
  });

  it('is refused without a subscription, and without a device', async () => {
    expect(await api.get('/vpn_peers/self/config', (await api.user()).token)).toMatchObject({
      status: 403,
      body: { detail: 'no_active_subscription' },
    });
    expect(await api.get('/vpn_peers/self/config', (await api.subscriber(admin)).token)).toMatchObject({
      status: 404,
      body: { detail: 'No peer found for user' },
    });
  });

  it("never shows another peer's key, even if rows were mixed up by hand", async () => {
    const logLines: string[] = [];
    const own = await TestApi.start({ logLines });
    const root = await own.admin();
    const [ann, bob] = [await own.subscriber(root), await own.subscriber(root)];
    const theirs = expectOk(await own.post('/vpn_peers/self', {}, bob.token));
    expectOk(await own.post('/vpn_peers/self', {}, ann.token));
    await own.rows(
      `UPDATE vpn_peers a SET wg_private_key = b.wg_private_key FROM vpn_peers b WHERE a.user_id = $1 AND b.user_id = $2`,
      [ann.id, bob.id],
    );
    const answer = await own.get('/vpn_peers/self/config', ann.token);
    expect(answer).toMatchObject({ status: 500, body: { detail: 'Internal server error' } });
    expect(JSON.stringify(answer.body)).not.toContain(theirs.wg_private_key);
    expect(logLines.join('')).toContain('is not the half of its public key');
    expect(logLines.join('')).not.toContain(theirs.wg_private_key);
    await own.stop();
  });
});

describe('GET /vpn_peers/{id}/config', () => {
  const configById = (id: number, account = user): ReturnType<TestApi['get']> =>
    api.get(`/vpn_peers/${id}/config`, account.token);

  it('is the config of that device, for its owner and for an administrator', async () => {
    const owner = await api.subscriber(admin);
    const [first, newest] = [await added({}, owner), await added({}, owner)];
    const { wg_quick } = expectOk(await configById(first.id, owner));
    expect(wg_quick).toContain(`PrivateKey = ${first.wg_private_key}\n`);
    expect(expectOk(await configById(first.id, admin))).toEqual({ wg_quick });
    expect(expectOk(await configById(newest.id, owner)).wg_quick).toBe(await configOf(owner));
  });

  it('is refused to strangers, without a subscription, and while the device is not wanted', async () => {
    const owner = await api.subscriber(admin);
    const { id } = await added({}, owner);
    expect(await configById(id)).toMatchObject({ status: 403, body: { detail: 'Not allowed' } });
    expect(await configById(999_999)).toMatchObject({ status: 404, body: { detail: 'Peer not found' } });
    expectOk(await api.put(`/admin/users/${owner.id}/status`, { status: 'blocked' }, admin.token));
    expect(await configById(id, admin)).toMatchObject({ status: 404, body: { detail: 'Peer not found' } });
    await api.rows('UPDATE user_tariffs SET access_until = $2 WHERE user_id = $1', [owner.id, api.clock.now()]);
    expect(await configById(id, admin)).toMatchObject({ status: 403, body: { detail: 'no_active_subscription' } });
  });
});

/** The networks that cover all of IPv4 but these, as the app's calculators make them. */
function allBut(excluded: readonly string[]): readonly string[] {
  const parse = (cidr: string): readonly [number, number] => {
    const [address = '', prefix = ''] = cidr.split('/');
    return [address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0), Number(prefix)];
  };
  const holes = excluded.map(parse);
  const text = (first: number): string => [24, 16, 8, 0].map((bits) => Math.floor(first / 2 ** bits) % 256).join('.');
  const cover = (first: number, prefix: number): string[] => {
    const size = 2 ** (32 - prefix);
    const within = holes.filter(([hole, bits]) => hole < first + size && hole + 2 ** (32 - bits) > first);
    if (within.length === 0) return [`${text(first)}/${prefix}`];
    if (within.some(([hole, bits]) => bits <= prefix && hole <= first)) return [];
    return [...cover(first, prefix + 1), ...cover(first + size / 2, prefix + 1)];
  };
  return cover(0, 0);
}

describe('the networks that a device asks for', () => {
  it.each(['::ffff:10.0.0.0/104', '::ffff:1.2.3.4', '0.0.0.0/0, ::ffff:0:0/96'])(
    'are refused where they hold IPv4 inside IPv6: %s (G6)',
    async (allowed_ips) => {
      const answer = await add({ allowed_ips });
      expect(answer).toMatchObject({ status: 422, body: { detail: [{ loc: ['body', 'allowed_ips'] }] } });
    },
  );

  it('are 256 at most, and an answer says so (C4)', async () => {
    const allowed_ips = Array.from({ length: 257 }, (_, n) => `10.${n >> 8}.${n & 255}.0/24`).join(',');
    const { body } = await add({ allowed_ips });
    expect(body.detail[0].msg).toContain('at most 256 networks');
  });

  it('decide which resolvers it is told, besides the addresses it has (C5, G7)', async () => {
    const own = await TestApi.start({ environment: { WG_DNS: '1.1.1.1,10.8.0.1,2606:4700:4700::1111' } });
    const boss = await own.admin();
    const owner = await own.subscriber(boss);
    const config = async (body: object): Promise<string> => {
      const { id } = expectOk(await own.post('/vpn_peers/self', body, owner.token));
      return expectOk(await own.get(`/vpn_peers/${id}/config`, owner.token)).wg_quick;
    };
    expect(await config({})).toContain('\nDNS = 1.1.1.1, 10.8.0.1\n');
    expect(await config({ allowed_ips: '10.0.0.0/8' })).toContain('\nDNS = 10.8.0.1\n');
    expect(await config({ allowed_ips: '192.168.0.0/16' })).not.toContain('DNS');
    const [{ id }] = expectOk(await own.get('/admin/servers', boss.token));
    await own.rows(`UPDATE vpn_servers SET subnet6 = 'fd00:8::/64' WHERE id = $1`, [id]);
    expect(await config({})).toContain('\nDNS = 1.1.1.1, 10.8.0.1, 2606:4700:4700::1111\n');
    await own.stop();
  });
});

describe('GET /vpn_peers/{id}/qr', () => {
  const qrOf = (id: number, accept?: string, token = user.token): Promise<Response> =>
    fetch(`${api.url}/vpn_peers/${id}/qr`, {
      headers: { authorization: `Bearer ${token}`, ...(accept === undefined ? {} : { accept }) },
    });

  it('scans as the very config of the device', async () => {
    const { id } = await added();
    const answer = await qrOf(id);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('image/png');
    expect([answer.headers.get('cache-control'), answer.headers.get('vary')]).toEqual(['no-store', 'Accept']);
    const { data, width, height } = PNG.sync.read(Buffer.from(await answer.arrayBuffer()));
    const scanned = jsqr.default(new Uint8ClampedArray(data), width, height)?.data;
    expect(scanned).toBe(await configOf());
    expect(scanned).toContain('PrivateKey = ');
  });

  it.each([
    ['image/svg+xml', 'image/svg+xml'],
    ['image/svg+xml, image/png;q=0.5', 'image/svg+xml'],
    ['image/png;q=0.1, image/*', 'image/svg+xml'],
    ['*/*', 'image/png'],
    ['image/png', 'image/png'],
    ['image/png, image/svg+xml;q=0.9', 'image/png'],
    ['image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8', 'image/png'],
    ['application/json', 'image/png'],
    ['image/svg+xml;q=nonsense', 'image/png'],
  ])('for Accept %p is %s', async (accept, type) => {
    const { id } = await added();
    const answer = await qrOf(id, accept);
    expect(answer.headers.get('content-type')?.split(';')[0]).toBe(type);
    const text = await answer.text();
    expect(type === 'image/png' ? text.slice(1, 4) : text.slice(0, 4)).toBe(type === 'image/png' ? 'PNG' : '<svg');
  });

  it('is refused, as JSON, where only the device has the private key', async () => {
    const { id } = await added({ wg_public_key: generateKeyPair().publicKey });
    const answer = await qrOf(id, 'image/svg+xml');
    expect(answer.status).toBe(409);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(await answer.json()).toMatchObject({ detail: 'private_key_not_held', code: 'private_key_not_held' });
  });

  it('is refused where the config does not fit into one', async () => {
    const longest = (n: number): string => `2001:1db8:1234:5678:9abc:def1:2345:${(0x1000 + n).toString(16)}/128`;
    const networks = Array.from({ length: 64 }, (_, n) => longest(n)).join(', ');
    const { id } = await added({ allowed_ips: networks });
    const answer = await qrOf(id);
    expect([answer.status, await answer.json()]).toEqual([
      409,
      expect.objectContaining({ code: 'config_too_long_for_qr' }),
    ]);
    const many = Array.from({ length: 64 }, (_, n) => `203.0.113.${n}/32`).join(', ');
    expect((await qrOf((await added({ allowed_ips: many })).id)).status).toBe(200);
  });

  it('holds everything but private networks, what is reserved, and a server (C4)', async () => {
    const networks = allBut([
      '0.0.0.0/8',
      '10.0.0.0/8',
      '100.64.0.0/10',
      '127.0.0.0/8',
      '169.254.0.0/16',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '203.0.113.77/32',
      '198.51.100.200/32',
      '93.184.216.34/32',
      '45.33.32.156/32',
      '151.101.1.140/32',
      '224.0.0.0/3',
    ]);
    expect(networks.length).toBeGreaterThan(120);
    const { id, allowed_ips } = expectOk(await add({ allowed_ips: networks.join(', ') }));
    expect(allowed_ips).toBe(networks.join(', '));
    const answer = await qrOf(id);
    expect(answer.status).toBe(200);
    const { data, width, height } = PNG.sync.read(Buffer.from(await answer.arrayBuffer()));
    const scanned = jsqr.default(new Uint8ClampedArray(data), width, height)?.data;
    expect(scanned?.replaceAll(/, ?/g, ', ')).toBe(await configOf());
  });

  it('is refused to strangers', async () => {
    const { id } = await added();
    const answer = await qrOf(id, 'image/png', (await api.subscriber(admin)).token);
    expect([answer.status, await answer.json()]).toEqual([403, expect.objectContaining({ detail: 'Not allowed' })]);
  });
});

describe('GET /vpn_peers/', () => {
  it("shows one's own; an administrator everybody's, or one user's", async () => {
    const [mine, stranger] = [await api.subscriber(admin), await api.subscriber(admin)];
    const ids = [(await added({}, mine)).id, (await added({}, mine)).id];
    const list = async (query: string, account: Account): Promise<number[]> =>
      expectOk(await api.get(`/vpn_peers/${query}`, account.token)).map(({ id }: { id: number }) => id);
    expect(await list('', mine)).toEqual(ids);
    expect(await list(`?user_id=${mine.id}`, mine)).toEqual(ids);
    expect(await list(`?user_id=${mine.id}&skip=1`, admin)).toEqual([ids[1]]);
    expect(await list('?limit=1000', admin)).toEqual(expect.arrayContaining(ids));
    expect(await list('', stranger)).toEqual([]);
    expect(await api.get(`/vpn_peers/?user_id=${mine.id}`, stranger.token)).toMatchObject({
      status: 403,
      body: { detail: 'Not allowed' },
    });
    const page = await api.get('/vpn_peers/?limit=1', mine.token);
    expect([page.body.length, page.headers.get('x-total-count')]).toEqual([1, '2']);
    expect((await api.get('/vpn_peers/?skip=9', mine.token)).headers.get('x-total-count')).toBe('2');
    for (const peer of (await api.get('/vpn_peers/', mine.token)).body) expect(peer.wg_private_key).toBeNull();
  });

  it('shows one to its owner and to an administrator', async () => {
    const { id } = await added();
    expect((await api.get(`/vpn_peers/${id}/`, admin.token)).body.wg_private_key).toBeNull();
    expect(await api.get(`/vpn_peers/${id}`, (await api.user()).token)).toMatchObject({ status: 403 });
    expect(await api.get('/vpn_peers/999999', user.token)).toMatchObject({
      status: 404,
      body: { detail: 'Peer not found' },
    });
  });
});

describe('PUT /vpn_peers/{id}', () => {
  it('changes what is given and leaves the rest', async () => {
    const before = expectOk(await add({ device_name: 'old', allowed_ips: '10.0.0.0/8' }));
    const { body } = await api.put(`/vpn_peers/${before.id}`, { device_name: 'new', allowed_ips: null }, user.token);
    expect(body).toEqual({ ...before, device_name: 'new', wg_private_key: null });
  });

  it("takes a new key of the device, and forgets ours; another's is refused", async () => {
    const [{ id }, theirs] = [await added(), await added({}, await api.subscriber(admin))];
    const { publicKey } = generateKeyPair();
    expect((await api.put(`/vpn_peers/${id}`, { wg_public_key: publicKey }, user.token)).body.wg_public_key).toBe(
      publicKey,
    );
    expect(await api.rows('SELECT wg_private_key FROM vpn_peers WHERE id = $1', [id])).toEqual([
      { wg_private_key: null },
    ]);
    const [row] = await api.rows<{ key: string }>('SELECT wg_public_key AS key FROM vpn_peers WHERE id = $1', [
      theirs.id,
    ]);
    expect(await api.put(`/vpn_peers/${id}`, { wg_public_key: row!.key }, user.token)).toMatchObject({
      status: 409,
      body: { detail: 'public_key_taken' },
    });
  });

  it('moves the address for an administrator, lets the old one rest, and ignores it from a user', async () => {
    const { id, wg_ip } = await added();
    expect((await api.put(`/vpn_peers/${id}`, { wg_ip: '10.8.3.99' }, user.token)).body.wg_ip).toBe(wg_ip);
    expect((await api.put(`/vpn_peers/${id}`, { wg_ip: '10.8.3.99' }, admin.token)).body.wg_ip).toBe('10.8.3.99/32');
    const [old] = await api.rows<{ resting: boolean }>(
      'SELECT free_at > $2 AS resting FROM vpn_server_addresses WHERE address = $1',
      [wg_ip.slice(0, -3), api.clock.now()],
    );
    expect(old?.resting).toBe(true);
  });

  it("refuses somebody else's, and one that there is not", async () => {
    const { id } = await added();
    expect((await api.put(`/vpn_peers/${id}`, { device_name: 'x' }, (await api.user()).token)).status).toBe(403);
    expect((await api.put('/vpn_peers/999999', { device_name: 'x' }, user.token)).status).toBe(404);
  });
});

describe('DELETE /vpn_peers/{id}', () => {
  it('forgets the device and frees its address, for its owner or an administrator', async () => {
    for (const account of [user, admin]) {
      const { id } = await added();
      expect(await api.delete(`/vpn_peers/${id}/`, account.token)).toMatchObject({
        status: 200,
        body: { msg: 'deleted' },
      });
      expect((await api.get(`/vpn_peers/${id}`, user.token)).status).toBe(404);
      expect((await api.delete(`/vpn_peers/${id}`, account.token)).status).toBe(404);
    }
  });

  it("refuses somebody else's", async () => {
    const { id } = await added();
    expect((await api.delete(`/vpn_peers/${id}`, (await api.user()).token)).status).toBe(403);
  });
});

describe('devices follow the access of their owner', () => {
  const statuses = async (account: Account): Promise<string[]> =>
    (await api.get(`/vpn_peers/?user_id=${account.id}`, admin.token)).body.map(
      ({ status }: { status: string }) => status,
    );

  it('are suspended when he is blocked, and wanted again when he is let in', async () => {
    const owner = await api.subscriber(admin);
    await added({}, owner);
    expectOk(await api.put(`/admin/users/${owner.id}/status`, { status: 'blocked' }, admin.token));
    expect(await statuses(owner)).toEqual(['suspended']);
    expectOk(await api.put(`/admin/users/${owner.id}/status`, { status: 'active' }, admin.token));
    expect(await statuses(owner)).toEqual(['active']);
  });

  it('are left out of the export once access ran out, and come back with the same key and address when it is renewed', async () => {
    const owner = await api.subscriber(admin, { duration_days: 1 });
    const [peer, config] = [await added({}, owner), await configOf(owner)];
    const exporter = api.app.get(ServerExport);
    const [server] = await api.rows<{ id: number }>('SELECT id FROM vpn_servers');
    const exported = (): Promise<string> => exporter.render(server!.id);
    const address = `AllowedIPs = ${peer.wg_ip}\n`;
    expect(await exported()).toContain(address);

    await api.rows('UPDATE user_tariffs SET access_until = $2 WHERE user_id = $1', [owner.id, api.clock.now()]);
    expect(await exported()).not.toContain(address);
    expect(await statuses(owner)).toEqual(['suspended']);
    expect((await api.get('/vpn_peers/self/config', owner.token)).body.detail).toBe('no_active_subscription');

    await api.assign(admin, owner, await api.tariff(admin));
    expect(await statuses(owner)).toEqual(['active']);
    expect(await configOf(owner)).toBe(config);
    expect(await exported()).toContain(address);
  });

  it('come back with a payment that is completed', async () => {
    const owner = await api.subscriber(admin);
    await added({}, owner);
    await api.rows(`UPDATE user_tariffs SET state = 'revoked' WHERE user_id = $1`, [owner.id]);
    await api.app.get(ServerExport).render(1);
    expect(await statuses(owner)).toEqual(['suspended']);
    const payment = expectOk(
      await api.post('/payments/', { amount: 1, tariff_id: await api.tariff(admin) }, owner.token),
    );
    expectOk(await api.put(`/payments/${payment.id}`, { status: 'completed' }, admin.token));
    expect(await statuses(owner)).toEqual(['active']);
  });
});

describe('where client keys are ignored', () => {
  it('a pair is made all the same, and connects', async () => {
    const own = await TestApi.start({ environment: { WG_CLIENT_KEYS: 'ignore' } });
    const root = await own.admin();
    const owner = await own.subscriber(root);
    const { publicKey } = generateKeyPair();
    const { body } = await own.post('/vpn_peers/self', { wg_public_key: publicKey }, owner.token);
    expect(body.wg_public_key).not.toBe(publicKey);
    expect(publicKeyOf(body.wg_private_key)).toBe(body.wg_public_key);
    expect((await own.post('/vpn_peers/self', { wg_public_key: publicKey }, owner.token)).body.id).not.toBe(body.id);
    const changed = await own.put(`/vpn_peers/${body.id}`, { wg_public_key: publicKey }, owner.token);
    expect(changed.body.wg_public_key).toBe(body.wg_public_key);
    const rotated = await own.post(`/vpn_peers/${body.id}/rotate`, { wg_public_key: publicKey }, owner.token);
    expect(publicKeyOf(rotated.body.wg_private_key)).toBe(rotated.body.wg_public_key);
    expect([publicKey, body.wg_public_key]).not.toContain(rotated.body.wg_public_key);
    await own.stop();
  });
});
