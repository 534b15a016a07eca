import { beforeAll, describe, expect, it } from '@jest/globals';
import { SYSTEM } from '#platform';
import { generateKeyPair, readServerDraft, Servers } from '#wireguard';
import { type Account, type Answer, expectOk, TestApi } from '../support/api.js';
import { newSshKey } from '../support/ssh-key.js';

/** Somebody with everything that an administrator can lay hands on. */
interface Scene {
  readonly user: Account;
  readonly blocked: Account;
  readonly peerId: number;
  readonly paymentId: number;
  readonly tariffId: number;
  readonly serverId: number;
}

type Call = readonly [method: string, path: string, body?: object];

interface Act {
  readonly action: string;
  readonly call: (scene: Scene) => Call;
  readonly target: (scene: Scene, answer: { readonly id: number }) => string;
  readonly data?: (scene: Scene) => object;
}

const KEY = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';
const PRIVATE_KEY = newSshKey();
let sequence = 0;

const aServer = (): object => ({
  name: `Server ${++sequence}`,
  status: 'disabled',
  endpoint: 'vpn.example.com:51820',
  public_key: KEY,
  subnet: '10.9.0.0/29',
});
const reached = {
  provider: 'host',
  applies: true,
  access: { kind: 'ssh', host: 'de1.example.com', user: 'wgctl', private_key: PRIVATE_KEY, fingerprint: null },
};
const ofUser = ({ user }: Scene): string => `user:${user.id}`;
const ofPeer = ({ peerId }: Scene): string => `peer:${peerId}`;
const ofServer = ({ serverId }: Scene): string => `server:${serverId}`;
const ofTariff = ({ tariffId }: Scene): string => `tariff:${tariffId}`;

