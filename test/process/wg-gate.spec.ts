import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandomness } from '#kernel';
import { generateKeyPair, HostProvider } from '#wireguard';

/** Writes down its arguments and its stdin, and answers as wg(8) does. */
const FAKE_WG = `#!/bin/sh
printf '%s\\n' "$*" >> "$WG_LOG"
case $1 in
  show) printf 'SERVERSECRET\\tPUBLIC\\t51820\\toff\\nPEER\\tPEERSECRET\\t(none)\\t10.8.0.2/32\\t0\\t0\\t0\\toff\\nOTHER\\t(none)\\t(none)\\t(none)\\t0\\t0\\t0\\toff\\n' ;;
  genkey) echo GENERATED ;;
  addconf) cat /dev/stdin >> "$WG_LOG" ;;
  set) [ "$2" = wg0 ] || exit 1 ;;
esac
`;
/** Whether the gate asks sudo depends on who runs this test. */
const FAKE_SUDO = '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n';

const KEY = generateKeyPair().publicKey;
const OTHER = generateKeyPair().publicKey;
const PEER = `[Peer]\nPublicKey = ${KEY}\nPresharedKey = ${OTHER}\nAllowedIPs = 10.8.0.2/32, fd00:8::2/128\n`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vpn-gate-'));
  for (const [name, text] of [
    ['wg', FAKE_WG],
    ['sudo', FAKE_SUDO],
  ] as const) {
    await writeFile(join(folder, name), text);
    await chmod(join(folder, name), 0o755);
  }
});
afterAll(() => rm(folder, { recursive: true }));

interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly complaint: string;
  /** What reached `wg`. */
  readonly ran: string;
}

let runs = 0;

/** What comes of a client's asking for this command. */
async function ask(
  command: string | undefined,
  stdin = '',
  gate = ['wg0', '10.8.0.0/16', 'fd00:8::/64'],
): Promise<Outcome> {
  const log = join(folder, `log-${++runs}`);
  await writeFile(log, '');
  const child = spawn('ops/wg-gate', gate, {
    env: {
      PATH: `${folder}:${process.env['PATH']}`,
      WG_LOG: log,
      ...(command === undefined ? {} : { SSH_ORIGINAL_COMMAND: command }),
    },
  });
  let [output, complaint] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  child.stdin.on('error', () => undefined); // the gate may have refused before it read
  child.stdin.end(stdin);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, output, complaint, ran: await readFile(log, 'utf8') };
}

function expectRefusal(outcome: Outcome): void {
  expect(outcome).toMatchObject({ code: 126, output: '', ran: '' });
  expect(outcome.complaint).toMatch(/^wg-gate: refused: [ -~]+\n$/);
}

describe('the gate lets pass', () => {
  it('the list of peers, without any secret', async () => {
    const { code, output } = await ask('wg show wg0 dump');
    expect(code).toBe(0);
    expect(output).toBe(
      '(hidden)\tPUBLIC\t51820\toff\nPEER\t(hidden)\t(none)\t10.8.0.2/32\t0\t0\t0\toff\nOTHER\t(none)\t(none)\t(none)\t0\t0\t0\toff\n',
    );
  });

  it('the making of a key', async () => {
    expect(await ask('timeout -k 1 10 wg genkey')).toMatchObject({ code: 0, output: 'GENERATED\n', ran: 'genkey\n' });
  });

  it('peers with addresses of its networks', async () => {
    const { code, ran } = await ask('wg addconf wg0 /dev/stdin', PEER);
    expect({ code, ran }).toEqual({ code: 0, ran: `addconf wg0 /dev/stdin\n${PEER}` });
  });

  it('1000 peers at once', async () => {
    const { code, ran } = await ask('wg addconf wg0 /dev/stdin', PEER.repeat(1000));
    expect(code).toBe(0);
    expect(ran).toHaveLength('addconf wg0 /dev/stdin\n'.length + PEER.length * 1000);
  });

  it('a look at its interface, and at no other (G9)', async () => {
    const gate = ['lo', '10.8.0.0/16'];
    expect(await ask('ls /sys/class/net/lo', '', gate)).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^uevent$/m),
      ran: '',
    });
    expect(await ask('cat /sys/class/net/lo/uevent /sys/class/net/lo/flags', '', gate)).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^INTERFACE=lo\nIFINDEX=1\n0x[0-9a-f]+\n$/),
    });
    for (const other of ['ls /sys/class/net/eth0', 'ls /etc', 'cat /etc/passwd', 'cat /sys/class/net/lo/uevent'])
      expectRefusal(await ask(other, '', gate));
  });

  it('the removal of 200 peers', async () => {
    const command = `set wg0${` peer ${KEY} remove`.repeat(200)}`;
    expect(await ask(`wg ${command}`)).toMatchObject({ code: 0, ran: `${command}\n` });
  });

  it.each(['', 'sudo -n ', 'timeout -k 1 10 ', 'sudo -n timeout -k 1 60 '])(
    'commands with "%s" before them',
    async (prefix) => {
      expect(await ask(`${prefix}wg show wg0 dump`)).toMatchObject({ code: 0, ran: 'show wg0 dump\n' });
    },
  );

  it('exactly what the provider sends', async () => {
    const shell = {
      run: async ({ words, stdin }: { words: readonly string[]; stdin: string | null }) => {
        const { code, output } = await ask(words.join(' '), stdin ?? '');
        expect(code).toBe(0);
        return output;
      },
      close: () => Promise.resolve(),
    };
    for (const sudo of [false, true]) {
      const provider = new HostProvider(shell, { interface: 'wg0', keysFrom: 'host', sudo });
      const addresses = ['10.8.255.254/32', 'fd00:8::ffff/128'];
      await provider.put([{ peerId: 1, publicKey: KEY, addresses, presharedKey: null, remoteId: null }]);
      await provider.remove([{ publicKey: KEY, remoteId: null }]);
      await expect(provider.generateKeyPair()).rejects.toMatchObject({ params: { kind: 'output' } }); // the fake's is none
      await expect(provider.list()).rejects.toMatchObject({ params: { kind: 'output' } });
    }
  });
});

