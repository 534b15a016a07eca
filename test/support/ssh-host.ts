import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { lackOfMeans, Machine } from './namespaces.js';
import { poll } from './service.js';

/** What this machine lacks for such hosts, as a sentence; undefined when nothing. */
export function lackOfHosts(): string | undefined {
  return lackOfMeans('sshd', 'ssh-keygen');
}

const MOODY_WG = `#!/bin/sh
mood=$(cat FOLDER/mood 2>/dev/null)
[ "$mood" = hangs-before ] && exec sleep 60
FOLDER/wg "$@"
code=$?
[ "$mood" = hangs-after ] && sleep 60
exit $code
`;

/**
 * A WireGuard host: a machine of its own with wireguard-go and a real sshd, which can be stopped, frozen, and given another key.
 * sshd runs inside, on sockets that are accepted out here, so that a service needs no network of its own to reach it.
 */
export class SshHost {
  private door: Server;
  private sockets = new Set<Socket>();
  private sessions = new Set<ChildProcess>();
  private isFrozen = false;

  private constructor(
    readonly machine: Machine,
    readonly port: number,
    /** As `ssh-keygen -lf` prints it. */
    readonly fingerprint: string,
    /** The private keys of a client that may do anything, and of one that only the gate lets in. */
    readonly rootKey: string,
    readonly gatedKey: string,
  ) {}

  static async open(): Promise<SshHost> {
    const machine = await Machine.make();
    const path = (name: string): string => join(machine.folder, name);
    await machine.run('wireguard-go', 'wg0');
    await machine.run('ip', 'link', 'set', 'wg0', 'up');
    for (const name of ['host', 'other', 'root', 'gated']) {
      await machine.run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', path(name));
    }
    const fingerprint = (await machine.run('ssh-keygen', '-lf', path('host.pub'))).split(' ')[1] ?? '';
    await copyFile('ops/wg-gate', path('wg-gate'));
    await chmod(path('wg-gate'), 0o755);
    const gate = `restrict,command="${path('wg-gate')} wg0 10.8.0.0/16 fd00:8::/64"`;
    const gated = `${gate} ${await readFile(path('gated.pub'), 'utf8')}`;
    await writeFile(path('authorized_keys'), `${await readFile(path('root.pub'), 'utf8')}${gated}`);
    await machine.run('mkdir', '-p', '/run/sshd');
    // Inside only: what this machine's root does when a shell starts has no place in a test, nor in its figures.
    await machine.run('mount', '-t', 'tmpfs', 'tmpfs', '/root');

    await copyFile('/usr/bin/wg', path('wg'));
    await writeFile(path('moody-wg'), MOODY_WG.replaceAll('FOLDER', machine.folder), { mode: 0o755 });
    await machine.run('mount', '--bind', path('moody-wg'), '/usr/bin/wg');

    const door = createServer({ pauseOnConnect: true });
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    const { port } = door.address() as AddressInfo;
    const rootKey = await readFile(path('root'), 'utf8');
    const gatedKey = await readFile(path('gated'), 'utf8');
    const host = new SshHost(machine, port, fingerprint, rootKey, gatedKey);
    host.door = door;
    door.on('connection', (socket) => host.serve(socket));
    await host.showKey('host');
    return host;
  }

  /** From now on `wg` inside does what it is told, or hangs before it has done it, or after. */
  async setMood(mood: 'well' | 'hangs-before' | 'hangs-after'): Promise<void> {
    await writeFile(join(this.machine.folder, 'mood'), `${mood}\n`);
  }

  /** Ends the interface and makes it anew: it holds nothing then, as after a restart of the host. */
  async restartInterface(): Promise<void> {
    await this.machine.run('ip', 'link', 'del', 'wg0');
    await poll(async () => {
      await this.machine.run('wireguard-go', 'wg0').catch(() => undefined);
      return this.machine.run('ip', 'link', 'set', 'wg0', 'up').then(
        () => true,
        () => undefined,
      );
    });
  }

  /** What the interface holds: `key address`, sorted. */
  async held(): Promise<readonly string[]> {
    const text = await this.machine.run(join(this.machine.folder, 'wg'), 'show', 'wg0', 'allowed-ips');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.replace('\t', ' '))
      .sort();
  }

  /** From now on sshd shows its own key, or another one. */
  async showKey(name: 'host' | 'other'): Promise<void> {
    const path = (file: string): string => join(this.machine.folder, file);
    const settings = [
      `HostKey ${path(name)}`,
      `AuthorizedKeysFile ${path('authorized_keys')}`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      'PrintMotd no',
      'Subsystem sftp internal-sftp',
    ];
    await writeFile(path('sshd_config'), `${settings.join('\n')}\n`);
  }

  /** Takes no connections, and cuts those there are. */
  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.door.close(resolve));
  }

  async restart(): Promise<void> {
    if (this.door.listening) return;
    await new Promise<void>((resolve) => this.door.listen(this.port, '127.0.0.1', resolve));
  }

  /** Cuts every connection. */
  cut(): void {
    this.signal('SIGKILL');
  }

  /** Answers nothing any more, on connections that stay: new ones are accepted and left alone. */
  freeze(): void {
    this.isFrozen = true;
    this.signal('SIGSTOP');
  }

  thaw(): void {
    this.isFrozen = false;
    this.signal('SIGCONT');
    for (const socket of this.sockets) socket.destroy();
    this.sockets.clear();
  }

  async close(): Promise<void> {
    this.thaw();
    if (this.door.listening) await this.stop();
    await this.machine.destroy();
  }

  /** To sshd and to the processes it has made for each connection. */
  private signal(signal: NodeJS.Signals): void {
    for (const { pid } of this.sessions) if (pid !== undefined) process.kill(-pid, signal);
  }

  private serve(socket: Socket): void {
    if (this.isFrozen) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      return;
    }
    const config = join(this.machine.folder, 'sshd_config');
    const inside = ['-t', String(this.machine.pid), '-n', '-m', '/usr/sbin/sshd', '-i', '-f', config];
    const session = spawn('nsenter', inside, { stdio: [socket, socket, 'ignore'], detached: true });
    this.sessions.add(session);
    session.once('exit', () => this.sessions.delete(session));
    socket.destroy();
  }
}
