import { Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { createSecretKey, type KeyObject } from 'node:crypto';
import { Clock, isId, Randomness } from '#kernel';
import { Settings } from '#platform';

const ISSUER = 'vpn-backend';
const AUDIENCE = 'vpn-app';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** What an access token says: who, and in which session. All else is read from the database. */
export interface AccessClaims {
  readonly userId: number;
  readonly sessionId: string;
}

export interface AccessToken {
  readonly token: string;
  readonly expiresInSeconds: number;
}

/** How `passport-jwt` is to check a token whose key `AccessTokens.keyFor` found. The times are left to `readClaims`, which has a clock. */
export const ACCESS_TOKEN_RULES = {
  algorithms: ['HS256' as const],
  issuer: ISSUER,
  audience: AUDIENCE,
  ignoreExpiration: true,
};

/**
 * Signs access tokens (JWS, HS256 only, typed as in RFC 9068) and finds the key that checks one. Keys are KeyObjects: with a
 * string, jsonwebtoken takes 40 times as long per token (measured).
 */
@Injectable()
export class AccessTokens {
  private readonly lifetimeSeconds: number;
  private readonly signingKeyId: string;
  /** By the first part of a token. */
  private readonly keys: ReadonlyMap<string, KeyObject>;

  constructor(
    settings: Settings,
    private readonly jwt: JwtService,
    private readonly clock: Clock,
    private readonly randomness: Randomness,
  ) {
    const [first] = settings.auth.signingKeys;
    if (first === undefined) throw new Error('There is no key to sign access tokens with');
    this.signingKeyId = first.kid;
    this.lifetimeSeconds = settings.auth.accessTokenSeconds;
    this.keys = new Map(settings.auth.signingKeys.map(({ kid, secret }) => [this.headerPart(kid), signingKey(secret)]));
  }

  issue(session: { id: string; userId: number; generation: number }): AccessToken {
    const issuedAt = Math.floor(this.clock.now().getTime() / 1000);
    const claims = {
      iss: ISSUER,
      aud: AUDIENCE,
      sub: String(session.userId),
      sid: session.id,
      gen: session.generation,
      jti: this.randomness.uuid(),
      iat: issuedAt,
      exp: issuedAt + this.lifetimeSeconds,
    };
    return { token: this.sign(claims, this.signingKeyId), expiresInSeconds: this.lifetimeSeconds };
  }

  /**
   * The key that a token's header names; undefined unless that header is, to the letter, one that we write. So no token gets to
   * choose its algorithm or type, or to name a key of its own (`jwk`, `jku`, `x5u`; RFC 8725 3.10).
   */
  keyFor(token: string): KeyObject | undefined {
    return this.keys.get(token.slice(0, token.indexOf('.')));
  }

  /** The claims of a payload whose signature, issuer and audience were found good; undefined when it ran out or is not ours. */
  static readClaims(payload: unknown, now: Date): AccessClaims | undefined {
    if (typeof payload !== 'object' || payload === null) return undefined;
    if (!('sub' in payload && 'sid' in payload && 'exp' in payload)) return undefined;
    const { sub, sid, exp } = payload;
    if (typeof exp !== 'number' || exp * 1000 <= now.getTime()) return undefined;
    if (typeof sub !== 'string' || typeof sid !== 'string' || !UUID.test(sid)) return undefined;
    const userId = /^\d{1,10}$/.test(sub) ? Number(sub) : Number.NaN;
    return isId(userId) ? { userId, sessionId: sid } : undefined;
  }

  private sign(claims: object, kid: string): string {
    return this.jwt.sign(claims, { algorithm: 'HS256', header: { alg: 'HS256', typ: 'at+jwt', kid } });
  }

  private headerPart(kid: string): string {
    const token = this.sign({}, kid);
    return token.slice(0, token.indexOf('.'));
  }
}

/** The form in which `JwtModule` and the guard hold a secret. */
export function signingKey(secret: string): KeyObject {
  return createSecretKey(secret, 'utf8');
}
