import { SECOND_MS } from '#kernel';

/** How far the time of a signature may be from ours, either way, in seconds. */
export const SIGNATURE_TOLERANCE_SECONDS = 300;

/** What `X-Signature` says: `t=<unix seconds>,v1=<hex>`, `v1` once or, while a provider changes its secret, several times. */
export interface GivenSignature {
  /** As it was written: this text is what was signed. */
  readonly time: string;
  /** HMAC-SHA256, in lower-case hexadecimal. */
  readonly digests: readonly string[];
}

/** Reads the header; undefined when it is none. Schemes other than `v1` are left to those who know them. */
export function parseSignature(header: string): GivenSignature | undefined {
  const parts = header.split(',').map((part) => part.trim());
  const times = valuesOf(parts, 't');
  const digests = valuesOf(parts, 'v1').map((digest) => digest.toLowerCase());
  const [time] = times;
  if (time === undefined || times.length > 1 || !/^\d{1,12}$/.test(time)) return undefined;
  if (digests.length === 0 || !digests.every((digest) => /^[0-9a-f]{64}$/.test(digest))) return undefined;
  return { time, digests };
}

/** Whether a signature is of about now: an old one may have been recorded, and is worth nothing. */
export function isTimely({ time }: GivenSignature, at: Date): boolean {
  return Math.abs(at.getTime() - Number(time) * SECOND_MS) <= SIGNATURE_TOLERANCE_SECONDS * SECOND_MS;
}

function valuesOf(parts: readonly string[], name: string): readonly string[] {
  return parts.filter((part) => part.startsWith(`${name}=`)).map((part) => part.slice(name.length + 1));
}
