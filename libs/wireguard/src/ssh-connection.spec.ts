import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { DomainError } from '#kernel';
import ssh2, { type Connection, type ParsedKey, type ServerChannel } from 'ssh2';
import { poll } from '../../../test/support/service.js';
import { TcpProxy } from '../../../test/support/tcp-proxy.js';
import { type HostCommand } from './host-shell.js';
import { SshConnection, type SshTarget } from './ssh-connection.js';

const { generateKeyPairSync, parseKey } = ssh2.utils;

interface Keys {
  readonly privateKey: string;
  readonly fingerprint: string;
}

/** ssh2 now and then makes a key that it cannot read itself (seen twice in some hundred runs). */
function readablePair(): { readonly privateKey: string; readonly parsed: ParsedKey } {
  for (let tries = 0; tries < 10; tries += 1) {
    const { private: privateKey } = generateKeyPairSync('ed25519');
    const parsed = parseKey(privateKey);
    if (!(parsed instanceof Error)) return { privateKey, parsed };
  }
  throw new Error('ssh2 made no key that can be read');
}

function makeKeys(): Keys {
  const { privateKey, parsed } = readablePair();
  const digest = createHash('sha256').update(parsed.getPublicSSH()).digest('base64');
  return { privateKey, fingerprint: `SHA256:${digest.replace(/=+$/, '')}` };
}

/** What the host does with one command; it ends the channel, or does not. */
type Behaviour = (channel: ServerChannel, line: string, stdin: string) => void;

const answer =
  (text: string, code = 0): Behaviour =>
  (channel) => {
    channel.write(text);
    channel.exit(code);
    channel.end();
  };
const complain =
  (text: string, code = 1): Behaviour =>
  (channel) => {
    channel.stderr.write(text);
    channel.exit(code);
    channel.end();
  };

/** Has a server listen on loopback, and answers its port. */
async function listen(server: Server | InstanceType<typeof ssh2.Server>, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()));
  return (server.address() as AddressInfo).port;
}

/** An SSH server in this process that knows one user and one key, and does with commands what it is told to. */
class TestHost {
  behave: Behaviour = answer('done\n');
  /** How many requests for a channel are turned down from now on. */
  refusals = 0;
  connections = 0;
  running = 0;
  most = 0;
  readonly lines: string[] = [];
  readonly current = new Set<Connection>();
  private constructor(
    private readonly server: InstanceType<typeof ssh2.Server>,
    readonly port: number,
  ) {}

  static async start(keys: Keys, client: Keys, port = 0): Promise<TestHost> {
    const server = new ssh2.Server({ hostKeys: [keys.privateKey] });
    const host = new TestHost(server, await listen(server, port));
    server.on('connection', (connection) => host.serve(connection, client));
    return host;
  }

  async stop(): Promise<void> {
    for (const connection of this.current) connection.end();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private serve(connection: Connection, client: Keys): void {
    this.connections += 1;
    this.current.add(connection);
    connection.on('error', () => undefined);
    connection.on('close', () => this.current.delete(connection));
    connection.on('authentication', (context) => {
      const known = parseKey(client.privateKey);
      const isKnown =
        context.method === 'publickey' &&
        context.username === 'wgctl' &&
        !(known instanceof Error) &&
        context.key.data.equals(known.getPublicSSH());
      if (isKnown) context.accept();
      else context.reject(['publickey']);
    });
    connection.on('session', (accept, reject) => {
      if (this.refusals > 0) {
        this.refusals -= 1;
        reject();
        return;
      }
      accept().on('exec', (take, _, { command }) => {
        const channel = take();
        this.lines.push(command);
        this.running += 1;
        this.most = Math.max(this.most, this.running);
        channel.on('error', () => undefined);
        channel.on('close', () => (this.running -= 1));
        let stdin = '';
        channel.on('data', (chunk: Buffer) => (stdin += chunk.toString()));
        channel.on('end', () => this.behave(channel, command, stdin));
      });
    });
  }
}

const hostKeys = makeKeys();
const clientKeys = makeKeys();
const COMMAND: HostCommand = { words: ['wg', 'show', 'wg0', 'dump'], stdin: null, timeoutSeconds: 5 };
const unavailable = (kind: string): object => ({ code: 'server_unavailable', params: { kind } });
const refused = (kind: string): object => ({ code: 'server_refused', params: { kind } });

let host: TestHost;
let connections: SshConnection[];

beforeEach(async () => {
  host = await TestHost.start(hostKeys, clientKeys);
  connections = [];
});
afterEach(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  await host.stop();
});

function open(changes: Partial<SshTarget> = {}, readyTimeoutMs?: number): SshConnection {
  const target = {
    host: '127.0.0.1',
    port: host.port,
    user: 'wgctl',
    privateKey: clientKeys.privateKey,
    fingerprint: hostKeys.fingerprint,
    ...changes,
  };
  const connection = new SshConnection(target, readyTimeoutMs);
  connections.push(connection);
  return connection;
}

