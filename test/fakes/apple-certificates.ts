import 'reflect-metadata'; // @peculiar/x509 needs it before it is loaded
import { createHash, createPrivateKey, type KeyObject, KeyObject as Keys, sign, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { der, elements, explicit, generalizedTime, NULL, objectId, octets, sequence } from './der.js';
import { newKeyPair } from './new-keys.js';

export interface CertificateDates {
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export interface AppleCertificateOptions {
  readonly root?: CertificateDates;
  readonly intermediate?: CertificateDates;
  readonly leaf?: CertificateDates;
  /** Where certificates say that they can be asked about; nowhere unless told. */
  readonly ocspUrl?: string;
  /** Leaves the mark out by which Apple tells what a certificate may sign. */
  readonly unmarked?: 'leaf' | 'intermediate';
  /** A root to stay under, so that there may be many chains below one. */
  readonly under?: AppleCertificates;
  /** A root of another day to stay under. */
  readonly underKept?: KeptRoot;
}

/** A root in writing: its certificate (DER in base64) and its private key (PKCS #8 in PEM). */
export interface KeptRoot {
  readonly certificate: string;
  readonly key: string;
}

/** What a responder says of a certificate. */
export type CertificateStatus = 'good' | 'revoked' | 'unknown';

/** How an answer is made, unlike the usual one. */
export interface OcspForm {
  /** Signed by the issuer itself, and not by whom it lets answer. */
  readonly isByIssuer?: boolean;
  readonly isSha1?: boolean;
  /** It does not say until when it is good. */
  readonly isEndless?: boolean;
  /** Signed by somebody whom the issuer does not let answer. */
  readonly isForged?: boolean;
  /** Of when it is; of now unless told. */
  readonly date?: Date;
}

interface Party {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly key: KeyObject;
}

const CURVE = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** What Apple marks its leaves for the App Store with, and its intermediates. */
const LEAF_MARK = '1.2.840.113635.100.6.11.1';
const INTERMEDIATE_MARK = '1.2.840.113635.100.6.2.1';
const MAY_SIGN_OCSP = '1.3.6.1.5.5.7.3.9';
const BASIC_OCSP = '1.3.6.1.5.5.7.48.1.1';
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const ECDSA_WITH_SHA1 = '1.2.840.10045.4.1';
/** Payloads of tests are signed at any time in between. */
const FROM = new Date('2020-01-01T00:00:00Z');
const TO = new Date('2045-01-01T00:00:00Z');
const OCSP_LIFE_MS = 7 * 24 * 3_600_000;

x509.cryptoProvider.set(webcrypto);

/** A chain of certificates as the App Store's, and what is signed with it. */
export class AppleCertificates {
  private constructor(
    private readonly parties: Readonly<Record<'root' | 'intermediate' | 'leaf', Party>>,
    private readonly responders: Readonly<Record<'root' | 'intermediate', Party>> | undefined,
  ) {}

  static async make(options: AppleCertificateOptions = {}): Promise<AppleCertificates> {
    const { ocspUrl, unmarked, under, underKept } = options;
    const mark = (name: string): x509.Extension => new x509.Extension(name, false, NULL);
    const asked = (at: string): x509.Extension[] =>
      ocspUrl === undefined ? [] : [new x509.AuthorityInfoAccessExtension({ ocsp: [`${ocspUrl}/${at}`] })];
    const signs = x509.KeyUsageFlags.keyCertSign;
    const root =
      under?.parties.root ??
      (underKept === undefined ? undefined : await readParty(underKept)) ??
      (await makeParty('Test Root CA', undefined, options.root, [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(signs, true),
      ]));
    const intermediate = await makeParty('Test Intermediate', root, options.intermediate, [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(signs, true),
      ...(unmarked === 'intermediate' ? [] : [mark(INTERMEDIATE_MARK)]),
      ...asked('root'),
    ]);
    const leaf = await makeParty('Test Leaf', intermediate, options.leaf, [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ...(unmarked === 'leaf' ? [] : [mark(LEAF_MARK)]),
      ...asked('intermediate'),
    ]);
    const responds = [new x509.ExtendedKeyUsageExtension([MAY_SIGN_OCSP])];
    const responders =
      ocspUrl === undefined
        ? undefined
        : {
            root: await makeParty('Test Root Responder', root, undefined, responds),
            intermediate: await makeParty('Test Responder', intermediate, undefined, responds),
          };
    return new AppleCertificates({ root, intermediate, leaf }, responders);
  }

  /** In DER: what a server is told to trust. */
  get root(): Buffer {
    return rawOf(this.parties.root);
  }

  /** The root in writing, for another day. */
  get keptRoot(): KeptRoot {
    const { key } = this.parties.root;
    return { certificate: this.root.toString('base64'), key: String(key.export({ type: 'pkcs8', format: 'pem' })) };
  }

  /** `x5c`: leaf, intermediate, root. */
  get chain(): readonly string[] {
    const { leaf, intermediate, root } = this.parties;
    return [leaf, intermediate, root].map((party) => rawOf(party).toString('base64'));
  }

  /** A payload, signed as the App Store signs: a JWS with the chain in its header. */
  sign(payload: object, header: object = { alg: 'ES256', x5c: this.chain }): string {
    const input = `${encode(header)}.${encode(payload)}`;
    const signature = sign('sha256', Buffer.from(input), { key: this.parties.leaf.key, dsaEncoding: 'ieee-p1363' });
    return `${input}.${signature.toString('base64url')}`;
  }

  /** The answer of that issuer's responder to a request (RFC 6960), which asks about one certificate. */
  answerOcsp(
    issuer: 'root' | 'intermediate',
    request: Buffer,
    status: CertificateStatus,
    { isByIssuer, isSha1, isEndless, isForged, date }: OcspForm = {},
  ): Buffer {
    const delegate = this.responders?.[issuer];
    if (delegate === undefined) throw new Error('These certificates name no responder');
    const responder = isForged === true ? this.parties.leaf : isByIssuer === true ? this.parties[issuer] : delegate;
    const now = date ?? new Date();
    const response = sequence(
      certificateIdIn(request),
      status === 'good' ? der(0x80) : status === 'unknown' ? der(0x82) : explicit(1, generalizedTime(FROM)),
      generalizedTime(now),
      ...(isEndless === true ? [] : [explicit(0, generalizedTime(new Date(now.getTime() + OCSP_LIFE_MS)))]),
    );
    const data = sequence(explicit(2, octets(keyHash(responder))), generalizedTime(now), sequence(response));
    const signature = sign(isSha1 === true ? 'sha1' : 'sha256', data, responder.key);
    const basic = sequence(
      data,
      sequence(objectId(isSha1 === true ? ECDSA_WITH_SHA1 : ECDSA_WITH_SHA256)),
      der(0x03, Buffer.from([0]), signature),
      ...(isByIssuer === true ? [] : [explicit(0, sequence(rawOf(responder)))]),
    );
    return sequence(der(0x0a, Buffer.from([0])), explicit(0, sequence(objectId(BASIC_OCSP), octets(basic))));
  }
}

async function makeParty(
  name: string,
  issuer: Party | undefined,
  { notBefore = FROM, notAfter = TO }: CertificateDates = {},
  extensions: readonly x509.Extension[] = [],
): Promise<Party> {
  const pair = newKeyPair('ec');
  const keys = {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pair.privateKey, CURVE, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', pair.publicKey, CURVE, true, ['verify']),
  };
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: issuer?.certificate.subject ?? `CN=${name}`,
    notBefore,
    notAfter,
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: CURVE,
    extensions: [...extensions],
  });
  return { certificate, keys, key: Keys.from(keys.privateKey) };
}