/** Every privileged act that there is, each on a scene of its own. */
const ACTS: Readonly<Record<string, Act>> = {
  'blocking a user': {
    action: 'user_block',
    call: ({ user }) => ['PUT', `/admin/users/${user.id}/status`, { status: 'blocked' }],
    target: ofUser,
    data: () => ({ from: 'active', to: 'blocked' }),
  },
  'unblocking a user': {
    action: 'user_unblock',
    call: ({ blocked }) => ['PUT', `/admin/users/${blocked.id}/status`, { status: 'active' }],
    target: ({ blocked }) => `user:${blocked.id}`,
    data: () => ({ from: 'blocked', to: 'active' }),
  },
  'promoting a user': {
    action: 'user_promote',
    call: ({ user }) => ['POST', `/auth/admin/promote?user_id=${user.id}`],
    target: ofUser,
    data: () => ({ by_secret: false, from: 'active', to: 'active' }),
  },
  'giving a tariff': {
    action: 'tariff_assign',
    call: ({ user, tariffId }) => ['POST', `/auth/assign_tariff?user_id=${user.id}`, { tariff_id: tariffId }],
    target: ofUser,
    data: ({ tariffId }) => ({ tariff_id: tariffId, was: 'active' }),
  },
  'adding a tariff': {
    action: 'tariff_create',
    call: () => ['POST', '/tariffs/', { name: `Tariff of audit ${++sequence}`, price: '5.00' }],
    target: (_, { id }) => `tariff:${id}`,
    data: () => ({ price: '5.00', currency: 'USD' }),
  },
  'changing a tariff': {
    action: 'tariff_update',
    call: ({ tariffId }) => ['PUT', `/tariffs/${tariffId}`, { price: '7.50', device_limit: 2, currency: 'USD' }],
    target: ofTariff,
    data: () => ({ changed: { price: { from: '9.99', to: '7.50' }, device_limit: { from: null, to: 2 } } }),
  },
  'deleting a tariff': {
    action: 'tariff_delete',
    call: ({ tariffId }) => ['DELETE', `/tariffs/${tariffId}`],
    target: ofTariff,
  },
  'completing a payment': {
    action: 'payment_status',
    call: ({ paymentId }) => ['PUT', `/payments/${paymentId}`, { status: 'completed' }],
    target: ({ paymentId }) => `payment:${paymentId}`,
    data: ({ user }) => ({ user_id: user.id, from: 'pending', to: 'completed' }),
  },
  'writing a completed payment down': {
    action: 'payment_status',
    call: ({ user }) => ['POST', '/payments/', { user_id: user.id, amount: '3.00', status: 'completed' }],
    target: (_, { id }) => `payment:${id}`,
    data: ({ user }) => ({ user_id: user.id, from: 'pending', to: 'completed' }),
  },
  'adding a device for somebody': {
    action: 'peer_create',
    call: ({ user }) => ['POST', '/vpn_peers/', { user_id: user.id, device_name: 'phone' }],
    target: (_, { id }) => `peer:${id}`,
    data: ({ user }) => ({ user_id: user.id }),
  },
  "changing somebody's device": {
    action: 'peer_update',
    call: ({ peerId }) => ['PUT', `/vpn_peers/${peerId}`, { device_name: 'x', wg_public_key: newKey() }],
    target: ofPeer,
    data: () => ({ fields: ['device_name', 'public_key'] }),
  },
  "giving somebody's device another key": {
    action: 'peer_rotate',
    call: ({ peerId }) => ['POST', `/vpn_peers/${peerId}/rotate`],
    target: ofPeer,
  },
  "moving somebody's device": {
    action: 'peer_move',
    call: ({ peerId, serverId }) => ['POST', `/vpn_peers/${peerId}/move`, { server_id: serverId }],
    target: ofPeer,
    data: ({ serverId }) => ({ to_server_id: serverId }),
  },
  "removing somebody's device": {
    action: 'peer_delete',
    call: ({ peerId }) => ['DELETE', `/vpn_peers/${peerId}`],
    target: ofPeer,
  },
  "reading somebody's config": {
    action: 'peer_config',
    call: ({ peerId }) => ['GET', `/vpn_peers/${peerId}/config`],
    target: ofPeer,
  },
  "reading somebody's config as a code": {
    action: 'peer_config',
    call: ({ peerId }) => ['GET', `/vpn_peers/${peerId}/qr`],
    target: ofPeer,
  },
  'adding a server': {
    action: 'server_add',
    call: () => ['POST', '/admin/servers', { ...aServer(), ...reached }],
    target: (_, { id }) => `server:${id}`,
    data: () => ({ provider: 'host', region: 'default' }),
  },
  'changing a server': {
    action: 'server_change',
    call: ({ serverId }) => ['PUT', `/admin/servers/${serverId}`, { mtu: 1400, ...reached, public_key: newKey() }],
    target: ofServer,
    data: () => ({
      changed: {
        mtu: { from: 1420, to: 1400 },
        provider: { from: 'db', to: 'host' },
        applies: { from: false, to: true },
        public_key: 'replaced',
        access: 'replaced',
      },
    }),
  },
  'draining a server': {
    action: 'server_drain',
    call: ({ serverId }) => ['POST', `/admin/servers/${serverId}/drain`],
    target: ofServer,
    data: () => ({ changed: { status: { from: 'active', to: 'draining' } } }),
  },
  'deleting a server': {
    action: 'server_delete',
    call: ({ serverId }) => ['DELETE', `/admin/servers/${serverId}`],
    target: ofServer,
  },
};

function newKey(): string {
  return generateKeyPair().publicKey;
}

let api: TestApi;
let admin: Account;
const logLines: string[] = [];

beforeAll(async () => {
  api = await TestApi.start({ logLines });
  admin = await api.admin();
});

