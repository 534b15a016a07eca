import { Injectable } from '@nestjs/common';
import { Clock, DomainError } from '#kernel';
import { BatchedRead, PreparedQueries, refusing, UnitOfWork } from '#platform';
import { UserEntity } from './user.entity.js';
import { type Principal, type User, type UserStatus } from './user.js';

export interface NewUser {
  readonly email: string;
  readonly hashedPassword: string;
  readonly locale: string;
  readonly createdAt: Date;
}

export interface Credentials {
  readonly id: number;
  readonly status: UserStatus;
  readonly hashedPassword: string | null;
}

/** Who call, for any number of them in one read: runs on every authenticated request. */
const PRINCIPALS = {
  name: 'principals',
  text: `
    SELECT asked.place::int AS place, u.id, u.email, u.status, u.is_admin, u.is_verified, u.google_id, u.app_account_token,
      u.locale, u.refund_data_consent, u.created_at
    FROM unnest($1::int[], $2::uuid[]) WITH ORDINALITY AS asked (user_id, session_id, place)
    JOIN sessions s ON s.id = asked.session_id AND s.user_id = asked.user_id
    JOIN users u ON u.id = s.user_id
    WHERE s.revoked_at IS NULL AND s.expires_at > $3`,
};

interface PrincipalRow {
  /** Which of those asked for, from 1. */
  place: number;
  id: number;
  email: string;
  status: UserStatus;
  is_admin: boolean;
  is_verified: boolean;
  google_id: string | null;
  app_account_token: string;
  locale: string;
  refund_data_consent: boolean;
  created_at: Date;
}

@Injectable()
export class UsersRepository {
  private readonly principals = new BatchedRead((asked: readonly Asked[]) => this.readPrincipals(asked));

  constructor(
    private readonly uow: UnitOfWork,
    private readonly queries: PreparedQueries,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError email_already_registered */
  async insert(user: NewUser): Promise<User> {
    const users = this.uow.repository(UserEntity);
    const row = users.create({ ...user, status: 'active' });
    const saved = await refusing(() => users.save(row));
    return this.get(saved.id);
  }

  async exists(email: string): Promise<boolean> {
    return this.uow.repository(UserEntity).existsBy({ email });
  }

  find(id: number): Promise<User | null> {
    return this.uow.repository(UserEntity).findOneBy({ id });
  }

  /** The id of whom a purchase names; null when there is no such account (any more). `token` is a UUID, in any case. */
  async findByAppAccountToken(token: string): Promise<number | null> {
    const user = await this.uow.repository(UserEntity).findOne({
      where: { appAccountToken: token.toLowerCase() },
      select: { id: true },
    });
    return user?.id ?? null;
  }

  /** @throws DomainError user_not_found */
  async get(id: number): Promise<User> {
    const user = await this.find(id);
    if (user === null) throw new DomainError('user_not_found');
    return user;
  }

  /**
   * Locks a user's row until the transaction ends. Whatever changes what a user has (subscriptions, devices, status) begins here,
   * so that such changes happen one after another, and never deadlock.
   * @throws DomainError user_not_found
   */
  async lock(id: number): Promise<User> {
    this.uow.assertOpen();
    const user = await this.uow.repository(UserEntity).findOne({ where: { id }, lock: { mode: 'for_no_key_update' } });
    if (user === null) throw new DomainError('user_not_found');
    return user;
  }

  async findCredentials(email: string): Promise<Credentials | null> {
    return this.uow
      .repository(UserEntity)
      .findOne({ where: { email }, select: { id: true, status: true, hashedPassword: true } });
  }

  /** Replaces a hash, unless the password was changed meanwhile. */
  async replaceHash(id: number, from: string, to: string): Promise<void> {
    await this.uow.repository(UserEntity).update({ id, hashedPassword: from }, { hashedPassword: to });
  }

  async update(
    id: number,
    change: { status?: UserStatus; isAdmin?: boolean; locale?: string; refundDataConsent?: boolean },
  ): Promise<void> {
    await this.uow.repository(UserEntity).update({ id }, change);
  }

  /** Until the transaction ends, nobody else makes or unmakes administrators: "the first one" is then a fact, not a race. */
  async serialiseAdministration(): Promise<void> {
    this.uow.assertOpen();
    await this.uow.manager.query(`SELECT pg_advisory_xact_lock(hashtext('administration'))`);
  }

  async hasActiveAdmin(): Promise<boolean> {
    return this.uow.repository(UserEntity).existsBy({ isAdmin: true, status: 'active' });
  }

  /** The caller behind an access token; null when the user is gone, or the session ended or ran out. */
  findPrincipal(userId: number, sessionId: string): Promise<Principal | null> {
    return this.principals.ask({ userId, sessionId });
  }

  private async readPrincipals(asked: readonly Asked[]): Promise<readonly (Principal | null)[]> {
    const rows = await this.queries.rows<PrincipalRow>(PRINCIPALS, [
      asked.map(({ userId }) => userId),
      asked.map(({ sessionId }) => sessionId),
      this.clock.now(),
    ]);
    const found = new Map(rows.map((row) => [row.place, row]));
    return asked.map(({ sessionId }, index) => {
      const row = found.get(index + 1);
      return row === undefined ? null : toPrincipal(row, sessionId);
    });
  }
}

interface Asked {
  readonly userId: number;
  readonly sessionId: string;
}

function toPrincipal(row: PrincipalRow, sessionId: string): Principal {
  return {
    sessionId,
    user: {
      id: row.id,
      email: row.email,
      status: row.status,
      isAdmin: row.is_admin,
      isVerified: row.is_verified,
      googleId: row.google_id,
      appAccountToken: row.app_account_token,
      locale: row.locale,
      refundDataConsent: row.refund_data_consent,
      createdAt: row.created_at,
    },
  };
}
