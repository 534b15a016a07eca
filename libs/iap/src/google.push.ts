import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { X509Certificate } from 'node:crypto';
import { type Logger } from 'pino';
import { addSeconds, Clock, DomainError } from '#kernel';
import { type GoogleSettings, LOG, Settings, UnitOfWork } from '#platform';
import { CALL_LIMIT_MS, exchanged, unavailable } from './google-exchange.js';
import { at, integer, isObject, text } from './google-json.rules.js';
import { StoreMetrics } from './store.metrics.js';

const ISSUERS: [string, ...string[]] = ['https://accounts.google.com', 'accounts.google.com'];
/** How far Google's clock and ours may differ, in seconds. */
const CLOCK_SKEW_SECONDS = 300;
/** An ID token has about 1 000 characters. */
const MAX_TOKEN = 8192;
/** How long certificates are kept when Google does not say, and at most, in seconds; Google says some 6 hours. */
const USUAL_AGE_SECONDS = 300;
const MAX_AGE_SECONDS = 86_400;
/** An unknown key is looked up anew once in this many seconds: a forged token must not make us ask Google each time. */
const LOOK_AGAIN_SECONDS = 60;

/**
 * Whether a Pub/Sub push is from Google, and from the subscription that was set up: the signature alone would let in anybody who
 * has a Google account.
 */
@Injectable()
export class GooglePush {
  /** What checks signatures, by key id. */
  private checks: ReadonlyMap<string, JwtService> = new Map();
  private freshUntil = new Date(0);
  private lookedAt = new Date(0);
  private looking: Promise<void> | undefined;
  private readonly google: GoogleSettings | undefined;

  constructor(
    settings: Settings,
    private readonly clock: Clock,
    private readonly uow: UnitOfWork,
    private readonly metrics: StoreMetrics,
    @Inject(LOG) private readonly log: Logger,
  ) {
    this.google = settings.google;
  }

  /**
   * Checks the `Authorization` of a push.
   * @throws DomainError store_signature_invalid | store_unavailable when Google's certificates cannot be had | store_not_configured
   */
  async authenticate(authorization: string | undefined): Promise<void> {
    this.uow.assertClosed();
    if (this.google === undefined) throw new DomainError('store_not_configured');
    const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1];
    const fault = token === undefined || token.length > MAX_TOKEN ? 'no token' : await this.faultOf(token, this.google);
    if (fault === undefined) return;
    this.log.warn({ provider: 'google', fault }, 'A push was refused');
    throw new DomainError('store_signature_invalid');
  }

  /** What is wrong with a token, in a word that quotes nothing of it; undefined when nothing is. */
  private async faultOf(token: string, google: GoogleSettings): Promise<string | undefined> {
    const kid = text(at(headerOf(token), 'kid'));
    const check = kid === null ? undefined : await this.checkOf(kid, google);
    if (check === undefined) return 'unknown key';
    const now = Math.floor(this.clock.now().getTime() / 1000);
    let claims: unknown;
    try {
      claims = check.verify<object>(token, {
        algorithms: ['RS256'],
        audience: google.pushAudience,
        issuer: ISSUERS,
        clockTimestamp: now,
        clockTolerance: CLOCK_SKEW_SECONDS,
      });
    } catch {
      return 'signature, audience, issuer or time';
    }
    const issuedAt = integer(at(claims, 'iat'));
    if (integer(at(claims, 'exp')) === null || issuedAt === null || issuedAt > now + CLOCK_SKEW_SECONDS) return 'time';
    const isSender = at(claims, 'email') === google.pushEmail && at(claims, 'email_verified') === true;
    return isSender ? undefined : 'sender';
  }

  private async checkOf(kid: string, google: GoogleSettings): Promise<JwtService | undefined> {
    const now = this.clock.now();
    const isStale = now >= this.freshUntil;
    const mayLookAgain = now >= addSeconds(this.lookedAt, LOOK_AGAIN_SECONDS);
    if (isStale || (!this.checks.has(kid) && mayLookAgain)) {
      this.looking ??= this.look(google).finally(() => (this.looking = undefined));
      await this.looking;
    }
    return this.checks.get(kid);
  }

  private async look({ certificatesUrl }: GoogleSettings): Promise<void> {
    this.lookedAt = this.clock.now();
    await exchanged('certificates', this.metrics, async (tell) => {
      const response = await fetch(certificatesUrl, { redirect: 'error', signal: AbortSignal.timeout(CALL_LIMIT_MS) });
      tell(response.status);
      if (!response.ok) throw unavailable('status');
      const checks = readCertificates(await response.text());
      if (checks === undefined) throw unavailable('answer');
      this.checks = checks;
      this.freshUntil = addSeconds(this.lookedAt, ageOf(response.headers));
    });
  }
}

function headerOf(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Certificates in PEM by key id; undefined when it is something else. */
function readCertificates(answer: string): ReadonlyMap<string, JwtService> | undefined {
  try {
    const certificates: unknown = JSON.parse(answer);
    if (!isObject(certificates) || Object.keys(certificates).length === 0) return undefined;
    return new Map(
      Object.entries(certificates).map(([kid, pem]) => [
        kid,
        new JwtService({ publicKey: new X509Certificate(String(pem)).publicKey }),
      ]),
    );
  } catch {
    return undefined;
  }
}

/** How long an answer stays good, in seconds: `max-age`, less what a cache on the way has used of it. */
function ageOf(headers: Headers): number {
  const said = /(?:^|[\s,])max-age=(\d{1,9})/i.exec(headers.get('cache-control') ?? '')?.[1];
  if (said === undefined) return USUAL_AGE_SECONDS;
  const used = Number(headers.get('age') ?? 0);
  return Math.min(Math.max(Number(said) - (used > 0 ? used : 0), 0), MAX_AGE_SECONDS);
}
