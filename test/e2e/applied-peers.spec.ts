import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Access, Applying, Reconciliation, ServerExport } from '#peers';
import { Addresses, generateKeyPair, Providers, publicKeyOf, Servers } from '#wireguard';
import { FakeProviders } from '../fakes/providers.js';
import { FakeWgEasy } from '../fakes/wg-easy.js';
import { type FakeWgHost } from '../fakes/wg-host.js';
import { type Account, type Answer, expectOk, TestApi } from '../support/api.js';
import { until } from '../support/until.js';

/** How long an answer may take, whatever a server does (contract 3: 3.5 s). */
const LONGEST_MS = 5000; // 3.5 s and what a busy machine adds; two waits one after the other would take 6
const FIRST = 1;

let api: TestApi;
let admin: Account;

interface Device {
  readonly id: number;
  readonly server_id: number;
  readonly wg_public_key: string;
  readonly wg_private_key: string;
  readonly wg_ip: string;
  readonly status: string;
}

const add = async (owner: Account, body: object = {}): Promise<Device> =>
  expectOk(await api.post('/vpn_peers/self', body, owner.token));
const shown = async ({ id }: Device): Promise<Device> => expectOk(await api.get(`/vpn_peers/${id}`, admin.token));
const configOf = async ({ id }: Device): Promise<string> =>
  expectOk(await api.get(`/vpn_peers/${id}/config`, admin.token)).wg_quick;
const block = async ({ id }: Account, status = 'blocked'): Promise<void> =>
  expectOk(await api.put(`/admin/users/${id}/status`, { status }, admin.token));
/** An address as an administrator asks for it: whether it can be had says whether anybody has it. */
const ask = (owner: Account, wg_ip: string): Promise<Answer> =>
  api.post('/vpn_peers/', { user_id: owner.id, server_id: FIRST, wg_ip }, admin.token);
const applyAll = (): Promise<number> => api.app.get(Applying).applyAll();
const timed = async <T>(work: Promise<T>): Promise<{ readonly result: T; readonly ms: number }> => {
  const begun = performance.now();
  return { result: await work, ms: performance.now() - begun };
};
/** What the job does every second, with time going by, until what is looked at is there. */
const applied = <T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> =>
  until(async () => {
    api.clock.advance({ seconds: 16 });
    await applyAll();
    return look();
  });
const yes = (is: boolean): true | undefined => (is ? true : undefined);