describe('a command on a host', () => {
  it('answers what was written, and the next one uses the same connection', async () => {
    const connection = open();
    expect(await connection.run(COMMAND)).toBe('done\n');
    expect(await connection.run(COMMAND)).toBe('done\n');
    expect(host.lines).toEqual(['wg show wg0 dump', 'wg show wg0 dump']);
    expect(host.connections).toBe(1);
  });

  it('is given its stdin, whole', async () => {
    host.behave = (channel, line, stdin) => answer(`${line} ${stdin.length}`)(channel, line, stdin);
    const stdin = 'PublicKey = x\n'.repeat(20_000);
    expect(await open().run({ ...COMMAND, stdin })).toBe(`wg show wg0 dump ${stdin.length}`);
  });

  it('answers a long text whole', async () => {
    const text = 'x'.repeat(4 * 1024 * 1024);
    host.behave = answer(text);
    expect(await open().run(COMMAND)).toBe(text);
  });

  it('runs beside three others at most, and all get their turn', async () => {
    const connection = open();
    host.behave = (channel, line) => void setImmediate(() => answer(line)(channel, line, ''));
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => connection.run({ ...COMMAND, words: ['wg', String(index)] })),
    );
    expect(answers).toEqual(Array.from({ length: 40 }, (_, index) => `wg ${index}`));
    expect(host.most).toBeLessThanOrEqual(4);
    expect(host.connections).toBe(1);
  });

  it('is turned away when too many wait, and the others are not', async () => {
    const connection = open();
    const results = await Promise.allSettled(Array.from({ length: 70 }, () => connection.run(COMMAND)));
    const failed = results.filter(({ status }) => status === 'rejected');
    expect(failed).toEqual(Array(2).fill({ status: 'rejected', reason: expect.objectContaining(unavailable('busy')) }));
  });

  it.each([['a\nb'], ['$(id)'], ["'"], ['a b'], [';'], [''], ['`id`'], ['>x'], ['a\0'], ['é']])(
    'with %j in it is refused before anything is sent',
    async (word) => {
      await expect(open().run({ ...COMMAND, words: ['wg', word] })).rejects.toMatchObject(refused('grammar'));
      expect(host.connections).toBe(0);
    },
  );
});

describe('a host that is not the one we know', () => {
  it('is refused by its key, every time, and told nothing', async () => {
    const connection = open({ fingerprint: makeKeys().fingerprint });
    await expect(connection.run(COMMAND)).rejects.toMatchObject(refused('host_key'));
    await expect(connection.run(COMMAND)).rejects.toMatchObject(refused('host_key'));
    expect(connection.seenFingerprint).toBe(hostKeys.fingerprint);
    expect(host.lines).toEqual([]);
  });

  it('is noticed on a later connection where the first key was trusted', async () => {
    const connection = open({ fingerprint: null });
    expect(connection.seenFingerprint).toBeNull();
    await connection.run(COMMAND);
    expect(connection.seenFingerprint).toBe(hostKeys.fingerprint);

    const { port } = host;
    await host.stop();
    const impostor = makeKeys();
    host = await TestHost.start(impostor, clientKeys, port);
    const refusal = await poll(async () => {
      const error: unknown = await connection.run(COMMAND).catch((thrown: unknown) => thrown);
      return error instanceof DomainError && error.code === 'server_refused' ? error : undefined; // or: not yet noticed
    });
    expect(refusal).toMatchObject(refused('host_key'));
    await expect(connection.run(COMMAND)).rejects.toMatchObject(refused('host_key'));
    expect(connection.seenFingerprint).toBe(impostor.fingerprint);
    expect(host.lines).toEqual([]);
  });
});

describe('a host that does not let us in', () => {
  it.each([
    ['our key', { privateKey: makeKeys().privateKey }],
    ['our user', { user: 'root' }],
  ])('because it does not know %s refuses', async (_, changes) => {
    await expect(open(changes).run(COMMAND)).rejects.toMatchObject(refused('authentication'));
  });

  it('because our key is none is not even asked, and the key is not quoted', async () => {
    const error = await open({ privateKey: 'hunter2' })
      .run(COMMAND)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject(refused('private_key'));
    expect(error).not.toHaveProperty('cause');
    expect(host.connections).toBe(0);
  });
});

describe('a command that the host does not do', () => {
  it.each([
    ['Unable to access interface: No such device', 1, 'interface'],
    ['Unable to access interface: Operation not permitted', 1, 'permission'],
    ['sudo: a password is required', 1, 'permission'],
    ['wg-gate: refused: the command is not known here', 126, 'command'],
    ['bash: line 1: wg: command not found', 127, 'command'],
  ])('because of "%s" (code %d) is refused: %s', async (text, code, kind) => {
    host.behave = complain(text, code);
    await expect(open().run(COMMAND)).rejects.toMatchObject({
      ...refused(kind),
      cause: { message: `The command ended with code ${code}: ${text}` },
    });
  });

  it('says why in one line of sane length, without any key', async () => {
    const key = `${'Ab+/'.repeat(10)}Abc=`;
    host.behave = complain(`Line unrecognized: \`PresharedKey=${key}'\n\u001b[2J${'x '.repeat(1000)}`);
    const error = await open()
      .run({ ...COMMAND, stdin: `PresharedKey = ${key}\n` })
      .catch((thrown: unknown) => thrown as Error);
    const { message } = (error as { cause: Error }).cause;
    expect(message).toContain('(key)');
    expect(message).not.toContain('Ab+/');
    expect(message).toMatch(/^[ -~]{1,250}$/);
  });

  it.each([[124], [137]])('because its time ran out there (code %d) may be tried again', async (code) => {
    host.behave = complain('', code);
    await expect(open().run(COMMAND)).rejects.toMatchObject(unavailable('timeout'));
  });
});

