import { Injectable } from '@nestjs/common';
import { addDays, addSeconds, Clock, DomainError, invalidField, Randomness } from '#kernel';
import { type Actor, Audit, UnitOfWork } from '#platform';
import { AccessChanges } from './access-changes.js';
import { type AccessToken, AccessTokens } from './access-tokens.service.js';
import { normaliseEmail } from './email.js';
import { assertAcceptablePassword } from './password-policy.js';
import { Passwords } from './passwords.service.js';
import { SessionsRepository } from './sessions.repository.js';
import { type Principal, type User, type UserStatus } from './user.js';
import { UsersRepository } from './users.repository.js';

const USER_AGENT_LENGTH = 200;
const ENDED_SESSION_DAYS = 30;

export interface Registration {
  readonly email: string;
  readonly password: string | undefined;
  readonly locale: string;
}

/** What somebody may say about himself; what is left out stays. */
export interface Preferences {
  /** The language he is written to in. */
  readonly locale?: string;
  /** Whether a store may be told how much he used of what he wants his money back for. */
  readonly refundDataConsent?: boolean;
}

export interface LoginAttempt {
  readonly email: string;
  readonly password: string;
  readonly userAgent: string | undefined;
}

/** Accounts: how they begin, how their owners sign in, and who may do anything at all. */
@Injectable()
export class Accounts {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly users: UsersRepository,
    private readonly sessions: SessionsRepository,
    private readonly passwords: Passwords,
    private readonly tokens: AccessTokens,
    private readonly changes: AccessChanges,
    private readonly audit: Audit,
    private readonly clock: Clock,
    private readonly randomness: Randomness,
  ) {}

  /**
   * Opens an account, active at once.
   * @throws DomainError password_required | password_too_short | password_too_common | email_already_registered
   */
  async register({ email, password, locale }: Registration): Promise<User> {
    const normalised = normaliseEmail(email);
    if (normalised === undefined) {
      throw invalidField(['body', 'email'], 'value is not a valid email address', 'value_error.email');
    }
    assertAcceptablePassword(password);
    if (await this.users.exists(normalised)) throw new DomainError('email_already_registered');
    const hashedPassword = await this.passwords.hash(password);
    return this.users.insert({ email: normalised, hashedPassword, locale, createdAt: this.clock.now() });
  }

  /** Changes what is given and leaves the rest. */
  async prefer(userId: number, preferences: Preferences): Promise<User> {
    if (Object.keys(preferences).length > 0) await this.users.update(userId, preferences);
    return this.users.get(userId);
  }

  /**
   * Signs a device in. An unknown address takes as long, and is answered as, a wrong password.
   * @throws DomainError invalid_credentials | user_not_active | overloaded
   */
  async login({ email, password, userAgent }: LoginAttempt): Promise<AccessToken> {
    const normalised = normaliseEmail(email);
    const account = normalised === undefined ? null : await this.users.findCredentials(normalised);
    const stored = account?.hashedPassword ?? null;
    const check = await this.passwords.check(password, stored);
    if (account === null || stored === null || !check.matches) throw new DomainError('invalid_credentials');
    if (account.status !== 'active') throw new DomainError('user_not_active');
    if (check.outdated) await this.users.replaceHash(account.id, stored, await this.passwords.hash(password));
    return this.openSession(account.id, userAgent);
  }

  /** Who calls with these claims; null when the session ended or the user is gone. */
  identify(userId: number, sessionId: string): Promise<Principal | null> {
    return this.users.findPrincipal(userId, sessionId);
  }

  /**
   * Lets a user in, or shuts him out: at once, on his next request, his devices included.
   * @throws DomainError user_not_found
   */
  setStatus(by: Actor, userId: number, status: UserStatus): Promise<User> {
    return this.uow.run(async () => {
      const user = await this.users.lock(userId);
      if (user.status !== status) {
        await this.users.update(userId, { status });
        await this.changes.announce(userId);
        await this.audit.record({
          ...by,
          action: status === 'blocked' ? 'user_block' : 'user_unblock',
          target: `user:${userId}`,
          data: { from: user.status, to: status },
        });
      }
      return this.users.get(userId);
    });
  }

  /** Deletes sessions that ended a month ago or longer: until then they tell what happened. Answers how many they were. */
  forgetEndedSessions(): Promise<number> {
    return this.sessions.deleteEndedBefore(addDays(this.clock.now(), -ENDED_SESSION_DAYS));
  }

  private async openSession(userId: number, userAgent: string | undefined): Promise<AccessToken> {
    const session = { id: this.randomness.uuid(), userId, generation: 0 };
    const access = this.tokens.issue(session);
    const now = this.clock.now();
    await this.sessions.insert({
      id: session.id,
      userId,
      userAgent: userAgent?.slice(0, USER_AGENT_LENGTH) ?? null,
      createdAt: now,
      expiresAt: addSeconds(now, access.expiresInSeconds),
    });
    return access;
  }
}