describe('devices on hosts that we apply to', () => {
  let fleet: FakeProviders;
  let host: FakeWgHost;
  let owner: Account;

  beforeAll(async () => {
    fleet = new FakeProviders();
    host = fleet.host(FIRST);
    api = await TestApi.start({
      environment: { WG_APPLY_ENABLED: '1' },
      override: (builder) => builder.overrideProvider(Providers).useValue(fleet),
    });
    admin = await api.admin();
  });
  beforeEach(async () => {
    // The sweep finds every host well again: one that failed too often would get no new devices.
    api.clock.advance({ minutes: 1 });
    await api.app.get(Reconciliation).sweepDue();
    admin = { ...admin, token: await api.login(admin) };
    owner = await api.subscriber(admin);
  });

  const addressesOn = (where: FakeWgHost, { wg_public_key }: Pick<Device, 'wg_public_key'>): string[] | undefined =>
    where.peers.get(wg_public_key)?.allowedIps;
  const isOn = (where: FakeWgHost, device: Pick<Device, 'wg_public_key'>): boolean =>
    where.peers.has(device.wg_public_key);

  /** Another server, with a host and a network of its own. */
  async function addServer(region: string, subnet: string): Promise<{ id: number; host: FakeWgHost }> {
    const [row] = await api.rows<{ id: number }>(
      `INSERT INTO vpn_servers (name, region, applies, endpoint, public_key, subnet, dns, created_at)
       VALUES ($1, $1, true, 'vpn2.example.com:51820', $2, $3, '{1.1.1.1}', now()) RETURNING id`,
      [region, generateKeyPair().publicKey, subnet],
    );
    const { id } = row!;
    await api.app.get(Addresses).fill(await api.app.get(Servers).get(id));
    return { id, host: fleet.host(id) };
  }

  describe('a new one', () => {
    it('is active, and on its server with its own address and no other, when the call returns', async () => {
      const device = await add(owner);
      expect(device.status).toBe('active');
      expect(addressesOn(host, device)).toEqual([device.wg_ip]);
      expect((await shown(device)).status).toBe('active');
    });

    it.each(['down', 'hanging'] as const)('is pending while the host is %s, and gets there after it', async (mood) => {
      host.mood = mood;
      const { result: device, ms } = await timed(add(owner));
      expect(ms).toBeLessThan(LONGEST_MS);
      expect(device).toMatchObject({ status: 'pending', active: true });
      expect(publicKeyOf(device.wg_private_key)).toBe(device.wg_public_key);
      host.recover();
      expect(isOn(host, device)).toBe(false);
      await applied(async () => yes((await shown(device)).status === 'active'));
      expect(addressesOn(host, device)).toEqual([device.wg_ip]);
    });

    it('with the key of a device that is there is that device, even where no other may come', async () => {
      const { publicKey } = generateKeyPair();
      const device = await add(owner, { wg_public_key: publicKey });
      await api.rows(`UPDATE vpn_servers SET status = 'draining'`);
      const again = await add(owner, { wg_public_key: publicKey });
      await api.rows(`UPDATE vpn_servers SET status = 'active'`);
      expect(again).toEqual(device);
    });

    it('shares what its server is told with forty-nine others', async () => {
      const owners = await Promise.all(Array.from({ length: 50 }, () => api.subscriber(admin)));
      const before = host.commands.length;
      const devices = await Promise.all(owners.map((one) => add(one)));
      expect(devices.filter((device) => device.status === 'active' && isOn(host, device))).toHaveLength(50);
      expect(host.commands.length - before).toBeLessThanOrEqual(5);
    });
  });

  describe('one that is deleted', () => {
    it('is off its server when the call returns', async () => {
      const device = await add(owner);
      expectOk(await api.delete(`/vpn_peers/${device.id}`, owner.token));
      expect(isOn(host, device)).toBe(false);
    });

    it('leaves as soon as its server answers again, and until then nobody gets its address', async () => {
      const device = await add(owner);
      host.mood = 'down';
      expectOk(await api.delete(`/vpn_peers/${device.id}`, owner.token));
      expect((await api.get(`/vpn_peers/${device.id}`, owner.token)).status).toBe(404);
      expect(isOn(host, device)).toBe(true);
      expect((await ask(owner, device.wg_ip)).body.code).toBe('address_taken');
      host.recover();
      await applied(() => yes(!isOn(host, device)));
      expect((await ask(owner, device.wg_ip)).body).toMatchObject({ wg_ip: device.wg_ip, status: 'active' });
    });

    it('and comes back with its key before it could leave, stays, and gives its old address back', async () => {
      const { publicKey: wg_public_key } = generateKeyPair();
      const device = await add(owner, { wg_public_key });
      host.mood = 'down';
      expectOk(await api.delete(`/vpn_peers/${device.id}`, owner.token));
      const again = await add(owner, { wg_public_key });
      expect(again.wg_ip).not.toBe(device.wg_ip);
      host.recover();
      await applied(async () => yes((await shown(again)).status === 'active'));
      expect(addressesOn(host, again)).toEqual([again.wg_ip]);
      expect((await ask(owner, device.wg_ip)).status).toBe(200);
      expect(await applyAll()).toBe(0);
    });
  });

  describe('of a user whose access ends', () => {
    it('leave when he is blocked, and are back with key and address when he is let in', async () => {
      const device = await add(owner);
      await block(owner);
      await until(() => Promise.resolve(yes(!isOn(host, device))));
      expect((await shown(device)).status).toBe('suspended');
      await block(owner, 'active');
      await until(async () => yes((await shown(device)).status === 'active'));
      expect(addressesOn(host, device)).toEqual([device.wg_ip]);
      expect(await shown(device)).toEqual({ ...device, wg_private_key: null });
    });

    it('leave when it runs out, and are back when it is renewed', async () => {
      const device = await add(owner);
      await api.rows('UPDATE user_tariffs SET access_until = $2 WHERE user_id = $1', [owner.id, api.clock.now()]);
      await api.app.get(Access).enforce();
      await until(() => Promise.resolve(yes(!isOn(host, device))));
      await api.assign(admin, owner, await api.tariff(admin));
      await until(() => Promise.resolve(yes(isOn(host, device))));
      expect(addressesOn(host, device)).toEqual([device.wg_ip]);
    });

    it('leave a host that was down just then as soon as it is back', async () => {
      const device = await add(owner);
      host.mood = 'down';
      await block(owner);
      await applyAll();
      expect(isOn(host, device)).toBe(true);
      host.recover();
      await applied(() => yes(!isOn(host, device)));
    });
  });

  describe('one that is changed', () => {
    it('has its new key on the server, with the same address, and its old one no more', async () => {
      const device = await add(owner);
      const { publicKey } = generateKeyPair();
      const changed = expectOk(
        await api.put(`/vpn_peers/${device.id}`, { wg_public_key: publicKey }, owner.token),
      ) as Device;
      expect(changed).toMatchObject({ wg_public_key: publicKey, wg_ip: device.wg_ip, status: 'active' });
      expect(addressesOn(host, changed)).toEqual([device.wg_ip]);
      expect(isOn(host, device)).toBe(false);
    });

    it('may take its first key again, and then keeps it', async () => {
      const [first, second] = [generateKeyPair().publicKey, generateKeyPair().publicKey];
      const device = await add(owner, { wg_public_key: first });
      host.mood = 'down';
      for (const wg_public_key of [second, first])
        expectOk(await api.put(`/vpn_peers/${device.id}`, { wg_public_key }, owner.token));
      host.recover();
      await applied(async () => yes((await shown(device)).status === 'active'));
      expect([isOn(host, { wg_public_key: first }), isOn(host, { wg_public_key: second })]).toEqual([true, false]);
      expect(await applyAll()).toBe(0);
    });

    it('has the address there that an administrator gives it', async () => {
      const device = await add(owner);
      const changed = expectOk(await api.put(`/vpn_peers/${device.id}`, { wg_ip: '10.8.3.200' }, admin.token));
      expect(changed).toMatchObject({ wg_ip: '10.8.3.200/32', status: 'active' });
      expect(addressesOn(host, device)).toEqual(['10.8.3.200/32']);
    });
  });

  describe('POST /vpn_peers/{id}/rotate', () => {
    const rotate = (device: Device, body?: object, key?: string): Promise<Answer> =>
      api.call('POST', `/vpn_peers/${device.id}/rotate`, {
        token: owner.token,
        body,
        headers: key === undefined ? {} : { 'idempotency-key': key },
      });

    it('gives another pair with the same address; the old key is off the server', async () => {
      const device = await add(owner);
      const rotated = expectOk(await rotate(device)) as Device;
      expect(rotated).toEqual({
        ...device,
        wg_public_key: publicKeyOf(rotated.wg_private_key),
        wg_private_key: expect.any(String),
      });
      expect(rotated.wg_public_key).not.toBe(device.wg_public_key);
      expect(addressesOn(host, rotated)).toEqual([device.wg_ip]);
      expect(isOn(host, device)).toBe(false);
      expect(await configOf(device)).toContain(`PrivateKey = ${rotated.wg_private_key}\n`);
      expect((await shown(device)).wg_private_key).toBeNull();
    });

    it("takes the device's own key, once; another's is refused", async () => {
      const [device, theirs] = [await add(owner), await add(await api.subscriber(admin))];
      const { publicKey } = generateKeyPair();
      const rotated = expectOk(await rotate(device, { wg_public_key: publicKey }));
      expect(rotated).toEqual({ ...device, wg_public_key: publicKey, wg_private_key: null });
      expect(expectOk(await rotate(device, { wg_public_key: publicKey }))).toEqual(rotated);
      expect(addressesOn(host, rotated)).toEqual([device.wg_ip]);
      expect(await rotate(device, { wg_public_key: theirs.wg_public_key })).toMatchObject({
        status: 409,
        body: { detail: 'public_key_taken' },
      });
      expect(addressesOn(host, rotated)).toEqual([device.wg_ip]);
    });

    it('rotates once for each Idempotency-Key, also when the process died before it could answer', async () => {
      const device = await add(owner);
      const rotated = expectOk(await rotate(device, {}, 'rotate-1'));
      expect(expectOk(await rotate(device, {}, 'rotate-1'))).toEqual(rotated);
      await api.rows(`UPDATE idempotency_keys SET sealed_answer = NULL WHERE key = 'rotate-1'`);
      expect(expectOk(await rotate(device, {}, 'rotate-1'))).toEqual(rotated);
      expect((await shown(device)).wg_public_key).toBe(rotated.wg_public_key);
    });

    it('goes on counting traffic where it was, though the server begins anew with the new key', async () => {
      const receive = async ({ wg_public_key }: Device, bytes: number): Promise<void> => {
        host.peers.get(wg_public_key)!.received = bytes;
        await api.app.get(Reconciliation).sweep(FIRST);
      };
      const device = await add(owner);
      await receive(device, 1000);
      await receive(expectOk(await rotate(device)), 1500);
      expect(await shown(device)).toMatchObject({ rx_bytes: 2500 });
    });

    it('is for those who have access', async () => {
      const device = await add(owner);
      await api.rows('UPDATE user_tariffs SET access_until = $2 WHERE user_id = $1', [owner.id, api.clock.now()]);
      expect((await rotate(device)).body.code).toBe('no_active_subscription');
    });
  });

  describe('POST /vpn_peers/{id}/move', () => {
    let other: { readonly id: number; readonly host: FakeWgHost };
    beforeAll(async () => {
      other = await addServer('eu-west', '10.9.0.0/24');
    });
    const move = (device: Device, body: object): Promise<Answer> =>
      api.post(`/vpn_peers/${device.id}/move`, body, owner.token);

    it.each([
      ['a server', () => ({ server_id: other.id })],
      ['a region', () => ({ region: 'eu-west' })],
    ])('takes a device to %s, with its key and an address of that server', async (_, to) => {
      const device = await add(owner, { server_id: FIRST });
      const config = await configOf(device);
      const moved = expectOk(await move(device, to())) as Device;
      expect(moved).toMatchObject({ server_id: other.id, wg_public_key: device.wg_public_key, status: 'active' });
      expect(moved.wg_ip).toMatch(/^10\.9\.0\.\d+\/32$/);
      expect(addressesOn(other.host, moved)).toEqual([moved.wg_ip]);
      await until(() => Promise.resolve(yes(!isOn(host, device))));
      await until(async () => yes((await ask(owner, device.wg_ip)).status === 200));
      const own = /PrivateKey = .*\n/.exec(config)![0];
      expect(await configOf(device)).toContain(own);
      expect(await configOf(device)).toContain('Endpoint = vpn2.example.com:51820\n');
    });

    it('leaves the old server after it has arrived on the new one', async () => {
      const device = await add(owner, { server_id: FIRST });
      other.host.mood = 'down';
      expect(expectOk(await move(device, { server_id: other.id }))).toMatchObject({ status: 'pending' });
      await applyAll();
      expect(isOn(host, device)).toBe(true);
      other.host.recover();
      await applied(() => yes(isOn(other.host, device)));
      await applied(() => yes(!isOn(host, device)));
    });

    it('does not wait for the new server for ever', async () => {
      const device = await add(owner, { server_id: FIRST });
      other.host.mood = 'down';
      expectOk(await move(device, { server_id: other.id }));
      api.clock.advance({ seconds: 31 });
      await applyAll();
      expect(isOn(host, device)).toBe(false);
      other.host.recover();
      await applied(() => yes(isOn(other.host, device)));
    });

    it('there and back again ends where it began, and keeps no address twice', async () => {
      const device = await add(owner, { server_id: FIRST });
      other.host.mood = 'down';
      expectOk(await move(device, { server_id: other.id }));
      const back = expectOk(await move(device, { server_id: FIRST })) as Device;
      expect(back).toMatchObject({ server_id: FIRST, status: 'active' });
      expect(addressesOn(host, device)).toEqual([back.wg_ip]);
      other.host.recover();
      await applied(async () => yes((await applyAll()) === 0));
      expect([isOn(host, device), isOn(other.host, device)]).toEqual([true, false]);
      expect((await ask(owner, device.wg_ip)).status).toBe(200);
    });

    it('leaves a device alone that is there already, though nobody else may come, and another server has more room', async () => {
      const device = await add(owner, { server_id: FIRST });
      const here = { ...device, wg_private_key: null };
      await api.rows('UPDATE vpn_servers SET capacity = 1 WHERE id = $1', [FIRST]);
      await api.rows(`UPDATE vpn_servers SET region = 'default' WHERE id = $1`, [other.id]);
      expect(expectOk(await move(device, { server_id: FIRST }))).toEqual(here);
      expect(expectOk(await move(device, { region: 'default' }))).toEqual(here);
      await api.rows('UPDATE vpn_servers SET capacity = NULL WHERE id = $1', [FIRST]);
      await api.rows(`UPDATE vpn_servers SET region = 'eu-west' WHERE id = $1`, [other.id]);
      expect(addressesOn(host, device)).toEqual([device.wg_ip]);
    });

    it('needs to be told where to, and that there is such a place with room', async () => {
      const device = await add(owner, { server_id: FIRST });
      for (const body of [{}, { server_id: null, region: null }, { server_id: 999 }]) {
        expect(await move(device, body)).toMatchObject({
          status: 422,
          body: { detail: [{ loc: ['body', 'server_id'] }] },
        });
      }
      expect((await move(device, { region: 'atlantis' })).body.detail[0].loc).toEqual(['body', 'region']);
      await api.rows(`UPDATE vpn_servers SET status = 'draining' WHERE id = $1`, [other.id]);
      expect(await move(device, { server_id: other.id })).toMatchObject({
        status: 503,
        body: { detail: 'no_server_available' },
      });
      await api.rows(`UPDATE vpn_servers SET status = 'active' WHERE id = $1`, [other.id]);
      expect(addressesOn(host, device)).toEqual([device.wg_ip]);
    });

    it('is for those who have access', async () => {
      const device = await add(owner, { server_id: FIRST });
      await api.rows('UPDATE user_tariffs SET access_until = $2 WHERE user_id = $1', [owner.id, api.clock.now()]);
      expect((await move(device, { server_id: other.id })).body.code).toBe('no_active_subscription');
    });
  });
});