describe('the gate refuses', () => {
  it.each([
    undefined,
    '',
    ' ',
    'bash',
    'sh -c id',
    'id',
    'scp -t /etc',
    '/usr/lib/openssh/sftp-server',
    'internal-sftp',
    'wg',
    'wg show',
    'wg show wg0',
    'wg show all dump',
    'wg show wg1 dump',
    'wg show wg0 private-key',
    'wg show wg0 dump extra',
    'wg showconf wg0',
    'wg setconf wg0 /dev/stdin',
    'wg syncconf wg0 /dev/stdin',
    'wg addconf wg0 /etc/shadow',
    'wg addconf wg1 /dev/stdin',
    'wg pubkey',
    'wg genpsk',
    'wg genkey extra',
    'wg set wg0 private-key /dev/null',
    'wg set wg0 listen-port 1',
    'wg set wg0',
    'wg set wg0 peer',
    `wg set wg0 peer ${KEY}`,
    `wg set wg0 peer ${KEY} allowed-ips 0.0.0.0/0`,
    `wg set wg0 peer ${KEY} remove peer`,
    `wg set wg0 peer ${KEY} remove private-key /etc/shadow x`,
    `wg set wg0 peer ${KEY} remove peer ${KEY} endpoint`,
    `wg set wg0 peer ${KEY.slice(1)} remove`,
    `wg set wg0 peer ${'='.repeat(44)} remove`,
    `wg set wg0 peer --${KEY.slice(2)} remove`,
    `wg set wg1 peer ${KEY} remove`,
    `wg set wg0 peer ${KEY} remove; id`,
    `wg set wg0 peer ${KEY} remove\nid`,
    'wg show wg0 dump; id',
    'wg show wg0 dump && id',
    'wg show wg0 dump | tee /tmp/x',
    'wg show wg0 dump > /tmp/x',
    'wg show $(id) dump',
    'wg show `id` dump',
    'wg show wg0 dump\nid',
    'wg\tshow wg0 dump',
    'wg  show wg0 dump',
    ' wg show wg0 dump',
    'wg show wg0 dump ',
    'wg show wg? dump',
    'wg show * dump',
    '/usr/bin/wg show wg0 dump',
    'WG_HIDE_KEYS=never wg show wg0 dump',
    'sudo wg show wg0 dump',
    'sudo -n',
    'sudo -n -u root wg show wg0 dump',
    'sudo -n sudo -n wg show wg0 dump',
    'timeout -k 1 10',
    'timeout -k 1 61 wg show wg0 dump',
    'timeout -k 1 0 wg show wg0 dump',
    'timeout -k 1 1d wg show wg0 dump',
    'timeout -k 9 10 wg show wg0 dump',
    'timeout -k 1 10 sudo -n wg show wg0 dump',
    'timeout -k 1 10 id',
    `wg show wg0 dump${' x'.repeat(40_000)}`,
  ])('%j', async (command) => {
    expectRefusal(await ask(command));
  });

  it.each([
    ['nothing', ''],
    ['a section of the interface', `[Interface]\nPrivateKey = ${KEY}\n`],
    ['one after a peer', `${PEER}[Interface]\nPrivateKey = ${KEY}\n`],
    ['a command to run', PEER.replace('PresharedKey', 'PostUp')],
    ['a line too many', `${PEER}Endpoint = 192.0.2.1:1\n`],
    ['an incomplete peer', PEER.split('\n').slice(0, 3).join('\n')],
    ['a peer without preshared key', PEER.replace(/PresharedKey.*\n/, '')],
    ['a comment', `# hello\n${PEER}`],
    ['an empty line', `\n${PEER}`],
    ['an empty line at the end', `${PEER}\n`],
    ['a carriage return', PEER.replaceAll('\n', '\r\n')],
    ['a zero byte', PEER.replace('/32', '/32\0')],
    ['a zero byte for a line', `${PEER}\0\n`],
    ['another order', PEER.replace('[Peer]\n', '').concat('[Peer]\n')],
    ['another spelling', PEER.replace('PublicKey = ', 'publickey=')],
    ['a short key', PEER.replace(KEY, KEY.slice(1))],
    ['a key of zeros', PEER.replace(KEY, `${'A'.repeat(43)}=`)],
    ['a key that is none', PEER.replace(KEY, `${'.'.repeat(43)}=`)],
    ['too much', PEER.repeat(10_000)],
    ...[
      '0.0.0.0/0',
      '::/0',
      '10.8.0.0/16',
      '10.8.0.2/31',
      '10.8.0.2',
      '10.9.0.2/32',
      '11.8.0.2/32',
      '10.8.0.256/32',
      '10.8.0.02/32',
      '10.8.0/32',
      '10.8.0.2.1/32',
      '10.8.0.-1/32',
      '10.8.0.2/32, 0.0.0.0/0',
      '10.8.0.2/32,10.8.0.3/32',
      '10.8.0.2/32, ',
      'fd00:8::/64',
      'fd00:9::2/128',
      'fd00:8:0:1::2/128',
      'fd00:8::2::3/128',
      'fd00:8:::2/128',
      'fd00:8::10.8.0.2/128',
      'FD00:8::2/128',
      'fd00:8::12345/128',
      'fd00:8:0:0:0:0:0:0:2/128',
      '',
    ].map((addresses) => [`"${addresses}" as addresses`, PEER.replace('10.8.0.2/32, fd00:8::2/128', addresses)]),
  ])('to add peers from %s', async (_, stdin = '') => {
    expectRefusal(await ask('wg addconf wg0 /dev/stdin', stdin));
  });

  it('an IPv6 address where it was given no IPv6 network', async () => {
    expectRefusal(await ask('wg addconf wg0 /dev/stdin', PEER, ['wg0', '10.8.0.0/16']));
  });

  it.each([[[]], [['wg0']], [['wg0', '10.8.0.0/16', 'fd00::/8', 'more']]])(
    'everything when it is set up as %j',
    async (gate) => {
      expectRefusal(await ask('wg show wg0 dump', '', gate));
    },
  );

  it.each([['10.8.'], ['10.8.0.0/0'], ['fd00::/8']])('peers when its network is %s', async (network) => {
    expectRefusal(await ask('wg addconf wg0 /dev/stdin', PEER, ['wg0', network]));
  });

  it('500 texts made by chance from what commands are made of', async () => {
    const randomness = new SeededRandomness('wg-gate');
    const parts = [
      'wg',
      'show',
      'set',
      'wg0',
      'dump',
      'addconf',
      '/dev/stdin',
      'peer',
      KEY,
      'remove',
      'sudo',
      '-n',
      'timeout',
    ];
    const signs = [
      ' ',
      ' ',
      ' ',
      ' ',
      ';',
      '\n',
      '$',
      '`',
      '"',
      "'",
      '|',
      '&',
      '>',
      '\t',
      '*',
      '\\',
      '(',
      '\u00e9',
      '=',
      '-',
    ];
    const allowed =
      /^(sudo -n )?(timeout -k 1 [1-9]\d? )?wg (show wg0 dump|genkey|addconf wg0 \/dev\/stdin|set wg0( peer \S{44} remove)+)$/;
    let asked = 0;
    while (asked < 500) {
      const command = [...randomness.bytes(10)]
        .map((byte, index) => (index % 2 === 0 ? parts[byte % parts.length] : signs[byte % signs.length]))
        .join('')
        .trim();
      if (allowed.test(command)) continue;
      expectRefusal(await ask(command));
      asked += 1;
    }
  }, 60_000);
});
