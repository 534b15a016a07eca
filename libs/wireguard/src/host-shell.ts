import { DomainError } from '#kernel';

/** One command for a WireGuard host. */
export interface HostCommand {
  /** The program and its arguments, each of WORD's grammar: nothing in them means anything to a shell. */
  readonly words: readonly string[];
  /** What the command reads; it may hold preshared keys, so it is never logged and never part of an error. */
  readonly stdin: string | null;
  /** How long the command itself may take; the shell waits a little longer before it gives up on it. */
  readonly timeoutSeconds: number;
}

/** Where commands for a WireGuard host are run: on this machine, or on another over SSH. */
export interface HostShell {
  /**
   * What the command wrote to stdout. It has ended with code 0, and its output is complete.
   * @throws DomainError server_unavailable (the command may have done its work) | server_refused
   */
  run(command: HostCommand): Promise<string>;
  /** Lets go of connections; a later call opens new ones. */
  close(): Promise<void>;
}

/** More output than 90 000 peers make is not an answer of `wg`. */
export const MAX_OUTPUT_BYTES = 8 * 1024 * 1024;
/** What is kept of stderr, in bytes: `wg`, `sudo` and the gate say in one line what is wrong. */
export const MAX_COMPLAINT_BYTES = 4096;
/** How long after a command's own limit its answer is waited for: `timeout -k 1` kills a second after the limit. */
export const GRACE_MS = 2000;

/** Why a host was not reached or did not answer: worth another try. */
export type HostOutage = 'network' | 'timeout' | 'busy' | 'interrupted';
/** Why a host did not do it: somebody has to change something first. */
export type HostRefusal =
  | 'host_key'
  | 'authentication'
  | 'private_key'
  | 'algorithms'
  | 'permission'
  | 'interface'
  | 'command'
  | 'grammar'
  | 'output';

/** Base64, and the only signs that addresses, options and interface names have besides. */
const WORD = /^[A-Za-z0-9+/=.,:_-]+$/;
/** Anything as long as half a key, which a program may quote in its complaint. */
const KEY_LIKE = /[A-Za-z0-9+/]{20,}={0,2}/g;
const LONGEST_COMPLAINT = 200;
/** What `timeout` ends with: 124 when the limit was reached, 137 when it had to kill. */
const TIMED_OUT = [124, 137];
const COMPLAINTS: readonly (readonly [HostRefusal, RegExp])[] = [
  ['permission', /operation not permitted|permission denied|a password is required|not in the sudoers|not allowed to/i],
  ['interface', /no such device|protocol not supported|unable to access interface/i],
];

export function hostUnavailable(kind: HostOutage, cause?: unknown): DomainError {
  return new DomainError('server_unavailable', { params: { kind }, cause });
}

export function hostRefused(kind: HostRefusal, cause?: unknown): DomainError {
  return new DomainError('server_refused', { params: { kind }, cause });
}

/** The command as one line; it throws when a word is none. The last check before anything leaves this process. */
export function lineOf({ words }: HostCommand): string {
  if (words.length === 0 || !words.every((word) => WORD.test(word))) throw hostRefused('grammar');
  return words.join(' ');
}

/** What a command that ended with a code other than 0 means. */
export function failureOf(code: number, stderr: string): DomainError {
  if (TIMED_OUT.includes(code)) return hostUnavailable('timeout');
  const complaint = stderr
    .replaceAll(KEY_LIKE, '(key)')
    .replaceAll(/[^ -~]+/g, ' ')
    .trim()
    .slice(0, LONGEST_COMPLAINT);
  const kind = COMPLAINTS.find(([, pattern]) => pattern.test(complaint))?.[0] ?? 'command';
  return hostRefused(kind, new Error(`The command ended with code ${code}: ${complaint}`));
}
