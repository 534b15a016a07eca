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
  /** What is stored: it passes packets when the file was written and read. */
  readonly isEnabled: boolean;
  /** Whether the interface has it, and passes its packets: only then there are counters, be they 0. */
  readonly isOnInterface: boolean;
  /** Whether it will be disabled by itself some day. */
  readonly expires: boolean;
  readonly publicKey: string;
  /** With prefix: `10.8.0.7/32`, `fd00::7/128`. What is no address is left out. */
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
  /** Undefined when it is none. */
  readId(client: JsonObject): string | undefined;
  /** All that it has for a client, in any form. */
  readAddresses(client: JsonObject): readonly unknown[];
  /** Where an administrator reads the settings of the interface; null where nobody can. */
  readonly interfacePath: string | null;
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

/** Reads one listed client, whoever made it; undefined when it is none, as people and upgrades leave odd ones behind. */
export function readClient(dialect: WgEasyDialect, client: unknown): WgEasyClient | undefined {
  if (!isObject(client)) return undefined;
  const { name, enabled, publicKey, transferRx, transferTx, latestHandshakeAt, expiresAt } = client;
  const id = dialect.readId(client);
  if (id === undefined || typeof name !== 'string' || typeof enabled !== 'boolean') return undefined;
  if (typeof publicKey !== 'string' || !isKey(publicKey)) return undefined;
  return {
    id,
    name,
    isEnabled: enabled,
    isOnInterface: transferRx != null,
    expires: expiresAt != null,
    publicKey,
    addresses: dialect.readAddresses(client).flatMap((address) => readHost(address) ?? []),
    lastHandshakeAt: readInstant(latestHandshakeAt),
    receivedBytes: readBytes(transferRx),
    sentBytes: readBytes(transferTx),
  };
}

/** An address as the prefix of exactly itself; undefined when it is none. */
export function readHost(value: unknown): string | undefined {
  if (typeof value === 'string' && isIPv4(value)) return `${value}/32`;
  if (typeof value === 'string' && isIPv6(value) && !value.includes('%')) return `${value}/128`;
  return undefined;
}

/** Null for a client that the interface does not have, because it is disabled or has only just been made, and for nonsense. */
function readInstant(value: unknown): Date | null {
  const instant = new Date(typeof value === 'string' ? value : Number.NaN);
  return Number.isNaN(instant.getTime()) ? null : instant;
}

function readBytes(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
