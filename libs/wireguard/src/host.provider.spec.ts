import { beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { FakeWgHost } from '../../../test/fakes/wg-host.js';
import { itKeepsTheProviderContract } from '../../../test/support/provider-contract.js';
import { HostProvider } from './host.provider.js';
import { generateKeyPair, publicKeyOf } from './keys.js';
import { type PeerSpec } from './wireguard.provider.js';

const OPTIONS = { interface: 'wg0', keysFrom: 'service', sudo: false } as const;
const REFUSED_BEFORE_SENDING = { code: 'server_refused', params: { kind: 'grammar' } };

let host: FakeWgHost;
let provider: HostProvider;
beforeEach(() => {
  host = new FakeWgHost();
  provider = new HostProvider(host, OPTIONS);
});

function specOf(changes: Partial<PeerSpec> = {}): PeerSpec {
  return {
    peerId: 1,
    publicKey: generateKeyPair().publicKey,
    addresses: ['10.8.0.2/32'],
    presharedKey: null,
    remoteId: null,
    ...changes,
  };
}

describe('a host with wg', () => {
  itKeepsTheProviderContract(() =>
    Promise.resolve({
      provider,
      addStranger: (publicKey, address) => {
        host.give(publicKey, [`${address}/32`]);
        return Promise.resolve();
      },
      close: () => provider.close(),
    }),
  );
});

describe('what a host is told', () => {
  it('is one command for each 1000 new peers, and for as many that leave as the shortest command line takes (G8)', async () => {
    const specs = Array.from({ length: 2001 }, (_, index) =>
      specOf({
        peerId: index,
        publicKey: randomBytes(32).toString('base64'),
        addresses: [`10.8.${index >> 8}.${index & 255}/32`],
      }),
    );
    const materials = await provider.put(specs);
    expect(host.commands).toHaveLength(3);
    expect(host.peers.size).toBe(2001);
    await provider.remove(materials);
    const removals = host.commands.slice(3).map(({ words }) => words.join(' ').length);
    expect(removals).toHaveLength(15);
    expect(Math.max(...removals)).toBeLessThan(9000); // what dropbear takes
    expect(host.peers.size).toBe(0);
  });

  it('is nothing when there is nothing to do', async () => {
    await provider.put([]);
    await provider.remove([]);
    expect(host.commands).toEqual([]);
  });

  it('names no preshared key in a command line, and takes the old one away from a peer without', async () => {
    const presharedKey = randomBytes(32).toString('base64');
    const spec = specOf({ presharedKey });
    await provider.put([spec]);
    expect(host.peers.get(spec.publicKey!)?.presharedKey).toBe(presharedKey);
    expect(host.commands[0]?.words.join(' ')).toBe('timeout -k 1 10 wg addconf wg0 /dev/stdin');
    await provider.put([{ ...spec, presharedKey: null }]);
    expect(host.peers.get(spec.publicKey!)?.presharedKey).toBe(`${'A'.repeat(43)}=`);
  });

  it('begins with sudo, outside of timeout, where the user is not root', async () => {
    const other = new FakeWgHost('wg-vpn', 'sudo -n timeout -k 1 10 ');
    const byOther = new HostProvider(other, { interface: 'wg-vpn', keysFrom: 'service', sudo: true });
    expect(await byOther.list()).toEqual([]);
  });

  it('has the addresses in their one canonical form, so that what is listed equals what was given', async () => {
    const [material] = await provider.put([specOf({ addresses: ['10.8.0.2', 'FD00:0:0::0007/128'] })]);
    expect(material?.addresses).toEqual(['10.8.0.2/32', 'fd00::7/128']);
    expect(await provider.list()).toMatchObject([{ addresses: ['10.8.0.2/32', 'fd00::7/128'] }]);
  });

  it('asks the host for a key pair only where keys are the host’s to make', async () => {
    const ours = await provider.generateKeyPair();
    expect(host.commands).toEqual([]);
    expect(publicKeyOf(ours.privateKey)).toBe(ours.publicKey);
    const byHost = new HostProvider(host, { ...OPTIONS, keysFrom: 'host' });
    expect([provider.chooses, byHost.chooses]).toEqual(['nothing', 'keys']);
    const theirs = await byHost.generateKeyPair();
    expect(host.commands).toHaveLength(1);
    expect(publicKeyOf(theirs.privateKey)).toBe(theirs.publicKey);
  });
});

describe('the key of the host itself', () => {
  it('is what the interface says', async () => {
    expect(await provider.serverKey()).toBe(host.publicKey);
  });

  it('is not believed of a host that answers anything else', async () => {
    host.lie = 'sudo: a password is required\n';
    await expect(provider.serverKey()).rejects.toMatchObject({ code: 'server_refused', params: { kind: 'output' } });
  });
});

describe('hostile input', () => {
  const key = generateKeyPair().publicKey;

  it.each([
    ['a newline after it', `${key}\n`],
    ['a section after it', `${key}\n[Interface]\nPostUp = id`],
    ['a quote', `${key.slice(0, 20)}'${key.slice(21)}`],
    ['a substitution', `$(id)${key.slice(5)}`],
    ['a command after it', `${key};id`],
    ['a space', `${key} remove`],
    ['an option', `--${key.slice(2)}`],
    ['43 characters', key.slice(1)],
    ['45 characters', `A${key}`],
    ['another alphabet', `${'-'.repeat(43)}=`],
    ['bits after the last byte', `${'A'.repeat(42)}B=`],
    ['nothing but zeros', `${'A'.repeat(43)}=`],
    ['nothing', ''],
  ])('as a key, with %s, is refused before anything is sent', async (_, publicKey) => {
    await expect(provider.put([specOf(), specOf({ publicKey })])).rejects.toMatchObject(REFUSED_BEFORE_SENDING);
    await expect(provider.put([specOf({ presharedKey: publicKey })])).rejects.toMatchObject(REFUSED_BEFORE_SENDING);
    for (const refs of [[{ publicKey, remoteId: null }], [specOf(), { publicKey, remoteId: null }]]) {
      const checked = refs.map((ref) => ({ publicKey: ref.publicKey ?? '', remoteId: null }));
      await expect(provider.remove(checked)).rejects.toMatchObject(REFUSED_BEFORE_SENDING);
      await expect(provider.suspend(checked)).rejects.toMatchObject(REFUSED_BEFORE_SENDING);
    }
    expect(host.commands).toEqual([]);
  });

  it.each([
    [['0.0.0.0/0']],
    [['::/0']],
    [['10.8.0.2/32', '0.0.0.0/0']],
    [['10.8.0.0/31']],
    [['fd00::/127']],
    [['10.8.0.2/32\nPostUp = id']],
    [['10.8.0.2/32\n']],
    [['10.8.0.2/32, 0.0.0.0/0']],
    [['10.8.0.2/32,10.8.0.3/32']],
    [['10.8.0.2/32/32']],
    [['10.8.0.02/32']],
    [['1e1.8.0.2/32']],
    [['$(id)/32']],
    [['fe80::1%eth0/128']],
    [['']],
    [[]],
    [null],
  ])('as addresses, %j is refused before anything is sent', async (addresses) => {
    await expect(provider.put([specOf(), specOf({ addresses })])).rejects.toMatchObject(REFUSED_BEFORE_SENDING);
    expect(host.commands).toEqual([]);
  });

  it.each(['', '-a', 'wg0 dump', 'wg0;id', 'wg0\n', '$(id)', 'a'.repeat(16), 'wg/0', "wg'0"])(
    'as the name of an interface, %j is refused at once',
    (name) => {
      expect(() => new HostProvider(host, { ...OPTIONS, interface: name })).toThrow(
        expect.objectContaining(REFUSED_BEFORE_SENDING),
      );
    },
  );

  it('is refused as a spec without a key: here the host chooses nothing', async () => {
    await expect(provider.put([specOf({ publicKey: null })])).rejects.toMatchObject(REFUSED_BEFORE_SENDING);
  });
});

describe('a host that lies', () => {
  it('about its peers is believed in nothing, and nothing of what it said is repeated', async () => {
    host.lie = `${host.privateKey}\tnonsense\n`;
    const error = await provider.list().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'server_refused', params: { kind: 'output' } });
    expect(String(error) + JSON.stringify(error)).not.toContain(host.privateKey);
  });

  it('about a key it made is not believed', async () => {
    const shell = { run: () => Promise.resolve('$(id)\n'), close: () => Promise.resolve() };
    const byHost = new HostProvider(shell, { ...OPTIONS, keysFrom: 'host' });
    await expect(byHost.generateKeyPair()).rejects.toMatchObject({ params: { kind: 'output' } });
  });
});
