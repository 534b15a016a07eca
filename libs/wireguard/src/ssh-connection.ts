import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { DomainError, isError } from '#kernel';
import ssh2, { type Client, type ClientChannel, type ConnectConfig } from 'ssh2';
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

/** Where a host is, and how both sides prove who they are. */
export interface SshTarget {
  readonly host: string;
  /** The address to connect to instead, asked for each time; the host itself unless told. */
  readonly resolve?: (host: string) => Promise<string>;
  readonly port: number;
  readonly user: string;
  /** OpenSSH or PEM, without a passphrase. */
  readonly privateKey: string;
  /** `SHA256:…`, as `ssh-keygen -lf` prints it. Null trusts the key that is seen first, and only that one afterwards. */
  readonly fingerprint: string | null;
}

/** Fits a host anywhere on earth; a fresh connection to one nearby takes 80-110 ms. */
const READY_TIMEOUT_MS = 5000;
/** A black hole on an idle connection is noticed after 45 s, and not at all without. */
const KEEPALIVE_MS = 15_000;
const KEEPALIVES_MISSED = 3;
/** sshd allows 10 sessions on a connection (MaxSessions), and refuses some from 6 on. */
const MAX_CHANNELS = 4;
/** A host that is this far behind is not helped by one more command. */
const MAX_WAITING = 64;
/** 25 + 50 + 100 + 200 ms: long enough for sshd to notice that channels were closed. */
const OPEN_ATTEMPTS = 5;
const OPEN_PAUSE_MS = 25;

/** The first that both sides know is taken. All are modern; what is left out is CBC, SHA-1, DSA. */
const ALGORITHMS: NonNullable<ConnectConfig['algorithms']> = {
  serverHostKey: ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512', 'rsa-sha2-256'],
  cipher: ['chacha20-poly1305@openssh.com', 'aes256-gcm@openssh.com', 'aes128-gcm@openssh.com'],
};

/** An attempt to connect, or what came of it. */
interface Link {
  readonly client: Client;
  readonly ready: Promise<Client>;
}

/**
 * Commands on another machine, over one kept SSH connection that is made anew when it is needed and gone. Up to 4 commands run at a
 * time, 64 more wait. A pooled command costs 3-5 ms.
 */
export class SshConnection implements HostShell {
  private link: Link | undefined;
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private shown: string | null = null;
  private trusted: string | null;

  constructor(
    private readonly target: SshTarget,
    private readonly readyTimeoutMs = READY_TIMEOUT_MS,
  ) {
    this.trusted = target.fingerprint;
  }

  /** The fingerprint of the key that the host last showed, whether it was accepted or not; null before it showed one. */
  get seenFingerprint(): string | null {
    return this.shown;
  }

  async run(command: HostCommand): Promise<string> {
    const line = lineOf(command);
    await this.takeTurn();
    try {
      this.link ??= this.connect();
      return await execute(await this.link.ready, line, command);
    } finally {
      this.giveTurn();
    }
  }

  close(): Promise<void> {
    // Nothing is worth a farewell: what runs fails as it does when the network goes, and sshd sees the end of the stream.
    this.link?.client.destroy();
    this.link = undefined;
    return Promise.resolve();
  }

