import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { poll } from './service.js';

const run = promisify(execFile);
const NEEDED = ['ip', 'nsenter', 'unshare', 'wg', 'wg-quick', 'wireguard-go', 'resolvconf', 'curl', 'iptables-restore'];

/** What this machine lacks for a real tunnel (and for what else is named), as a sentence; undefined when nothing. */
export function lackOfMeans(...also: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'making network namespaces needs root';
  if (!existsSync('/dev/net/tun')) return '/dev/net/tun is not there';
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const missing = [...NEEDED, ...also].filter((name) => !folders.some((folder) => existsSync(join(folder, name))));
  return missing.length === 0 ? undefined : `not installed: ${missing.join(', ')}`;
}

/**
 * A machine of its own: network, /run and /etc/resolv.conf are private, so that nothing a test does inside (routes, resolvers,
 * WireGuard interfaces) reaches the machine it runs on.
 */
export class Machine {
  private readonly children = new Set<ChildProcess>();

  private constructor(
    private readonly holder: ChildProcess,
    readonly pid: number,
    readonly folder: string,
  ) {}

  static async make(): Promise<Machine> {
    const folder = await mkdtemp(join(tmpdir(), 'vpn-machine-'));
    const script = `mount -t tmpfs tmpfs /run && : > ${folder}/resolv.conf &&
      mount --bind ${folder}/resolv.conf /etc/resolv.conf && ip link set lo up && { mount -t sysfs sysfs /sys || true; } && touch ${folder}/ready && exec sleep infinity`;
    const holder = spawn('unshare', ['--net', '--mount', 'sh', '-c', script], { stdio: 'ignore' });
    if (holder.pid === undefined) throw new Error('unshare did not start');
    await poll(() => (existsSync(join(folder, 'ready')) ? true : undefined), 10_000);
    return new Machine(holder, holder.pid, folder);
  }

  /** Runs a command inside; its output, or an error with it. */
  async run(command: string, ...args: string[]): Promise<string> {
    const { stdout } = await run('nsenter', ['-t', String(this.pid), '-n', '-m', command, ...args]);
    return stdout;
  }

  /** Starts a process inside that goes on until the machine is gone. */
  start(command: string, ...args: string[]): ChildProcess {
    const child = spawn('nsenter', ['-t', String(this.pid), '-n', '-m', command, ...args], { stdio: 'ignore' });
    this.children.add(child);
    return child;
  }

  /** Ends all that runs inside, and with it the machine. */
  async destroy(): Promise<void> {
    const network = readlinkSync(`/proc/${this.pid}/ns/net`);
    for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      try {
        if (readlinkSync(`/proc/${name}/ns/net`) === network) process.kill(Number(name), 'SIGKILL');
      } catch {
        // ended meanwhile
      }
    }
    this.holder.kill('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}

let cables = 0;

/** Joins two machines by a cable; each end gets its address (with prefix). */
export async function cable(left: Machine, leftAddress: string, right: Machine, rightAddress: string): Promise<void> {
  const name = `vpn${process.pid % 100_000}c${++cables}`;
  await run('ip', ['link', 'add', `${name}l`, 'type', 'veth', 'peer', 'name', `${name}r`]);
  for (const [machine, end, address] of [
    [left, `${name}l`, leftAddress],
    [right, `${name}r`, rightAddress],
  ] as const) {
    await run('ip', ['link', 'set', end, 'netns', String(machine.pid)]);
    await machine.run('ip', 'addr', 'add', address, 'dev', end);
    await machine.run('ip', 'link', 'set', end, 'up');
  }
}
