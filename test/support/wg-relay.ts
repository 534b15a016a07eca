import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DomainError } from '#kernel';
import { FakeWgHost } from '../fakes/wg-host.js';

/** Ends a request, on a line by itself: no command and no configuration of `wg` has it. */
const END = '\u0004\n';
/** What `timeout` ends with, so that the service takes it for a host that did not answer. */
const TIMED_OUT = 124;

const SCRIPT = `#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/PORT || exit ${TIMED_OUT}
printf '%s\\n' "$*" >&3
if [ "$1" = addconf ]; then cat >&3; fi
printf '\\x04\\n' >&3
IFS= read -r code <&3 || exit ${TIMED_OUT}
if [ "$code" = 0 ]; then cat <&3; else cat <&3 >&2; fi
exit "$code"
`;

/** What a test may want to know of a command, before it is carried out. */
export type WgObserver = (host: FakeWgHost, interfaceName: string, words: readonly string[]) => void;

/**
 * A stand-in for \`wg` on the path of processes of their own: each call is carried out by a host in the test's memory, one for each
 * interface. What is there is read without asking anybody, and moves when the test says so.
 */
export class WgRelay {
  readonly hosts = new Map<string, FakeWgHost>();
  observe: WgObserver = () => undefined;

  private constructor(
    private readonly server: Server,
    /** The folder to put first on the path. */
    readonly folder: string,
  ) {}

  static async start(...interfaces: readonly string[]): Promise<WgRelay> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The relay has no port');
    const folder = await mkdtemp(join(tmpdir(), 'vpn-wg-'));
    await writeFile(join(folder, 'wg'), SCRIPT.replace('PORT', String(address.port)));
    await chmod(join(folder, 'wg'), 0o755);
    const relay = new WgRelay(server, folder);
    for (const name of interfaces) relay.hosts.set(name, new FakeWgHost(name, ''));
    server.on('connection', (socket) => relay.serve(socket));
    return relay;
  }

  async close(): Promise<void> {
    for (const host of this.hosts.values()) host.recover();
    this.server.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  private serve(socket: Socket): void {
    let request = '';
    socket.setEncoding('utf8');
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: string) => {
      request += chunk;
      if (!request.endsWith(END)) return;
      void this.answer(request.slice(0, -END.length)).then(({ code, text }) => socket.end(`${code}\n${text}`));
    });
  }

  private async answer(request: string): Promise<{ readonly code: number; readonly text: string }> {
    const [line = '', ...rest] = request.split('\n');
    const words = line.split(' ');
    const [verb = '', name = ''] = words;
    const host = this.hosts.get(verb === 'genkey' ? ([...this.hosts.keys()][0] ?? '') : name);
    if (host === undefined) return { code: 1, text: 'Unable to access interface: No such device\n' };
    if (host.mood === 'well') this.observe(host, name, words);
    try {
      const stdin = rest.length === 0 ? null : rest.join('\n');
      return { code: 0, text: await host.run({ words: ['wg', ...words], stdin, timeoutSeconds: 10 }) };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return { code: error.code === 'server_unavailable' ? TIMED_OUT : 1, text: `${error.code}\n` };
    }
  }
}
