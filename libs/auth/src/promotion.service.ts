import { Injectable } from '@nestjs/common';
import { createHash, timingSafeEqual } from 'node:crypto';
import { DomainError } from '#kernel';
import { Audit, Settings, SYSTEM, UnitOfWork } from '#platform';
import { actorOf } from './actor.js';
import { AccessChanges } from './access-changes.js';
import { type Principal } from './user.js';
import { UsersRepository } from './users.repository.js';

export interface PromotionRequest {
  readonly userId: number;
  /** Who asks; null for somebody without a token. */
  readonly by: Principal | null;
  readonly secret: string | undefined;
}

/**
 * Makes administrators: by another administrator, or, while there is none yet, by whoever knows PROMOTE_SECRET
 * (PROMOTE_MODE=always keeps that door open, for tests).
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
