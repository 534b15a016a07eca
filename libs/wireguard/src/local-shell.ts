import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isError } from '#kernel';
import {
  failureOf,
  GRACE_MS,
  type HostCommand,
  hostRefused,
  type HostShell,
  hostUnavailable,
  lineOf,
  MAX_COMPLAINT_BYTES,
  MAX_OUTPUT_BYTES,
} from './host-shell.js';

/** Memory rather than a disk, and writable in a container whose file system is read-only. */
const MEMORY = '/dev/shm';

/** Commands on this machine, without a shell in between. */
export class LocalShell implements HostShell {
  async run(command: HostCommand): Promise<string> {
    lineOf(command);
    const input = command.stdin === null ? undefined : await namelessFile(command.stdin);
    try {
      return await execute(command, input?.fd);
    } finally {
      await input?.close();
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * A file that has no name any more and is gone with its last reader. `wg` opens /dev/stdin by name, which fails (ENXIO) on what
 * Node calls a pipe: it is a socket.
 */
async function namelessFile(text: string): Promise<FileHandle> {
  const path = join(existsSync(MEMORY) ? MEMORY : tmpdir(), `wg-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  await file.write(text, 0); // at a position, so that a reader of the descriptor itself begins at the beginning
  return file;
}

function execute({ words, timeoutSeconds }: HostCommand, input: number | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const [program = '', ...rest] = words;
    const child = spawn(program, rest, { stdio: [input ?? 'ignore', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    let size = 0;
    let complaint = '';
    const fail = (error: Error): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      // Whoever the command started may hold its pipes open; nobody reads them any more.
      child.stdout?.destroy();
      child.stderr?.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(hostUnavailable('timeout')), timeoutSeconds * 1000 + GRACE_MS);
    child.stdout?.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT_BYTES) fail(hostRefused('output', new Error('The output is too long')));
      else output.push(chunk);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      if (complaint.length < MAX_COMPLAINT_BYTES) complaint += chunk.toString('latin1');
    });
    child.on('error', (error) => fail(hostRefused('command', isError(error) ? error : undefined)));
    child.on('close', (code) => {
      if (code === 0) {
        clearTimeout(timer);
        resolve(Buffer.concat(output).toString());
      } else {
        fail(code === null ? hostUnavailable('interrupted') : failureOf(code, complaint));
      }
    });
  });
}
