import { Turns } from '#kernel';
import { hostRefused } from './host-shell.js';
import { isKey } from './keys.js';
import { parseNetwork } from './networks.js';

/** A peer as `wg show <interface> dump` reports it. */
export interface DumpedPeer {
  readonly publicKey: string;
  /** Its networks there, written as we write them, so that texts can be compared. */
  readonly allowedIps: readonly string[];
  /** Never which: the key itself is dropped unread. */
  readonly hasPresharedKey: boolean;
  readonly lastHandshakeAt: Date | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** A /16 holds 65 534 peers; others may have added theirs. */
const MAX_PEERS = 100_000;
const NONE = '(none)';
/** What the gate (ops/wg-gate) puts in the place of a secret. */
const HIDDEN = '(hidden)';
const PORT = /^\d{1,5}$/;
const FWMARK = /^(off|0x[0-9a-f]{1,8})$/;
const ENDPOINT = /^[0-9A-Za-z.:%[\]_-]{1,80}$/;
/** Seconds since 1970, until the year 2286. */
const INSTANT = /^\d{1,10}$/;
const COUNTER = /^\d{1,16}$/;
const KEEPALIVE = /^(off|\d{1,5})$/;

/**
 * Reads the output of `wg show <interface> dump`. All of it must be of wg(8)'s grammar: of a host that answers anything else
 * nothing is believed. The interface's own line, which holds the server's private key, is dropped unread.
 * @throws DomainError server_refused (kind `output`), which quotes nothing of the text
 */
export async function parseDump(text: string): Promise<readonly DumpedPeer[]> {
  // wg ends every line; a text that does not was cut off.
  if (!text.endsWith('\n')) throw hostRefused('output');
  const end = text.indexOf('\n');
  if (!isInterfaceLine(text.slice(0, end).split('\t'))) throw hostRefused('output');
  if (text.length === end + 1) return [];
  // A copy: any slice of the text itself would keep the server's private key in memory for as long as it is used.
  const lines = Buffer.from(text.slice(end + 1, -1))
    .toString()
    .split('\n');
  if (lines.length > MAX_PEERS) throw hostRefused('output');
  const peers: DumpedPeer[] = [];
  const keys = new Set<string>();
  const turns = new Turns();
  for (const line of lines) {
    const peer = parsePeer(line.split('\t'));
    peers.push(peer);
    keys.add(peer.publicKey);
    if (turns.isOver()) await turns.next();
  }
  if (keys.size !== peers.length) throw hostRefused('output');
  return peers;
}

/**
 * Reads the interface's public key from the same output; null when it has none.
 * @throws DomainError server_refused (kind `output`)
 */
export function parseInterfaceKey(text: string): string | null {
  const fields = text.slice(0, Math.max(text.indexOf('\n'), 0)).split('\t');
  if (!isInterfaceLine(fields)) throw hostRefused('output');
  const [, publicKey = ''] = fields;
  // A copy, for the reason above.
  return isKey(publicKey) ? Buffer.from(publicKey).toString() : null;
}

function isInterfaceLine(fields: readonly string[]): boolean {
  const [privateKey = '', publicKey = '', port = '', fwmark = ''] = fields;
  return fields.length === 4 && isSecret(privateKey) && isSecret(publicKey) && PORT.test(port) && FWMARK.test(fwmark);
}

function parsePeer(fields: readonly string[]): DumpedPeer {
  const [publicKey = '', preshared = '', endpoint = '', ips = '', handshake = '', received = '', sent = ''] = fields;
  const keepalive = fields[7] ?? '';
  const allowedIps = ips === NONE ? [] : ips.split(',').map(parseNetwork);
  const [receivedBytes, sentBytes] = [Number(received), Number(sent)];
  if (
    fields.length !== 8 ||
    !isKey(publicKey) ||
    !isSecret(preshared) ||
    !(endpoint === NONE || ENDPOINT.test(endpoint)) ||
    !allowedIps.every((network) => network !== undefined) ||
    !INSTANT.test(handshake) ||
    !COUNTER.test(received) ||
    !COUNTER.test(sent) ||
    !Number.isSafeInteger(receivedBytes) ||
    !Number.isSafeInteger(sentBytes) ||
    !KEEPALIVE.test(keepalive)
  ) {
    throw hostRefused('output');
  }
  const seconds = Number(handshake);
  const lastHandshakeAt = seconds === 0 ? null : new Date(seconds * 1000);
  return { publicKey, allowedIps, hasPresharedKey: preshared !== NONE, lastHandshakeAt, receivedBytes, sentBytes };
}

function isSecret(field: string): boolean {
  return field === NONE || field === HIDDEN || isKey(field);
}