async function setScene(): Promise<Scene> {
  const [user, blocked, tariffId] = [await api.subscriber(admin), await api.user(), await api.tariff(admin)];
  expectOk(await api.put(`/admin/users/${blocked.id}/status`, { status: 'blocked' }, admin.token));
  const { id: peerId } = expectOk(await api.post('/vpn_peers/self', { server_id: 1 }, user.token));
  const { id: paymentId } = expectOk(await api.post('/payments/', { amount: 1 }, user.token));
  const server = { ...aServer(), status: 'active', subnet: '10.9.0.0/24' };
  const { id: serverId } = expectOk(await api.post('/admin/servers', server, admin.token));
  return { user, blocked, peerId, paymentId, tariffId, serverId };
}

const perform = ([method, path, body]: Call, token: string | undefined): Promise<Answer> =>
  api.call(method, path, { token, body, headers: { 'idempotency-key': `audit-${++sequence}` } });

interface Row {
  readonly id: number;
  readonly actor_id: number | null;
  readonly actor_kind: string;
  readonly data: object;
}

const latest = async (): Promise<number> =>
  (await api.rows<{ id: number }>('SELECT coalesce(max(id), 0) AS id FROM audit_log'))[0]?.id ?? 0;
const since = (id: number): Promise<Row[]> => api.rows<Row>('SELECT * FROM audit_log WHERE id > $1 ORDER BY id', [id]);

/** All that an act can change, as one text. */
async function state(): Promise<string> {
  const tables = ['users', 'tariffs', 'user_tariffs', 'payments', 'vpn_servers', 'vpn_peers', 'audit_log'];
  const texts = await Promise.all(
    tables.map((table) => api.rows(`SELECT string_agg(t::text, ' ' ORDER BY t.id) AS text FROM ${table} t`)),
  );
  return JSON.stringify(texts);
}