describe('where preshared keys are on', () => {
  it('a device has one: in its config, in the export, and on the host, and another with another key', async () => {
    const fleet = new FakeProviders();
    api = await TestApi.start({
      environment: { WG_APPLY_ENABLED: '1', WG_PRESHARED_KEYS: '1' },
      override: (builder) => builder.overrideProvider(Providers).useValue(fleet),
    });
    admin = await api.admin();
    const device = await add(await api.subscriber(admin));
    const presharedIn = (text: string): string | undefined => /PresharedKey = (.{43}=)\n/.exec(text)?.[1];
    const first = presharedIn(await configOf(device));
    expect(first).toBeDefined();
    expect(presharedIn(await api.app.get(ServerExport).render(FIRST))).toBe(first);
    expect(fleet.host(FIRST).peers.get(device.wg_public_key)?.presharedKey).toBe(first);

    const rotated = expectOk(await api.post(`/vpn_peers/${device.id}/rotate`, {}, admin.token)) as Device;
    const second = presharedIn(await configOf(device));
    expect(second).not.toBe(first);
    expect(fleet.host(FIRST).peers.get(rotated.wg_public_key)?.presharedKey).toBe(second);
    await api.stop();
  });
});

describe('where the host makes the keys (WG_KEY_POLICY=host)', () => {
  let fleet: FakeProviders;
  let host: FakeWgHost;
  let owner: Account;
  beforeAll(async () => {
    fleet = new FakeProviders();
    host = fleet.host(FIRST);
    api = await TestApi.start({
      environment: { WG_KEY_POLICY: 'host' },
      override: (builder) => builder.overrideProvider(Providers).useValue(fleet),
    });
    admin = await api.admin();
    owner = await api.subscriber(admin);
  });

  it('a device has a pair that the host made, and its config the private half', async () => {
    const device = await add(owner);
    expect(host.generated).toContain(device.wg_private_key);
    expect(publicKeyOf(device.wg_private_key)).toBe(device.wg_public_key);
    expect(host.peers.get(device.wg_public_key)?.allowedIps).toEqual([device.wg_ip]);
    expect(await configOf(device)).toContain(`PrivateKey = ${device.wg_private_key}\n`);
    const rotated = expectOk(await api.post(`/vpn_peers/${device.id}/rotate`, {}, owner.token)) as Device;
    expect(host.generated).toContain(rotated.wg_private_key);
    expect([...host.peers.keys()]).toEqual([rotated.wg_public_key]);
  });

  it("a device's own key needs no key of the host's", async () => {
    const before = host.generated.length;
    const { publicKey } = generateKeyPair();
    expect(await add(owner, { wg_public_key: publicKey })).toMatchObject({ wg_public_key: publicKey });
    expect(host.generated).toHaveLength(before);
  });

  it.each(['down', 'hanging'] as const)('and is %s, nothing is made and nothing stays', async (mood) => {
    const count = async (): Promise<number> => (await api.rows('SELECT FROM vpn_peers')).length;
    const before = await count();
    host.mood = mood;
    const { result, ms } = await timed(api.post('/vpn_peers/self', {}, owner.token));
    expect(result).toMatchObject({ status: 503, body: { detail: 'server_unavailable' } });
    expect(ms).toBeLessThan(LONGEST_MS);
    host.recover();
    expect(await count()).toBe(before);
  });

  it('who has no access does not make the host work', async () => {
    const before = host.generated.length;
    const poor = await api.user();
    expect((await api.post('/vpn_peers/self', {}, poor.token)).body.code).toBe('no_active_subscription');
    expect(host.generated).toHaveLength(before);
  });
});