async function readParty({ certificate: der, key: pem }: KeptRoot): Promise<Party> {
  const certificate = new x509.X509Certificate(Buffer.from(der, 'base64'));
  const key = createPrivateKey(pem);
  const bytes = key.export({ type: 'pkcs8', format: 'der' });
  const keys = {
    privateKey: await webcrypto.subtle.importKey('pkcs8', bytes, CURVE, true, ['sign']),
    publicKey: await certificate.publicKey.export(CURVE, ['verify']),
  };
  return { certificate, keys, key };
}

function rawOf({ certificate }: Party): Buffer {
  return Buffer.from(certificate.rawData);
}

/** SHA-1 of the public key itself, without what says which kind it is. */
function keyHash({ certificate }: Party): Buffer {
  const [info] = elements(Buffer.from(certificate.publicKey.rawData));
  const key = elements(info?.content ?? Buffer.alloc(0))[1];
  if (key === undefined) throw new Error('A certificate has a public key');
  return createHash('sha1').update(key.content.subarray(1)).digest();
}

/** OCSPRequest { TBSRequest { [version,] SEQUENCE OF Request { CertID } } } */
function certificateIdIn(request: Buffer): Buffer {
  const inside = (bytes: Buffer | undefined): readonly { tag: number; content: Buffer; raw: Buffer }[] =>
    elements(bytes ?? Buffer.alloc(0));
  const [outer] = inside(request);
  const [tbs] = inside(outer?.content);
  const list = inside(tbs?.content).find(({ tag }) => tag === 0x30);
  const [first] = inside(list?.content);
  const [id] = inside(first?.content);
  if (id === undefined) throw new Error('Nothing is asked about');
  return id.raw;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