describe('what an administrator does', () => {
  it.each(Object.keys(ACTS))('is written down once, with who and what: %s', async (name) => {
    const { action, call, target, data } = ACTS[name]!;
    const scene = await setScene();
    const before = await latest();
    const answer = await perform(call(scene), admin.token);
    expectOk(answer);
    expect(await since(before)).toEqual([
      expect.objectContaining({
        actor_id: admin.id,
        actor_kind: 'admin',
        action,
        target: target(scene, answer.body),
        ip_trunc: '127.0.0.0/24',
        request_id: answer.headers.get('x-request-id'),
        data: expect.objectContaining(data?.(scene) ?? {}),
      }),
    ]);
  });

  it.each(Object.keys(ACTS))('is not done where it cannot be written down: %s', async (name) => {
    const scene = await setScene();
    const call = ACTS[name]!.call(scene);
    await api.rows('ALTER TABLE audit_log ADD CONSTRAINT closed CHECK (id < 0) NOT VALID');
    const before = await state();
    const { status, body } = await perform(call, admin.token);
    const after = await state();
    await api.rows('ALTER TABLE audit_log DROP CONSTRAINT closed');
    expect([status, body.code]).toEqual([500, 'internal_error']);
    expect(after === before).toBe(true);
  });

  it.each(Object.keys(ACTS))('leaves nothing when it is refused to somebody else: %s', async (name) => {
    const [scene, stranger] = [await setScene(), await api.user()];
    const before = await latest();
    expect((await perform(ACTS[name]!.call(scene), stranger.token)).status).toBe(403);
    expect((await perform(ACTS[name]!.call(scene), undefined)).status).toBeGreaterThanOrEqual(401);
    expect(await since(before)).toEqual([]);
  });

  it('leaves nothing when it fails', async () => {
    const { user, tariffId, peerId, paymentId } = await setScene();
    await api.assign(admin, user, tariffId);
    expectOk(await api.put(`/payments/${paymentId}`, { status: 'failed' }, admin.token));
    const before = await latest();
    const refused: readonly Call[] = [
      ['PUT', '/admin/users/2000000000/status', { status: 'blocked' }],
      ['POST', '/auth/admin/promote?user_id=2000000000'],
      ['POST', `/auth/assign_tariff?user_id=${user.id}`, { tariff_id: tariffId }],
      ['DELETE', `/tariffs/${tariffId}`],
      ['PUT', '/tariffs/2000000000', { rank: 1 }],
      ['PUT', `/payments/${paymentId}`, { status: 'completed' }],
      ['PUT', `/vpn_peers/${peerId}`, { wg_ip: '10.8.0.1' }],
      ['POST', `/vpn_peers/${peerId}/move`, { server_id: 2_000_000_000 }],
      ['PUT', '/admin/servers/1', { mtu: 1300 }],
      ['DELETE', '/admin/servers/1'],
    ];
    for (const call of refused) expect((await perform(call, admin.token)).status).toBeGreaterThanOrEqual(400);
    expect(await since(before)).toEqual([]);
  });

  it('leaves nothing when it changes nothing', async () => {
    const { user, blocked, tariffId, peerId, paymentId, serverId } = await setScene();
    const before = await latest();
    const idle: readonly Call[] = [
      ['PUT', `/admin/users/${user.id}/status`, { status: 'active' }],
      ['PUT', `/admin/users/${blocked.id}/status`, { status: 'blocked' }],
      ['PUT', `/tariffs/${tariffId}`, { price: '9.99' }],
      ['PUT', `/payments/${paymentId}`, { status: 'pending' }],
      ['PUT', `/vpn_peers/${peerId}`, {}],
      ['POST', `/vpn_peers/${peerId}/move`, { server_id: 1 }],
      ['PUT', `/admin/servers/${serverId}`, { mtu: 1420 }],
    ];
    for (const call of idle) expectOk(await perform(call, admin.token));
    expect(await since(before)).toEqual([]);
  });

  it('is written down once when the request is repeated', async () => {
    const { user } = await setScene();
    const before = await latest();
    const call = {
      token: admin.token,
      body: { user_id: user.id, amount: 2, status: 'completed' },
      headers: { 'idempotency-key': 'again' },
    };
    const first = expectOk(await api.call('POST', '/payments/', call));
    expect(expectOk(await api.call('POST', '/payments/', call))).toEqual(first);
    expect(await since(before)).toHaveLength(1);
  });

  it('with his own devices is his business, as it is with everybody', async () => {
    const [tariffId, { user }] = [await api.tariff(admin), await setScene()];
    await api.assign(admin, admin, tariffId);
    const before = await latest();
    for (const { token } of [admin, user]) {
      const { id } = expectOk(await api.post('/vpn_peers/self', {}, token));
      expectOk(await api.get(`/vpn_peers/${id}/config`, token));
      expectOk(await api.put(`/vpn_peers/${id}`, { device_name: 'mine' }, token));
      expectOk(await api.call('POST', `/vpn_peers/${id}/rotate`, { token }));
      expectOk(await api.delete(`/vpn_peers/${id}`, token));
    }
    expect(await since(before)).toEqual([]);
  });

  it('is never told with a secret, a key or an address of mail', async () => {
    const [{ text }] = (await api.rows<{ text: string }>(
      `SELECT string_agg(data::text, ' ') AS text FROM audit_log`,
    )) as [{ text: string }];
    expect(text).not.toMatch(/[A-Za-z0-9+/]{43}=|@|SECRET|wgctl|correct horse/);
  });
});

describe('a promotion by the bootstrap secret', () => {
  it('is the act of who asked for it, or of nobody', async () => {
    const [asking, other] = [await api.user(), await api.user()];
    const before = await latest();
    const headers = { 'x-promote-secret': 'b7Qm2xVt9LzR4kPw8NcY5hJd' };
    expectOk(await api.call('POST', `/auth/admin/promote?user_id=${asking.id}`, { token: asking.token, headers }));
    expectOk(await api.call('POST', `/auth/admin/promote?user_id=${other.id}`, { headers }));
    expect(await since(before)).toEqual([
      expect.objectContaining({
        actor_id: asking.id,
        actor_kind: 'user',
        data: { by_secret: true, from: 'active', to: 'active' },
      }),
      expect.objectContaining({ actor_id: null, actor_kind: 'system' }),
    ]);
  });
});