describe('a host in trouble', () => {
  it('that nobody answers for is unavailable', async () => {
    const { port } = host;
    await host.stop();
    await expect(open({ port }).run(COMMAND)).rejects.toMatchObject(unavailable('network'));
    host = await TestHost.start(hostKeys, clientKeys);
  });

  it('that takes the connection and says nothing is given up on', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    const port = await listen(silent);
    await expect(open({ port }, 200).run(COMMAND)).rejects.toMatchObject(unavailable('timeout'));
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  it('that hangs in a command is given up on, and the connection stays good', async () => {
    const connection = open();
    await connection.run(COMMAND);
    host.behave = () => undefined;
    const hung = connection.run({ ...COMMAND, timeoutSeconds: 0 });
    await expect(hung).rejects.toMatchObject(unavailable('timeout'));
    host.behave = answer('well again');
    expect(await connection.run(COMMAND)).toBe('well again');
    expect(host.connections).toBe(1);
    await poll(() => (host.running === 0 ? true : undefined)); // what hung was closed on our side
  });

  it('that kills a command is not believed to have done it', async () => {
    host.behave = (channel) => {
      channel.write('half');
      channel.exit('KILL');
      channel.end();
    };
    await expect(open().run(COMMAND)).rejects.toMatchObject(unavailable('interrupted'));
  });

  it('that ends a command without a code is not believed to have done it', async () => {
    host.behave = (channel) => {
      channel.write('half');
      channel.close();
    };
    await expect(open().run(COMMAND)).rejects.toMatchObject(unavailable('interrupted'));
  });

  it('that answers more than 8 MB is cut short, and the connection stays good', async () => {
    const connection = open();
    host.behave = answer('x'.repeat(9 * 1024 * 1024));
    await expect(connection.run(COMMAND)).rejects.toMatchObject(refused('output'));
    host.behave = answer('short');
    expect(await connection.run(COMMAND)).toBe('short');
    expect(host.connections).toBe(1);
  });

  it('that opens no channel for a moment is asked again', async () => {
    host.refusals = 3;
    expect(await open().run(COMMAND)).toBe('done\n');
    expect(host.lines).toHaveLength(1);
  });

  it('that opens no channel at all is busy', async () => {
    host.refusals = 1000;
    await expect(open().run(COMMAND)).rejects.toMatchObject(unavailable('busy'));
  });

  it('whose line is cut in the middle of a command fails it at once, and is connected to anew when it is back', async () => {
    const proxy = await TcpProxy.to('127.0.0.1', host.port);
    const connection = open({ port: proxy.port });
    await connection.run(COMMAND);
    host.behave = () => undefined;
    const running = [connection.run(COMMAND), connection.run(COMMAND)];
    const failures = Promise.allSettled(running);
    await poll(() => (host.running === 2 ? true : undefined));
    proxy.cut();
    for (const result of await failures) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'server_unavailable' } });
    }
    await expect(connection.run(COMMAND)).rejects.toMatchObject({ code: 'server_unavailable' });
    proxy.mend();
    host.behave = answer('back');
    expect(await connection.run(COMMAND)).toBe('back');
    proxy.close();
  });

  it('that resets an idle connection does no harm: the next command makes a new one', async () => {
    const sockets: Socket[] = [];
    const between = createServer((socket) => {
      const onwards = connect(host.port, '127.0.0.1');
      socket.pipe(onwards).pipe(socket);
      for (const one of [socket, onwards]) one.on('error', () => undefined);
      socket.on('close', () => onwards.destroy());
      sockets.push(socket);
    });
    const connection = open({ port: await listen(between) });
    await connection.run(COMMAND);
    for (const socket of sockets) socket.resetAndDestroy();
    await poll(() => (host.current.size === 0 ? true : undefined));
    expect(await poll(() => connection.run(COMMAND).catch(() => undefined))).toBe('done\n');
    expect(host.connections).toBe(2);
    between.close();
  });

  it('is let go of by close, and a later command connects anew', async () => {
    const connection = open();
    await connection.run(COMMAND);
    host.behave = () => undefined;
    const running = connection.run(COMMAND).catch((error: unknown) => error);
    await poll(() => (host.running === 1 ? true : undefined));
    await connection.close();
    expect(await running).toMatchObject({ code: 'server_unavailable' });
    host.behave = answer('again');
    expect(await connection.run(COMMAND)).toBe('again');
    expect(host.connections).toBe(2);
  });
});
