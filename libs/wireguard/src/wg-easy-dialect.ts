import { isIPv4, isIPv6 } from 'node:net';
import { isKey } from './keys.js';
import { type WgEasyAnswer, type WgEasyHttp, refused, unavailable } from './wg-easy-http.js';

/** How this service proves who it is. */
export interface WgEasyCredentials {
  /** Version 15 only. */
  readonly username: string;
  readonly password: string;
  /** Sent as it is in `Authorization` with every call, instead of logging in with the password. */
  readonly apiKey: string | null;
}

/** A client as wg-easy lists it. */
export interface WgEasyClient {
  readonly id: string;
  /** Whatever its maker typed: compared, never rendered, never sent. */
  readonly name: string;
  readonly isEnabled: boolean;
  readonly publicKey: string;
  /** With prefix: `10.8.0.7/32`, `fd00::7/128`. */
  readonly addresses: readonly string[];
  readonly lastHandshakeAt: Date | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** What versions say differently. All else (methods, sub-paths, most fields) they say alike. */
export interface WgEasyDialect {
  readonly clientsPath: string;
  /** Whether a call without a valid session is answered 500 like any fault, rather than 401. */
  readonly hidesRefusals: boolean;
  /** Logs in with the password; answers the cookie. */
  logIn(http: WgEasyHttp, credentials: WgEasyCredentials): Promise<string>;
  /** What is sent to make a client of this name. */
  newClient(name: string): Readonly<Record<string, unknown>>;
  readId(client: JsonObject): string;
  readAddresses(client: JsonObject): readonly string[];
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The JSON of an answer; undefined when it is none. (What JSON.parse would say quotes the text, which may hold a key.) */
export function jsonOf(answer: WgEasyAnswer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch {
    return undefined;
  }
}

/** @throws DomainError for every status but 2xx */
export function assertSuccess({ status }: WgEasyAnswer): void {
  if (status >= 200 && status < 300) return;
  if (status === 401 || status === 403) throw refused('authentication');
  if (status >= 500 || status === 429) throw unavailable('status');
  // What does not exist in this version may exist in another: worth finding out again which one answers.
  if (status === 404 || status === 405) throw unavailable('answer');
  throw refused('request');
}

/** Reads one listed client, whoever made it. */
export function readClient(dialect: WgEasyDialect, client: unknown): WgEasyClient {
  if (!isObject(client)) throw unavailable('answer');
  const { name, enabled, publicKey } = client;
  if (typeof name !== 'string' || typeof enabled !== 'boolean') throw unavailable('answer');
  if (typeof publicKey !== 'string' || !isKey(publicKey)) throw unavailable('answer');
  return {
    id: dialect.readId(client),
    name,
    isEnabled: enabled,
    publicKey,
    addresses: dialect.readAddresses(client),
    lastHandshakeAt: readInstant(client['latestHandshakeAt']),
    receivedBytes: readBytes(client['transferRx']),
    sentBytes: readBytes(client['transferTx']),
  };
}

/** An address as the prefix of exactly itself. */
export function readHost(value: unknown): string {
  if (typeof value === 'string' && isIPv4(value)) return `${value}/32`;
  if (typeof value === 'string' && isIPv6(value) && !value.includes('%')) return `${value}/128`;
  throw unavailable('answer');
}

/** Null for a client that the interface does not have, because it is disabled or has only just been made. */
function readInstant(value: unknown): Date | null {
  if (value == null) return null;
  const instant = new Date(typeof value === 'string' ? value : Number.NaN);
  if (Number.isNaN(instant.getTime())) throw unavailable('answer');
  return instant;
}

function readBytes(value: unknown): number {
  if (value == null) return 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw unavailable('answer');
  return value;
}
