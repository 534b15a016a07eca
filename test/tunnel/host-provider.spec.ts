import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateKeyPair, HostProvider, type HostShell, LocalShell, type PeerSpec, SshConnection } from '#wireguard';
import { type Machine } from '../support/namespaces.js';
import { itKeepsTheProviderContract } from '../support/provider-contract.js';
import { lackOfHosts, SshHost } from '../support/ssh-host.js';

jest.setTimeout(120_000);

const lack = lackOfHosts();
if (lack !== undefined) {
  console.warn(
    `THE TEST OF HOSTS IS SKIPPED: ${lack}. It needs root, openssh-server, wireguard-go, wireguard-tools and iproute2.`,
  );
}

const OPTIONS = { interface: 'wg0', keysFrom: 'host', sudo: false } as const;
const MANY = 10_000;

let host: SshHost;

function overSsh(privateKey: string): SshConnection {
  const { port, fingerprint } = host;
  return new SshConnection({ host: '127.0.0.1', port, user: 'root', privateKey, fingerprint });
}

/** Commands on that machine as if it were this one. */
function localTo(machine: Machine): HostShell {
  const shell = new LocalShell();
  return {
    run: (command) =>
      shell.run({ ...command, words: ['nsenter', '-t', String(machine.pid), '-n', '-m', ...command.words] }),
    close: () => shell.close(),
  };
}

/** The same as a user who is not root, and whom sudo lets do what the documentation gives him. */
function behindSudo(machine: Machine): HostShell {
  const shell = localTo(machine);
  const nobody = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'];
  return {
    run: (command) => shell.run({ ...command, words: [...nobody, ...command.words] }),
    close: () => shell.close(),
  };
}

/** Puts the sudoers lines of the documentation into force, inside only. */
async function allowBySudo(machine: Machine): Promise<void> {
  const page = await readFile('docs/wireguard-host.md', 'utf8');
  const lines = /```\n(Cmnd_Alias WG_SHOW[\s\S]*?)```/.exec(page)?.[1];
  if (lines === undefined) throw new Error('The documentation has no sudoers lines');
  const folder = join(machine.folder, 'sudoers.d');
  await mkdir(folder);
  await writeFile(join(folder, 'wgctl'), lines.replaceAll('wgctl', 'nobody'));
  await chmod(join(folder, 'wgctl'), 0o440);
  await machine.run('mount', '--bind', folder, '/etc/sudoers.d');
}

const hasSudo = existsSync('/usr/bin/sudo');
if (!hasSudo) console.warn('THE TEST OF A HOST BEHIND SUDO IS SKIPPED: sudo is not installed.');

