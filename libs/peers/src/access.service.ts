import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Clock } from '#kernel';
import { UnitOfWork } from '#platform';
import { AccessChanges, Users } from '#auth';
import { Subscriptions } from '#subscriptions';
import { Applying } from './applying.service.js';
import { PeersRepository } from './peers.repository.js';

const BATCH = 500;

/** Makes peers follow their owner's access: suspended when it ends, wanted again when it returns. */
@Injectable()
export class Access implements OnModuleInit {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly changes: AccessChanges,
    private readonly users: Users,
    private readonly subscriptions: Subscriptions,
    private readonly peers: PeersRepository,
    private readonly applying: Applying,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.changes.observe((userId) => this.settle(userId));
  }

  /** Brings one user's peers in line with his access, within the transaction that changed it. */
  async settle(userId: number): Promise<void> {
    this.uow.assertOpen();
    const { status } = await this.users.lock(userId);
    const granted = status === 'active' && (await this.subscriptions.entitlement(userId)) !== null;
    const servers = await this.peers.setWanted(userId, granted, this.clock.now());
    this.uow.afterCommit(() => servers.forEach((serverId) => this.applying.start(serverId)));
  }

  /** Suspends the peers of everybody whose access has run out; returns how many users that were. */
  async enforce(): Promise<number> {
    let ended = 0;
    let last = 0;
    for (;;) {
      const owners = await this.peers.ownersOfWanted(last, BATCH);
      const entitled = await this.subscriptions.entitledAmong(owners);
      for (const userId of owners.filter((owner) => !entitled.has(owner))) {
        await this.uow.run(() => this.settle(userId));
        ended++;
      }
      last = owners.at(-1) ?? last;
      if (owners.length < BATCH) return ended;
    }
  }
}