describe('what an operator does at the command line', () => {
  it('is the act of the system, and of no request', async () => {
    const servers = api.app.get(Servers);
    const before = await latest();
    const { id } = await servers.add(SYSTEM, readServerDraft(aServer()));
    await servers.drain(SYSTEM, id);
    await servers.adopt(id);
    await servers.adopt(id); // every forced sweep says so again
    const byNobody = { actor_id: null, actor_kind: 'system', request_id: null, ip_trunc: null, target: `server:${id}` };
    expect(await since(before)).toEqual(
      ['server_add', 'server_drain', 'server_adopt'].map((action) => expect.objectContaining({ ...byNobody, action })),
    );
  });
});

describe('GET /admin/audit', () => {
  it('answers with what each filter lets through, by id, and how much that is in all', async () => {
    const subject = await api.user();
    const path = `/admin/users/${subject.id}/status`;
    const began = api.clock.now();
    for (const status of ['blocked', 'active', 'blocked']) {
      api.clock.advance({ minutes: 1 });
      expectOk(await api.put(path, { status }, admin.token));
    }
    const target = `user:${subject.id}`;
    const ask = async (query: Record<string, string>): Promise<[actions: string[], total: string | null]> => {
      const answer = await api.get(`/admin/audit?${new URLSearchParams({ target, ...query }).toString()}`, admin.token);
      const entries = expectOk(answer) as { action: string }[];
      return [entries.map(({ action }) => action), answer.headers.get('x-total-count')];
    };
    const minute = (n: number): string => new Date(began.getTime() + n * 60_000).toISOString();
    expect(await ask({})).toEqual([['user_block', 'user_unblock', 'user_block'], '3']);
    expect(await ask({ skip: '1', limit: '1' })).toEqual([['user_unblock'], '3']);
    expect(await ask({ action: 'user_block' })).toEqual([['user_block', 'user_block'], '2']);
    expect(await ask({ actor_id: String(admin.id) })).toEqual([['user_block', 'user_unblock', 'user_block'], '3']);
    expect(await ask({ actor_id: String(subject.id) })).toEqual([[], '0']);
    expect(await ask({ from: minute(2) })).toEqual([['user_unblock', 'user_block'], '2']);
    expect(await ask({ to: minute(2) })).toEqual([['user_block'], '1']);
    expect(await ask({ from: minute(2), to: minute(3) })).toEqual([['user_unblock'], '1']);
  });

  it('shows an entry as it was written', async () => {
    const subject = await api.user();
    const headers = { 'x-request-id': 'audit-request-1' };
    const body = { status: 'blocked' };
    expectOk(await api.call('PUT', `/admin/users/${subject.id}/status`, { token: admin.token, body, headers }));
    const [entry] = expectOk(await api.get(`/admin/audit?target=user:${subject.id}`, admin.token));
    expect(entry).toEqual({
      id: expect.any(Number),
      at: api.clock.now().toISOString(),
      actor_id: admin.id,
      actor_kind: 'admin',
      action: 'user_block',
      target: `user:${subject.id}`,
      ip_trunc: '127.0.0.0/24',
      request_id: 'audit-request-1',
      data: { from: 'active', to: 'blocked' },
    });
  });

  it.each(['action=dance', 'actor_id=me', 'from=yesterday', 'to=2026-02-30T99:00:00Z', 'limit=0'])(
    'refuses %s',
    async (query) => {
      const { status, body } = await api.get(`/admin/audit?${query}`, admin.token);
      expect(status).toBe(422);
      expect(body.detail[0].loc).toEqual(['query', query.split('=')[0]]);
    },
  );
});