(lack === undefined ? describe : describe.skip)('a real host', () => {
  beforeAll(async () => {
    host = await SshHost.open();
    if (hasSudo) await allowBySudo(host.machine);
  });
  afterAll(() => host.close());

  describe.each([
    ['over SSH as root', false, () => overSsh(host.rootKey)],
    ['over SSH through the gate', false, () => overSsh(host.gatedKey)],
    ['without SSH', false, () => localTo(host.machine)],
    ...(hasSudo ? [['behind sudo', true, () => behindSudo(host.machine)] as const] : []),
  ] as const)('%s', (name, sudo, connect) => {
    const options = { ...OPTIONS, sudo };
    let provider: HostProvider;

    async function open(): Promise<HostProvider> {
      const empty = join(host.machine.folder, 'empty.conf');
      await writeFile(empty, `[Interface]\nPrivateKey = ${generateKeyPair().privateKey}\nListenPort = 51820\n`);
      await host.machine.run('wg', 'setconf', 'wg0', empty);
      return (provider = new HostProvider(connect(), options));
    }
    afterEach(() => provider.close());

    itKeepsTheProviderContract(async () => ({
      provider: await open(),
      addStranger: async (publicKey, address) => {
        await host.machine.run('wg', 'set', 'wg0', 'peer', publicKey, 'allowed-ips', `${address}/32`);
      },
      close: () => provider.close(),
    }));

    it('makes keys, and takes addresses of both kinds and a preshared key, and the key away again', async () => {
      await open();
      const { publicKey } = await provider.generateKeyPair();
      const presharedKey = randomBytes(32).toString('base64');
      const addresses = ['10.8.0.2/32', 'fd00:8::7/128'];
      const spec: PeerSpec = { peerId: 1, publicKey, addresses, presharedKey, remoteId: null };
      await provider.put([spec]);
      expect(await host.machine.run('wg', 'show', 'wg0', 'preshared-keys')).toBe(`${publicKey}\t${presharedKey}\n`);
      expect(await provider.list()).toMatchObject([{ publicKey, addresses }]);

      await provider.put([{ ...spec, addresses: ['10.8.0.3/32'], presharedKey: null }]);
      expect(await host.machine.run('wg', 'show', 'wg0', 'preshared-keys')).toBe(`${publicKey}\t(none)\n`);
      expect(await provider.list()).toMatchObject([{ addresses: ['10.8.0.3/32'] }]);
    });

    it('keeps the interface as it was, whatever happens to its peers', async () => {
      await open();
      const read = async (): Promise<string> =>
        (await host.machine.run('wg', 'show', 'wg0', 'dump')).split('\n')[0] ?? '';
      const before = await read();
      const { publicKey } = generateKeyPair();
      await provider.put([{ peerId: 1, publicKey, addresses: ['10.8.0.2/32'], presharedKey: null, remoteId: null }]);
      await provider.remove([{ publicKey, remoteId: null }]);
      expect(await read()).toBe(before);
    });

    it('says which interface is not there', async () => {
      await open();
      const other = new HostProvider(connect(), { ...options, interface: 'wg7' });
      await expect(other.list()).rejects.toMatchObject({ code: 'server_refused' });
      await other.close();
    });

    it('tells an interface that serves from one that is down, is none, or none of WireGuard (G9)', async () => {
      await open();
      expect(await provider.link()).toEqual({ kind: 'userspace', isUp: true, isRoot: true });
      await host.machine.run('ip', 'link', 'set', 'wg0', 'down');
      expect(await provider.list()).toEqual([]); // wg shows it all the same
      expect(await provider.link()).toMatchObject({ kind: 'userspace', isUp: false });
      await host.machine.run('ip', 'link', 'set', 'wg0', 'up');
      const isGated = name.includes('gate');
      for (const [other, kind] of [
        ['wg7', 'missing'],
        ['lo', 'other'],
      ] as const) {
        const another = new HostProvider(connect(), { ...options, interface: other });
        expect(await another.link()).toMatchObject({ kind: isGated ? 'unknown' : kind });
        await another.close();
      }
    });

    it(`holds ${MANY} peers`, async () => {
      await open();
      const specs = Array.from({ length: MANY }, (_, index) => ({
        peerId: index,
        publicKey: randomBytes(32).toString('base64'),
        addresses: [`10.8.${(index + 2) >> 8}.${(index + 2) & 255}/32`],
        presharedKey: null,
        remoteId: null,
      }));
      const figures: string[] = [];
      const measure = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
        const start = performance.now();
        const result = await work();
        figures.push(`${what} ${Math.round(performance.now() - start)} ms`);
        return result;
      };
      await provider.list(); // connects
      await measure('build up', () => provider.put(specs));
      await measure('put again', () => provider.put(specs));
      expect(await measure('list', () => provider.list())).toHaveLength(MANY);
      await measure('put one', () => provider.put(specs.slice(0, 1)));
      await measure('remove', () => provider.remove(specs));
      expect(await provider.list()).toEqual([]);
      console.info(`${MANY} peers ${name}: ${figures.join(', ')}`);
    });
  });

  it('lets a client of the gate do nothing else', async () => {
    const connection = overSsh(host.gatedKey);
    for (const words of [
      ['id'],
      ['bash'],
      ['wg', 'showconf', 'wg0'],
      ['wg', 'show', 'wg1', 'dump'],
      ['internal-sftp'],
    ]) {
      const refusal = connection.run({ words, stdin: null, timeoutSeconds: 5 });
      await expect(refusal).rejects.toMatchObject({ code: 'server_refused', params: { kind: 'command' } });
    }
    await connection.close();
  });

  it('shows the server’s private key to nobody through the gate', async () => {
    const connection = overSsh(host.gatedKey);
    const dump = await connection.run({ words: ['wg', 'show', 'wg0', 'dump'], stdin: null, timeoutSeconds: 5 });
    expect(dump).toMatch(/^\(hidden\)\t/);
    await connection.close();
  });
});
