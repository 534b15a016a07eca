import ipaddr from 'ipaddr.js';
import { isIPv4, isIPv6 } from 'node:net';

/** Where devices, or this service, connect to. */
export interface Endpoint {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const MAX_PORT = 65_535;
/** RFC 1035 2.3.4, as text without the final dot. */
const MAX_NAME = 253;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
/** RFC 1123 2.1: the last label begins with a letter, so that no name looks like an address. Android's java.net.URI insists. */
const LAST_LABEL = /^[a-z]/i;
const PORT = /^[1-9]\d{0,4}$/;
/** Of addresses (ipaddr.js's names): what no device can connect to from where it is. */
const UNREACHABLE: ReadonlySet<string> = new Set(['unspecified', 'loopback', 'linkLocal', 'multicast', 'broadcast']);
/** RFC 6761: what never leaves the machine that asks, and what no name may be under. */
const LOCAL_NAME = /(?:^|\.)(?:localhost|invalid)$/i;
/** What the examples of our pages are under (RFC 2606). */
const SAMPLE_NAME = /(?:^|\.)example\.com$/i;

/** Reads a host: a name of real labels, an IPv4 address, an IPv6 address without brackets, zone or dotted part. */
export function parseHost(text: string): string | undefined {
  if (isIPv4(text) || isPlainIPv6(text)) return text;
  return text.length <= MAX_NAME && text.split('.').every((label) => LABEL.test(label)) ? text : undefined;
}

/**
 * Reads `host:port`, an IPv6 address in brackets, as devices are given it: undefined when any WireGuard client that we know of
 * would refuse it, or take it for something else.
 */
export function parseEndpoint(text: string): Endpoint | undefined {
  const endpoint = parseHostAndPort(text);
  if (endpoint === undefined) return undefined;
  const { host } = endpoint;
  return isIPv4(host) || isIPv6(host) || LAST_LABEL.test(host.slice(host.lastIndexOf('.') + 1)) ? endpoint : undefined;
}

/** Reads `host:port`, an IPv6 address in brackets. */
export function parseHostAndPort(text: string): Endpoint | undefined {
  const at = text.lastIndexOf(':');
  const port = parsePort(text.slice(at + 1));
  const bracketed = /^\[([^[\]]*)\]$/.exec(text.slice(0, at))?.[1];
  const host = parseHost(bracketed ?? text.slice(0, at));
  if (at < 0 || port === undefined || host === undefined) return undefined;
  return isIPv6(host) === (bracketed !== undefined) ? { host, port } : undefined;
}

/** 1 to 65535, without leading zeros. `wg` takes larger ones modulo 65536. */
export function parsePort(text: string): number | undefined {
  return PORT.test(text) && Number(text) <= MAX_PORT ? Number(text) : undefined;
}

/** Whether no device can connect to a host, wherever it is. */
export function isUnreachable(host: string): boolean {
  if (isIPv4(host) || isIPv6(host)) return UNREACHABLE.has(ipaddr.process(host).range());
  return LOCAL_NAME.test(host);
}

/** Whether a host is only an example of our pages. */
export function isSampleHost(host: string): boolean {
  return SAMPLE_NAME.test(host);
}

/** Whether a text is the address of a resolver that a device can ask: none that means the device itself, or nobody. */
export function isResolver(text: string): boolean {
  if (!isIPv4(text) && !isPlainIPv6(text)) return false;
  const address = ipaddr.parse(text);
  return !(address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()) && !UNREACHABLE.has(address.range());
}

/** No zone, and no dotted part: an IPv4 address inside IPv6 is read in different ways, or refused. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !/[%.]/.test(text) && !ipaddr.IPv6.parse(text).isIPv4MappedAddress();
}
