import { Injectable } from '@nestjs/common';
import { createHash, timingSafeEqual } from 'node:crypto';
import { DomainError } from '#kernel';
import { Audit, Settings, SYSTEM, UnitOfWork } from '#platform';
import { actorOf } from './actor.js';
import { AccessChanges } from './access-changes.js';
import { normaliseEmail } from './email.js';
import { type Principal, type User } from './user.js';
import { UsersRepository } from './users.repository.js';

export interface PromotionRequest {
  readonly userId: number;
  /** Who asks; null for somebody without a token. */
  readonly by: Principal | null;
  readonly secret: string | undefined;
}

/**
 * Makes administrators: by another administrator, by an operator on the command line, or, while there is none yet, by whoever knows
 * PROMOTE_SECRET (PROMOTE_MODE=always keeps that door open, for tests).
 */
@Injectable()
export class Promotion {
  constructor(
    private readonly settings: Settings,
    private readonly uow: UnitOfWork,
    private readonly users: UsersRepository,
    private readonly changes: AccessChanges,
    private readonly audit: Audit,
  ) {}

  /**
   * The promoted user is an administrator and active.
   * @throws DomainError promotion_refused | user_not_found
   */
  async promote({ userId, by, secret }: PromotionRequest): Promise<void> {
    await this.uow.run(async () => {
      await this.users.serialiseAdministration();
      const byAdmin = by?.user.isAdmin === true;
      if (!byAdmin && !(await this.opensWith(secret))) throw new DomainError('promotion_refused');
      const { status } = await this.users.lock(userId);
      await this.users.update(userId, { isAdmin: true, status: 'active' });
      await this.changes.announce(userId);
      await this.audit.record({
        ...(by === null ? SYSTEM : actorOf(by)),
        action: 'user_promote',
        target: `user:${userId}`,
        data: { by_secret: !byAdmin, from: status, to: 'active' },
      });
    });
  }

  /**
   * An operator, on the command line, makes somebody an administrator. Doing so again changes nothing.
   * @throws DomainError user_not_found
   */
  promoteByOperator(email: string): Promise<User> {
    return this.uow.run(async () => {
      await this.users.serialiseAdministration();
      const known = await this.users.findCredentials(normaliseEmail(email) ?? email);
      if (known === null) throw new DomainError('user_not_found');
      const { id } = known;
      const user = await this.users.lock(id);
      if (user.isAdmin && user.status === 'active') return user;
      await this.users.update(id, { isAdmin: true, status: 'active' });
      await this.changes.announce(id);
      const data = { by_secret: false, from: user.status, to: 'active' };
      await this.audit.record({ ...SYSTEM, action: 'user_promote', target: `user:${id}`, data });
      return { ...user, isAdmin: true, status: 'active' };
    });
  }

  private async opensWith(secret: string | undefined): Promise<boolean> {
    const { promoteSecret, promoteMode } = this.settings.auth;
    if (promoteSecret === undefined || secret === undefined || !equal(secret, promoteSecret)) return false;
    return promoteMode === 'always' || !(await this.users.hasActiveAdmin());
  }
}

/** Hashes first, so that neither content nor length shows in the time. */
function equal(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}