  private async takeTurn(): Promise<void> {
    if (this.running < MAX_CHANNELS) this.running += 1;
    else if (this.waiting.length >= MAX_WAITING) throw hostUnavailable('busy');
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private giveTurn(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.running -= 1;
    else next();
  }

  private connect(): Link {
    const client = new ssh2.Client();
    let isDenied = false;
    const ready = new Promise<Client>((resolve, reject) => {
      client.on('ready', () => resolve(client));
      // Without it a command waits 40 ms for the acknowledgement of the packet before (Nagle).
      client.on('connect', () => client.setNoDelay(true));
      // It stays for the life of the client: ssh2 may emit more than one, and an unheard one ends the process.
      client.on('error', (error) => {
        reject(
          isDenied ? hostRefused('host_key', new Error(`The host showed ${this.shown}`)) : failureToConnect(error),
        );
        client.destroy();
      });
      client.on('close', () => {
        if (this.link === link) this.link = undefined;
        reject(hostUnavailable('network', new Error('The connection was closed before it was ready')));
      });
      this.address()
        .then((host) => this.open(client, host, (fingerprint) => (isDenied = !this.trusts(fingerprint))))
        .catch(reject);
    });
    const link: Link = { client, ready };
    ready.catch(() => {
      if (this.link === link) this.link = undefined;
    });
    return link;
  }

  private async address(): Promise<string> {
    const { host, resolve } = this.target;
    try {
      return resolve === undefined ? host : await resolve(host);
    } catch (error) {
      throw error instanceof DomainError ? error : hostUnavailable('network', error);
    }
  }

  private open(client: Client, host: string, isDenied: (fingerprint: string) => boolean): void {
    try {
      client.connect({
        host,
        port: this.target.port,
        username: this.target.user,
        privateKey: this.target.privateKey,
        authHandler: ['publickey'],
        readyTimeout: this.readyTimeoutMs,
        keepaliveInterval: KEEPALIVE_MS,
        keepaliveCountMax: KEEPALIVES_MISSED,
        algorithms: ALGORITHMS,
        hostVerifier: (key: Buffer) => !isDenied(fingerprintOf(key)),
      });
    } catch {
      throw hostRefused('private_key'); // what it says may quote the key
    }
  }

  private trusts(fingerprint: string): boolean {
    this.shown = fingerprint;
    this.trusted ??= fingerprint;
    return fingerprint === this.trusted;
  }
}

/** As `ssh-keygen` has it; `openssl` and clouds make PKCS #8 (BEGIN PRIVATE KEY), which ssh2 cannot read. */
export const SSH_KEY =
  'a private key without passphrase, as OpenSSH or PEM (RSA, EC) has it; "ssh-keygen -p -f FILE" converts one of PKCS #8, of RSA or EC';

/** Whether a text is a private key that a connection can be opened with: one that is read here, and needs no passphrase. */
export function isSshKey(text: string): boolean {
  const key = ssh2.utils.parseKey(text);
  return !isError(key) && key.isPrivateKey();
}

/** As `ssh-keygen -lf` prints it. */
function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

function failureToConnect(error: Error & { readonly level?: string }): Error {
  if (error.level === 'client-authentication') return hostRefused('authentication', error);
  if (error.level === 'client-timeout') return hostUnavailable('timeout', error);
  if (error.level === 'handshake' && error.message.includes('no matching')) return hostRefused('algorithms', error);
  return hostUnavailable('network', error);
}

/** Runs one line to its end, its limit, or the connection's. */
function execute(client: Client, line: string, { stdin, timeoutSeconds }: HostCommand): Promise<string> {
  return new Promise((resolve, reject) => {
    let channel: ClientChannel | undefined;
    let isOver = false;
    const finish = (settle: () => void): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      client.off('close', lose);
      channel?.close();
      settle();
    };
    const fail = (error: unknown): void => finish(() => reject(isError(error) ? error : hostUnavailable('network')));
    const lose = (): void => fail(hostUnavailable('network', new Error('The connection was closed under a command')));
    const expire = (): void => {
      // Not even a channel was answered for: the connection is dead, though nobody has said so.
      if (channel === undefined) client.destroy();
      fail(hostUnavailable('timeout', new Error('The command was not answered in time')));
    };
    const timer = setTimeout(expire, timeoutSeconds * 1000 + GRACE_MS);
    client.once('close', lose);

    open(client, line).then((opened) => {
      channel = opened;
      if (isOver) {
        opened.close();
        return;
      }
      const output: Buffer[] = [];
      let size = 0;
      let complaint = '';
      opened.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_OUTPUT_BYTES) fail(hostRefused('output', new Error('The output is too long')));
        if (!isOver) output.push(chunk);
      });
      opened.stderr.on('data', (chunk: Buffer) => {
        if (complaint.length < MAX_COMPLAINT_BYTES) complaint += chunk.toString('latin1');
      });
      opened.on('error', (error: Error) => fail(hostUnavailable('network', error)));
      opened.on('close', (code?: number | null) => {
        if (code === 0) finish(() => resolve(Buffer.concat(output).toString()));
        else if (typeof code === 'number') fail(failureOf(code, complaint));
        // Killed, or the connection went: whether the command did its work is not known.
        else fail(hostUnavailable('interrupted', new Error('The command ended without a code')));
      });
      opened.end(stdin ?? '');
    }, fail);
  });
}

/** A channel that runs the line. sshd refuses one for a moment when those before are not quite closed there. */
async function open(client: Client, line: string): Promise<ClientChannel> {
  for (let attempt = 1; ; attempt++) {
    const answer = await new Promise<ClientChannel | Error>((resolve, reject) => {
      try {
        client.exec(line, (error, channel) => resolve(error ?? channel));
      } catch (error) {
        reject(hostUnavailable('network', error)); // "Not connected": closed since it was handed out
      }
    });
    if (!isError(answer)) return answer;
    if (answer.message.includes('Unable to exec')) throw hostRefused('command', answer);
    if (!answer.message.includes('Channel open failure')) throw hostUnavailable('network', answer);
    if (attempt === OPEN_ATTEMPTS) throw hostUnavailable('busy', answer);
    await delay(OPEN_PAUSE_MS * 2 ** (attempt - 1));
  }
}
