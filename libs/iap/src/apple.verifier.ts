import { X509Certificate } from 'node:crypto';
import {
  type AppTransaction,
  Environment,
  type JWSRenewalInfoDecodedPayload,
  type JWSTransactionDecodedPayload,
  type ResponseBodyV2DecodedPayload,
  SignedDataVerifier,
  VerificationException,
  VerificationStatus,
} from '@apple/app-store-server-library';
import { DomainError, type ErrorCode } from '#kernel';
import { ocspRequest, readOcsp } from './ocsp.js';
import { type StoreEnvironment } from './store.js';

/** What is wrong with what was signed. */
export type AppleFault =
  /** Not signed by Apple, or by a certificate that was not valid then. */
  | 'signature'
  /** Signed by Apple, for another app. */
  | 'app'
  /** Values of other types than Apple's. */
  | 'malformed';

/** What the caller is told of each; it depends on who handed it in. */
export type FaultCodes = Readonly<Record<AppleFault, ErrorCode>>;

/** What Apple's responder said of two certificates: they are good, one is revoked, or it did not say. */
export type Revocation = 'good' | 'revoked' | 'unanswered';

/** Which app is believed, and whose roots. */
export interface AppleApp {
  readonly bundleId: string;
  readonly appAppleId: number;
  /** In DER. */
  readonly roots: readonly Buffer[];
}

/** Where a certificate says that it can be asked about. */
const RESPONDER = /^OCSP - URI:(http.*)$/m;
/** How long a responder may take. Apple's library would wait for 30 s. */
const RESPONDER_LIMIT_MS = 3000;

/**
 * What Apple signed in one environment: chain, names, dates as of the signing, signature, app. It asks nobody, unless told to ask
 * whether the certificates are revoked. It knows the App Store's environments only, because the library verifies nothing in others.
 */
export class AppleVerifier {
  private readonly library: BoundedVerifier;

  constructor(environment: StoreEnvironment, { roots, bundleId, appAppleId }: AppleApp) {
    const named = environment === 'production' ? Environment.PRODUCTION : Environment.SANDBOX;
    // Offline: dates count as of the signing, so that what waited or was fetched later stays valid when its certificate ends.
    this.library = new BoundedVerifier([...roots], false, named, bundleId, appAppleId);
  }

  notification(jws: string, codes: FaultCodes): Promise<ResponseBodyV2DecodedPayload> {
    return explained(codes, this.library.verifyAndDecodeNotification(jws));
  }

  transaction(jws: string, codes: FaultCodes): Promise<JWSTransactionDecodedPayload> {
    return explained(codes, this.library.verifyAndDecodeTransaction(jws));
  }

  renewal(jws: string, codes: FaultCodes): Promise<JWSRenewalInfoDecodedPayload> {
    return explained(codes, this.library.verifyAndDecodeRenewalInfo(jws));
  }

  app(jws: string, codes: FaultCodes): Promise<AppTransaction> {
    return explained(codes, this.library.verifyAndDecodeAppTransaction(jws));
  }

  /** Asks the responders that the certificates of a verified JWS name, for 3 s at most. `chain`: its `x5c`. */
  revocation(chain: readonly string[]): Promise<Revocation> {
    return this.library.revocation(chain);
  }
}

class BoundedVerifier extends SignedDataVerifier {
  async revocation(chain: readonly string[]): Promise<Revocation> {
    const [leaf, intermediate] = chain.slice(0, 2).map((one) => new X509Certificate(Buffer.from(one, 'base64')));
    const root = this.rootCertificates.find(
      (one) => one.subject === intermediate?.issuer && intermediate.verify(one.publicKey),
    );
    if (leaf === undefined || intermediate === undefined || root === undefined) {
      throw new Error('Only the chain of what was verified can be asked about');
    }
    const answers = await Promise.all([this.responder(leaf, intermediate), this.responder(intermediate, root)]);
    return answers.find((one) => one === 'revoked') ?? answers.find((one) => one === 'unanswered') ?? 'good';
  }

  private async responder(certificate: X509Certificate, issuer: X509Certificate): Promise<Revocation> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Revocation>((resolve) => {
      timer = setTimeout(() => resolve('unanswered'), RESPONDER_LIMIT_MS);
    });
    try {
      return await Promise.race([this.ask(certificate, issuer), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private async ask(certificate: X509Certificate, issuer: X509Certificate): Promise<Revocation> {
    const address = RESPONDER.exec(certificate.infoAccess ?? '')?.[1];
    if (address === undefined) return 'revoked'; // Apple's certificates name one
    try {
      const response = await fetch(address, {
        method: 'POST',
        headers: { 'Content-Type': 'application/ocsp-request' },
        body: new Uint8Array(ocspRequest(certificate, issuer)),
        redirect: 'error',
        signal: AbortSignal.timeout(RESPONDER_LIMIT_MS),
      });
      if (!response.ok) return 'unanswered';
      const verdict = readOcsp(Buffer.from(await response.arrayBuffer()), certificate, issuer, new Date());
      // What its responder does not know was not made by Apple. What is not understood, or is not of now, is no answer.
      return verdict === 'unknown' ? 'revoked' : (verdict ?? 'unanswered');
    } catch {
      return 'unanswered';
    }
  }
}

/** The library's own error is not passed on: what cannot be parsed is quoted by it. */
async function explained<T>(codes: FaultCodes, verification: Promise<T>): Promise<T> {
  try {
    return await verification;
  } catch (error) {
    const fault = error instanceof VerificationException ? faultOf(error.status) : 'signature';
    const why = statusesOf(error).join(', ') || 'it is no JWS';
    throw new DomainError(codes[fault], { cause: new Error(`What Apple is said to have signed is refused: ${why}`) });
  }
}

/** What the library found, the outermost first: it hides the length of a chain in a cause. */
function statusesOf(error: unknown): readonly string[] {
  if (!(error instanceof VerificationException)) return [];
  return [VerificationStatus[error.status], ...statusesOf(error.cause)];
}

function faultOf(status: VerificationStatus): AppleFault {
  switch (status) {
    case VerificationStatus.INVALID_APP_IDENTIFIER:
      return 'app';
    case VerificationStatus.FAILURE:
      return 'malformed';
    default:
      return 'signature';
  }
}
