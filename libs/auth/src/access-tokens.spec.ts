import { describe, expect, it } from '@jest/globals';
import { JwtService } from '@nestjs/jwt';
import { ManualClock, SeededRandomness } from '#kernel';
import { type Environment } from '#platform';
import { testSettings } from '../../../test/support/settings.js';
import { AccessTokens, signingKey } from './access-tokens.service.js';

const SESSION = { id: '6f1c3f0e-2f1a-4a53-9d8f-0a4f5f6b7c8d', userId: 7, generation: 0 };
const clock = new ManualClock('2026-11-22T10:00:00Z');

function tokens(environment: Environment = {}): AccessTokens {
  const settings = testSettings(environment);
  const jwt = new JwtService({ secret: signingKey(settings.auth.signingKeys[0]!.secret) });
  return new AccessTokens(settings, jwt, clock, new SeededRandomness());
}

function part(token: string, index: 0 | 1): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[index]!, 'base64url').toString()) as Record<string, unknown>;
}

describe('an access token', () => {
  it('says who and in which session, and nothing else about the user', () => {
    const { token, expiresInSeconds } = tokens().issue(SESSION);
    expect(expiresInSeconds).toBe(3600);
    expect(part(token, 0)).toEqual({ alg: 'HS256', typ: 'at+jwt', kid: 'k0' });
    expect(part(token, 1)).toEqual({
      iss: 'vpn-backend',
      aud: 'vpn-app',
      sub: '7',
      sid: SESSION.id,
      gen: 0,
      jti: expect.any(String),
      iat: 1795341600,
      exp: 1795345200,
    });
  });

  it('is checked with the key its header names, old keys included', () => {
    const old = tokens().issue(SESSION).token;
    const rotated = tokens({ JWT_KEYS: '[{"kid":"2026-12","k":"Vm3kT9xQ2wLp7RzN5cYb8HsJ4dGf6AeU"}]' });
    expect(part(rotated.issue(SESSION).token, 0)).toMatchObject({ kid: '2026-12' });
    expect(rotated.keyFor(old)).toBeDefined();
    expect(rotated.keyFor(old)).not.toBe(rotated.keyFor(rotated.issue(SESSION).token));
  });

  it.each([
    { alg: 'none', typ: 'at+jwt', kid: 'k0' },
    { alg: 'HS512', typ: 'at+jwt', kid: 'k0' },
    { alg: 'HS256', typ: 'JWT', kid: 'k0' },
    { alg: 'HS256', typ: 'at+jwt', kid: 'other' },
    { alg: 'HS256', typ: 'at+jwt', kid: 'k0', jwk: {} },
    { alg: 'HS256', typ: 'at+jwt', kid: 'k0', crit: ['x'] },
    { alg: 'HS256' },
  ])('with the header %p has no key', (header) => {
    const forged = Buffer.from(JSON.stringify(header)).toString('base64url');
    expect(tokens().keyFor(`${forged}.e30.x`)).toBeUndefined();
  });

  it.each(['', '.', 'x', '..', 'x'.repeat(10_000)])('that is no token has no key: %p', (text) => {
    expect(tokens().keyFor(text)).toBeUndefined();
  });

  it.each([
    [{}],
    [null],
    ['text'],
    [{ sub: '7', sid: SESSION.id }],
    [{ sub: 7, sid: SESSION.id, exp: 2e9 }],
    [{ sub: 'ann@example.com', sid: SESSION.id, exp: 2e9 }],
    [{ sub: '99999999999', sid: SESSION.id, exp: 2e9 }],
    [{ sub: '7', sid: 'not a uuid', exp: 2e9 }],
    [{ sub: '7', sid: SESSION.id, exp: 'never' }],
    [{ sub: '7', sid: SESSION.id, exp: 1795341600 }],
  ])('with the payload %p is refused', (payload) => {
    expect(AccessTokens.readClaims(payload, clock.now())).toBeUndefined();
  });
});
