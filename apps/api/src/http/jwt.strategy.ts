import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-jwt';
import { ACCESS_TOKEN_RULES, Accounts, AccessTokens, type Principal } from '#auth';
import { Clock, DomainError } from '#kernel';
import { type ApiRequest } from './request.js';

/** RFC 6750 2.1: one token and nothing after it. The library's own reader takes the first of several words. */
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/** The library takes KeyObjects and Fastify's requests; its types only know strings and Express. */
type KeyForJwt = string | Buffer;
type RequestForJwt = Parameters<Strategy['authenticate']>[0];

/** Checks a bearer token and finds whose it is: one signature, one indexed read. */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy, 'jwt') {
  constructor(
    tokens: AccessTokens,
    private readonly accounts: Accounts,
    private readonly clock: Clock,
  ) {
    super({
      ...ACCESS_TOKEN_RULES,
      jwtFromRequest: ({ headers }: ApiRequest) => BEARER.exec(headers.authorization ?? '')?.[1] ?? null,
      secretOrKeyProvider: (_request: unknown, token: string, done: (error: Error | null, key?: KeyForJwt) => void) => {
        const key = tokens.keyFor(token);
        if (key === undefined) done(new Error('unknown key'));
        else done(null, key as unknown as KeyForJwt);
      },
    });
  }

  /**
   * Whose token a request carries; why one is refused is nobody's business but ours.
   *
   * The strategy is asked as Passport itself asks it (an instance with the actions put on it), but without Passport's global
   * registry, which all applications of a process would share, and the session methods that it hangs onto every request.
   * @throws DomainError invalid_token
   */
  identify(request: ApiRequest): Promise<Principal> {
    return new Promise((resolve, reject) => {
      const attempt = Object.create(this) as JwtStrategy;
      attempt.success = (principal) => resolve(principal as Principal);
      attempt.fail = () => reject(new DomainError('invalid_token'));
      attempt.error = reject;
      attempt.authenticate(request as unknown as RequestForJwt);
    });
  }

  /** Called by the library with what a good signature covers; null refuses the token. */
  validate(payload: unknown): Promise<Principal | null> | null {
    const claims = AccessTokens.readClaims(payload, this.clock.now());
    return claims === undefined ? null : this.accounts.identify(claims.userId, claims.sessionId);
  }
}