describe.each(['14', '15.0.0', '15.4.0'] as const)(
  'where wg-easy %s makes everything (WG_KEY_POLICY=wg-easy)',
  (family) => {
    let easy: FakeWgEasy;
    let owner: Account;
    beforeAll(async () => {
      easy = await FakeWgEasy.start(family);
      api = await TestApi.start({
        environment: { WG_KEY_POLICY: 'wg-easy', WG_EASY_URL: easy.url, WG_EASY_PASSWORD: easy.password },
      });
      admin = await api.admin();
    });
    afterAll(() => easy.close());
    beforeEach(async () => {
      admin = { ...admin, token: await api.login(admin) };
      owner = await api.subscriber(admin);
    });

    const clientOf = ({ wg_public_key }: Device): FakeWgEasy['clients'][number] | undefined =>
      easy.clients.find(({ publicKey }) => publicKey === wg_public_key);
    const rowsOf = ({ id }: Account): Promise<unknown[]> =>
      api.rows('SELECT id FROM vpn_peers WHERE user_id = $1', [id]);

    it('a device is what wg-easy made, and its config connects with that', async () => {
      const device = await add(owner);
      const client = clientOf(device)!;
      expect(client).toMatchObject({ enabled: true, privateKey: device.wg_private_key });
      expect(device).toMatchObject({ status: 'active', wg_ip: `${client.ipv4Address}/32` });
      const config = await configOf(device);
      expect(config).toContain(`PrivateKey = ${client.privateKey}\n`);
      expect(config).toContain(`PresharedKey = ${client.presharedKey}\n`);
      expect(config).toMatch(new RegExp(`^Address = ${client.ipv4Address}/32`, 'm'));
    });

    it("a device's own key is not honoured: in a new device passed over, in a change refused", async () => {
      const { publicKey } = generateKeyPair();
      const device = await add(owner, { wg_public_key: publicKey });
      expect(device.wg_public_key).not.toBe(publicKey);
      expect(clientOf(device)?.privateKey).toBe(device.wg_private_key);
      for (const [method, path] of [
        ['PUT', ''],
        ['POST', '/rotate'],
      ] as const) {
        const body = { wg_public_key: publicKey };
        const answer = await api.call(method, `/vpn_peers/${device.id}${path}`, { token: owner.token, body });
        expect(answer).toMatchObject({ status: 422, body: { detail: [{ loc: ['body', 'wg_public_key'] }] } });
      }
      expect(clientOf(device)).toMatchObject({ enabled: true });
    });

    it.each(['reset', 'hanging'] as const)('and answers as one that is %s does, no row is left', async (mood) => {
      const before = easy.clients.length;
      easy.mood = mood;
      const { result, ms } = await timed(api.post('/vpn_peers/self', {}, owner.token));
      easy.mood = 'well';
      expect(result).toMatchObject({ status: 502, body: { detail: 'failed to create remote wg-easy client' } });
      expect(ms).toBeLessThan(LONGEST_MS);
      expect(await rowsOf(owner)).toEqual([]);
      expect(easy.clients).toHaveLength(before);
    });

    it('what was made for a device that came one too many is removed', async () => {
      const limited = await api.subscriber(admin, { device_limit: 1 });
      const before = easy.clients.length;
      const answers = await Promise.all([1, 2, 3].map(() => api.post('/vpn_peers/self', {}, limited.token)));
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409]);
      await applied(() => yes(easy.clients.length === before + 1));
      expect(clientOf(answers.find(({ status }) => status === 200)!.body)).toMatchObject({ enabled: true });
    });

    it('a full server is said to be full', async () => {
      const strangers = Array.from({ length: 253 - easy.clients.length }, (_, index) => easy.add(`guest ${index}`));
      expect(await api.post('/vpn_peers/self', {}, owner.token)).toMatchObject({
        status: 503,
        body: { detail: 'address_pool_exhausted' },
      });
      easy.clients.splice(easy.clients.indexOf(strangers[0]!), strangers.length);
    });

    it('a blocked user is shut out, and back with the same key when he is let in', async () => {
      const device = await add(owner);
      await block(owner);
      await until(() => Promise.resolve(yes(clientOf(device)?.enabled === false)));
      await block(owner, 'active');
      await until(() => Promise.resolve(yes(clientOf(device)?.enabled === true)));
      await until(async () => yes((await shown(device)).status === 'active'));
    });

    it('a deleted device is gone', async () => {
      const device = await add(owner);
      expectOk(await api.delete(`/vpn_peers/${device.id}`, owner.token));
      expect(clientOf(device)).toBeUndefined();
    });

    it('a rotated device has another key, and the old one is gone', async () => {
      const device = await add(owner);
      const before = easy.clients.length;
      const rotated = expectOk(await api.post(`/vpn_peers/${device.id}/rotate`, {}, owner.token)) as Device;
      expect(rotated.wg_public_key).not.toBe(device.wg_public_key);
      expect(clientOf(rotated)).toMatchObject({ enabled: true, privateKey: rotated.wg_private_key });
      expect(clientOf(device)).toBeUndefined();
      expect(easy.clients).toHaveLength(before);
      expect(rotated).toMatchObject({ status: 'active', wg_ip: `${clientOf(rotated)!.ipv4Address}/32` });
      expect(await configOf(device)).toContain(`PrivateKey = ${rotated.wg_private_key}\n`);
    });

    it('a device whose rotation failed keeps its key', async () => {
      const device = await add(owner);
      easy.onCall = (call) => {
        if (call.startsWith('POST') && call.endsWith('/client')) easy.nextChange = { status: 400, json: {} };
      };
      const answer = await api.post(`/vpn_peers/${device.id}/rotate`, {}, owner.token);
      easy.onCall = () => undefined;
      easy.nextChange = undefined;
      expect(answer).toMatchObject({ status: 502, body: { detail: 'failed to create remote wg-easy client' } });
      expect(clientOf(device)).toMatchObject({ enabled: true });
      expect(await shown(device)).toMatchObject({ status: 'active', wg_public_key: device.wg_public_key });
      expect(await configOf(device)).toContain(`PrivateKey = ${device.wg_private_key}\n`);
    });

    it('a device on a full server gets another key in the place of the old one', async () => {
      const device = await add(owner);
      const strangers = Array.from({ length: 253 - easy.clients.length }, (_, index) => easy.add(`guest ${index}`));
      const rotated = expectOk(await api.post(`/vpn_peers/${device.id}/rotate`, {}, owner.token)) as Device;
      for (const stranger of strangers) easy.drop(stranger);
      expect(clientOf(device)).toBeUndefined();
      expect(clientOf(rotated)).toMatchObject({ enabled: true, privateKey: rotated.wg_private_key });
      await applied(async () => yes((await shown(device)).status === 'active'));
    });

    it('a device moves away with its key, and comes back with another', async () => {
      const device = await add(owner);
      const [row] = await api.rows<{ id: number }>(
        `INSERT INTO vpn_servers (name, region, endpoint, public_key, subnet, dns, created_at)
       VALUES ('plain', 'plain', 'plain.example.com:51820', $1, '10.9.0.0/24', '{1.1.1.1}', now())
       ON CONFLICT (name) DO UPDATE SET region = 'plain' RETURNING id`,
        [generateKeyPair().publicKey],
      );
      await api.app.get(Addresses).fill(await api.app.get(Servers).get(row!.id));
      const move = async (server_id: number): Promise<Device> =>
        expectOk(await api.post(`/vpn_peers/${device.id}/move`, { server_id }, owner.token));
      const away = await move(row!.id);
      expect(away).toMatchObject({ wg_public_key: device.wg_public_key, status: 'active' });
      expect(await configOf(device)).toContain(`PrivateKey = ${device.wg_private_key}\n`);
      await until(() => Promise.resolve(yes(clientOf(device) === undefined)));
      const back = await move(FIRST);
      expect(back).toMatchObject({ server_id: FIRST, status: 'active' });
      expect(await configOf(device)).toContain(`PrivateKey = ${clientOf(back)!.privateKey}\n`);
    });

    it('was never asked for anything it does not know', () => {
      expect(easy.unexpected).toEqual([]);
    });
  },
);
