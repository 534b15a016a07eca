import { createHash, verify, X509Certificate } from 'node:crypto';

/** What a responder says of a certificate, as far as it can be believed and understood; null when it cannot. */
export type OcspVerdict = 'good' | 'revoked' | 'unknown' | null;

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const GENERALIZED_TIME = 0x18;
/** `[0]`, around what it marks. */
const EXPLICIT_0 = 0xa0;
const GOOD = 0x80;
const REVOKED = 0xa1;
const UNKNOWN = 0x82;
/** CertID { SHA-1 }: the one hash that every responder knows (RFC 6960, 4.3). Nothing rests on it: the answer is signed. */
const SHA1 = Buffer.from('300906052b0e03021a0500', 'hex');
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
/** How far the clocks may differ, in milliseconds. */
const SKEW_MS = 60_000;
/** An answer without an end is believed for so long, in milliseconds. */
const WITHOUT_END_MS = 24 * 3_600_000;
/** By what an answer may be signed, in the hexadecimal of its name. */
const DIGESTS: Readonly<Record<string, string>> = {
  '2a864886f70d010105': 'sha1',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d0401': 'sha1',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length. */
  readonly raw: Buffer;
}

/** Asks about one certificate of an issuer's (RFC 6960), in DER. */
export function ocspRequest(certificate: X509Certificate, issuer: X509Certificate): Buffer {
  const { name, key, serial } = idOf(certificate, issuer);
  const id = der(SEQUENCE, SHA1, der(OCTET_STRING, name), der(OCTET_STRING, key), der(INTEGER, serial));
  return der(SEQUENCE, der(SEQUENCE, der(SEQUENCE, der(SEQUENCE, id))));
}

/**
 * What an answer says of a certificate: it must be signed by the issuer, or by whom the issuer lets answer, be about this certificate,
 * and be of now.
 */
export function readOcsp(
  answer: Buffer,
  certificate: X509Certificate,
  issuer: X509Certificate,
  now: Date,
): OcspVerdict {
  try {
    return verdictIn(answer, certificate, issuer, now);
  } catch {
    return null; // another form than an answer has
  }
}

function verdictIn(answer: Buffer, certificate: X509Certificate, issuer: X509Certificate, now: Date): OcspVerdict {
  const [status, wrapped] = inside(only(answer, SEQUENCE));
  if (status === undefined || wrapped === undefined || status.content.readUInt8(0) !== 0) return null;
  const [, basic] = inside(only(wrapped.content, SEQUENCE));
  const [data, algorithm, signature, signers] = inside(only(content(basic, OCTET_STRING), SEQUENCE));
  if (data === undefined || signature === undefined) return null;
  const digest = DIGESTS[inside(algorithm)[0]?.content.toString('hex') ?? ''];
  const signed = content(signature, BIT_STRING).subarray(1);
  const certificates = signers === undefined ? [] : inside(only(content(signers, EXPLICIT_0), SEQUENCE));
  const mayAnswer = [
    issuer,
    ...certificates.map(({ raw }) => new X509Certificate(raw)).filter(isDelegate(issuer, now)),
  ];
  if (digest === undefined) return null;
  if (!mayAnswer.some(({ publicKey }) => verify(digest, data.raw, publicKey, signed))) return null;
  const responses = inside(data).findLast(({ tag }) => tag === SEQUENCE);
  for (const response of inside(responses)) {
    const [id, said, from, until] = inside(response);
    if (id === undefined || said === undefined || from === undefined || !isAbout(id, certificate, issuer)) continue;
    const began = instant(from);
    const ends = until?.tag === EXPLICIT_0 ? instant(only(until.content, GENERALIZED_TIME)) : began + WITHOUT_END_MS;
    if (began > now.getTime() + SKEW_MS || ends < now.getTime() - SKEW_MS) return null;
    return said.tag === GOOD ? 'good' : said.tag === REVOKED ? 'revoked' : said.tag === UNKNOWN ? 'unknown' : null;
  }
  return null;
}

function isDelegate(issuer: X509Certificate, now: Date): (one: X509Certificate) => boolean {
  return (one) =>
    one.verify(issuer.publicKey) &&
    // Node has none for a certificate without the extension, whatever its types say.
    String(one.keyUsage).split(',').includes(OCSP_SIGNING) &&
    Date.parse(one.validFrom) <= now.getTime() + SKEW_MS &&
    Date.parse(one.validTo) >= now.getTime() - SKEW_MS;
}

/** CertID { hash algorithm, hash of the issuer's name, hash of its key, serial number } */
function isAbout(id: Element, certificate: X509Certificate, issuer: X509Certificate): boolean {
  const [, name, key, serial] = inside(id);
  const ours = idOf(certificate, issuer);
  return (
    name?.content.equals(ours.name) === true &&
    key?.content.equals(ours.key) === true &&
    serial?.content.equals(ours.serial) === true
  );
}

function idOf(
  certificate: X509Certificate,
  issuer: X509Certificate,
): { readonly name: Buffer; readonly key: Buffer; readonly serial: Buffer } {
  const fields = fieldsOf(certificate);
  const [, keyBits] = inside(fieldsOf(issuer)[5]);
  const serial = fields[0];
  const issuerName = fields[2];
  if (serial === undefined || issuerName === undefined) throw new Error('A certificate has a number and an issuer');
  const hash = (bytes: Buffer): Buffer => createHash('sha1').update(bytes).digest();
  return { name: hash(issuerName.raw), key: hash(content(keyBits, BIT_STRING).subarray(1)), serial: serial.content };
}

/** TBSCertificate { [0] version, } serial, signature, issuer, validity, subject, public key ... */
function fieldsOf({ raw }: X509Certificate): readonly Element[] {
  const [tbs] = inside(only(raw, SEQUENCE));
  return inside(tbs).filter(({ tag }) => tag !== EXPLICIT_0);
}

function instant(element: Element): number {
  const [, year = '', month = '', day = '', hour = '', minute = '', second = ''] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?Z$/.exec(content(element, GENERALIZED_TIME).toString('latin1')) ??
    [];
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(at)) throw new Error('It is no instant');
  return at;
}

function content(element: Element | undefined, tag: number): Buffer {
  if (element?.tag !== tag) throw new Error('It is another kind');
  return element.content;
}

function only(bytes: Buffer, tag: number): Element {
  const [first] = elements(bytes);
  if (first?.tag !== tag) throw new Error('It is another kind');
  return first;
}

function inside(element: Element | undefined): readonly Element[] {
  return element === undefined ? [] : elements(element.content);
}

/** The elements of DER one after the other; kinds of one byte, lengths that are said. */
function elements(bytes: Buffer): readonly Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const first = bytes.readUInt8(at + 1);
    const size = first < 0x80 ? 0 : first & 0x7f;
    const start = at + 2 + size;
    const end = start + (size === 0 ? first : bytes.readUIntBE(at + 2, size));
    if (end > bytes.length) throw new Error('It is cut');
    found.push({ tag: bytes.readUInt8(at), content: bytes.subarray(start, end), raw: bytes.subarray(at, end) });
    at = end;
  }
  return found;
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const whole = Buffer.concat(parts);
  const { length } = whole;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), whole]);
}
